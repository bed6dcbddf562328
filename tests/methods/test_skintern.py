"""SKIntern's training examples, exactly, for two questions in every step; schedules; and the last step's prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoded import encoded_examples
from symdistill.errors import ConfigError, DataError
from symdistill.evaluation.flops import prompt_flops_paper
from symdistill.knowledge.compression import compressed, measured
from symdistill.knowledge.items import KnowledgeItem, Provenance
from symdistill.methods import Material
from symdistill.methods.base import Scaffold
from symdistill.methods.skintern import Skintern, SkinternSettings, schedule_shares
from symdistill.methods.std_cot import StdCot, StdCotSettings
from symdistill.prompts import cue
from symdistill.records import Completion, Example, Message, Rationale, Request, Sampling, TrainingExample
from symdistill.runs.config import parse_config

ADD = Example("add", "What do 2 and 3 make?", "5", "number", task="sums", instruction="Count.")
TAKE = Example("take", "What is left of 9 after 4?", "5", "number", task="sums", instruction="Count.")
BARE = Example("bare", "What do 1 and 1 make?", "2", "number", task="sums", instruction="Count.")
COLOUR = Example("colour", "Which is red?", "B", "choice", {"A": "grass", "B": "blood"}, "colours", instruction="Pick.")
EXAMPLES = (ADD, TAKE, BARE, COLOUR)
SYSTEM = Message("system", "Answer.")


def rationale(example: Example, text: str, index: int = 0) -> Rationale:
    text = f"{text} {cue(example.answer or '')}"
    return Rationale(example.id, example.task, example.question, text, example.answer, True, index, "t", "r1_")


RATIONALES = (
    rationale(ADD, "2 + 3 = 5."),
    rationale(ADD, "3, 4, 5.", 1),
    rationale(ADD, "Never seen.", 2),
    rationale(TAKE, "9 - 4 = 5."),
    rationale(COLOUR, "Blood is red."),
)
"""None of BARE was kept."""


def note(kind: Any, source: Example, text: str) -> KnowledgeItem:
    where = (Provenance(source.id, source.task, source.question),)
    return KnowledgeItem(f"k_{kind}_{source.id}", kind, text, text, source.task, provenance=where)


NOTES = {
    "add": [note("summary", ADD, "Name a number b"), note("supplementary", ADD, "Order is c")],
    "take": [note("supplementary", TAKE, "Count d down")],
}
NEAR = {"add": ["take", "colour"], "take": ["add", "bare", "colour"], "colour": []}


def by_length(texts: Sequence[str], rate: float) -> list[str]:
    """A compressor whose tokens are words, and a longer word says more."""
    tokens = [[(a, b, float(b - a)) for a, b in word_places(text)] for text in texts]
    return compressed(texts, [measured(t, own) for t, own in zip(texts, tokens, strict=True)], rate)


def word_places(text: str) -> list[tuple[int, int]]:
    places, at = [], 0
    for word in text.split():
        at = text.index(word, at)
        places.append((at, at + len(word)))
        at += len(word)
    return places


def material(**changes: Any) -> Material:
    scaffold = Scaffold(**{"notes": NOTES, "neighbours": NEAR, "compress": by_length, **changes})
    return Material(EXAMPLES, RATIONALES, seed=1, scaffold=scaffold)


def build(**settings: Any) -> Skintern:
    return Skintern(SkinternSettings(name="skintern", **settings), student_instruction="Answer.")


def user(*parts: str) -> tuple[Message, ...]:
    return (SYSTEM, Message("user", "\n\n".join(parts)))


HELP = "What may help with the question below:\n"
Q_ADD, Q_TAKE = "Count.\nWhat do 2 and 3 make?", "Count.\nWhat is left of 9 after 4?"
SHOW_ADD = "An example:\nWhat do 2 and 3 make?\n2 + 3 = 5. " + cue("5")
SHOW_TAKE = "An example:\nWhat is left of 9 after 4?\n9 - 4 = 5. " + cue("5")
SHOW_COLOUR = "An example:\nPick.\nWhich is red?\n(A) grass\n(B) blood\nBlood is red. " + cue("B")


def test_two_questions_in_every_step() -> None:
    """Which of the two examples stays for the second step is drawn: for one question the nearer, for one the other."""
    made = build(examples=2).training_examples(material())
    prompts = {
        ("add", 0): user(
            f"{HELP}Learning summary:\nName a number b\n\nSupplementary knowledge:\nOrder is c",
            SHOW_COLOUR,
            SHOW_TAKE,
            Q_ADD,
        ),
        ("add", 1): user(
            f"{HELP}Learning summary:\nName a number\n\nSupplementary knowledge:\nOrder is", SHOW_TAKE, Q_ADD
        ),
        ("add", 2): user(f"{HELP}Learning summary:\nnumber\n\nSupplementary knowledge:\nOrder", Q_ADD),
        ("add", 3): user(Q_ADD),
        ("take", 0): user(f"{HELP}Supplementary knowledge:\nCount d down", SHOW_COLOUR, SHOW_ADD, Q_TAKE),
        ("take", 1): user(f"{HELP}Supplementary knowledge:\nCount down", SHOW_COLOUR, Q_TAKE),
        ("take", 2): user(f"{HELP}Supplementary knowledge:\nCount", Q_TAKE),
        ("take", 3): user(Q_TAKE),
    }
    expected = [
        TrainingExample(r.example_id, prompts[r.example_id, phase], r.text, 1.0, "default", (), phase)
        for phase in range(4)
        for r in (RATIONALES[0], RATIONALES[1], RATIONALES[3])
    ]
    assert [e for e in made if e.example_id != "colour"] == expected


def test_what_is_read_fades_and_what_is_learned_stays() -> None:
    """Two questions in the first step, in one between, and in the last, from the ids and the mask."""
    encoded = encoded_examples(build(examples=1, samples=1).training_examples(material()))
    notes = "Learning summary:\nName a number b\n\nSupplementary knowledge:\nOrder is c"
    fewer = "Learning summary:\nnumber\n\nSupplementary knowledge:\nOrder"
    prompts = {
        ("add", 0): f"{HELP}{notes}\n\n{SHOW_TAKE}\n\n{Q_ADD}",
        ("add", 2): f"{HELP}{fewer}\n\n{Q_ADD}",
        ("add", 3): Q_ADD,
        ("take", 0): f"{HELP}Supplementary knowledge:\nCount d down\n\n{SHOW_ADD}\n\n{Q_TAKE}",
        ("take", 2): f"{HELP}Supplementary knowledge:\nCount\n\n{Q_TAKE}",
        ("take", 3): Q_TAKE,
    }
    found = {(one.question, one.phase): (one.read, one.learned, one.weight, one.group) for one in encoded}
    learned = {"add": f"{RATIONALES[0].text}>", "take": f"{RATIONALES[3].text}>"}
    assert {where: found[where] for where in prompts} == {
        (question, phase): (
            f"<system\nAnswer.>\n<user\n{text}>\n<assistant\n",
            learned[question],
            1.0,
            "default",
        )
        for (question, phase), text in prompts.items()
    }


def test_the_last_step_is_std_cot_byte_for_byte() -> None:
    made = build(examples=2).training_examples(material())
    std_cot = StdCot(StdCotSettings(name="std-cot", samples=2), student_instruction="Answer.")
    last = [replace(e, phase=0) for e in made if e.phase == 3]
    assert last == std_cot.training_examples(material())
    assert build().prompt(ADD) == std_cot.prompt(ADD) == next(e.prompt for e in last if e.example_id == "add")


def test_inference_is_asked_with_the_question_alone_at_std_cots_price() -> None:
    asked: dict[str, list[Request]] = {}

    def student(name: str) -> Any:
        def ask(requests: Sequence[Request]) -> dict[str, Completion]:
            asked[name] = list(requests)
            return {r.key: Completion(r.key, "5", prompt_tokens=len(r.messages[-1].content)) for r in requests}

        return ask

    class Shape:
        linear_parameters = 1000

    std_cot = StdCot(StdCotSettings(name="std-cot"), student_instruction="Answer.")
    costs = []
    for method in (std_cot, build()):
        rows = method.predict(student(method.label), "m", EXAMPLES, Sampling())
        costs.append(sum(prompt_flops_paper(Shape(), row[0].prompt_tokens) for row in rows))  # type: ignore[arg-type]
    assert [r.messages for r in asked["std-cot"]] == [r.messages for r in asked["skintern"]]
    assert costs[1] / costs[0] == 1.0


@pytest.mark.parametrize("schedule", ["linear", "exponential", "inverse-exponential"])
@pytest.mark.parametrize("steps", [2, 3, 4, 7])
def test_the_prompt_shrinks_from_step_to_step(schedule: Any, steps: int) -> None:
    made = build(schedule=schedule, steps=steps).training_examples(material())
    for question in ("add", "take"):
        prompts = [
            next(e.prompt[-1].content for e in made if (e.example_id, e.phase) == (question, t)) for t in range(steps)
        ]
        for longer, shorter in pairwise(prompts):
            assert len(shorter.split()) <= len(longer.split())
            assert set(shorter.split()) <= set(longer.split())
        assert len(prompts[0]) > len(prompts[-1])


@given(st.integers(2, 12), st.integers(0, 8), st.integers(0, 8), st.integers(0, 99))
def test_examples_of_a_step_are_among_those_of_the_step_before(steps: int, k: int, near: int, seed: int) -> None:
    others = [Example(f"n{i}", f"number {i}?", "1") for i in range(near)]
    kept = [rationale(ADD, "Yes."), *(rationale(e, f"about n{i}") for i, e in enumerate(others))]
    scaffold = Scaffold(NOTES, {"add": [e.id for e in others]}, by_length)
    made = build(steps=steps, examples=k).training_examples(
        Material((ADD, *others), kept, seed=seed, scaffold=scaffold)
    )
    shown = [{o.id for o in others if f"about {o.id} " in e.prompt[-1].content} for e in made if e.example_id == "add"]
    assert [len(s) for s in shown] == [min(near, k, k * (steps - t) // (steps - 1)) for t in range(1, steps + 1)]
    assert all(later <= earlier for earlier, later in pairwise(shown))


@pytest.mark.parametrize(
    "schedule, steps, shares",
    [
        ("linear", 4, [1, 2 / 3, 1 / 3, 0]),
        ("linear", 3, [1, 1 / 2, 0]),
        ("linear", 7, [1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0]),
        ("linear", 2, [1, 0]),
        ("exponential", 4, [1, 0.3348, 0.0900, 0]),
        ("inverse-exponential", 4, [1, 0.9100, 0.6652, 0]),
        ("exponential", 2, [1, 0]),
        ("inverse-exponential", 3, [1, 0.8176, 0]),
    ],
)
def test_schedules(schedule: Any, steps: int, shares: list[float]) -> None:
    found = schedule_shares(schedule, steps)
    assert found == pytest.approx(shares, abs=5e-5)
    assert (found[0], found[-1]) == (1, 0), "exactly"


@pytest.mark.parametrize(
    "settings, has, lacks",
    [
        ({"km": False}, "Supplementary knowledge:", "Learning summary:"),
        ({"kp": False}, "Learning summary:", "Supplementary knowledge:"),
        ({"km": False, "kp": False}, "An example:", "What may help"),
        ({"examples": 0}, "What may help", "An example:"),
    ],
)
def test_each_part_can_be_left_out(settings: dict[str, Any], has: str, lacks: str) -> None:
    first = next(e for e in build(**settings).training_examples(material()) if e.example_id == "add")
    assert has in first.prompt[-1].content
    assert lacks not in first.prompt[-1].content


def test_a_question_without_notes_or_neighbours_is_trained_all_the_same() -> None:
    made = build().training_examples(material(notes={}, neighbours={}))
    assert len({e.prompt for e in made if e.example_id == "add"}) == 1
    assert [e.phase for e in made if e.example_id == "take"] == [0, 1, 2, 3]


def test_without_a_scaffold_it_says_what_to_do() -> None:
    with pytest.raises(DataError, match="symdistill train"):
        build().training_examples(Material(EXAMPLES, RATIONALES))


@pytest.mark.parametrize(
    "entry, says",
    [
        ({"steps": 1}, "method.steps"),
        ({"steps": 13}, r"method\.steps.*is 13.*training\.num_train_epochs.*is 12"),
        ({"training": {"num_train_epochs": 3}}, r"method\.steps.*is 4.*num_train_epochs.*is 3"),
        ({"training": {"max_steps": 3}}, r"method\.steps.*max_steps.*is 3"),
        ({"schedule": "cosine"}, "method.schedule"),
        ({"examples": -1}, "method.examples"),
        ({"km": False, "kp": False, "examples": 0}, "nothing to take away"),
        ({"compressor": "gzip"}, "method.compressor"),
        ({"compressor": "llmlingua2"}, "compressor_model"),
        ({"samples": 0}, "method.samples"),
        ({"analysis": {"temprature": 0.5}}, "method.analysis.temprature"),
        ({"analysis": {"show_answer": True}}, "method.analysis.show_answer"),
    ],
)
def test_a_mistaken_setting_is_named(entry: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_config({"method": {"name": "skintern", **entry}, "training": {"num_train_epochs": 12}})


def test_the_defaults_are_the_papers_and_notes_are_drawn_as_there() -> None:
    config = parse_config({"method": {"name": "skintern"}, "training": {"num_train_epochs": 12}})
    [method] = config.build_methods()
    assert isinstance(method, Skintern)
    settings = method.settings
    assert (settings.steps, settings.schedule, settings.examples, settings.samples) == (4, "linear", 6, 2)
    teacher = config.analysis_for(method)
    assert (teacher.temperature, teacher.max_tokens) == (0.8, 1024)


def test_paths_are_those_of_the_configurations_folder(tmp_path: Any) -> None:
    for name in ("minilm", "bert-base-multilingual-cased"):
        (tmp_path / name).mkdir()
    entry = {"name": "skintern", "embedding_model": "minilm", "compressor_model": "bert-base-multilingual-cased"}
    config = parse_config({"method": entry, "training": {"num_train_epochs": 12}}, base=tmp_path)
    [method] = config.build_methods()
    assert isinstance(method, Skintern)
    assert method.settings.embedding_model == tmp_path / "minilm"
    assert method.settings.compressor_model == tmp_path / "bert-base-multilingual-cased"
