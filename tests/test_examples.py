"""The shipped examples are whole: every configuration loads, its files are there, the recording covers it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from symdistill.models.llama_cpp import own_signal_handlers
from symdistill.models.recording import read_recording
from symdistill.runs.config import FAMILIES, load_config
from symdistill.runs.directory import RunDirectory
from symdistill.runs.families import price_family
from symdistill.runs.grid import load_grid
from symdistill.runs.grid_checks import check_grid, price_grid
from symdistill.runs.internalising import note_makers, notes_ahead
from symdistill.runs.teaching import all_requests, curate_replies, open_teacher, sample_teacher
from symdistill.runs.workspace import Workspace, workspace
from symdistill.students.loading import smollm2_gguf

EXAMPLES = Path(__file__).parent.parent / "examples"


FILES = sorted(EXAMPLES.rglob("*.yaml"))
GRIDS = [path for path in FILES if "\ngrid:\n" in path.read_text()]
FAMILY = [path for path in FILES if any(f"\n{name}:\n" in path.read_text() for name in FAMILIES)]
HERE = [path for path in GRIDS if "path: ../quickstart/" in path.read_text() or path.parent.name == "combinations"]


@pytest.mark.parametrize(
    "path", sorted([*EXAMPLES.rglob("data.py"), *EXAMPLES.rglob("make_data.py")]), ids=lambda p: f"{p.parent.name}"
)
def test_a_program_says_what_it_does_and_does_nothing(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path)
    words = [sys.executable, tmp_path / path.name, "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert path.read_text().partition('"""')[2].partition("\n")[0] in done.stdout
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("path", ["quickstart/quickstart.yaml", "sentiment/sentiment.yaml"])
def test_a_recorded_teacher_that_is_asked_too_says_how_large_it_was(path: str) -> None:
    config = load_config(EXAMPLES / path)
    assert config.evaluation.teacher
    assert config.teacher.parameters == 1.544e9


@pytest.mark.parametrize("path", GRIDS, ids=lambda p: p.name)
def test_every_cell_of_a_grid_is_valid(path: Path, tmp_path: Path) -> None:
    grid = load_grid(path, [], tmp_path / "out")
    assert len(grid.cells) > 2
    recorded = "model: recorded:notes" in path.read_text()
    assert grid.settings.seeds == ((0,) if recorded else (0, 1, 2)), "notes were recorded for one seed"
    assert {cell.config.student.model for cell in grid.cells} == {"smollm2-135m"} or path.parent.name == "paper"


