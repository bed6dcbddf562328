"""`symdistill evaluate --knowledge`: options that do not fit together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from mistakes import configuration
from tiny import save_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student")


@pytest.mark.parametrize(
    "options, says",
    [
        (["--gate", "always"], "Add --knowledge"),
        (["--threshold", "50"], "Add --knowledge"),
        (["--knowledge", "nowhere.sqlite"], "no knowledge base at nowhere.sqlite"),
        (["--knowledge", ".", "--threshold", "50", "--gate", "never"], "knowledge"),
    ],
)
def test_options_that_do_not_fit_together_are_named(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    from symdistill.cli.main import main

    file = tmp_path / "c.yaml"
    file.write_text(json.dumps(configuration(tmp_path, tiny)))
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(file), "--run-dir", str(tmp_path / "run"), *options])
    assert ended.value.code == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
