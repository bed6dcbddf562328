"""`student.engine`: one engine for an evaluation, named or chosen, and nothing that is learned depends on it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from symdistill.errors import ConfigError, PrerequisiteError, UnusableModel
from symdistill.models.scripted import ScriptedModel
from symdistill.progress import Silent
from symdistill.records import Request
from symdistill.runs.api import FinishedRun
from symdistill.runs.config import parse_config
from symdistill.runs.directory import identity_key
from symdistill.runs.judging import AddedKnowledge, evaluate_students
from symdistill.runs.pipeline import preflight, run_all
from symdistill.runs.workspace import workspace

pytest.importorskip("torch")
pytest.importorskip("ctranslate2")

from counting import write_questions
from mistakes import configuration, teacher
from tiny import save_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student")


def settings(place: Path, tiny: Path, engine: str, **changes: Any) -> dict[str, Any]:
    return {
        "task": {"path": str(write_questions(place / "q.jsonl", train=6, test=3))},
        "teacher": {"model": "dataset"},
        "methods": ["zero-shot", "std-cot"],
        "student": {"model": str(tiny), "batch_size": 8, "dtype": "float32", "engine": engine},
        "training": {"max_steps": 1, "bf16": False},
        "evaluation": {"max_new_tokens": 6},
        **changes,
    }


class Notes(Silent):
    """A progress that keeps what is noted."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    place = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYMDISTILL_CACHE", str(place))
        yield place


@pytest.fixture(scope="module")
def int8(tmp_path_factory: pytest.TempPathFactory, tiny: Path, cache: Path) -> FinishedRun:
    place = tmp_path_factory.mktemp("int8")
    return run_all(parse_config(settings(place, tiny, "ctranslate2")), place / "run")


def test_a_run_with_int8_says_so_everywhere(int8: FinishedRun, cache: Path) -> None:
    assert {row["engine"] for row in int8.metrics} == {"ctranslate2 int8"}
    assert all(row["model"].startswith("ctranslate2-int8:") for row in int8.metrics)
    manifest = int8.directory.read_json(int8.directory.manifest)
    assert manifest["engine"] == {"name": "ctranslate2 int8"}
    assert "ctranslate2" in manifest["packages"]
    assert "answered by ctranslate2 int8" in int8.report.read_text()
    student = int8.student("std-cot")
    assert student.model.engine == "ctranslate2 int8"
    assert student.answer("Count 3 and one more thing.").text is not None
    assert [p.name[:16] for p in student.path.glob("ctranslate2-*")] == ["ctranslate2-int8"]
    assert len(list((cache / "models").iterdir())) == 1, "the untrained student"


def test_another_engine_asks_anew_and_trains_nothing(int8: FinishedRun, tiny: Path) -> None:
    place = int8.directory.path
    card = int8.directory.student("std-cot", alone=True) / "symdistill.json"
    trained, stored = card.read_bytes(), int8.metrics
    again = run_all(parse_config(settings(place.parent, tiny, "torch")), place)
    assert card.read_bytes() == trained
    assert {row["engine"] for row in again.metrics} == {"torch float32"}
    assert {row["model"] for row in again.metrics}.isdisjoint({row["model"] for row in stored})
    back = run_all(parse_config(settings(place.parent, tiny, "ctranslate2")), place)
    assert [(r["model"], r["accuracy"], r["seconds"]) for r in back.metrics] == [
        (r["model"], r["accuracy"], r["seconds"]) for r in stored
    ], "its replies are in the store"


@pytest.mark.parametrize(
    "changes, what",
    [
        ({"evaluation": {"self_consistency": 3}}, "zero-shot is to draw 3 samples.*evaluation.self_consistency"),
        ({"methods": ["std-cot", {"name": "scotd", "evaluation": {"self_consistency": 2}}]}, "scotd is to draw 2"),
        ({"methods": ["std-cot", "cascod"]}, "cascod answers in two stretches"),
    ],
)
def test_what_int8_cannot_do_is_refused_before_anything_is_spent(
    tmp_path: Path, tiny: Path, changes: dict[str, Any], what: str
) -> None:
    config = parse_config(settings(tmp_path, tiny, "ctranslate2", **changes))
    with pytest.raises(ConfigError, match=f"student.engine: ctranslate2.*{what}.*student.engine: torch"):
        run_all(config, tmp_path / "run")
    assert not (tmp_path / "run" / "store.sqlite").exists()