@pytest.mark.parametrize("path", HERE, ids=lambda p: p.name)
def test_a_grid_on_shipped_questions_passes_its_dry_run(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("symdistill.students.loading.check_student", lambda settings: settings.model)
    price = price_grid(check_grid(load_grid(path, [], tmp_path / "out")))
    assert price is not None
    assert price.planned > 0
    recorded = "model: recorded:" in path.read_text()
    assert price.most_tokens > 0
    assert (price.most_usd == 0) == recorded, "a recording costs nothing, a local server has no known price"
    assert not (tmp_path / "out").exists()


def test_each_paper_has_its_grids_and_each_grid_a_twin_in_small() -> None:
    names = {path.stem for path in (EXAMPLES / "paper").glob("*.yaml")}
    large = {name for name in names if not name.endswith("-small")}
    assert {name.partition("-")[0] for name in large} == {"scotd", "nesycd", "skintern"}
    ablations = {path.stem for path in (EXAMPLES / "ablations").glob("*.yaml")}
    assert {name for name in large if f"{name}-small" not in names} <= ablations
    assert {name.removesuffix("-small") for name in names - large} <= large


NOT_IN_SMALL = {
    "nesycd-main": {"kard"},  # no corpus ships with the small questions
    "skintern-main": {"kard"},
    "skintern-figure4": {"kard"},
}
LARGE = sorted(path for path in (EXAMPLES / "paper").glob("*.yaml") if not path.stem.endswith("-small"))


def twin_of(path: Path) -> Path:
    small = path.with_name(f"{path.stem}-small.yaml")
    return small if small.exists() else EXAMPLES / "ablations" / path.name


@pytest.mark.parametrize("path", LARGE, ids=lambda p: p.stem)
def test_a_twin_compares_the_same_methods(path: Path, tmp_path: Path) -> None:
    large, small = ({cell.method: None for cell in load_grid(p, [], tmp_path).cells} for p in (path, twin_of(path)))
    left_out = NOT_IN_SMALL.get(path.stem, set())
    assert left_out <= set(large)
    assert list(small) == [name for name in large if name not in left_out]


def stub_of_the_papers_data(place: Path) -> None:
    """A few rows of each file that examples/paper reads."""

    def rows(name: str, found: list[dict[str, object]]) -> None:
        (place / name).write_text("".join(json.dumps(row) + "\n" for row in found))

    def question(task: str, number: int, split: str, **more: object) -> dict[str, object]:
        asked = {"id": f"{task}/{split}/{number}", "task": task, "question": f"Is {number} {split} enough for {task}?"}
        return {**asked, "answer": "yes", "answer_type": "label", "split": split, **more}

    place.mkdir()
    parts = [("train", 24), ("test", 4)]
    rows("bbh.jsonl", [question(t, n, s) for t in ("navigate", "web") for s, count in parts for n in range(count)])
    tasks = ("csqa", "quarel", "openbookqa")
    rows("scotd.jsonl", [question(t, n, s) for t in tasks for s, count in parts for n in range(count)])
    rows("imdb.jsonl", [question("imdb", n, "train") for n in range(24)])
    pairs = [
        (question("imdb", n, "test"), question("imdb", n + 9, "test", contrast_of=f"imdb/test/{n}")) for n in (0, 1)
    ]
    rows("imdb_contrast.jsonl", [row for pair in pairs for row in pair])
    shown = [{"question": "Is it?", "rationale": "It is.", "answer": "yes"}]
    rows("scotd-demonstrations.jsonl", [{**one, "task": task} for one in shown for task in tasks])
    rows("imdb-demonstrations.jsonl", shown)
    (place / "wikipedia").mkdir()
    (place / "wikipedia" / "one.txt").write_text("What is enough for one is not enough for all.")
    (place / "llmlingua-2-xlm-roberta-large-meetingbank").mkdir()


@pytest.mark.parametrize("path", LARGE, ids=lambda p: p.stem)
def test_a_papers_grid_passes_its_checks_once_the_data_are_there(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub_of_the_papers_data(tmp_path / "data")
    shutil.copy(path, tmp_path)
    monkeypatch.setattr("symdistill.students.loading.check_student", lambda settings: settings.model)
    monkeypatch.setattr("symdistill.models.llmlingua.importlib.util.find_spec", lambda name: name)
    price = price_grid(check_grid(load_grid(tmp_path / path.name, [], tmp_path / "out")))
    assert price is not None
    assert price.planned > 0


@pytest.mark.parametrize("name", ["skintern-parts", "skintern-schedules", "skintern-figure4"])
def test_skintern_s_ablations_name_the_paper_s_model(name: str, tmp_path: Path) -> None:
    cells = load_grid(EXAMPLES / "paper" / f"{name}.yaml", [], tmp_path).cells
    assert {cell.config.student.model for cell in cells} == {"meta-llama/Llama-2-7b-hf"}


@pytest.mark.parametrize("path", sorted((EXAMPLES / "paper").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_compared_methods_learn_from_equally_many_rationales(path: Path, tmp_path: Path) -> None:
    """SCoTD's papers compare numbers of rationales; the others compare what is learned from the same ones."""
    if path.stem.startswith("scotd"):
        return
    found = {
        min(method.settings.samples, cell.config.teacher_for(method).samples)
        for cell in load_grid(path, [], tmp_path).cells
        for method in cell.config.build_methods()
        if hasattr(method.settings, "samples")
    }
    assert len(found) <= 1


@pytest.mark.parametrize("path", [p for p in HERE if "skintern" in p.stem], ids=lambda p: p.stem)
def test_skintern_in_small_runs_offline_with_as_many_steps(path: Path, tmp_path: Path) -> None:
    cells = load_grid(path, [], tmp_path).cells
    trained = [(cell, method) for cell in cells for method in cell.config.build_methods() if method.trains]
    assert len({cell.config.training_for(method).max_steps for cell, method in trained}) <= 1
    assert all(cell.config.training_for(method).max_steps > 0 for cell, method in trained)
    assert "openai:" not in path.read_text()


@pytest.mark.parametrize("path", [p for p in HERE if "skintern" in p.stem], ids=lambda p: p.stem)
def test_the_recorded_notes_cover_skintern_in_small(path: Path, tmp_path: Path) -> None:
    """Every note that a cell asks for, whatever its seed and its share of the questions, is in the recording."""
    recorded = read_recording(EXAMPLES / "combinations" / "notes.jsonl.gz").replies
    cells = [cell for cell in load_grid(path, [], tmp_path).cells if not cell.axes.seed]
    wanted = 0
    for cell in cells:
        with workspace(cell.config, tmp_path / "cells" / cell.name) as work:
            if not note_makers(work):
                continue
            sample_teacher(work)
            curate_replies(work, processes=1)
            requests = [request for asking in notes_ahead(work) for request in asking.requests]
            assert [r.key for r in requests if r.key not in recorded] == []
            wanted += len(requests)
    assert wanted > 200


@pytest.mark.parametrize("path", [path for path in FILES if path not in GRIDS + FAMILY], ids=lambda p: p.name)
def test_the_configuration_loads_and_its_files_exist(path: Path) -> None:
    config = load_config(path)
    assert config.build_methods()
    assert config.task.path is not None
    assert config.task.path.exists() or (path.parent / "data.py").exists(), "its data are made by data.py"
    if config.teacher.demonstrations:
        assert config.teacher.demonstrations.exists()


@pytest.mark.parametrize("path", FAMILY, ids=lambda p: p.name)
def test_a_run_of_a_family_passes_its_dry_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symdistill.students.loading.check_student", lambda settings: settings.model)
    teacher = ["teacher.model=openai:local", "teacher.base_url=http://127.0.0.1:9/v1"]  # whose file is the user's own
    price_family(load_config(path, teacher), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "path", [p for p in FAMILY if "model: recorded:" in p.read_text()], ids=lambda p: p.parent.name
)
def test_the_recording_of_a_family_covers_it(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symdistill.students.loading.check_student", lambda settings: settings.model)
    quote = price_family(load_config(path), tmp_path / "run")
    assert quote is not None
    assert quote.planned > 0
    assert quote.most_usd == 0, "a request that was not recorded is an error before this"


def test_the_recording_covers_the_quickstart() -> None:
    """Every reply the demo wants is in the file, and the keys are those the program computes today."""
    config = load_config(EXAMPLES / "quickstart" / "quickstart.yaml")
    work = Workspace(config, RunDirectory(Path("nowhere")))
    teacher = open_teacher(work)
    requests = all_requests(work, teacher.name)
    recorded = read_recording(EXAMPLES / "quickstart" / "teacher.jsonl.gz").replies
    assert len(requests) == 240 * 3 + 120
    assert [r.key for r in requests if r.key not in recorded] == []


@pytest.mark.parametrize("path", sorted((EXAMPLES / "reinforcement").glob("*.yaml")), ids=lambda p: p.name)
def test_reinforcement_begins_with_the_quickstart_s_recording(path: Path) -> None:
    work = Workspace(load_config(path), RunDirectory(Path("nowhere")))
    requests = all_requests(work, open_teacher(work).name)
    recorded = read_recording(EXAMPLES / "quickstart" / "teacher.jsonl.gz").replies
    assert len(requests) >= 160
    assert [r.key for r in requests if r.key not in recorded] == []


@pytest.mark.slow
def test_a_local_server_is_asked_for_real(tmp_path: Path) -> None:
    """examples/local-server.yaml against llama.cpp's own OpenAI server with a real model."""
    xllamacpp = pytest.importorskip("xllamacpp")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(smollm2_gguf())
    parameters.n_parallel, parameters.n_ctx, parameters.port, parameters.verbosity = 2, 2048, 0, 0
    with own_signal_handlers():
        server = xllamacpp.Server(parameters)
    changes = {
        "teacher.base_url": f"{server.listening_address}/v1",
        "task.limit": 3,
        "teacher.samples": 2,
        "teacher.max_tokens": 12,
        "teacher.concurrency": 2,
    }
    config = load_config(EXAMPLES / "local-server.yaml", [f"{key}={value}" for key, value in changes.items()])
    with workspace(config, tmp_path / "run") as work:
        sampled = sample_teacher(work)
    assert len(sampled.completions) == 6
    assert all(c.text and c.completion_tokens for c in sampled.completions.values())
    del server
