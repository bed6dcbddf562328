"""KARD's training examples, exactly, for two questions; what it reads at inference; and what a prompt of it costs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from encoded import encoded_examples
from symdistill.errors import CallFailed, ConfigError, DataError
from symdistill.evaluation.flops import question_flops
from symdistill.knowledge.corpus import Passage
from symdistill.knowledge.items import KnowledgeItem
from symdistill.knowledge.passages import PassageIndex, Reading, passage_index
from symdistill.knowledge.retrieval import Retriever
from symdistill.knowledge.settings import RetrievalSettings
from symdistill.methods import Material
from symdistill.methods.base import Knowledge
from symdistill.methods.gate import Gate, WithKnowledge
from symdistill.methods.kard import Kard, KardSettings
from symdistill.methods.std_cot import StdCot, StdCotSettings
from symdistill.prompts import cue
from symdistill.records import Completion, Example, Message, Rationale, Request, Sampling, TrainingExample
from symdistill.runs.config import parse_config

WHALE = Example("whale", "Do whales have gills?", "B", "choice", {"A": "yes", "B": "no"}, task="zoo")
BAT = Example("bat", "Can bats see?", "yes", "label", task="zoo")
SYSTEM = Message("system", "Answer.")
DOCUMENTS = [
    {"title": "Whale", "text": "Whales are mammals. They come up for air and have lungs."},
    {"text": "Fish have gills and take oxygen out of the water."},
    {"text": "Bats hunt insects at night by echo, and see rather well."},
    {"text": "Mammals feed their young with milk."},
]


def rationale(example: Example, text: str, index: int = 0) -> Rationale:
    return Rationale(
        example.id, example.task, example.question, text, example.answer, True, index, "teacher", f"r1_{example.id}"
    )


LUNGS = "Whales are mammals, with lungs for air. " + cue("B")
MILK = "A whale feeds its young with milk. " + cue("B")
ECHO = "They hunt insects by echo.\nThey see well, too."
RATIONALES = (rationale(WHALE, LUNGS), rationale(WHALE, MILK, 1), rationale(BAT, ECHO))


@pytest.fixture
def index(tmp_path: Path) -> PassageIndex:
    corpus = tmp_path / "c.jsonl"
    corpus.write_text("".join(json.dumps(row) + "\n" for row in DOCUMENTS))
    return passage_index(corpus, tmp_path / "passages", 128)


def build(**settings: Any) -> Kard:
    return Kard(KardSettings(name="kard", corpus=Path("c.jsonl"), **settings), student_instruction="Answer.")


def material(index: PassageIndex, rationales: Sequence[Rationale] = RATIONALES, ranker: Any = None) -> Material:
    return Material((WHALE, BAT), rationales, reading=Reading(index, passages=2, candidates=4, ranker=ranker))


def prompt(*lines: str) -> tuple[Message, ...]:
    return SYSTEM, Message("user", "\n".join(lines))


HEAD = "Passages that may help with the question below:"
WHALES, FISH, BATS, MAMMALS = (": ".join(filter(None, (row.get("title"), row["text"]))) for row in DOCUMENTS)
ASKED = ("", "Do whales have gills?", "(A) yes", "(B) no")


def test_each_rationale_is_learned_after_the_passages_it_finds_itself(index: PassageIndex) -> None:
    examples = build().training_examples(material(index))
    # "milk", "young" and "with" are the mammals', "whale" is a title; "feeds" is not "feed".
    assert examples == [
        TrainingExample(
            "bat", prompt(HEAD, f"[1] {BATS}", f"[2] {WHALES}", "", "Can bats see?"), f"{ECHO}\n{cue('yes')}"
        ),
        TrainingExample("whale", prompt(HEAD, f"[1] {WHALES}", f"[2] {MAMMALS}", *ASKED), LUNGS, 1.0, "default"),
        TrainingExample("whale", prompt(HEAD, f"[1] {MAMMALS}", f"[2] {WHALES}", *ASKED), MILK, 1.0, "default"),
    ]


def test_only_so_many_rationales_of_a_question_are_learned(index: PassageIndex) -> None:
    examples = build(samples=1).training_examples(material(index))
    assert [e.completion for e in examples] == [f"{ECHO}\n{cue('yes')}", LUNGS]


def test_a_rationale_that_finds_nothing_stands_alone_as_in_std_cot(index: PassageIndex) -> None:
    strange = rationale(BAT, "Ja natürlich. " + cue("yes"))
    [alone, _] = build(samples=1).training_examples(material(index, (RATIONALES[0], strange)))
    std_cot = StdCot(StdCotSettings(name="std-cot"), student_instruction="Answer.")
    assert [alone] == std_cot.training_examples(Material((WHALE, BAT), (strange,)))


def test_without_passages_for_anything_it_says_what_to_do(index: PassageIndex) -> None:
    with pytest.raises(DataError, match="shares a word"):
        build().training_examples(material(index, (rationale(BAT, "Ja natürlich."),)))
    with pytest.raises(DataError, match="no passages"):
        build().training_examples(Material((WHALE,), RATIONALES[:1]))
    assert build().training_examples(material(index, ())) == []


class Student:
    """Stands for the sampler."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def __call__(self, requests: Sequence[Request]) -> Mapping[str, Completion]:
        self.asked += requests
        return {r.key: Completion(r.key, f"reply {r.sample_index}") for r in requests}


