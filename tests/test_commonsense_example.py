"""examples/commonsense is whole: its files are what its program writes, and a run of it would start."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest

from symdistill.runs.config import load_config
from symdistill.runs.families import price_family

FOLDER = Path(__file__).parent.parent / "examples" / "commonsense"


def test_the_files_are_what_the_program_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(FOLDER / "make_data.py", tmp_path)
    monkeypatch.setattr("sys.argv", ["make_data.py"])
    runpy.run_path(str(tmp_path / "make_data.py"), run_name="__main__")
    for name in ("heads.txt", "labels.jsonl", "reference.jsonl"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_a_run_passes_its_dry_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symdistill.students.loading.check_student", lambda settings: settings.model)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    config = load_config(FOLDER / "direct.yaml", ["teacher.model=openai:gpt-4o-mini"])
    price = price_family(config, tmp_path / "run")
    assert price is not None
    assert price.to_buy == 100 * 4
    assert not (tmp_path / "run").exists()
