"""Exit codes: 2 where something asked for or given has to change first, 1 where something failed on the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from counting import write_questions
from symdistill.cli.main import main

pytest.importorskip("torch")
pytest.importorskip("transformers")


def code_of(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_questions(tmp_path / "q.jsonl", train=4, test=2)
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("no model")
    (tmp_path / "cut.gguf").write_bytes(b"GGUF\x03\0\0\0" + b"\1\0\0\0\0\0\0\0" * 2)
    (tmp_path / "cut").mkdir()
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / "cut" / name).write_text("{}")
    (tmp_path / "cut" / "model.safetensors").write_bytes(b"\x10")
    file = tmp_path / "c.yaml"
    file.write_text("task: {path: q.jsonl}\nteacher: {model: dataset}\nmethods: [zero-shot, label-only]\n")
    return file


@pytest.mark.parametrize("student", ["folder", "notes.txt", "cut.gguf", "cut", "./nowhere", "nowhere.gguf"])
@pytest.mark.parametrize("verb", ["run", "train", "evaluate", "doctor"])
def test_a_bad_student_is_a_mistake_in_what_was_asked(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str], verb: str, student: str
) -> None:
    config.write_text(config.read_text() + f"student: {{model: {student}}}\n")
    words = [verb, config] + ([] if verb == "doctor" else ["--run-dir", tmp_path / "run"])
    assert code_of(*words) == 2
    said = "".join(capsys.readouterr())
    assert student.removeprefix("./") in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "words",
    [
        ["run", "CONFIG", "seed=x"],
        ["run", "CONFIG", "nonsense"],
        ["run", "CONFIG", "--nonsense"],
        ["run"],
        ["nonsense"],
        ["run", "none.yaml"],
        ["sample", "CONFIG", "task.path=none.jsonl"],
        ["evaluate", "CONFIG", "method=label-only", "methods=[]", "--run-dir", "RUN"],
        ["store", "stats", "none.sqlite"],
        ["store", "stats", "CONFIG"],
        ["knowledge", "list", "CONFIG"],
        ["evaluate", "CONFIG", "--knowledge", "CONFIG"],
        ["triples", "stats", "FOLDER"],
        ["triples", "review", "FOLDER"],
        ["triples", "query", "FOLDER", "ASK {}"],
        ["store", "import", "new.sqlite", "none.jsonl"],
        ["compare", "RUN", "RUN"],
        ["init", "CONFIG"],
    ],
    ids=" ".join,
)
def test_a_mistake_in_what_was_asked_is_2(tmp_path: Path, config: Path, words: list[str]) -> None:
    names = {
        "CONFIG": str(config),
        "FOLDER": str(tmp_path / "folder"),
        "RUN": str(tmp_path / "run"),
        "new.sqlite": str(tmp_path / "new.sqlite"),
    }
    assert code_of(*[names.get(word, word) for word in words]) == 2


@pytest.mark.parametrize("words", ["sample", "curate", "train", "evaluate", "trees questions", "knowledge build"])
def test_a_stage_of_a_run_that_has_none_points_to_run(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    config.write_text("multilevel: {inputs: q.jsonl}\nteacher: {model: dataset}\n")
    assert code_of(*words.split(), config, "--run-dir", tmp_path / "run") == 2
    said = capsys.readouterr().err
    assert "a run of `multilevel`" in said
    assert "symdistill run" in said
    assert not (tmp_path / "run").exists()


def test_a_damaged_store_is_1(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"SQLite format 3\0" + b"no database at all" * 100)
    assert code_of("store", "stats", tmp_path / "store.sqlite") == 1


def test_a_recording_that_lacks_a_reply_is_2(tmp_path: Path, config: Path) -> None:
    run = tmp_path / "run"
    assert code_of("sample", config, "--run-dir", run, "method=std-cot", "methods=[]") == 0
    assert code_of("store", "export", run, tmp_path / "r.jsonl") == 0
    recorded = f"teacher.model=recorded:{tmp_path / 'r.jsonl'}"
    words = ["sample", config, "--run-dir", tmp_path / "other", "method=std-cot", "methods=[]", recorded]
    assert code_of(*words) == 0
    assert code_of(*words[:3], tmp_path / "third", *words[4:], "teacher.temperature=0.1") == 2


def test_ctrl_c_is_130(tmp_path: Path, config: Path) -> None:
    """Wherever it comes, here while the configuration is read."""
    program = (
        "import signal, sys\nfrom symdistill.cli import main, sample\n"
        "def stop(*words):\n    signal.raise_signal(signal.SIGINT)\n"
        "sample.load_stages = stop\nmain.main(['sample', sys.argv[1]])\n"
    )
    done = subprocess.run([sys.executable, "-c", program, config], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr == f"Stopped. Continue: symdistill sample {config} (same command)\n"
