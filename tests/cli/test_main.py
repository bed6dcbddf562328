"""The command line as a user meets it: help, mistakes in one line, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import symdistill
from grid_cases import row
from symdistill.cli.main import main
from symdistill.cli.tables import show_metrics
from symdistill.models.recording import read_recording
from symdistill.sampling.store import ResponseStore

ROOT = Path(__file__).parent.parent.parent


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a command in this process; exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as stopped:
        main(list(words))
    out, err = capsys.readouterr()
    code = stopped.value.code
    return (code if isinstance(code, int) else 1), out, err


@pytest.mark.parametrize(
    "words",
    [["--help"], *[[verb, "--help"] for verb in ("run", "sample", "curate", "train", "evaluate", "compare", "store")]],
)
def test_help_is_there(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    code, out, _ = call(capsys, *words)
    assert code == 0
    assert "Usage: symdistill" in out


def test_the_python_interface_is_completed_by_its_names() -> None:
    assert {"run", "open_run", "compare", "FinishedRun", "__version__", "__doc__"} <= set(dir(symdistill))


def test_the_installed_program_starts() -> None:
    found = subprocess.run(
        [Path(sys.executable).parent / "symdistill", "--version"], capture_output=True, text=True, check=True
    )
    assert found.stdout.startswith("symdistill 0.")


def test_a_mistake_is_one_line_without_a_traceback(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("trainning: {}\n")
    code, out, err = call(capsys, "run", str(file))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "Did you mean `training`?" in err


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("trainning: {}\n")
    found = subprocess.run(
        [sys.executable, "-m", "symdistill", "--debug", "run", str(file)], capture_output=True, text=True, check=False
    )
    assert "Traceback" in found.stderr
    assert "Did you mean `training`?" in found.stderr
    assert found.returncode == 2


def test_a_missing_configuration(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = call(capsys, "run", str(tmp_path / "none.yaml"))
    assert code == 2
    assert "There is no file" in err


def test_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "distil")
    assert code == 2
    assert "No such command" in err


@pytest.mark.parametrize(
    "words, says",
    [
        ("run --dryrun", "No such option: --dryrun. Did you mean --dry-run?"),
        ("run a.yaml --frob", "No such option: --frob. See `symdistill run --help`."),
        ("distil", "No such command 'distil'. See `symdistill --help`."),
        ("knowledge lst", "No such command 'lst'. Did you mean 'list'?"),
        ("knowledge edit k.sqlite i --status retird", "'active', 'review', 'retired'. Did you mean retired?"),
        ("triples query kg --format xml", "'table', 'json', 'tsv'. See `symdistill triples query --help`."),
        ("trees fit t --max-depth 20", "should be less than or equal to 12. See `symdistill trees fit --help`."),
        ("trees fit t --max-depth x", "'--max-depth' should be a valid integer. See `symdistill trees fit --help`."),
        ("run", "Missing argument 'config'. See `symdistill run --help`."),
        ("run a.yaml --run-dir", "Option '--run-dir' requires an argument. See `symdistill --help`."),
    ],
)
def test_a_mistake_in_an_option_names_what_was_meant_or_whose_help_says_more(
    capsys: pytest.CaptureFixture[str], words: str, says: str
) -> None:
    code, _, err = call(capsys, *words.split())
    assert code == 2
    assert err.endswith(f"{says}\n")
    assert err.count("\n") == 1
    assert not {"Input", "Value error"} & set(err.split(": ")), "pydantic is not quoted"


@pytest.mark.parametrize("command, name", [("store stats", "store.sqlite"), ("knowledge list", "knowledge.sqlite")])
@pytest.mark.parametrize("text", ["task: {}\n", "#!/bin/sh\nexit\n"])
def test_a_text_file_is_no_damaged_database(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str, name: str, text: str
) -> None:
    (tmp_path / "c.yaml").write_text(text)
    code, _, err = call(capsys, *command.split(), str(tmp_path / "c.yaml"))
    assert code == 2
    assert f"c.yaml is a text file, no {'store' if name == 'store.sqlite' else 'knowledge base'}. Name a {name}" in err
    assert (tmp_path / "c.yaml").read_text() == text


def test_what_has_no_price_is_not_free(capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path) -> None:
    run = tmp_path / "run"
    assert call(capsys, "sample", str(config), "--run-dir", str(run))[0] == 0
    out = call(capsys, "store", "stats", str(run))[1]
    assert "no price recorded" in out
    assert "$" not in out


def test_init_writes_a_configuration_that_loads(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from symdistill.runs.config import load_config

    file = tmp_path / "mine.yaml"
    assert call(capsys, "init", str(file))[0] == 0
    assert load_config(file).build_methods()
    code, _, err = call(capsys, "init", str(file))
    assert code == 2
    assert "exists already" in err
    assert call(capsys, "init", str(file), "--force")[0] == 0


QUESTIONS = [
    {
        "id": f"q{i}",
        "question": f"Count {i} and one more thing on the table number {i * 7}.",
        "answer": str(i + 1),
        "split": "test" if i > 5 else "train",
        "rationales": [
            f"{i} + 1 = {i + 1}. Therefore, the answer is {i + 1}.",
            "It is 99. Therefore, the answer is 99.",
        ],
    }
    for i in range(8)
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(q) + "\n" for q in QUESTIONS))
    file = tmp_path / "c.yaml"
    file.write_text("task: {path: q.jsonl}\nteacher: {model: dataset}\nmethod: std-cot\n")
    return file


def test_sample_and_curate_leave_their_files(capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path) -> None:
    run = tmp_path / "run"
    code, _, err = call(capsys, "sample", str(config), "--run-dir", str(run))
    assert code == 0, err
    assert "12 of 12 replies" in err
    code, _, err = call(capsys, "curate", str(config), "--run-dir", str(run))
    assert code == 0, err
    assert "kept 6 of 12" in err
    rows = [json.loads(line) for line in (run / "rationales.jsonl").read_text().splitlines()]
    assert {"id", "question", "rationale", "answer", "correct", "sample_index", "model"} <= rows[0].keys()
    assert all(row["correct"] for row in rows)
    dropped = [json.loads(line) for line in (run / "dropped.jsonl").read_text().splitlines()]
    assert {d["reason"] for d in dropped} == {"wrong"}


def test_a_store_travels_as_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path) -> None:
    run = tmp_path / "run"
    assert call(capsys, "sample", str(config), "--run-dir", str(run))[0] == 0
    file = tmp_path / "replies.jsonl.gz"
    assert call(capsys, "store", "export", str(run), str(file))[0] == 0
    assert len(read_recording(file).replies) == 12
    bare = tmp_path / "bare.jsonl"
    assert call(capsys, "store", "export", str(run), str(bare), "--without-prompts")[0] == 0
    assert '"messages"' not in bare.read_text()
    other = tmp_path / "other.sqlite"
    code, out, err = call(capsys, "store", "import", str(other), str(file))
    assert code == 0, err
    assert "Added 12" in out
    assert "were there already" in call(capsys, "store", "import", str(other), str(file))[1]
    assert "12 replies" in call(capsys, "store", "stats", str(other))[1]
    assert call(capsys, "store", "verify", str(other))[0] == 0
    with ResponseStore(other) as store:
        assert store.stats().replies == 12


def test_a_store_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = call(capsys, "store", "stats", str(tmp_path / "none.sqlite"))
    assert code == 2
    assert "There is no store" in err


@pytest.mark.parametrize(
    "text",
    ["", "no recording\n", '{"format": "symdistill-recording", "version": 1}\nbroken\n'],
    ids=["empty", "other", "cut"],
)
@pytest.mark.parametrize("place", ["new.sqlite", "deeper/new.sqlite"])
def test_a_failed_import_leaves_no_store_behind(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, place: str
) -> None:
    (tmp_path / "r.jsonl").write_text(text)
    code, _, err = call(capsys, "store", "import", str(tmp_path / place), str(tmp_path / "r.jsonl"))
    assert code == 2
    assert "r.jsonl" in err
    assert [p.name for p in tmp_path.iterdir()] == ["r.jsonl"]


def test_a_failed_import_leaves_a_store_as_it_was(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path
) -> None:
    run = tmp_path / "run"
    assert call(capsys, "sample", str(config), "--run-dir", str(run))[0] == 0
    (tmp_path / "r.jsonl").write_text("broken")
    assert call(capsys, "store", "import", str(run), str(tmp_path / "r.jsonl"))[0] == 2
    assert "12 replies" in call(capsys, "store", "stats", str(run))[1]


@pytest.mark.parametrize("verb, option", [("init", "init FILE"), ("compare", "--output")])
def test_advice_about_a_place_that_cannot_be_written_fits_the_command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, verb: str, option: str
) -> None:
    (tmp_path / "file").write_text("")
    target = str(tmp_path / "file" / "x.md")
    words = [verb, target]
    if verb == "compare":
        runs = [finished_run(tmp_path / name) for name in ("one", "two")]
        words = [verb, *map(str, runs), "--output", target]
    code, _, err = call(capsys, *words)
    assert code == 2
    assert f"Cannot write {target}: " in err
    assert option in err
    assert "--run-dir" not in err


def test_cut_replies_are_told_under_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    show_metrics([replace(row("zero-shot", 0.0, 4), truncated_rate=1.0)], None)
    assert capsys.readouterr().out.endswith("\n Replies cut at `evaluation.max_new_tokens`: zero-shot 100%.\n")


def finished_run(path: Path) -> Path:
    """What `compare` reads of a run."""
    path.mkdir()
    rows = [{"id": f"q{i}", "method": path.name, "gold": "1", "samples": ["1"], "correct": i > 1} for i in range(4)]
    (path / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (path / "metrics.json").write_text("[]")
    (path / "config.yaml").write_text(f"task: {{path: q.jsonl}}\nmethod: {{name: label-only, label: {path.name}}}\n")
    return path


def test_finished_runs_are_compared_in_every_form(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written that was not asked for; one file by its ending, or all of them."""
    runs = [str(finished_run(tmp_path / name)) for name in ("one", "two")]
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, "compare", *runs)
    assert code == 0, err
    assert "vs one" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    for name, begins in (("x.csv", "student,"), ("x.tex", "%"), ("x.md", "# "), ("x.html", "<!doctype")):
        assert call(capsys, "compare", *runs, "--output", name)[0] == 0
        assert (tmp_path / name).read_text().lower().startswith(begins)
    (tmp_path / "grid.yaml").write_text("grid: {}\n")
    code, _, err = call(capsys, "compare", "grid.yaml", "--output", "x.pdf")
    assert (code, "Name a folder." in err) == (2, True)
    code, _, err = call(capsys, "compare", *runs, "--output", "x.txt")
    assert (code, "Name a file that ends in .md or .csv or .tex or .html, or a folder." in err) == (2, True)
    assert not (tmp_path / "x.txt").exists()
    assert call(capsys, "compare", *runs, "--output", "all")[0] == 0
    names = ["comparison.csv", "comparison.md", "comparison.tex", "report.html"]
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == names


