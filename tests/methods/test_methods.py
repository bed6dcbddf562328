"""Each method's training examples, exactly, for two questions; and how each asks at inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from encoded import encoded_examples
from symdistill.errors import ConfigError, DataError
from symdistill.methods import METHODS, Material, Method
from symdistill.prompts import Demonstration, cue
from symdistill.records import Completion, Example, Message, Rationale, Request, Sampling, TrainingExample

ADD = Example("add", "2 + 3 =", "5", "number", task="sums")
COIN = Example("coin", "Heads up?", "no", "label", task="coins")
SYSTEM = Message("system", "Answer.")


def rationale(example: Example, index: int, text: str, answer: str | None = None, correct: bool = True) -> Rationale:
    return Rationale(
        example_id=example.id,
        task=example.task,
        question=example.question,
        text=text,
        answer=answer or example.answer,
        correct=correct,
        sample_index=index,
        model="teacher",
        key=f"r1_{example.id}{index}",
    )


MATERIAL = Material(
    examples=(ADD, COIN),
    rationales=(
        rationale(ADD, 0, "2 + 3 = 5. Therefore, the answer is 5."),
        rationale(ADD, 2, "Three more than 2 is 5."),
        rationale(COIN, 1, "It was turned once. Therefore, the answer is no."),
    ),
)


def build(name: str, **settings: Any) -> Method:
    kind = METHODS[name]
    return kind(kind.settings_type(name=name, **settings), student_instruction="Answer.")


def example(of: Example, completion: str, weight: float = 1.0) -> TrainingExample:
    return TrainingExample(of.id, (SYSTEM, Message("user", of.question)), completion, weight)


STEPS = [
    example(ADD, "2 + 3 = 5. Therefore, the answer is 5."),
    example(ADD, "Three more than 2 is 5.\nTherefore, the answer is 5."),
    example(COIN, "It was turned once. Therefore, the answer is no."),
]


@pytest.mark.parametrize(
    "method, expected",
    [
        (build("zero-shot"), []),
        (build("few-shot"), []),
        (
            build("label-only"),
            [example(ADD, "Therefore, the answer is 5."), example(COIN, "Therefore, the answer is no.")],
        ),
        (build("std-cot"), [STEPS[0], STEPS[2]]),
        (build("std-cot", samples=8), STEPS),
        (build("scotd"), STEPS),
        (
            build("scotd", weighting="instance"),
            [
                example(ADD, STEPS[0].completion, 0.5),
                example(ADD, STEPS[1].completion, 0.5),
                example(COIN, STEPS[2].completion, 1.0),
            ],
        ),
    ],
    ids=lambda value: f"{value.label}-{value.settings}" if isinstance(value, Method) else "",
)
def test_training_examples(method: Method, expected: list[TrainingExample]) -> None:
    assert method.training_examples(MATERIAL) == expected
    assert method.trains == bool(expected)


@pytest.mark.parametrize("weighting, weights", [("sample", [1.0, 1.0, 1.0]), ("instance", [0.5, 0.5, 1.0])])
def test_what_scotd_reads_and_what_it_learns(weighting: str, weights: list[float]) -> None:
    encoded = encoded_examples(build("scotd", weighting=weighting).training_examples(MATERIAL))
    add, coin = (f"<system\nAnswer.>\n<user\n{q}>\n<assistant\n" for q in ("2 + 3 =", "Heads up?"))
    assert [(one.read, one.learned) for one in encoded] == [
        (add, "2 + 3 = 5. Therefore, the answer is 5.>"),
        (add, "Three more than 2 is 5.\nTherefore, the answer is 5.>"),
        (coin, "It was turned once. Therefore, the answer is no.>"),
    ]
    assert [one.weight for one in encoded] == weights


def test_label_only_leaves_out_what_has_no_label() -> None:
    material = Material(examples=(ADD, Example("open", "Why?")))
    assert [e.example_id for e in build("label-only").training_examples(material)] == ["add"]
    with pytest.raises(DataError, match="label-only needs answers"):
        build("label-only").training_examples(Material(examples=(Example("open", "Why?"),)))


@pytest.mark.parametrize(
    "name, settings, verify",
    [
        ("std-cot", {}, True),
        ("scotd", {}, True),
        ("scotd", {"setting": "supervised"}, True),
        ("scotd", {"setting": "few-shot"}, False),
    ],
)
def test_only_scotd_without_labels_keeps_wrong_rationales(name: str, settings: dict[str, str], verify: bool) -> None:
    assert build(name, **settings).verify is verify


def test_scotd_without_labels_votes_with_thirty_samples() -> None:
    assert build("scotd", setting="few-shot").votes == 30
    assert build("scotd").votes is None


class Recorder:
    """Stands for the sampler: notes what is asked, answers with the sample index, fails where it is told to."""

    def __init__(self, failing: int | None = None) -> None:
        self.asked: list[Request] = []
        self.failing = failing

    def __call__(self, requests: Sequence[Request]) -> Mapping[str, Completion]:
        self.asked += requests
        return {r.key: Completion(r.key, cue(str(r.sample_index))) for r in requests if r.sample_index != self.failing}


@pytest.mark.parametrize("name", ["label-only", "std-cot", "scotd"])
def test_a_trained_student_reads_at_inference_what_it_was_trained_on(name: str) -> None:
    method = build(name)
    ask = Recorder()
    replies = method.predict(ask, "student", [ADD, COIN], Sampling(temperature=0.7), samples=2)
    assert [[c.text for c in row] for row in replies] == [[cue("0"), cue("1")]] * 2
    trained = {e.example_id: e.prompt for e in method.training_examples(MATERIAL)}
    assert {r.example_id: r.messages for r in ask.asked} == trained


def test_a_failed_reply_is_left_out() -> None:
    replies = build("std-cot").predict(Recorder(failing=0), "student", [ADD], Sampling(temperature=0.7), samples=3)
    assert [c.text for c in replies[0]] == [cue("1"), cue("2")]


def test_zero_shot_tells_the_untrained_model_about_the_cue() -> None:
    assert "Therefore, the answer is X." in build("zero-shot").prompt(ADD)[0].content


def test_few_shot_shows_the_teachers_demonstrations_of_the_task() -> None:
    method = build("few-shot", shots=1)
    shown = (Demonstration("1 + 1 =", cue("2"), "sums"), Demonstration("1 + 2 =", cue("3"), "sums"))
    method.prepare(Material(examples=(ADD,), demonstrations=shown))
    assert [m.content for m in method.prompt(ADD)[1:]] == ["1 + 1 =", cue("2"), ADD.question]


def test_few_shot_draws_from_kept_rationales_else() -> None:
    method = build("few-shot", shots=1)
    method.prepare(MATERIAL)
    turns = method.prompt(Example("new", "7 + 1 =", "8", "number", task="sums"))
    assert [m.content for m in turns[1:]] == [ADD.question, STEPS[0].completion, "7 + 1 ="]
    with pytest.raises(ConfigError, match="no examples to show"):
        build("few-shot").prepare(Material(examples=(ADD,)))
