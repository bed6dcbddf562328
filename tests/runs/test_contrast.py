"""Contrast sets through a whole run: pairs stay on one side of the split, and their consistency is shown everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from symdistill.cli.main import main
from symdistill.runs.config import parse_config
from symdistill.runs.directory import RunDirectory
from symdistill.runs.grid import load_grid
from symdistill.runs.grid_checks import check_grid
from symdistill.runs.workspace import Workspace

pytest.importorskip("torch")

from tiny import save_tiny

PAIRS = 12


def reviews() -> list[dict[str, Any]]:
    """Short reviews, each with a twin that differs in a word and so in its label."""
    rows = []
    for i in range(PAIRS):
        for word, label in (("dull", "negative"), ("gripping", "positive")):
            row = {
                "id": f"films/{i:03d}" + ("/contrast" if label == "positive" else ""),
                "question": f"I saw film number {i} with my {i + 2} cousins, and all of us found it {word} to the end.",
                "answer": label,
                "answer_type": "label",
                "instruction": "Is the sentiment of this film review positive or negative?",
                "rationales": [f"They found it {word}. Therefore, the answer is {label}."],
            }
            rows.append(row | ({"contrast_of": f"films/{i:03d}"} if label == "positive" else {}))
    return rows


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("contrast")
    save_tiny(place / "tiny")
    (place / "films.jsonl").write_text("".join(json.dumps(row) + "\n" for row in reviews()))
    return place


def configuration(place: Path, **changes: Any) -> dict[str, Any]:
    return {
        "task": {"path": str(place / "films.jsonl"), "eval_fraction": 0.4, "decontaminate": False},
        "teacher": {"model": "dataset"},
        "methods": ["label-only", {"name": "scotd", "evaluation": {"self_consistency": 2}}],
        "student": {"model": str(place / "tiny"), "batch_size": 8},
        "training": {"max_steps": 2, "per_device_train_batch_size": 8, "bf16": False},
        "evaluation": {"max_new_tokens": 4},
        **changes,
    }


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fraction", [0.3, 1.0])
def test_twins_do_not_straddle_the_split(place: Path, seed: int, fraction: float) -> None:
    settings = configuration(place, seed=seed)
    settings["task"]["fraction"] = fraction
    task = Workspace(parse_config(settings), RunDirectory(place / "none")).task

    def films(examples: Any) -> set[str]:
        return {e.id.removesuffix("/contrast") for e in examples}

    assert films(task.train)
    assert not films(task.train) & films(task.evaluation)
    for side in (task.train, task.evaluation):
        assert len(side) == 2 * len(films(side)), "pairs stay whole"


def test_a_run_its_report_and_a_comparison_show_pairs(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "films.yaml"
    file.write_text(json.dumps(configuration(place)))
    run = tmp_path / "run"
    with pytest.raises(SystemExit) as ended:
        main(["run", str(file), "--run-dir", str(run)])
    out, err = capsys.readouterr()
    assert ended.value.code == 0, err
    assert all(f"test · {part}" in out for part in ("originals", "edited", "pairs"))
    rows = [row for row in json.loads((run / "metrics.json").read_text()) if "part" in row]
    assert {(row["method"], row["decoding"], row["part"]) for row in rows} == {
        (method, decoding, part)
        for method, decoding in (("label-only", "greedy"), ("scotd", "greedy"), ("scotd", "vote"))
        for part in ("originals", "edited", "pairs")
    }
    assert len({row["n"] for row in rows}) == 1
    assert "A pair is right when both are." in (run / "report.html").read_text()
    lines = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert {line["id"]: line.get("contrast_of") for line in lines if line["id"].endswith("/contrast")} == {
        line["id"]: line["id"].removesuffix("/contrast") for line in lines if line["id"].endswith("/contrast")
    }
    with pytest.raises(SystemExit):
        main(["compare", str(run)])
    out = capsys.readouterr().out
    assert "Contrast sets" in out
    assert "both right" in out


def test_a_grid_takes_contrast_sets(place: Path, tmp_path: Path) -> None:
    file = tmp_path / "films.yaml"
    file.write_text(json.dumps(configuration(place, grid={"seeds": [0, 1], "fractions": [0.5, 1.0]})))
    checked = check_grid(load_grid(file, [], tmp_path / "out"))
    assert len(checked.tasks) == 2
    assert all(any(e.contrast_of for e in task.evaluation) for task in checked.tasks.values())