@pytest.mark.parametrize("gate", ["confidence", "always"])
def test_probabilities_of_a_gate_and_of_dev_questions_are_not_to_be_had(tmp_path: Path, tiny: Path, gate: str) -> None:
    values = configuration(tmp_path, tiny, method={"name": "nesycd", "gate": gate})
    values["student"]["engine"] = "ctranslate2"
    with teacher() as model, pytest.raises(ConfigError, match=f"gate: {gate}.*gate: never"):
        run_all(parse_config(values), tmp_path / "run")
    assert model.calls == 0


@pytest.mark.slow
def test_mistakes_are_collected_by_the_engine_that_is_named_and_make_another_run(
    tmp_path: Path, tiny: Path, cache: Path
) -> None:
    values = configuration(tmp_path, tiny, method={"name": "nesycd", "gate": "never", "dev_fraction": 0.25})
    keys = {}
    for engine in ("torch", "auto", "ctranslate2"):
        values["student"]["engine"] = engine
        keys[engine] = identity_key(parse_config(values), tmp_path / "run")
    assert keys["torch"] == keys["auto"] != keys["ctranslate2"]
    with teacher():
        finished = run_all(parse_config(values), tmp_path / "run")
    assert [row["engine"] for row in finished.metrics] == ["ctranslate2 int8"]
    general = finished.directory.general("nesycd")
    assert list(general.glob("ctranslate2-int8-*")), "the first student answered in int8 as well"


@pytest.mark.parametrize("engine", ["torch", "auto", "ctranslate2"])
def test_an_engine_makes_no_other_run_where_nothing_is_learned_from_replies(
    tmp_path: Path, tiny: Path, engine: str
) -> None:
    plain = settings(tmp_path, tiny, engine)
    without = {**plain, "student": {k: v for k, v in plain["student"].items() if k != "engine"}}
    assert identity_key(parse_config(plain), tmp_path) == identity_key(parse_config(without), tmp_path)


def test_a_gate_that_is_added_at_evaluation_is_refused(tmp_path: Path, int8: FinishedRun, tiny: Path) -> None:
    config = parse_config(settings(int8.directory.path.parent, tiny, "ctranslate2"))
    with workspace(config, int8.directory.path) as work, pytest.raises(ConfigError, match="--gate confidence"):
        evaluate_students(work, AddedKnowledge(tmp_path / "knowledge.sqlite"))


def test_a_student_that_it_cannot_compute_is_found_before_anything_is_spent(tmp_path: Path, cache: Path) -> None:
    other = save_tiny(tmp_path / "other", hidden_act="gelu")
    config = parse_config(settings(tmp_path, other, "ctranslate2"))
    with workspace(config, tmp_path / "run") as work, pytest.raises(UnusableModel, match="something else than PyTorch"):
        preflight(work, fetch=True)