def test_init_does_not_take_a_directory_for_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = call(capsys, "init", str(tmp_path), "--force")
    assert code == 2
    assert f"for example {tmp_path / 'symdistill.yaml'}" in err


def test_a_dry_run_asks_nobody_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path
) -> None:
    code, out, err = call(capsys, "sample", str(config), "--run-dir", str(tmp_path / "run"), "--dry-run")
    assert code == 0, err
    assert "To replay: 12 of 12 replies" in out
    assert "To buy" not in out
    assert not (tmp_path / "run").exists()


def test_another_configuration_in_the_same_directory_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path
) -> None:
    run = str(tmp_path / "run")
    assert call(capsys, "sample", str(config), "--run-dir", run)[0] == 0
    code, _, err = call(capsys, "sample", str(config), "--run-dir", run, "seed=7")
    assert code == 2
    assert "another configuration" in err


def test_doctor_says_what_is_there(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    code, out, _ = call(capsys, "doctor", str(config))
    assert "Extras" in out
    assert "questions  ok       6 to train on, 2 held out" in out
    assert code in (0, 2)  # 2 where the student's package is not installed


def test_doctor_names_the_keys_and_never_shows_one(
    capsys: pytest.CaptureFixture[str], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_PROXY_KEY", "sk-secret")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    config.write_text(
        "task: {path: q.jsonl}\nteacher: {model: 'openai:gpt-4o-mini', api_key_env: MY_PROXY_KEY}\nmethod: std-cot\n"
    )
    out = call(capsys, "doctor", str(config))[1]
    states = {
        line.split()[0]: line.endswith("not set") for line in out.splitlines() if "_KEY " in line or "_TOKEN " in line
    }
    assert states["MY_PROXY_KEY"] is False
    assert states["OPENAI_API_KEY"] is True
    assert "HF_TOKEN" in states
    assert "secret" not in out
    assert "OPENAI_API_KEY" in call(capsys, "doctor")[1]


def test_the_commands_page_is_not_stale() -> None:
    made = subprocess.run(
        [sys.executable, "-c", "import runpy; print(runpy.run_path('docs/make_commands.py')['page'](), end='')"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert (ROOT / "docs" / "commands.md").read_text() == made.stdout, "run `make docs`"


def test_overrides_reach_into_a_method_named_by_a_word(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path
) -> None:
    config.write_text("task: {path: q.jsonl}\nteacher: {model: dataset}\nmethods: [std-cot]\n")
    code, _, err = call(
        capsys, "sample", str(config), "--run-dir", str(tmp_path / "r"), "methods.0.training.max_steps=3"
    )
    assert code == 0, err
    assert "max_steps: 3" in (tmp_path / "r" / "config.yaml").read_text()


@pytest.mark.parametrize(
    "text, named",
    [
        ("name: 2024-13-45\n", "month"),
        ("method: {name: std-cot, label: ..}\n", "label"),
        ("method: {name: std-cot, label: a/b}\n", "label"),
        ("method: {name: std-cot, label: teacher}\n", "label"),
    ],
)
def test_a_mistake_in_the_file_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, named: str
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    code, _, err = call(capsys, "sample", str(file))
    assert code == 2
    assert named in err
    assert err.count("\n") == 1


def test_sampling_needs_no_method(capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path) -> None:
    config.write_text("task: {path: q.jsonl}\nteacher: {model: dataset}\n")
    run = str(tmp_path / "run")
    assert call(capsys, "sample", str(config), "--run-dir", run)[0] == 0
    assert "kept 6 of 12" in call(capsys, "curate", str(config), "--run-dir", run)[2]
    code, _, err = call(capsys, "train", str(config), "--run-dir", run)
    assert code == 2
    assert "No method is named" in err


def test_sampling_for_methods_without_a_teacher_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path
) -> None:
    code, _, err = call(capsys, "sample", str(config), "--run-dir", str(tmp_path / "run"), "method=label-only")
    assert code == 2
    assert "No method of this configuration uses a teacher" in err


def test_evaluating_a_teacher_that_was_not_asked_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path
) -> None:
    run = str(tmp_path / "run")
    words = (str(config), "--run-dir", run, "method=zero-shot", "evaluation.teacher=true")
    code, _, err = call(capsys, "evaluate", *words)
    assert code == 2
    assert "not asked 2 of the held-out questions" in err


def test_exporting_to_a_directory_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path) -> None:
    run = str(tmp_path / "run")
    assert call(capsys, "sample", str(config), "--run-dir", run)[0] == 0
    code, _, err = call(capsys, "store", "export", run, str(tmp_path))
    assert code == 2
    assert "is a directory" in err
