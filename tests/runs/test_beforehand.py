"""What would fail after a teacher was paid stops a run, and a dry run, before."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from counting import write_questions
from symdistill.errors import ConfigError, PrerequisiteError
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.items import KnowledgeItem, Provenance
from symdistill.runs.config import parse_config
from symdistill.runs.directory import RunDirectory
from symdistill.runs.workspace import Workspace


def check(place: Path, **changes: Any) -> None:
    config = {
        "task": {"path": str(write_questions(place / "q.jsonl", train=4, test=2))},
        "teacher": {"model": "openai:big", "base_url": "http://127.0.0.1:9/v1"},
        **changes,
    }
    Workspace(parse_config(config), RunDirectory(place / "run")).check()
    assert not (place / "run").exists()


def base(place: Path, *questions: str) -> str:
    """A knowledge base with a note about each question."""
    path = place / "given.sqlite"
    with KnowledgeBase(path) as made:
        for at, question in enumerate(questions):
            source = Provenance("q0", "default", question)
            note = KnowledgeItem(f"k_{at}", "summary", "Count.", f"Count {at}.", "default", provenance=(source,))
            made.add([note], by="test")
    return str(path)


LIKELY = {"select": "likelihood"}


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"method": "scotd", "curation": LIKELY}, "`curation.select` is likelihood.*`teacher.logprobs` is false"),
        (
            {"methods": ["label-only", {"name": "scotd", "curation": LIKELY}]},
            r"`methods\.1\.curation\.select` is likelihood.*`teacher.logprobs` is false",
        ),
        (
            {"method": {"name": "scotd", "gate": "always", "knowledge": {"name": "nesycd", "curation": LIKELY}}},
            r"`method\.knowledge\.curation\.select` is likelihood",
        ),
        (
            {
                "method": {
                    "name": "scotd",
                    "gate": "always",
                    "knowledge": {"name": "nesycd", "analysis": {"model": "dataset"}},
                }
            },
            r"`dataset` cannot answer.*in `method\.knowledge`",
        ),
        ({"curation": LIKELY}, "`teacher.logprobs` is false"),
        (
            {"method": "scotd", "curation": LIKELY, "teacher": {"model": "dataset", "logprobs": True}},
            "rationales that the rows carry have none",
        ),
        (
            {"method": "cascod", "evaluation": {"max_new_tokens": 1}},
            "cascod answers.*`evaluation.max_new_tokens` is 1",
        ),
        (
            {"method": {"name": "cascod", "label": "two", "evaluation": {"max_new_tokens": 1}}},
            r"two answers in two stretches.*`method\.evaluation\.max_new_tokens` is 1",
        ),
    ],
)
def test_keys_that_cannot_work_together_are_named(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(tmp_path, **changes)
    assert re.search(says, f"{caught.value.message} {caught.value.fix}")


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "label-only", "curation": LIKELY},
        {"method": "std-cot", "evaluation": {"max_new_tokens": 1}},
        {"method": "cascod", "evaluation": {"max_new_tokens": 2}},
    ],
)
def test_what_does_not_concern_a_method_does_not_stop_it(tmp_path: Path, changes: dict[str, Any]) -> None:
    check(tmp_path, **changes)


@pytest.mark.parametrize("method", ["skintern", "nesycd"])
def test_a_given_base_needs_notes_about_the_training_questions(tmp_path: Path, method: str) -> None:
    check(tmp_path, method="std-cot")
    [first, *_] = [line for line in (tmp_path / "q.jsonl").read_text().splitlines() if '"train"' in line]
    question = first.split('"question": "')[1].split('"')[0]
    (tmp_path / "own").mkdir()
    check(tmp_path, method=method, knowledge={"path": base(tmp_path / "own", question)})
    cases = (("none", (), "it is empty"), ("other", ("Who?", "Why?"), "none of its 2 active items"))
    for name, questions, says in cases:
        (tmp_path / name).mkdir()
        given = base(tmp_path / name, *questions)
        with pytest.raises(ConfigError, match=rf"{method} .*`knowledge.path`.*({says}|no active item)"):
            check(tmp_path, method=method, knowledge={"path": given})
        if method == "nesycd" and questions:
            check(tmp_path, method={"name": method, "train_knowledge": "retrieved"}, knowledge={"path": given})


GATED = {"name": "std-cot", "gate": "confidence"}


@pytest.mark.parametrize("where", ["entry", "section", "own"])
def test_a_base_that_a_student_is_asked_with_needs_items_that_are_looked_for(tmp_path: Path, where: str) -> None:
    def checked(path: str, **retrieval: Any) -> None:
        knowledge: dict[str, Any] = {"retrieval": retrieval}
        if where == "entry":
            check(tmp_path, method={**GATED, "knowledge": path}, knowledge=knowledge)
        elif where == "section":
            check(tmp_path, method=GATED, knowledge={**knowledge, "path": path})
        else:
            retrieved = {"name": "nesycd", "train_knowledge": "retrieved"}
            check(tmp_path, method=retrieved, knowledge={**knowledge, "path": path})

    key = r"`method\.knowledge`" if where == "entry" else r"`knowledge\.path`"
    for name in ("full", "none"):
        (tmp_path / name).mkdir()
    full = base(tmp_path / "full", "Who?")
    checked(full)
    with pytest.raises(ConfigError, match=rf"{key}.*has no active item"):
        checked(base(tmp_path / "none"))
    with pytest.raises(ConfigError, match=rf"{key}.*of the kind summary alone") as caught:
        checked(full, kinds=["supplementary"])
    assert "[summary]" in caught.value.fix
    check(tmp_path, method={**GATED, "gate": "never", "knowledge": "nowhere.sqlite"})


def test_a_method_that_is_not_there_is_no_path(tmp_path: Path) -> None:
    for name in ("nesycd", "skintern"):
        with pytest.raises(ConfigError, match=rf"`method\.knowledge` names {name}, which is no method") as caught:
            check(tmp_path, method={**GATED, "knowledge": name})
        assert f"`knowledge: {{name: {name}}}`" in caught.value.fix
    with pytest.raises(ConfigError, match=r"no knowledge base at .*nowhere\.sqlite \(`method\.knowledge`\)"):
        check(tmp_path, method={**GATED, "knowledge": "nowhere.sqlite"})


def lengths(place: Path, student: object, limit: int, method: str = "std-cot") -> None:
    pytest.importorskip("torch")
    from symdistill.runs.beforehand import check_lengths

    config = {
        "task": {"path": str(write_questions(place / "q.jsonl", train=4, test=2))},
        "teacher": {"model": "dataset"},
        "student": {"model": str(student), "instruction": ""},
        "method": method,
        "training": {"max_length": limit},
    }
    check_lengths(Workspace(parse_config(config), RunDirectory(place / "run")))


def test_questions_that_leave_no_room_for_a_rationale_stop_a_run(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from symdistill.models.chat import prompt_format
    from symdistill.prompts import student_messages
    from symdistill.records import Example
    from tiny import save_tiny, tiny_tokenizer

    student = save_tiny(tmp_path / "tiny")
    question = "Count 0 and one more thing on table number 0."
    shortest = len(prompt_format(tiny_tokenizer()).encode_prompt(student_messages(Example("q", question))))
    lengths(tmp_path, student, shortest + 2)
    lengths(tmp_path, student, 5, method="zero-shot")
    with pytest.raises(ConfigError) as caught:
        lengths(tmp_path, student, shortest + 1)
    assert f"`training.max_length`, {shortest + 1} tokens: for std-cot the shortest takes {shortest} before" in str(
        caught.value
    )


def test_a_tokenizer_is_read_only_where_it_may_matter_and_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr("symdistill.students.loading.student_tokenizer", lambda student: asked.append(student.model))
    lengths(tmp_path, "some/model", 2048)
    assert not asked
    lengths(tmp_path, "some/model", 5)
    assert asked == ["some/model"]


def test_a_budget_in_dollars_needs_a_price_of_everyone_it_is_for(tmp_path: Path) -> None:
    priced = {"model": "openai:big", "base_url": "http://127.0.0.1:9/v1", "budget_usd": 1}
    with pytest.raises(ConfigError, match=r"`teacher\.budget_usd` is set, but the price of openai:big is not known"):
        check(tmp_path, teacher=priced, method="std-cot")
    priced["price"] = {"input": 1, "output": 1}
    check(tmp_path, teacher=priced, method="std-cot")
    check(tmp_path, teacher=priced, method="nesycd")
    other = {"name": "nesycd", "analysis": {"model": "openai:other", "price": None}}
    with pytest.raises(ConfigError, match=r"`method\.analysis\.budget_usd` is set, but the price of openai:other"):
        check(tmp_path, teacher=priced, method=other)


def test_the_package_of_an_optimizer_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match=r"`training\.optim: adamw_torch_npu_fused` needs the Python module"):
        check(tmp_path, method="std-cot", training={"optim": "adamw_torch_npu_fused"})
    check(tmp_path, method="zero-shot", training={"optim": "adamw_torch_npu_fused"})


EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", ["skintern", "nesycd"])
def test_a_recording_without_notes_is_told_before_anything_is_computed(name: str, tmp_path: Path) -> None:
    rationales = EXAMPLES / "quickstart" / "teacher.jsonl.gz"
    teacher = {"model": f"recorded:{rationales}", "temperature": 0.8, "max_tokens": 160, "samples": 3}
    notes = {"model": f"recorded:{EXAMPLES / 'combinations' / 'notes.jsonl.gz'}", "max_tokens": 128}
    says = r"teacher.jsonl.gz, which holds no reply that was drawn as they are \(temperature 0\.., max_tokens 256,"
    with pytest.raises(ConfigError, match=says) as caught:
        check(tmp_path, teacher=teacher, methods=["std-cot", {"name": name, "analysis": {"max_tokens": 256}}])
    assert "`methods.1.analysis: {model: …}`" in caught.value.fix
    check(tmp_path, teacher=teacher, methods=["std-cot", {"name": name, "analysis": notes}])
    if name == "skintern":
        without = {"name": name, "km": False, "kp": False}
        check(tmp_path, teacher=teacher, methods=["std-cot", without])
