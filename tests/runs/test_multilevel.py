"""Whole multilevel runs: a tiny student is trained, and what it writes between trainings is scripted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from symdistill.errors import (
    ConfigError,
    DataError,
    PrerequisiteError,
    RunDirectoryError,
    SymdistillError,
    TrainingError,
)
from symdistill.models.chat import prompt_format
from symdistill.models.scripted import ScriptedModel
from symdistill.prompts.pairs import INPUT, pair_messages
from symdistill.records import Request
from symdistill.runs.api import FinishedRun
from symdistill.runs.config import load_config, parse_config
from symdistill.runs.families import price_family
from symdistill.runs.multilevel_inputs import read_sources
from symdistill.runs.pipeline import run_all
from symdistill.sampling.store import ResponseStore

pytest.importorskip("torch")

from pages import Page
from reinforced import students
from rounds import improving, lineage, pair_row, question, sum_right, sum_wrong, sums, teacher, write_rows
from tiny import save_tiny, tiny_tokenizer

SERVED = {"model": "openai:any", "base_url": "http://x/v1"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> tuple[FinishedRun, list[Request]]:
    place = tmp_path_factory.mktemp("sums")
    with students(improving) as asked:
        run = run_all(parse_config(sums(place, tiny)), place / "run")
    return run, [request for model in asked for request in model.requests]


def card(run: FinishedRun, *place: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.directory.path.joinpath(*place, "symdistill.json").read_text())
    return found


def test_each_round_writes_about_inputs_of_its_own_and_learns_what_is_kept(
    finished: tuple[FinishedRun, list[Request]],
) -> None:
    run, asked = finished
    told = run.metrics
    assert (told["family"], told["stopped"], told["audited_by"]) == ("multilevel", "rounds", "the inputs' gold answers")
    assert [one["writer"] for one in told["rounds"]] == ["file seeds.jsonl", "student 1", "student 2"]
    assert [one["inputs"] for one in told["rounds"]] == [10, 16, 16]
    rows = lineage(run.directory.path)
    by_round = [{row["input_id"] for row in rows if row["round"] == number} for number in range(3)]
    assert not by_round[0] & by_round[1] | by_round[1] & by_round[2] | by_round[0] & by_round[2]
    kept = [[r for r in rows if r["round"] == n and r["kept"] and r["slice"] == "learn"] for n in range(3)]
    assert [one["learned"] for one in told["rounds"]] == [len(some) for some in kept]
    assert card(run, "rounds", "student-1")["examples"] == len(kept[0])
    assert card(run, "rounds", "student-2")["examples"] == len(kept[0]) + len(kept[1])
    assert len(asked) == len({request.key for request in asked}) == 48, "each input of a round once, the others twice"


def test_lineage_says_where_everything_is_from(finished: tuple[FinishedRun, list[Request]]) -> None:
    run = finished[0]
    rows = {row["id"]: row for row in lineage(run.directory.path)}
    assert len(rows) == 42
    with ResponseStore(run.directory.store) as store:
        for row in rows.values():
            if row["round"]:
                assert store.completions([row["request"]])[row["request"]].text == row["output"]
                assert row["writer"] == f"student {row['round']}"
            else:
                assert (row["request"], row["model"]) == ("", "")
    for row in rows.values():
        wrong_step = row["reason"] == "steps"
        assert row["kept"] != wrong_step
        assert (row["right"] is None) == (row["slice"] == "learn")
    learned = [json.loads(line) for line in (run.directory.path / "kept.jsonl").read_text().splitlines()]
    assert {row["id"] for row in learned} == {i for i, r in rows.items() if r["kept"] and r["slice"] == "learn"}


def test_the_audited_slice_is_graded_by_something_that_does_not_select(
    finished: tuple[FinishedRun, list[Request]],
) -> None:
    run = finished[0]
    rows = [row for row in lineage(run.directory.path) if row["slice"] == "audit"]
    for number, one in enumerate(run.metrics["rounds"]):
        slice_ = [row for row in rows if row["round"] == number]
        assert one["graded_before"] == len(slice_) == round(0.25 * one["inputs"])
        assert one["right_before"] == sum(row["right"] for row in slice_)
        assert one["right"] == sum(row["right"] for row in slice_ if row["kept"])
    assert any(row["kept"] and not row["right"] for row in rows), "steps hold, and the answer is wrong"


def test_the_best_student_is_the_run_s_and_the_report_is_whole(finished: tuple[FinishedRun, list[Request]]) -> None:
    run = finished[0]
    chosen = run.metrics["chosen"]
    assert card(run, "student")["weights_sha256"] == card(run, "rounds", f"student-{chosen}")["weights_sha256"]
    accuracies = [one["deciding"]["right"] for one in run.metrics["students"]]
    assert accuracies[chosen - 1] == max(accuracies)
    page = Page(run.report.read_text())
    assert "No round used an input of an earlier one." in page.text
    assert f"Student {chosen} is the run's" in page.text
    manifest = json.loads(run.directory.manifest.read_text())
    assert manifest["config"].startswith("c1_")
    assert manifest["packages"]["torch"]
    assert set(manifest["inputs"]) == {"rounds", "inputs", "seeds"}
    for number in (1, 2):
        trained = manifest["students"][f"student-{number}"]
        assert trained["fingerprint"] == card(run, "rounds", f"student-{number}")["fingerprint"]
    assert manifest["teacher"] is None, "nobody was paid"


def test_running_again_asks_and_trains_nothing(finished: tuple[FinishedRun, list[Request]]) -> None:
    run = finished[0]
    path = run.directory.path
    weights = {p: p.stat().st_mtime_ns for p in path.rglob("*.safetensors")}
    before = (path / "lineage.jsonl").read_bytes()
    with students() as asked:
        again = run_all(run.config, path)
    assert not any(model.requests for model in asked)
    assert {p: p.stat().st_mtime_ns for p in path.rglob("*.safetensors")} == weights
    assert (path / "lineage.jsonl").read_bytes() == before
    assert again.metrics == run.metrics


def test_rounds_of_a_version_that_cut_the_inputs_otherwise_are_not_gone_on_with(tmp_path: Path, tiny: Path) -> None:
    config = parse_config(sums(tmp_path, tiny))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(config.to_yaml())
    (tmp_path / "run" / "rounds.json").write_text(json.dumps({"stopped": None, "chosen": None, "rounds": []}))
    with students() as asked, pytest.raises(RunDirectoryError, match="earlier version, which cut the inputs") as caught:
        run_all(config, tmp_path / "run")
    assert not asked
    assert "delete rounds.json" in caught.value.fix
    (tmp_path / "run" / "rounds.json").unlink()
    with students(lambda student, request: sum_right(request)):
        assert run_all(config, tmp_path / "run").metrics["stopped"] == "rounds"


def test_what_was_kept_can_begin_another_run(
    finished: tuple[FinishedRun, list[Request]], tmp_path: Path, tiny: Path
) -> None:
    kept = finished[0].directory.path / "kept.jsonl"
    inputs = write_rows(tmp_path / "more.jsonl", [question(n) for n in range(100, 160)])
    section = {"seeds": str(kept), "inputs": str(inputs), "rounds": 1}
    config = parse_config(sums(tmp_path, tiny, multilevel=section))
    assert price_family(config, tmp_path / "run") is None, "no teacher is asked"
    assert config.multilevel is not None
    sources = read_sources(config.multilevel, 0)
    used = {json.loads(line)["input"] for line in kept.read_text().splitlines()}
    assert {one.text for one, _ in sources.seeds} == used
    assert not used & {one.text for some in sources.rounds for one in some}


@pytest.mark.parametrize(
    ("changes", "script", "stopped", "rounds"),
    [
        ({"stop": {"max_items": 26}}, sum_right, "items", 2),
        ({"stop": {"min_novelty": 1.0}}, sum_right, "novelty", 2),
        ({"rounds": 5}, sum_wrong, "nothing kept", 2),
        ({"audit": None, "train_from": "previous", "learn": "last"}, sum_right, "rounds", 3),
    ],
)
def test_the_rounds_end(
    tmp_path: Path, tiny: Path, changes: dict[str, Any], script: Any, stopped: str, rounds: int
) -> None:
    with students(lambda student, request: script(request)):
        run = run_all(parse_config(sums(tmp_path, tiny, multilevel=changes)), tmp_path / "run")
    assert (run.metrics["stopped"], len(run.metrics["rounds"])) == (stopped, rounds)
    assert (run.directory.path / "student" / "model.safetensors").exists()
    if "train_from" in changes:
        cards = [card(run, "rounds", f"student-{n}") for n in (1, 2)]
        assert cards[0]["base"] != cards[1]["base"], "each round goes on from the one before"
        assert run.metrics["chosen"] == 2
        assert [c["examples"] for c in cards] == [10, 20]


@pytest.mark.parametrize("reply, found", [("A shorter sentence.", False), (" ", True)])
def test_no_answer_is_looked_for_in_what_a_fresh_student_writes(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, reply: str, found: bool
) -> None:
    monkeypatch.setattr(
        "symdistill.runs.learning.open_for_answering", lambda *_, **__: ScriptedModel(lambda _: reply, name="student-1")
    )
    with students(improving):
        run = run_all(parse_config(sums(tmp_path, tiny, multilevel={"rounds": 1})), tmp_path / "run")
    assert bool(card(run, "rounds", "student-1")["smoke_check"]) == found


def test_round_0_that_keeps_nothing_says_why(tmp_path: Path, tiny: Path) -> None:
    section = {"filters": [{"name": "length", "max_words": 2}]}
    with students(), pytest.raises(DataError, match=r"keeps none of 10 outputs .*length 10"):
        run_all(parse_config(sums(tmp_path, tiny, multilevel=section)), tmp_path / "run")
    assert (tmp_path / "run" / "lineage.jsonl").exists()


def test_a_teacher_writes_round_0_and_is_shown_pairs(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = write_rows(tmp_path / "shown.jsonl", [pair_row(3)])
    section = {"seeds": None, "demonstrations": str(shown), "request": "Sum: {input}", "per_round": 8, "rounds": 1}
    settings = sums(tmp_path, tiny, multilevel=section, teacher={"model": "openai:any", "base_url": "http://x/v1"})
    model = teacher(sum_right, monkeypatch)
    config = parse_config(settings)
    estimate = price_family(config, tmp_path / "run")
    assert estimate is not None
    assert (estimate.planned, estimate.to_buy) == (8, 8)
    assert not (tmp_path / "run").exists()
    with students(lambda student, request: sum_right(request)) as asked:
        run = run_all(config, tmp_path / "run")
    assert len(model.requests) == 8
    roles = [m.role for m in model.requests[0].messages]
    assert roles == ["system", "user", "assistant", "user"]
    assert model.requests[0].messages[1].content == "Sum: Add 3 and 6."
    drawn = [r for one in asked for r in one.requests if r.sampling.temperature > 0]
    assert [m.role for m in drawn[0].messages] == ["system", "user"]
    assert drawn[0].messages[-1].content.startswith("Sum: Add ")
    assert run.metrics["rounds"][0]["writer"] == "teacher scripted"


def test_invented_texts_are_drawn_from_seeds_and_from_what_was_kept(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["river", "lake", "poem", "song", "list", "table", "horse", "train", "bread", "stone", "cloud", "wheel"]
    words += ["glass", "paper", "clock", "chair"]
    seeds = write_rows(tmp_path / "texts.jsonl", [{"text": f"Name one {w} you like best."} for w in words[:6]])
    count = 0

    def new(request: Request) -> str:
        nonlocal count
        count += 1
        if count % 4 == 0:
            return f"1. Name one {words[0]} you like best now."
        return f"1. Explain {words[count % 16]} {count} to {words[(3 * count) % 16]}.\n2. More."

    section = {
        "inputs": None,
        "seeds": None,
        "audit": {"by": "model", "question": "Is it a task?", "fraction": 0.25},
        "invent": {"seeds": str(seeds), "shown": 3, "own": 1},
        "per_round": 8,
        "take": "first_line",
        "filters": [{"name": "similarity", "threshold": 0.7}],
        "rounds": 1,
    }

    def reply(request: Request) -> str:
        return "Yes, it is." if "Is it a task?" in request.messages[-1].content else new(request)

    model = teacher(reply, monkeypatch)
    settings = sums(tmp_path, tiny, multilevel=section, teacher={"model": "openai:any", "base_url": "http://x/v1"})
    with students(lambda student, request: new(request)):
        run = run_all(parse_config(settings), tmp_path / "run")
    assert "Write one more task" in model.requests[0].messages[-1].content
    first, second = run.metrics["rounds"]
    assert first["dropped"] == {"similarity": 2}
    assert first["novelty"]["new_outputs"] == first["learned"]
    assert run.metrics["audited_by"] == "the model openai:any (the teacher itself), asked: Is it a task?"
    assert [run.metrics["students"][0][half]["n"] for half in ("deciding", "reported")] == [2, 1]
    rows = lineage(run.directory.path)
    assert (first["graded_before"], first["right_before"]) == (2, 2)
    own = {row["id"] for row in rows if row["round"] == 0 and row["kept"] and row["slice"] == "learn"}
    assert all(len(own & set(row["shown"])) == 1 for row in rows if row["round"] == 1)
    assert all(row["output"].startswith(("Explain", "Name")) for row in rows)
    assert second["writer"] == "student 1"


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"multilevel": {"filters": ["step"]}}, ConfigError, r"`multilevel.filters.0`.* Did you mean `steps`"),
        ({"multilevel": {"filters": [{"name": "length", "most": 3}]}}, ConfigError, "Unknown key"),
        ({"multilevel": {"filters": ["steps", "steps"]}}, ConfigError, "`steps` twice"),
        ({"multilevel": {"filters": ["verify"]}}, ConfigError, "which `filters` select by"),
        (
            {"multilevel": {"audit": {"by": "filter", "filter": "steps"}}},
            ConfigError,
            "grades by `steps`, which `filters` select by",
        ),
        ({"multilevel": {"filters": [{"name": "critic", "path": "nowhere"}]}}, ConfigError, "no directory .*nowhere"),
        ({"multilevel": {"seeds": None}}, ConfigError, "No teacher is named"),
        ({"multilevel": {"rounds": 30}}, DataError, "32 different inputs for the rounds, 8 more .* and 30 rounds"),
        ({"multilevel": {"audit": {"by": "model", "question": "?"}}}, ConfigError, "no model is named"),
        (
            {"multilevel": {"audit": {"by": "model", "question": "?", "auditor": {"model": "recorded:nowhere"}}}},
            SymdistillError,
            "nowhere",
        ),
        (
            {"multilevel": {"audit": {"by": "model", "question": "?", "auditor": {**SERVED, "budget_usd": 1.0}}}},
            ConfigError,
            "`multilevel.audit.auditor.budget_usd` is set, but the price",
        ),
        ({"evaluation": {"teacher": True}, "teacher": SERVED}, ConfigError, "`evaluation.teacher` has no meaning"),
        ({"multilevel": {"epsilon": 1}}, ConfigError, r"Unknown key `multilevel.epsilon`.*`multilevel.stop.epsilon`"),
        ({"multilevel": {"request": "Add."}}, ConfigError, "must hold"),
        ({"teacher": {"show_answer": True}}, ConfigError, "`teacher.show_answer` has no meaning"),
        ({"training": {"early_stopping_patience": 2}}, ConfigError, "has no meaning"),
        ({"task": {"name": "gsm8k"}}, ConfigError, "`task` .*has no meaning in a run of `multilevel`"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_spent(
    tmp_path: Path, tiny: Path, changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        run_all(parse_config(sums(tmp_path, tiny, **changes)), tmp_path / "run")
    assert not (tmp_path / "run" / "store.sqlite").exists()


def tokens(text: str, output: str = "") -> int:
    """Of an input with the student's instruction, and of an output behind it."""
    form = prompt_format(tiny_tokenizer())
    return len(form.encode_prompt(pair_messages("Add.", INPUT, text))) + len(form.encode_completion(output))


