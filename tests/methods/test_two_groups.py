"""MT-CoT, Step-by-Step and CasCoD: their training examples, exactly, for two questions; masks; and how each answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from encoded import encoded_examples
from symdistill.errors import ConfigError, DataError
from symdistill.evaluation.scoring import predict
from symdistill.methods import METHODS, Material, Method
from symdistill.methods.base import Knowledge
from symdistill.methods.cascod import CUE
from symdistill.methods.gate import Gate, WithKnowledge
from symdistill.prompts import cue
from symdistill.records import Completion, Example, Message, Rationale, Request, Sampling, TrainingExample
from symdistill.runs.config import parse_config

ADD = Example("add", "2 + 3 =", "5", "number", task="sums")
PICK = Example("pick", "Which flies?", "B", "choice", {"A": "fish", "B": "bird"}, instruction="Choose.")
PICK_TEXT = "Choose.\nWhich flies?\n(A) fish\n(B) bird"
SYSTEM = Message("system", "Answer.")
NAMES = ["mt-cot", "step-by-step", "cascod"]


def rationale(example: Example, index: int, text: str) -> Rationale:
    return Rationale(
        example_id=example.id,
        task=example.task,
        question=example.question,
        text=text,
        answer=example.answer,
        correct=True,
        sample_index=index,
        model="teacher",
        key=f"r1_{example.id}{index}",
    )


MATERIAL = Material(
    examples=(ADD, PICK),
    rationales=(
        rationale(ADD, 0, "2 + 3 = 5. Therefore, the answer is 5."),
        rationale(ADD, 2, "Three more than 2."),
        rationale(PICK, 1, "Fish swim.\nBirds have wings. So the answer is (B)."),
    ),
)


def build(name: str, **settings: Any) -> Method:
    kind = METHODS[name]
    return kind(kind.settings_type(name=name, **settings), student_instruction="Answer.")


def example(of: Example, question: str, completion: str, group: str, given: tuple[str, ...] = ()) -> TrainingExample:
    return TrainingExample(of.id, (SYSTEM, Message("user", question)), completion, 1.0, group, given)


GOLDEN = {
    "mt-cot": [
        example(ADD, "[Explanation Generation] 2 + 3 =", "2 + 3 = 5. Therefore, the answer is 5.", "rationale"),
        example(ADD, "[Answer Prediction] 2 + 3 =", "Therefore, the answer is 5.", "answer"),
        example(
            PICK,
            f"[Explanation Generation] {PICK_TEXT}",
            "Fish swim.\nBirds have wings. So the answer is (B).\nTherefore, the answer is B.",
            "rationale",
        ),
        example(PICK, f"[Answer Prediction] {PICK_TEXT}", "Therefore, the answer is B.", "answer"),
    ],
    "step-by-step": [
        example(ADD, "explain: 2 + 3 =", "2 + 3 = 5.", "rationale"),
        example(ADD, "predict: 2 + 3 =", "Therefore, the answer is 5.", "answer"),
        example(PICK, f"explain: {PICK_TEXT}", "Fish swim.\nBirds have wings.", "rationale"),
        example(PICK, f"predict: {PICK_TEXT}", "Therefore, the answer is B.", "answer"),
    ],
    "cascod": [
        example(ADD, "2 + 3 =", "2 + 3 = 5.", "rationale"),
        example(ADD, "2 + 3 =", " 5.", "answer", ("2 + 3 = 5.", "\nTherefore, the answer is")),
        example(PICK, PICK_TEXT, "Fish swim.\nBirds have wings.", "rationale"),
        example(PICK, PICK_TEXT, " B.", "answer", ("Fish swim.\nBirds have wings.", "\nTherefore, the answer is")),
    ],
}


@pytest.mark.parametrize("name", NAMES)
def test_training_examples(name: str) -> None:
    assert build(name).training_examples(MATERIAL) == GOLDEN[name]


def test_explanations_of_mt_cot_may_stop_before_their_answer() -> None:
    whole = GOLDEN["mt-cot"]
    found = build("mt-cot", explain_answer=False).training_examples(MATERIAL)
    reasons = ["2 + 3 = 5.", "Fish swim.\nBirds have wings."]
    assert [one.completion for one in found if one.group == "rationale"] == reasons
    assert [replace(one, completion="") for one in found] == [replace(one, completion="") for one in whole]
    assert [one for one in found if one.group == "answer"] == [one for one in whole if one.group == "answer"]


HEARD = "<system\nAnswer.>\n<user\n"
SAYS = ">\n<assistant\n"
LEARNED = {
    "mt-cot": [
        (f"{HEARD}[Explanation Generation] 2 + 3 ={SAYS}", "2 + 3 = 5. Therefore, the answer is 5.>"),
        (f"{HEARD}[Answer Prediction] 2 + 3 ={SAYS}", "Therefore, the answer is 5.>"),
        (
            f"{HEARD}[Explanation Generation] {PICK_TEXT}{SAYS}",
            "Fish swim.\nBirds have wings. So the answer is (B).\nTherefore, the answer is B.>",
        ),
        (f"{HEARD}[Answer Prediction] {PICK_TEXT}{SAYS}", "Therefore, the answer is B.>"),
    ],
    "step-by-step": [
        (f"{HEARD}explain: 2 + 3 ={SAYS}", "2 + 3 = 5.>"),
        (f"{HEARD}predict: 2 + 3 ={SAYS}", "Therefore, the answer is 5.>"),
        (f"{HEARD}explain: {PICK_TEXT}{SAYS}", "Fish swim.\nBirds have wings.>"),
        (f"{HEARD}predict: {PICK_TEXT}{SAYS}", "Therefore, the answer is B.>"),
    ],
    "cascod": [
        (f"{HEARD}2 + 3 ={SAYS}", "2 + 3 = 5.>"),
        (f"{HEARD}2 + 3 ={SAYS}2 + 3 = 5.\nTherefore, the answer is", " 5.>"),
        (f"{HEARD}{PICK_TEXT}{SAYS}", "Fish swim.\nBirds have wings.>"),
        (f"{HEARD}{PICK_TEXT}{SAYS}Fish swim.\nBirds have wings.\nTherefore, the answer is", " B.>"),
    ],
}
"""What is read and what is learned of both questions."""


@pytest.mark.parametrize("name", NAMES)
def test_what_is_read_and_what_is_learned(name: str) -> None:
    encoded = encoded_examples(build(name).training_examples(MATERIAL))
    assert [(one.read, one.learned) for one in encoded] == LEARNED[name]
    about = [(one.group, one.question) for one in encoded]
    assert about == [(group, question) for question in ("add", "pick") for group in ("rationale", "answer")]


@pytest.mark.parametrize(
    "name, settings, weights",
    [
        ("mt-cot", {}, (0.7, 0.3)),
        ("mt-cot", {"alpha": 0.25}, (0.75, 0.25)),
        ("step-by-step", {}, (1.0, 1.0)),
        ("step-by-step", {"lambda_rationale": 0.5}, (0.5, 1.0)),
        ("step-by-step", {"alpha": 0.5}, (0.5, 0.5)),
        ("cascod", {}, (0.7, 0.3)),
        ("cascod", {"alpha": 1}, (0.0, 1.0)),
    ],
)
def test_group_weights(name: str, settings: dict[str, float], weights: tuple[float, float]) -> None:
    found = build(name, **settings).group_weights
    assert (found["rationale"], found["answer"]) == pytest.approx(weights)
    assert set(found) == {"rationale", "answer"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("alpha, left", [(0, "rationale"), (1, "answer")])
def test_a_weight_of_nought_leaves_its_group_out(name: str, alpha: int, left: str) -> None:
    found = build(name, alpha=alpha).training_examples(MATERIAL)
    assert found == [e for e in GOLDEN[name] if e.group == left]


def test_more_rationales_of_a_question_and_its_answer_once() -> None:
    groups = [e.group for e in build("mt-cot", samples=2).training_examples(MATERIAL) if e.example_id == "add"]
    assert groups == ["rationale", "rationale", "answer"]
    given = [e.given[0] for e in build("cascod", samples=2).training_examples(MATERIAL) if e.given]
    assert given == ["2 + 3 = 5.", "Three more than 2.", "Fish swim.\nBirds have wings."]


def test_the_cue_and_the_answer_after_it_are_the_sentence_all_methods_end_in() -> None:
    [_, answer, *_] = GOLDEN["cascod"]
    assert "".join(answer.given[1:]) + answer.completion == f"\n{cue('5')}"
    assert answer.given[1] == CUE


@pytest.mark.parametrize("name", ["mt-cot", "step-by-step"])
def test_a_question_without_a_kept_rationale_still_teaches_its_answer(name: str) -> None:
    material = replace(MATERIAL, rationales=MATERIAL.rationales[:1])
    assert build(name).training_examples(material) == [e for e in GOLDEN[name] if e.example_id == "add"] + [
        GOLDEN[name][3]
    ]


def test_a_question_without_an_answer_still_teaches_its_rationale() -> None:
    material = replace(MATERIAL, examples=(ADD, replace(PICK, answer=None)))
    for name in NAMES:
        assert build(name).training_examples(material) == GOLDEN[name][:3]


@pytest.mark.parametrize("name", NAMES)
def test_without_answers_it_says_so(name: str) -> None:
    material = replace(MATERIAL, examples=tuple(replace(e, answer=None) for e in MATERIAL.examples))
    with pytest.raises(DataError, match=f"{name} learns from answers, and no training question has one") as caught:
        build(name).training_examples(material)
    assert "task.columns" in caught.value.fix
    assert METHODS[name].learns_answers


@pytest.mark.parametrize("name", NAMES)
def test_without_rationales_it_says_so(name: str) -> None:
    with pytest.raises(DataError, match=f"{name} has no rationale to learn from"):
        build(name).training_examples(replace(MATERIAL, rationales=()))


@pytest.mark.parametrize("name", ["step-by-step", "cascod"])
def test_a_rationale_that_is_its_answer_alone_is_left_out(name: str) -> None:
    bare = rationale(PICK, 1, "The answer is B.")
    found = build(name).training_examples(replace(MATERIAL, rationales=(*MATERIAL.rationales[:1], bare)))
    assert [e.group for e in found if e.example_id == "pick"] == (["answer"] if name == "step-by-step" else [])
    with pytest.raises(DataError, match="steps before its answer"):
        build(name).training_examples(replace(MATERIAL, rationales=(bare,)))


@pytest.mark.parametrize(
    "entry, says",
    [
        ({"name": "mt-cot", "alpha": 1.5}, "method.alpha"),
        ({"name": "cascod", "alpha": -0.1}, "method.alpha"),
        ({"name": "step-by-step", "alpha": 2}, "method.alpha"),
        ({"name": "step-by-step", "lambda_rationale": -1}, "method.lambda_rationale"),
        ({"name": "step-by-step", "alpha": 0.5, "lambda_rationale": 1}, "keep one of them"),
        ({"name": "cascod", "samples": 0}, "method.samples"),
        ({"name": "mt-cot", "lambda": 1}, "method.lambda"),
    ],
)
def test_a_mistaken_setting_is_named(entry: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_config({"method": entry})


class Student:
    """Stands for the sampler: a reply in two stretches where one is asked for."""

    def __init__(self, unsure: bool = False) -> None:
        self.asked: list[Request] = []
        self._unsure = unsure

    def __call__(self, requests: Sequence[Request]) -> Mapping[str, Completion]:
        self.asked += requests
        return {r.key: self._reply(r) for r in requests}

    def _reply(self, request: Request) -> Completion:
        sampling = request.sampling
        if sampling.go_on_above and self._unsure:
            return Completion(request.key, "Well,", finish_reason="unsure", top_two=((0.5, 0.4),))
        if not sampling.then:
            return Completion(request.key, cue("5"), prompt_tokens=12, completion_tokens=8)
        index = request.sample_index
        return Completion(
            request.key,
            f" {5 + index % 2}.",
            prompt_tokens=40,
            cached_prompt_tokens=35,
            completion_tokens=3,
            token_logprobs=(-0.1,),
            top_two=((0.6, 0.3),) if sampling.go_on_above else None,
            first=Completion(
                request.key,
                f"Steps {index}.",
                prompt_tokens=20,
                completion_tokens=15,
                token_logprobs=(-1.0 - index,),
                top_two=((0.9, 0.05),) if sampling.go_on_above else None,
            ),
        )


@pytest.mark.parametrize("name", ["mt-cot", "step-by-step"])
def test_only_the_answer_task_is_asked_as_it_was_trained(name: str) -> None:
    ask, asked = Student(), Sampling(max_tokens=64)
    replies = build(name).predict(ask, "student", [ADD, PICK], asked)
    assert [[c.text for c in row] for row in replies] == [[cue("5")]] * 2
    assert [r.messages for r in ask.asked] == [e.prompt for e in GOLDEN[name] if e.group == "answer"]
    assert {r.sampling for r in ask.asked} == {asked}, "one stretch, at the cost of a label"


def test_cascod_is_asked_once_and_goes_on_after_its_rationale_from_the_cue_of_training() -> None:
    ask, method = Student(), build("cascod")
    [[reply]] = method.predict(ask, "student", [ADD], Sampling(max_tokens=64))
    [request] = ask.asked
    assert request.sampling == Sampling(max_tokens=64, then=GOLDEN["cascod"][1].given[1])
    assert request.messages == GOLDEN["cascod"][0].prompt == GOLDEN["cascod"][1].prompt
    prediction = predict(ADD, [reply], "cascod")
    assert prediction.samples == ("Steps 0.\nTherefore, the answer is 5.",)
    assert (prediction.answer, prediction.correct) == ("5", True)
    assert (prediction.prompt_tokens, prediction.cached_prompt_tokens, prediction.generated_tokens) == (60, 35, 18)


def test_with_self_consistency_each_sample_has_a_rationale_of_its_own_and_both_stretches_decide_a_tie() -> None:
    drawn = Sampling(temperature=0.7, max_tokens=64, logprobs=True)
    [row] = build("cascod").predict(Student(), "student", [ADD], drawn, samples=2)
    assert [c.first.text for c in row if c.first] == ["Steps 0.", "Steps 1."]
    assert predict(ADD, row, "cascod").answer == "5", "the second stretches are alike, the first rationale is likelier"


def test_a_cascod_student_with_knowledge_is_gated_on_its_rationale() -> None:
    class Found:
        def retrieve_many(self, examples: Sequence[Example]) -> list[list[Any]]:
            return [[item] for _ in examples]

    from symdistill.knowledge.items import KnowledgeItem, Provenance

    item = KnowledgeItem("k_1", "summary", "Add.", "Add.", "sums", provenance=(Provenance("x", "sums", "?"),))
    knowledge: Any = Knowledge((item,), Found())  # type: ignore[arg-type]
    gated = WithKnowledge(build("cascod"), Gate("confidence", 60.0), knowledge, "cascod + knowledge")
    sure, unsure = Student(), Student(unsure=True)
    [reply] = gated.answer(sure, "student", [ADD], Sampling(max_tokens=64))
    assert [c.text for c in reply.completions] == [f"{CUE} 5."]
    assert reply.confidence == pytest.approx(85), "of the first stretch"
    assert (sure.asked[0].sampling.then, sure.asked[0].sampling.go_on_above) == (CUE, 60.0)
    [reply] = gated.answer(unsure, "student", [ADD], Sampling(max_tokens=64))
    assert [c.text for c in reply.before] == ["Well,"]
    assert [c.text for c in reply.completions] == [f"{CUE} 5."]
    assert "may help" in unsure.asked[1].messages[-1].content
