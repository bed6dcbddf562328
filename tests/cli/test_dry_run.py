"""A dry run says what the command would buy or replay, and refuses what its first minute would refuse; it asks nobody
and writes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from symdistill.cli.main import main

pytest.importorskip("torch")

from small_run import small_run

BOUGHT = "teacher.model=openai:gpt-4o-mini"


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    return (stopped.value.code if isinstance(stopped.value.code, int) else 1), out, err


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return small_run(tmp_path, monkeypatch)


def test_what_a_recording_has_is_replayed_and_what_it_lacks_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path
) -> None:
    assert call(capsys, "sample", config, "--run-dir", "first")[0] == 0
    assert call(capsys, "store", "export", "first", "r.jsonl")[0] == 0
    words = ["run", config, "--dry-run", "--run-dir", "run", "teacher.model=recorded:r.jsonl"]
    code, out, err = call(capsys, *words)
    assert code == 0, err
    assert "To replay: 6 of 6 replies (0 are stored, 0 were declined for good). Nobody is asked for them." in out
    assert "To buy" not in out
    assert "$" not in out
    for change, says in (
        ("teacher.samples=2", "only 1 samples were recorded and number 2 was asked for"),
        ("teacher.temperature=0.1", "recorded with temperature 0.7"),
    ):
        code, _, err = call(capsys, *words, change)
        assert code == 2
        assert says in err
    assert not (tmp_path / "run").exists()


def test_the_price_is_told_without_a_key_and_asking_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path
) -> None:
    code, out, err = call(capsys, "run", config, "--dry-run", "--run-dir", "run", BOUGHT)
    assert code == 0, err
    assert "To buy: 6 of 6 replies" in out
    assert "At most: " in out
    assert "OPENAI_API_KEY is not set" in out
    assert not (tmp_path / "run").exists()
    code, _, err = call(capsys, "run", config, "--run-dir", "run", BOUGHT)
    assert code == 2
    assert "There is no key for openai:gpt-4o-mini" in err


def test_with_a_key_nothing_is_said_of_it(
    capsys: pytest.CaptureFixture[str], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    code, out, _ = call(capsys, "run", config, "--dry-run", BOUGHT)
    assert code == 0
    assert "OPENAI_API_KEY" not in out


@pytest.mark.parametrize(
    "budget, says",
    [
        ("teacher.budget_usd=0.00001", "$0.00001 (`teacher.budget_usd`) stops it before the next reply"),
        ("teacher.budget_usd=0.001", "$0.001 (`teacher.budget_usd`) may stop it on the way"),
        ("teacher.budget_usd=1", "$1.00 (`teacher.budget_usd`) is enough"),
        ("teacher.budget_tokens=100", "100 tokens (`teacher.budget_tokens`) stops it before the next reply"),
        ("teacher.budget_tokens=3000", "3,000 tokens (`teacher.budget_tokens`) may stop it on the way"),
    ],
)
def test_how_far_the_budget_goes_is_told(
    capsys: pytest.CaptureFixture[str], config: Path, budget: str, says: str
) -> None:
    code, out, err = call(capsys, "run", config, "--dry-run", BOUGHT, budget)
    assert code == 0, err
    assert says in out


@pytest.mark.parametrize(
    "words, says",
    [
        (["teacher.model=openai:nobody-knows", "teacher.budget_usd=1"], "price of openai:nobody-knows is not known"),
        (["student.model=smolm2-135m"], "no model `smolm2-135m` (`student.model`). Did you mean `smollm2-135m`?"),
        (["training.max_length=5"], "No training question fits into `training.max_length`, 5 tokens"),
        (["training.optim=adamx"], "`training.optim` (override `training.optim=adamx`) must be the name of an optimiz"),
        (["training.optim=torch_xla"], "must be the name of an optimizer"),
        (["training.optim=adamw_torch_xla"], "needs the Python module torch_xla"),
    ],
)
@pytest.mark.parametrize("dry", [True, False], ids=["dry", "real"])
def test_what_can_only_fail_is_refused_before_anybody_is_asked(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    says: str,
    dry: bool,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    code, _, err = call(capsys, "run", config, "--run-dir", "run", BOUGHT, *words, *["--dry-run"] * dry)
    assert code == 2
    assert says in err
    assert not (tmp_path / "run" / "store.sqlite").exists()


def test_a_directory_of_another_run_is_refused(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    assert call(capsys, "sample", config, "--run-dir", "run")[0] == 0
    code, _, err = call(capsys, "run", config, "--run-dir", "run", "--dry-run", "seed=7")
    assert code == 2
    assert "another configuration" in err


def test_a_grid_of_students_looks_at_their_names(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    config.write_text(config.read_text() + "grid: {seeds: [0], students: [./tiny, smolm2]}\n")
    code, _, err = call(capsys, "compare", config, "--dry-run")
    assert code == 2
    assert "Did you mean `smollm2-135m`?" in err


def test_parts_of_a_run_leave_no_trace_either(capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path) -> None:
    config.write_text("task: {path: q.jsonl}\nteacher: {model: 'openai:gpt-4o-mini'}\n")
    for words in (["triples", "generate", "--new-heads", 2], ["trees", "questions"]):
        code, out, err = call(capsys, *words[:2], config, *words[2:], "--run-dir", "run", "--dry-run")
        assert code == 0, err
        assert "To buy: " in out
        assert "OPENAI_API_KEY is not set" in out
    assert not (tmp_path / "run").exists()


def test_triples_about_no_head_are_refused_as_they_are_when_asked_for(
    capsys: pytest.CaptureFixture[str], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    words = ["triples", "generate", config, "--run-dir", "run", "teacher.model=openai:gpt-4o-mini"]
    said = [call(capsys, *words, *dry) for dry in (["--dry-run"], [])]
    assert [code for code, _, _ in said] == [2, 2]
    assert all("There is no head to ask about" in err for _, _, err in said)


def test_demonstrations_that_are_held_out_are_counted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path
) -> None:
    held = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().splitlines()][-1]
    rows = [{"question": "Count 90.", "rationale": "89 + 1.", "answer": "90"}, held | {"rationale": "So it is."}]
    (tmp_path / "shown.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["run", config, "--dry-run", BOUGHT, "teacher.demonstrations=shown.jsonl"]
    code, _, err = call(capsys, *words)
    assert code == 0
    assert "1 of 2 demonstrations is a held-out question, and left out" in err
    assert "held-out question" not in call(capsys, *words, "task.decontaminate=false")[2]
    (tmp_path / "shown.jsonl").write_text(json.dumps(rows[1]))
    code, _, err = call(capsys, *words)
    assert code == 2
    assert "All 1 demonstrations of shown.jsonl are held-out questions" in err


def test_a_missing_student_stops_an_evaluation_before_others_answer(
    capsys: pytest.CaptureFixture[str], config: Path
) -> None:
    config.write_text(config.read_text().replace("method: std-cot", "methods: [zero-shot, label-only]"))
    code, _, err = call(capsys, "evaluate", config, "--run-dir", "run")
    assert code == 2
    assert "label-only has no trained student" in err
    assert "evaluate zero-shot" not in err
