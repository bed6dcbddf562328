"""NesyCD's training examples, exactly, for two questions with a mistake and one without; and the gate at inference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from symdistill.errors import ConfigError, DataError, UnusableModel
from symdistill.knowledge.items import KnowledgeItem, Provenance
from symdistill.knowledge.retrieval import Retriever
from symdistill.knowledge.settings import RetrievalSettings
from symdistill.methods import Material
from symdistill.methods.base import Knowledge, Method
from symdistill.methods.gate import Gate, WithKnowledge
from symdistill.methods.nesycd import Nesycd, NesycdSettings
from symdistill.methods.std_cot import StdCot, StdCotSettings
from symdistill.prompts import cue
from symdistill.records import GATE_TOKENS, Completion, Example, Message, Rationale, Request, Sampling, TrainingExample
from symdistill.runs.config import parse_config

ADD = Example("add", "What do 2 and 3 make together?", "5", "number", task="sums")
TAKE = Example("take", "What is left of 9 after 4 are taken together?", "5", "number", task="sums")
EASY = Example("easy", "What do 1 and 1 make?", "2", "number", task="sums")
SYSTEM = Message("system", "Answer.")


def item(kind: Any, source: Example, text: str, **changes: Any) -> KnowledgeItem:
    where = (Provenance(source.id, source.task, source.question),)
    return KnowledgeItem(f"k_{kind}_{source.id}", kind, text, text, source.task, provenance=where, **changes)


ITEMS = (
    item("summary", ADD, "Say each number."),
    item("supplementary", ADD, "Order does not matter."),
    item("summary", TAKE, "Count down."),
)


def rationale(example: Example, text: str, index: int = 0) -> Rationale:
    return Rationale(
        example.id, example.task, example.question, text, example.answer, True, index, "teacher", f"r1_{example.id}"
    )


RATIONALES = (rationale(ADD, "2 + 3 = 5. " + cue("5")), rationale(EASY, "1 + 1 = 2. " + cue("2")))
"""None of TAKE was kept."""


def material(items: Sequence[KnowledgeItem] = ITEMS, threshold: float | None = None, **changes: Any) -> Material:
    retriever = Retriever(items, RetrievalSettings(**changes))
    return Material((ADD, TAKE, EASY), RATIONALES, knowledge=Knowledge(tuple(items), retriever, threshold))


def build(**settings: Any) -> Nesycd:
    return Nesycd(NesycdSettings(name="nesycd", **settings), student_instruction="Answer.")


def trained(example: Example, group: str, completion: str, knowledge: str = "", more: str = "") -> TrainingExample:
    before = f"What may help with the question below:\n{knowledge}\n\n" if knowledge else ""
    return TrainingExample(
        example.id, (SYSTEM, Message("user", before + example.question + more)), completion, 1.0, group
    )


ALONE = "\nGive the answer alone, without the steps."
OWN_ADD = "Learning summary:\nSay each number.\n\nSupplementary knowledge:\nOrder does not matter."
OWN_TAKE = "Learning summary:\nCount down."
STEPS_ADD, STEPS_EASY = "2 + 3 = 5. " + cue("5"), "1 + 1 = 2. " + cue("2")
DIRECT = [trained(ADD, "dc", STEPS_ADD), trained(EASY, "dc", STEPS_EASY)]


def test_own_knowledge_gives_three_groups_and_an_unkept_rationale_still_answers() -> None:
    assert build().training_examples(material()) == [
        trained(ADD, "ad", STEPS_ADD, OWN_ADD),
        trained(ADD, "ap", cue("5"), OWN_ADD, ALONE),
        DIRECT[0],
        trained(TAKE, "ap", cue("5"), OWN_TAKE, ALONE),
        DIRECT[1],
    ]


def test_an_item_about_another_question_of_the_same_id_is_not_its_own() -> None:
    """Ids such as q0 stand in many files; what tells is the question."""
    elsewhere = (Provenance("add", "dates", "Which day follows Monday?"),)
    stranger = KnowledgeItem("k_s", "summary", "Say the days.", "Say the days.", "dates", provenance=elsewhere)
    assert build().training_examples(material((*ITEMS, stranger))) == build().training_examples(material())
    with pytest.raises(DataError, match="no active item fits a training question"):
        build().training_examples(material((stranger,)))


def test_retrieved_knowledge_is_never_the_questions_own() -> None:
    retrieved_add = OWN_TAKE  # of its own items nothing: one summary is left, and no supplementary one
    retrieved_else = "Learning summary:\nSay each number.\n\nSupplementary knowledge:\nOrder does not matter."
    assert build(train_knowledge="retrieved").training_examples(material()) == [
        trained(ADD, "ad", STEPS_ADD, retrieved_add),
        trained(ADD, "ap", cue("5"), retrieved_add, ALONE),
        DIRECT[0],
        trained(TAKE, "ap", cue("5"), retrieved_else, ALONE),
        trained(EASY, "ad", STEPS_EASY, retrieved_else),
        trained(EASY, "ap", cue("2"), retrieved_else, ALONE),
        DIRECT[1],
    ]


@pytest.mark.parametrize("train_knowledge", ["own", "retrieved"])
def test_an_item_that_leaks_is_not_shown_for_its_question(train_knowledge: str) -> None:
    leaking = item("summary", ADD, "The answer is 5.", flags=("leaks_answer",))
    examples = build(train_knowledge=train_knowledge).training_examples(material((leaking, ITEMS[2])))
    shown = [e.prompt[-1].content for e in examples if e.example_id == "add"]
    assert not any("The answer is 5." in text for text in shown)


@pytest.mark.parametrize(
    "settings, groups",
    [
        ({}, {"ad", "ap", "dc"}),
        ({"lambda_ap": 0, "lambda_dc": 0}, {"ad"}),
        ({"lambda_dc": 0}, {"ad", "ap"}),
        ({"lambda_ap": 0}, {"ad", "dc"}),
    ],
)
def test_a_weight_of_nought_leaves_a_group_out(settings: dict[str, float], groups: set[str]) -> None:
    method = build(**settings)
    assert {e.group for e in method.training_examples(material())} == groups
    assert method.group_weights["ad"] == 1


def test_without_a_mistake_there_is_reasoning_without_knowledge_left() -> None:
    found = material(()).knowledge
    assert found is not None
    rest = Material((ADD, EASY), (RATIONALES[0], RATIONALES[-1]), knowledge=replace(found, no_mistakes=True))
    assert build().training_examples(rest) == build(train_knowledge="retrieved").training_examples(rest) == DIRECT
    with pytest.raises(DataError, match="answered every training question rightly") as caught:
        build(lambda_dc=0).training_examples(rest)
    assert caught.value.fix == "Give more or harder questions, or set `lambda_dc` above 0."


@pytest.mark.parametrize("found", [None, material(()).knowledge])
def test_without_knowledge_it_says_what_to_do(found: Knowledge | None) -> None:
    with pytest.raises(DataError, match="knowledge"):
        build().training_examples(Material((ADD,), RATIONALES[:1], knowledge=found))


class Student:
    """Stands for the sampler: replies name what was asked; `unsure` decides which gated replies end early."""

    def __init__(
        self, unsure: Callable[[Request], bool] = lambda _: True, failing: str = "", too_long: bool = False
    ) -> None:
        self.asked: list[Request] = []
        self._unsure = unsure
        self._failing = failing
        self._too_long = too_long

    def __call__(self, requests: Sequence[Request]) -> Mapping[str, Completion]:
        self.asked += requests
        heard = [r for r in requests if r.example_id != self._failing and not (self._too_long and self._knows(r))]
        return {r.key: self._reply(r) for r in heard}

    @staticmethod
    def _knows(request: Request) -> bool:
        return "may help" in request.messages[-1].content

    def _reply(self, request: Request) -> Completion:
        gated = bool(request.sampling.go_on_above)
        stopped = gated and self._unsure(request)
        known = self._knows(request)
        return Completion(
            request.key,
            f"{'known' if known else 'direct'} {request.sample_index}",
            finish_reason="unsure" if stopped else "stop",
            prompt_tokens=100 if known else 10,
            completion_tokens=16 if stopped else 30,
            top_two=((0.75, 0.25),) if gated else None,
        )


NEW = Example("new", "What do 8 and 6 make together?", "14", "number", task="sums")
OTHER = Example("other", "What do 5 and 7 make together?", "12", "number", task="sums")
GREEDY = Sampling(max_tokens=64)


def prepared(threshold: float | None = 60.0, **settings: Any) -> Nesycd:
    method = build(**settings)
    method.prepare(material(threshold=threshold))
    return method


def test_sure_replies_go_on_and_unsure_ones_are_asked_again_with_knowledge() -> None:
    ask = Student(unsure=lambda r: r.example_id == "other")
    sure, unsure = prepared().answer(ask, "student", [NEW, OTHER], GREEDY)
    assert [c.text for c in sure.completions] == ["direct 0"]
    assert (sure.before, sure.knowledge, sure.confidence) == ((), (), 50.0)
    assert [c.text for c in unsure.completions] == ["known 0"]
    assert [c.finish_reason for c in unsure.before] == ["unsure"]
    assert [i.kind for i in unsure.knowledge] == ["summary", "supplementary"]
    assert len(ask.asked) == 3, "a sure answer needs no second prompt"
    gate = ask.asked[0].sampling
    assert (gate.go_on_above, gate.top_two_at, gate.max_tokens, gate.temperature) == (60.0, 0.6, 64, 0.0)


@pytest.mark.parametrize("samples", [1, 3])
def test_a_reply_without_probabilities_is_an_error_and_not_a_sure_one(samples: int) -> None:
    class Deaf(Student):
        def _reply(self, request: Request) -> Completion:
            return Completion(request.key, "direct", completion_tokens=3)

    sampling = GREEDY if samples == 1 else Sampling(temperature=0.7, max_tokens=64, logprobs=True)
    with pytest.raises(UnusableModel, match="remote does not give the two largest probabilities") as caught:
        prepared().answer(Deaf(), "remote", [NEW], sampling, samples)
    assert "always" in caught.value.fix
    [reply] = prepared(gate="never").answer(Deaf(), "remote", [NEW], sampling, samples)
    assert reply.completions, "where nothing is decided, nothing is needed"


@pytest.mark.parametrize("sure, said", [(True, "direct"), (False, "known")])
def test_with_self_consistency_the_greedy_beginning_decides_for_all_samples(sure: bool, said: str) -> None:
    ask = Student(unsure=lambda _: not sure)
    [reply] = prepared().answer(ask, "student", [NEW], Sampling(temperature=0.7, max_tokens=64, logprobs=True), 3)
    assert [c.text for c in reply.completions] == [f"{said} {i}" for i in range(3)]
    assert len(reply.before) == 1
    assert ask.asked[0].sampling == Sampling(max_tokens=GATE_TOKENS, top_two_at=0.6, go_on_above=60.0)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"gate": "always"}, "known 0"),
        ({"gate": "never"}, "direct 0"),
        ({"threshold": 0}, "direct 0"),
        ({"threshold": 100}, "known 0"),
    ],
)
def test_where_nothing_is_to_be_decided_one_prompt_is_enough(settings: dict[str, Any], said: str) -> None:
    ask = Student()
    [reply] = prepared(**settings).answer(ask, "student", [NEW], GREEDY)
    assert [c.text for c in reply.completions] == [said]
    assert len(ask.asked) == 1
    assert not ask.asked[0].sampling.go_on_above


def test_a_question_no_item_fits_is_answered_directly_without_a_gate() -> None:
    ask = Student()
    method = build()
    method.prepare(material((), threshold=60.0))
    [reply] = method.answer(ask, "student", [NEW], GREEDY)
    assert ([c.text for c in reply.completions], reply.confidence) == (["direct 0"], None)
    assert ask.asked[0].sampling == GREEDY


def test_at_inference_too_a_question_does_not_find_what_came_from_it_alone() -> None:
    [reply] = prepared(gate="always").answer(Student(), "student", [ADD], GREEDY)
    assert [i.id for i in reply.knowledge] == ["k_summary_take"]


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("settings, before", [({"gate": "always"}, 0), ({"gate": "confidence"}, 1)])
def test_knowledge_too_long_for_the_student_leaves_the_direct_answer(
    settings: dict[str, Any], before: int, samples: int
) -> None:
    sampling = GREEDY if samples == 1 else Sampling(temperature=0.7, max_tokens=64, logprobs=True)
    [reply] = prepared(**settings).answer(Student(too_long=True), "student", [NEW], sampling, samples)
    assert [c.text for c in reply.completions] == [f"direct {i}" for i in range(samples)]
    assert {c.finish_reason for c in reply.completions} == {"stop"}
    assert (reply.knowledge, len(reply.before)) == ((), before)


def test_a_failed_gate_leaves_the_question_without_a_reply() -> None:
    failed, answered = prepared().answer(Student(failing="new"), "student", [NEW, OTHER], GREEDY)
    assert (failed.completions, len(answered.completions)) == ([], 1)


def test_an_uncalibrated_gate_says_so_and_a_student_in_training_answers_directly() -> None:
    with pytest.raises(DataError, match="not calibrated"):
        prepared(threshold=None).answer(Student(), "student", [NEW], GREEDY)
    assert build().predict(Student(), "student", [NEW], GREEDY)[0][0].text == "direct 0"


def test_any_trained_student_can_be_given_knowledge() -> None:
    inner: Method = StdCot(StdCotSettings(name="std-cot"), student_instruction="Answer.")
    knowledge = material().knowledge
    assert knowledge is not None
    method = WithKnowledge(inner, Gate("confidence", 70.0), knowledge, "std-cot + knowledge")
    [reply] = method.answer(Student(), "student", [NEW], GREEDY)
    assert (method.label, reply.completions[0].text) == ("std-cot + knowledge", "known 0")
    assert method.prompt(NEW) == inner.prompt(NEW)


@pytest.mark.parametrize(
    "entry, says",
    [
        ({"gate": "sometimes"}, "gate"),
        ({"threshold": 101}, "threshold"),
        ({"threshold": "guessed"}, "threshold"),
        ({"dev_fraction": 1.0}, "dev_fraction"),
        ({"lambda_ap": -1}, "lambda_ap"),
        ({"general": {"num_epochs": 3}}, "method.general.num_epochs"),
        ({"analysis": {"temprature": 0.5}}, "method.analysis.temprature"),
        ({"analysis": {"samples": 3}}, "method.analysis.samples"),
    ],
)
def test_a_mistaken_setting_is_named(entry: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_config({"method": {"name": "nesycd", **entry}})


def test_the_gate_may_change_between_two_starts_and_what_is_learned_may_not() -> None:
    def identity(**entry: Any) -> dict[str, Any]:
        return parse_config({"method": {"name": "nesycd", **entry}}).identity()

    usual = identity()
    assert usual == identity(gate="never", threshold=50, rule="cheapest", within=0.02)
    assert usual == identity(analysis={"concurrency": 2})
    assert usual != identity(lambda_ap=2)
    assert usual != identity(analysis={"temperature": 0.5})
    assert "knowledge" not in usual, "runs from before there was knowledge keep their identity"