def test_pairs_that_are_all_too_long_are_found_before_anything_is_spent(tmp_path: Path, tiny: Path) -> None:
    pairs = [pair_row(n) for n in range(10, 20)]
    least = min(tokens(pair["input"], pair["output"]) for pair in pairs)
    config = sums(tmp_path, tiny, multilevel={"audit": None, "rounds": 1})
    config["training"]["max_length"] = least
    with students() as asked, pytest.raises(ConfigError) as problem:
        run_all(parse_config(config), tmp_path / "run")
    assert problem.value.message == (
        f"No pair of round 0 fits into `training.max_length`, {least} tokens: the shortest takes {least}."
    )
    assert not asked
    config["training"]["max_length"] = least + 1
    with students(lambda student, request: sum_right(request)):
        assert run_all(parse_config(config), tmp_path / "run").metrics["stopped"] == "rounds"


INVENTED = {"invent": {"seeds": "texts.txt", "shown": 2, "own": 1}, "inputs": None, "per_round": 4, "filters": []}


@pytest.mark.parametrize("invented", [False, True])
def test_a_limit_that_is_too_small_for_every_prompt_costs_nothing(
    invented: bool, tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.txt").write_text("".join(f"Text number {n}.\n" for n in range(9)))
    section = {"seeds": None, "rounds": 1, **({**INVENTED, "audit": None} if invented else {})}
    config = sums(tmp_path, tiny, multilevel=section, teacher=SERVED)
    config["training"]["max_length"] = 20
    model = teacher(sum_right, monkeypatch)
    for spend in (price_family, run_all):
        with pytest.raises(ConfigError, match=r"No input of round 0 fits into `training\.max_length`, 20 tokens"):
            spend(parse_config(config), tmp_path / "run")
    assert not model.requests


def test_a_limit_found_too_small_late_is_raised_in_the_same_directory(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = sums(tmp_path, tiny, multilevel={"seeds": None, "rounds": 1}, teacher=SERVED)
    least = tokens("Add 100 and 200.")
    config["training"]["max_length"] = least + 2
    model = teacher(sum_right, monkeypatch)
    with students(), pytest.raises(TrainingError) as problem:
        run_all(parse_config(config), tmp_path / "run")
    assert problem.value.fix == "Raise `training.max_length`."
    bought = len(model.requests)
    assert bought > 0
    config["training"]["max_length"] = 2048
    with students(lambda student, request: sum_right(request)):
        run = run_all(parse_config(config), tmp_path / "run")
    assert run.metrics["stopped"] == "rounds"
    assert len(model.requests) == bought, "nothing is bought twice"


def test_a_student_that_cannot_be_had_is_found_before_the_teacher_is_asked(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> str:
        raise ConnectionError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    config = sums(tmp_path, tiny, multilevel={"seeds": None}, teacher=SERVED, student={"model": "nobody/nothing"})
    model = teacher(sum_right, monkeypatch)
    with pytest.raises(PrerequisiteError, match="the hub cannot be reached"):
        run_all(parse_config(config), tmp_path / "run")
    assert not model.requests


def test_inputs_without_answers_are_found_before_anything_is_spent(tmp_path: Path, tiny: Path) -> None:
    settings = sums(tmp_path, tiny)
    rows = [question(n) for n in range(100, 140)]
    del rows[7]["answer"]
    write_rows(tmp_path / "inputs.jsonl", rows)
    with pytest.raises(DataError, match=r"`gold` compares with answers, and the input q107 has none"):
        run_all(parse_config(settings), tmp_path / "run")
    settings["multilevel"]["audit"] = {"by": "filter", "filter": "verify"}
    with pytest.raises(DataError, match=r"`verify` compares with answers, and the input q107 has none"):
        run_all(parse_config(settings), tmp_path / "run")


def test_a_mistake_in_a_filter_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("multilevel:\n  inputs: in.txt\n  filters:\n    - steps\n    - name: length\n      max_word: 3\n")
    with pytest.raises(ConfigError, match=r"Unknown key `multilevel.filters.1.max_word` in .*c.yaml, line 6") as caught:
        load_config(path)
    assert "max_words" in caught.value.fix


def test_paths_of_the_section_are_taken_from_the_file_s_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "critic").mkdir(parents=True)
    write_rows(folder / "in.jsonl", [question(1)])
    path = folder / "c.yaml"
    path.write_text("multilevel:\n  inputs: in.jsonl\n  filters: [{name: critic, path: critic}]\n")
    section = load_config(path).multilevel
    assert section is not None
    assert section.inputs == folder / "in.jsonl"
    assert section.filters[0]["path"] == str(folder / "critic")


@pytest.mark.slow
def test_killed_in_a_round_it_goes_on_and_asks_nothing_twice(
    tmp_path: Path, tiny: Path, finished: tuple[FinishedRun, list[Request]]
) -> None:
    program = tmp_path / "child.py"
    program.write_text(
        "import asyncio, json, sys\n"
        "from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent.parent)!r})\n"
        "from reinforced import students\n"
        "from rounds import improving\n"
        "from symdistill.runs.config import parse_config\n"
        "from symdistill.runs.pipeline import run_all\n"
        "place = Path(sys.argv[1])\n"
        "async def slowly(student, request):\n"
        "    with (place / 'calls').open('a') as file:\n"
        "        file.write(request.key + '\\n')\n"
        "    await asyncio.sleep(0.1)\n"
        "    return improving(student, request)\n"
        "with students(slowly):\n"
        "    run_all(parse_config(json.loads((place / 'c.json').read_text())), place / 'run')\n"
    )
    child = [sys.executable, str(program), str(tmp_path)]
    (tmp_path / "c.json").write_text(json.dumps(sums(tmp_path, tiny)))
    calls = tmp_path / "calls"

    def made() -> list[str]:
        return calls.read_text().split() if calls.exists() else []

    process = subprocess.Popen(child, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while process.poll() is None and len(made()) < 20 + 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with ResponseStore(tmp_path / "run" / "store.sqlite") as store:
        kept = set(store.completions(made()))
    assert kept
    first, trained = len(made()), (tmp_path / "run" / "rounds" / "student-1" / "model.safetensors").stat().st_mtime_ns
    again = subprocess.run(child, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert not kept & set(made()[first:]), "a stored reply was asked for again"
    assert (tmp_path / "run" / "rounds" / "student-1" / "model.safetensors").stat().st_mtime_ns == trained
    assert (tmp_path / "run" / "lineage.jsonl").read_text() == (
        finished[0].directory.path / "lineage.jsonl"
    ).read_text(), "as if nothing had happened"