class Shortest:
    """Prefers short passages, at 1,000 operations each."""

    operations = 0.0

    def scores(self, query: str, passages: Sequence[Passage], bm25: NDArray[np.float64]) -> NDArray[np.float32]:
        self.operations += 1000 * len(passages)
        return np.array([-len(p.text) for p in passages], dtype=np.float32)


def test_at_inference_the_question_finds_its_passages(index: PassageIndex) -> None:
    method, ask = build(), Student()
    method.prepare(material(index))
    replies = method.answer(ask, "student", [WHALE, BAT], Sampling())
    assert [[p.shown for p in reply.passages] for reply in replies] == [[FISH, WHALES], [BATS]]
    assert ask.asked[0].messages == prompt(HEAD, f"[1] {FISH}", f"[2] {WHALES}", *ASKED)
    assert ask.asked[0].messages == method.prompt(WHALE)
    assert [[c.text for c in reply.completions] for reply in replies] == [["reply 0"], ["reply 0"]]


def test_a_reranker_decides_which_candidates_are_read_and_training_does_not_ask_it(index: PassageIndex) -> None:
    method, ask = build(), Student()
    reranked = material(index, ranker=Shortest())
    method.prepare(reranked)
    [reply] = method.answer(ask, "student", [Example("o", "Do whales feed milk in water?")], Sampling(), 2)
    assert [p.shown for p in reply.passages] == [MAMMALS, FISH]
    assert reply.search_flops == 3000, "three of the four share a word with the question"
    assert reply.search_seconds > 0
    assert len(reply.completions) == 2
    assert method.training_examples(reranked) == build().training_examples(material(index))