def test_without_the_package_a_named_engine_stops_and_auto_goes_on(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(PrerequisiteError, match=r"pip install 'symdistill\[ctranslate2\]'"):
        run_all(parse_config(settings(tmp_path, tiny, "ctranslate2")), tmp_path / "run")
    notes = Notes()
    finished = run_all(parse_config(settings(tmp_path, tiny, "auto")), tmp_path / "run", notes)
    assert {row["engine"] for row in finished.metrics} == {"torch float32"}
    assert [n for n in notes.said if "engine" in n] == [" engine     torch: ctranslate2 is not installed"]


class Engine(ScriptedModel):
    """An engine with what it says, at a speed of its own; it writes down what it is asked."""

    def __init__(self, name: str, reply: str, delay: float, asked: list[str] | None = None) -> None:
        def script(request: Request) -> str:
            if asked is not None:
                asked.append("\n\n".join(message.content for message in request.messages))
            return reply

        super().__init__(script, name=name, delay_seconds=delay)
        self.engine, self.config = name, None


def engines(reply: str, delay: float) -> Callable[..., Engine]:
    """What opens PyTorch, which says `A B C` in 20 ms, and another engine."""

    def opened(settings: Any, where: Path, engine: str, *, trained: bool = False) -> Engine:
        return Engine(engine, "A B C", 0.02) if engine == "torch" else Engine(engine, reply, delay)

    return opened


@pytest.mark.parametrize(
    "reply, delay, chosen, why",
    [
        ("A B C", 0.002, "ctranslate2 int8", "same replies to 12 training questions"),
        ("A B C", 0.2, "torch float32", "same replies to 12 training questions"),
        ("A B D", 0.002, "torch float32", "0 of 6 training questions as PyTorch does"),
    ],
    ids=["faster", "slower", "other replies"],
)
def test_auto_takes_the_faster_of_two_that_agree(
    tmp_path: Path,
    tiny: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    reply: str,
    delay: float,
    chosen: str,
    why: str,
) -> None:
    config, notes = parse_config(settings(tmp_path, tiny, "auto")), Notes()
    with monkeypatch.context() as patch:
        patch.setattr("symdistill.runs.engines.open_for_answering", engines(reply, delay))
        finished = run_all(config, tmp_path / "run", notes)
    assert {row["engine"] for row in finished.metrics} == {chosen}
    [noted] = [n for n in notes.said if n.startswith(" engine")]
    assert why in noted
    manifest = finished.directory.read_json(finished.directory.manifest)
    assert manifest["engine"]["name"] == chosen
    assert manifest["engine"]["reason"] in noted
    assert manifest["engine"]["trials"][0].keys() == {"student", "questions", "alike", "torch", "ctranslate2"}
    assert finished.student("std-cot").model.engine == chosen

    def tried_again(*_: Any, **__: Any) -> Any:
        raise AssertionError("what was decided for these students holds")

    with monkeypatch.context() as patch:
        patch.setattr("symdistill.runs.engines.open_for_answering", tried_again)
        assert run_all(config, tmp_path / "run").metrics == finished.metrics


def test_auto_asks_both_engines_training_questions_alone(
    tmp_path: Path, tiny: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def opened(*_: Any, **__: Any) -> Engine:
        return Engine("either", "A", 0.0, asked)

    monkeypatch.setattr("symdistill.runs.engines.open_for_answering", opened)
    finished = run_all(parse_config(settings(tmp_path, tiny, "auto")), tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    held_out = [row["question"] for row in rows if row["split"] == "test"]
    assert asked
    assert not [text for text in asked if any(question in text for question in held_out)]
    assert finished.metrics


@pytest.mark.parametrize("name", ["few-shot", "kard"])
def test_auto_compares_engines_on_the_prompts_that_will_be_asked(
    tmp_path: Path, tiny: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """With worked examples and passages before the question, in an evaluation on its own, too."""
    asked: list[str] = []

    def opened(*_: Any, **__: Any) -> Engine:
        return Engine("either", "A", 0.0, asked)

    monkeypatch.setattr("symdistill.runs.engines.open_for_answering", opened)
    (tmp_path / "corpus.txt").write_text("Count one more thing on the table: 0 1 2 3 4 5 6 7. " * 9)
    kard = {"name": "kard", "corpus": str(tmp_path / "corpus.txt"), "passage_words": 20, "reranker": "none"}
    config = parse_config(settings(tmp_path, tiny, "auto", methods=[kard if name == "kard" else name]))
    run_all(config, tmp_path / "run")
    before = "Passages that may help" if name == "kard" else "Therefore, the answer is"
    (tmp_path / "run" / "engine.json").unlink()
    first, asked[:] = list(asked), []
    with workspace(config, tmp_path / "run") as work:
        evaluate_students(work)
    questions = [json.loads(line)["question"] for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    for texts in (first, asked):
        assert texts
        shown = [sum(question in text for question in questions) for text in texts]
        assert all(before in text and (name == "kard" or n > 1) for text, n in zip(texts, shown, strict=True))


def test_auto_with_the_real_engines_comes_to_one_of_them(tmp_path: Path, tiny: Path, cache: Path) -> None:
    finished = run_all(parse_config(settings(tmp_path, tiny, "auto")), tmp_path / "run")
    [engine] = {row["engine"] for row in finished.metrics}
    told = finished.directory.read_json(finished.directory.engine)
    assert engine.startswith(told["engine"])
    assert all(0 <= trial["alike"] <= trial["questions"] == 6 for trial in told["trials"])
    assert all(trial["torch"] > 0 and trial["ctranslate2"] > 0 for trial in told["trials"])


def test_auto_leaves_votes_to_pytorch(tmp_path: Path, tiny: Path) -> None:
    values = settings(tmp_path, tiny, "auto", evaluation={"max_new_tokens": 6, "self_consistency": 2})
    finished = run_all(parse_config(values), tmp_path / "run")
    assert {row["engine"] for row in finished.metrics} == {"torch float32"}
    told = finished.directory.read_json(finished.directory.engine)
    assert "zero-shot is to draw 2 samples a question" in told["reason"]
