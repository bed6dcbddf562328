"""From solved questions to requests, from replies to items, and back to the questions they came from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from symdistill.knowledge.instances import SolvedCase, items_from_notes, notes_requests, own_items, solved_cases
from symdistill.knowledge.items import KnowledgeItem, Provenance
from symdistill.prompts import KNOWLEDGE_NOTES, error_analysis_example, knowledge_notes_example
from symdistill.records import Completion, Example, Failure, Rationale, Sampling

ADD = Example("add", "What do 2 and 3 make?", "5", "number", task="sums", instruction="Count.")
PICK = Example("pick", "Which is red?", "B", "choice", {"A": "grass", "B": "blood"}, task="colours")
FREE = Example("free", "Why?", None, task="open")
ASK = Sampling(temperature=0.8, max_tokens=1024)
GOOD = "Learning Summary:\n1. Name both numbers.\n\nSupplementary Knowledge:\n- Order does not matter."


def rationale(example: Example, text: str, index: int = 0, answer: str | None = "5") -> Rationale:
    return Rationale(example.id, example.task, example.question, text, answer, True, index, "t", f"r{index}")


def test_a_question_is_shown_with_its_answer_and_its_first_kept_rationale() -> None:
    kept = [rationale(ADD, "second", 2), rationale(ADD, "first", 1), rationale(FREE, "Because.", 0, "because")]
    cases = solved_cases([ADD, PICK, FREE], kept)
    assert cases == [SolvedCase(ADD, "5", "first"), SolvedCase(FREE, "because", "Because.")]
    first, second = notes_requests(cases, "teacher", ASK)
    assert (first.example_id, first.model, first.sampling) == ("add", "teacher", ASK)
    asked = first.messages[-1].content
    assert "<question>\nCount.\nWhat do 2 and 3 make?\n</question>" in asked
    assert "<correct_answer>\n5\n</correct_answer>\n<solution>\nfirst\n</solution>" in asked
    assert second.key != first.key


def test_both_notes_become_items_with_their_source() -> None:
    cases = [SolvedCase(ADD, "5", "2 + 3 = 5.")]
    [request] = notes_requests(cases, "teacher", ASK)
    items, report = items_from_notes(cases, [request], {request.key: Completion(request.key, GOOD)}, run="c1")
    assert [(i.kind, i.text) for i in items] == [
        ("summary", "1. Name both numbers."),
        ("supplementary", "- Order does not matter."),
    ]
    source = Provenance("add", "sums", ADD.question, "", request.key, "teacher", KNOWLEDGE_NOTES, "c1")
    assert {i.provenance for i in items} == {(source,)}
    assert report.counts == {"both": 1}


@pytest.mark.parametrize(
    "reply, outcome",
    [
        ("", "empty"),
        ("无可奉告", "unstructured"),
        ("Learning Summary: Think.", "summary_only"),
        (knowledge_notes_example(), "copied_example"),
        (error_analysis_example(), "both"),  # not this prompt's example
        (None, "failed"),
    ],
)
def test_every_question_has_an_outcome(reply: str | None, outcome: str) -> None:
    cases = [SolvedCase(ADD, "5", "2 + 3 = 5.")]
    [request] = notes_requests(cases, "teacher", ASK)
    completions = {} if reply is None else {request.key: Completion(request.key, reply)}
    failures = {request.key: Failure(request.key, "refused", "no")}
    items, report = items_from_notes(cases, [request], completions, failures)
    assert report.counts == {outcome: 1}
    assert bool(items) == (outcome in ("summary_only", "both"))


def item(name: str, kind: str, *sources: Provenance, **changes: object) -> KnowledgeItem:
    return replace(KnowledgeItem(name, kind, name, name, "sums", provenance=sources), **changes)  # type: ignore[arg-type]


def source(example: Example, question: str | None = None) -> Provenance:
    return Provenance(example.id, example.task, example.question if question is None else question)


def test_items_are_those_of_the_question_they_came_from_kinds_in_order() -> None:
    shared = item("k_c", "summary", source(ADD), source(FREE))
    items = [item("k_b", "supplementary", source(ADD)), shared, item("k_a", "triple", source(ADD))]
    kinds = ("summary", "supplementary")
    assert own_items(items, [ADD, PICK, FREE], kinds) == {"add": [shared, items[0]], "free": [shared]}
    assert own_items(items, [ADD], ("supplementary",)) == {"add": [items[0]]}


def test_a_question_is_known_by_its_text_and_by_its_id_only_where_there_is_none() -> None:
    elsewhere = item("k_a", "summary", source(ADD, "Another task's question with this id"))
    renamed = item("k_b", "summary", source(replace(ADD, id="x17")))
    bare = item("k_c", "summary", source(ADD, ""))
    assert own_items([elsewhere, renamed, bare], [ADD], ("summary",)) == {"add": [renamed, bare]}
    twin = replace(ADD, id="twin", question="what do 2 and 3  make?")
    assert own_items([renamed], [ADD, twin], ("summary",)).keys() == {"add", "twin"}


def test_what_leaks_is_shown_only_where_that_is_allowed() -> None:
    leaking = item("k_a", "summary", source(ADD), flags=("leaks_answer",))
    assert own_items([leaking], [ADD], ("summary",)) == {}
    assert own_items([leaking], [ADD], ("summary",), leaking=True) == {"add": [leaking]}