class Short(Student):
    """Takes prompts with so many passages at most."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __call__(self, requests: Sequence[Request]) -> Mapping[str, Completion]:
        self.asked += requests
        fit = [r for r in requests if r.messages[-1].content.count("\n[") <= self._most]
        if not fit:
            raise CallFailed("rejected", "Every request failed: too long.")
        return {r.key: Completion(r.key, f"reply {r.sample_index}") for r in fit}


@pytest.mark.parametrize("most, read", [(2, [FISH, WHALES]), (1, [FISH]), (0, [])])
@pytest.mark.parametrize("samples", [1, 2])
def test_a_student_that_is_too_small_for_the_passages_reads_fewer(
    index: PassageIndex, most: int, read: list[str], samples: int
) -> None:
    method, ask = build(), Short(most)
    method.prepare(material(index))
    whale, strange = method.answer(ask, "student", [WHALE, Example("o", "Warum?")], Sampling(), samples)
    assert [p.shown for p in whale.passages] == read
    assert len(whale.completions) == len(strange.completions) == samples
    found = method.reads(WHALE)
    assert found is not None
    assert [p.shown for p in found.passages] == [FISH, WHALES], "what was found is still known"
    last = [r for r in ask.asked if r.example_id == "whale"][-1]
    assert last.messages == method.prompt_after(WHALE, whale.passages)


def test_a_student_that_takes_no_prompt_at_all_is_an_error(index: PassageIndex) -> None:
    method = build()
    method.prepare(material(index))
    with pytest.raises(CallFailed, match="Every request failed"):
        method.answer(Short(-1), "student", [WHALE], Sampling())


def test_knowledge_of_another_base_stands_before_the_passages_and_both_are_told(index: PassageIndex) -> None:
    item = KnowledgeItem("k_1", "summary", "Think of milk.", "Think of milk.", "zoo", provenance=())
    knowledge = Knowledge((item,), Retriever((item,), RetrievalSettings()))
    method, ask = build(), Student()
    method.prepare(material(index))
    gated = WithKnowledge(method, Gate("always"), knowledge, "kard + knowledge")
    asked = Example("o", "Where do fish find milk, water and oxygen?")
    [reply] = gated.answer(ask, "student", [asked], Sampling())
    before = "What may help with the question below:\nLearning summary:\nThink of milk."
    assert ask.asked[0].messages == prompt(before, "", HEAD, f"[1] {FISH}", f"[2] {MAMMALS}", "", asked.question)
    assert [i.id for i in reply.knowledge] == ["k_1"]
    assert [p.shown for p in reply.passages] == [FISH, MAMMALS]


class Unsure(Short):
    """Takes so many passages at most, the notes before them counting as one, and is never sure."""

    def __call__(self, requests: Sequence[Request]) -> Mapping[str, Completion]:
        self.asked += requests
        texts = {r.key: r.messages[-1].content for r in requests}
        fit = [r for r in requests if texts[r.key].count("\n[") + ("summary:" in texts[r.key]) <= self._most]
        if not fit:
            raise CallFailed("rejected", "Every request failed: too long.")
        deciding = {r.key: r.sampling.go_on_above is not None for r in fit}
        return {
            key: Completion(key, "reply", finish_reason="unsure" if first else "stop", top_two=((0.6, 0.4),))
            for key, first in deciding.items()
        }


@pytest.mark.parametrize("mode", ["confidence", "always", "never"])
@pytest.mark.parametrize("most", [3, 2, 1, 0])
def test_behind_a_gate_a_question_that_is_too_long_is_asked_with_a_passage_less(
    index: PassageIndex, mode: Any, most: int
) -> None:
    item = KnowledgeItem("k_1", "summary", "Whales have milk.", "Whales have milk.", "zoo", provenance=())
    knowledge = Knowledge((item,), Retriever((item,), RetrievalSettings()))
    method = build()
    method.prepare(material(index))
    gated, ask = WithKnowledge(method, Gate(mode), knowledge, "kard + knowledge"), Unsure(most)
    [reply] = gated.answer(ask, "student", [WHALE], Sampling())
    noted = mode != "never" and most > 0
    assert [c.text for c in reply.completions] == ["reply"]
    assert [p.shown for p in reply.passages] == [FISH, WHALES][: most - noted]
    assert [i.id for i in reply.knowledge] == ["k_1"][: int(noted)]
    assert bool(reply.before) is (mode == "confidence")
    found = gated.reads(WHALE)
    assert found is not None
    assert len(found.passages) == 2, "what was found is known, so that the question counts as shortened"


LEARNED = [
    (
        f"<system\nAnswer.>\n<user\n{HEAD}\n[1] {BATS}\n[2] {WHALES}\n\nCan bats see?>\n<assistant\n",
        f"{ECHO}\n{cue('yes')}>",
    ),
    (
        "\n".join(("<system\nAnswer.>\n<user", HEAD, f"[1] {WHALES}", f"[2] {MAMMALS}", *ASKED)) + ">\n<assistant\n",
        f"{LUNGS}>",
    ),
]


def test_passages_are_read_and_what_follows_is_learned(index: PassageIndex) -> None:
    encoded = encoded_examples(build(samples=1).training_examples(material(index)))
    assert [(one.read, one.learned, one.weight) for one in encoded] == [(*texts, 1.0) for texts in LEARNED]


def test_a_question_that_finds_nothing_is_asked_as_std_cot_asks(index: PassageIndex) -> None:
    method, ask = build(), Student()
    method.prepare(material(index))
    strange = Example("o", "Warum?")
    [reply] = method.answer(ask, "student", [strange], Sampling())
    assert reply.passages == ()
    assert ask.asked[0].messages == StdCot(StdCotSettings(name="s"), student_instruction="Answer.").prompt(strange)


def test_unprepared_it_does_not_answer() -> None:
    with pytest.raises(DataError, match="no passages"):
        build().predict(Student(), "student", [BAT], Sampling())


def words_of(messages: Sequence[Message]) -> int:
    """Prompt tokens under a tokenizer of one token a word, no template counted."""
    return sum(len(m.content.split()) for m in messages)


class Shape:
    """A decoder of round numbers."""

    non_embedding_parameters = linear_parameters = 100_000_000
    head_parameters, layers, attention_width = 10_000_000, 24, 1024


@pytest.mark.parametrize("question_words", [125, 130, 140])
def test_the_papers_count_of_three_passages_falls_into_its_window_for_the_prompts_it_is_about(
    question_words: int,
) -> None:
    """A check of the formula, at lengths chosen for it: the ratio 3.8 to 4.25 of SKIntern's figure 3 is what prompts of
    126 to 141 tokens come to. Shorter questions cost more times their own prompt, longer ones fewer (see below)."""
    example = Example("q", " ".join(["word"] * question_words))
    passages = [Passage(f"p_{i}", " ".join(["fact"] * 128)) for i in range(3)]
    method = build()
    read, alone = words_of(method.prompt_after(example, passages)), words_of(method.prompt(example))
    assert alone == question_words + 1

    def cost(tokens: int) -> float:
        return question_flops(Shape(), [Completion("k", "", prompt_tokens=tokens, completion_tokens=60)])[0]

    assert 3.8 <= cost(read) / cost(alone) <= 4.25


def test_the_ratio_is_one_of_lengths_and_no_property_of_the_method() -> None:
    passages = [Passage(f"p_{i}", " ".join(["fact"] * 128)) for i in range(3)]
    method = build()
    found = []
    for count in (40, 400):
        example = Example("q", " ".join(["word"] * count))
        found.append(words_of(method.prompt_after(example, passages)) / words_of(method.prompt(example)))
    added = 3 * (128 + 1) + len(HEAD.split())
    assert found == pytest.approx([1 + added / 41, 1 + added / 401])


@pytest.mark.parametrize(
    "entry, says",
    [
        ({}, "corpus"),
        ({"corpus": 7}, "method.corpus"),
        ({"corpus": "c", "reranker": "colbert"}, "method.reranker"),
        ({"corpus": "c", "passages": 0}, "method.passages"),
        ({"corpus": "c", "passages": 5, "candidates": 4}, "candidates"),
        ({"corpus": "c", "passage_words": 0}, "method.passage_words"),
        ({"corpus": "c", "reranker": "none", "reranker_model": "m"}, "reranker_model"),
        ({"corpus": "c", "reranking": {"tau_score": 0}}, "method.reranking.tau_score"),
        ({"corpus": "c", "reranking": {"tau_rationale": -3}}, "method.reranking.tau_rationale"),
        ({"corpus": "c", "reranking": {"sampled": 1}}, "method.reranking.sampled"),
        ({"corpus": "c", "reranking": {"lexical": -1}}, "method.reranking.lexical"),
        ({"corpus": "c", "reranking": {"lexical": "best"}}, "method.reranking.lexical"),
        ({"corpus": "c", "reranking": {"held_out": 1.0}}, "method.reranking.held_out"),
        ({"corpus": "c", "reranking": {"epochs": 2}}, "method.reranking.epochs"),
        ({"corpus": "c", "corpora": "d"}, "method.corpora"),
    ],
)
def test_a_mistaken_setting_is_named(entry: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_config({"method": {"name": "kard", **entry}})


def test_what_reranks_may_change_between_two_starts_and_what_is_learned_may_not() -> None:
    def identity(**entry: Any) -> dict[str, Any]:
        return parse_config({"method": {"name": "kard", "corpus": "c.jsonl", **entry}}).identity()

    usual = identity()
    assert usual == identity(reranker="none", candidates=20, reranking={"num_epochs": 1})
    assert usual != identity(passages=2)
    assert usual != identity(passage_words=64)


def test_paths_are_those_of_the_configurations_folder(tmp_path: Path) -> None:
    (tmp_path / "wiki").mkdir()
    (tmp_path / "encoder").mkdir()
    entry = {"name": "kard", "corpus": "wiki", "reranker_model": "encoder"}
    config = parse_config({"methods": [entry]}, base=tmp_path)
    [method] = config.build_methods()
    assert isinstance(method, Kard)
    assert (method.settings.corpus, method.settings.reranker_model) == (tmp_path / "wiki", tmp_path / "encoder")
