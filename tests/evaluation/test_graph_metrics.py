"""Figures of a graph: against hand-worked cases, and against populations whose size is known."""

from __future__ import annotations

import random

import pytest

from symdistill.evaluation.graph_metrics import (
    coverage,
    describe,
    distinct_n,
    independent_draws,
    novelty,
    precision_by_relation,
    recapture,
    self_bleu,
    vendi,
)
from symdistill.knowledge.triples import Batch, Triple

GRAPH = [
    Triple("a", "r", "one two"),
    Triple("A.", "r", "One two"),
    Triple("a", "s", "one two three"),
    Triple("b", "r", "four"),
]


def test_counts_are_of_facts() -> None:
    found = describe(GRAPH)
    assert (found.triples, found.facts, found.heads, found.nodes) == (4, 3, 2, 5)
    assert found.by_relation == {"r": 2, "s": 1}
    assert found.distinct_1 == pytest.approx(4 / 6)
    assert found.distinct_2 == pytest.approx(2 / 3)
    empty = describe([])
    assert (empty.triples, empty.distinct_1, empty.vendi, empty.vendi_of) == (0, 0.0, 0.0, 0)


@pytest.mark.parametrize(
    "texts, n, share", [(["a a a a"], 1, 0.25), (["a b", "a b"], 2, 0.5), (["a"], 2, 0.0), ([], 1, 0.0)]
)
def test_distinct_n(texts: list[str], n: int, share: float) -> None:
    assert distinct_n(texts, n) == share


def test_the_vendi_score_counts_what_has_nothing_in_common() -> None:
    apart = ["red apple", "blue sky", "green grass", "old house"]
    assert vendi(apart)[0] == pytest.approx(4)
    assert vendi(["red apple"] * 4)[0] == pytest.approx(1)
    assert vendi(apart[:2] * 2)[0] == pytest.approx(2)
    assert 1 < vendi(["red apple", "red pear", "blue sky"])[0] < 3
    assert vendi([f"word{n}" for n in range(900)], most=100)[1] == 100
    assert vendi(["...", "!!"])[0] == pytest.approx(2)


def test_novelty_and_coverage_against_a_reference() -> None:
    reference = {t.fact for t in [Triple("a", "r", "ONE TWO"), Triple("a", "r", "five"), Triple("c", "r", "four")]}
    new = novelty(GRAPH, reference)
    assert (new.count, new.n) == (2, 3)
    assert new.low < new.value < new.high
    held = coverage(GRAPH, reference)
    assert [(s.count, s.n) for s in (held.heads, held.pairs, held.facts)] == [(1, 2), (1, 2), (1, 3)]
    nothing = coverage(GRAPH, set())
    assert nothing.facts.n == 0


def test_precision_is_told_for_each_relation() -> None:
    right = {GRAPH[0].id: True, GRAPH[1].id: False, GRAPH[2].id: True}
    found = precision_by_relation(GRAPH, right)
    assert [(name, s.count, s.n) for name, s in found.items()] == [("r", 1, 2), ("s", 1, 1)]
    assert precision_by_relation(GRAPH, {}) == {}


def fact(number: int) -> tuple[str, str, str]:
    return ("h", "r", str(number))


def test_two_draws_by_hand() -> None:
    found = recapture([{fact(n) for n in range(10)}, {fact(n) for n in range(5, 20)}])
    assert (found.seen, found.repeated, found.samples) == (20, 5, 2)
    assert found.total == pytest.approx(11 * 16 / 6 - 1)


def test_draws_that_never_meet_or_always_do() -> None:
    apart = recapture([{fact(1)}, {fact(2)}])
    assert (apart.total, apart.low, apart.high) == (None, None, None)
    same = {fact(n) for n in range(30)}
    for draws in ([same, same], [same, same, same]):
        found = recapture(draws)
        assert found.total == pytest.approx(30)
        assert found.low == pytest.approx(30)
    with pytest.raises(ValueError):
        recapture([same])


@pytest.mark.parametrize("draws, size", [(2, 120), (5, 80)])
def test_the_size_of_a_known_population_is_found(draws: int, size: int) -> None:
    population = [fact(n) for n in range(400)]
    totals, covered = [], 0
    for seed in range(60):
        rng = random.Random(seed)
        found = recapture([set(rng.sample(population, size)) for _ in range(draws)])
        assert found.total is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low >= found.seen
        totals.append(found.total)
        covered += found.low <= 400 <= found.high
    assert sum(totals) / 60 == pytest.approx(400, rel=0.06)
    assert covered >= 50


def test_draws_are_batches_of_the_same_requests() -> None:
    batches = [
        *(Batch("t-1", "teacher", "m"), Batch("t-2", "teacher", "m"), Batch("u-1", "teacher", "m")),
        *(Batch("t-3", "teacher", "other"), Batch("f-1", "import"), Batch("f-2", "import"), Batch("hand", "hand")),
    ]
    triples = [
        Triple("a", "r", "b", None, "t-1"),
        Triple("A", "r", "B", None, "t-2"),
        Triple("a", "r", "c", None, "f-1"),
    ]
    assert independent_draws(triples, batches) == [[{("a", "r", "b")}, {("a", "r", "b")}]]


@pytest.mark.parametrize(
    "texts, value",
    [
        (
            ["the cat sat on the mat", "the cat sat on a mat today", "dogs bark loudly at night here"],
            0.3240019459522541,
        ),
        (
            ["to call a taxi", "to call a taxi home", "to take the next train", "to be on time"],
            0.45070291086551606,
        ),
        (["a b", "a b"], 0.316227766016838),
        (["one two three four five", "one two three four five"], 1.0),
        (["the the the the", "the cat"], 0.0676768246468356),
        (["a b c d", "e f g h"], 0.0),
        (["alone"], 0.0),
        ([], 0.0),
    ],
)
def test_self_bleu_is_that_of_nltk(texts: list[str], value: float) -> None:
    """Values by NLTK 3.9: sentence_bleu against all others, SmoothingFunction().method1, averaged."""
    assert self_bleu(texts) == pytest.approx(value, abs=1e-12)


def test_self_bleu_of_many_texts_is_that_of_a_sample() -> None:
    draw = random.Random(3)
    texts = [" ".join(draw.choices("abcdefgh", k=6)) for _ in range(300)]
    assert self_bleu(texts, most=300) == self_bleu(texts, seed=9)
    assert self_bleu(texts, most=60, seed=1) == self_bleu(random.Random(1).sample(texts, 60))
    assert describe([Triple("a", "r", text) for text in texts]).self_bleu == self_bleu(list(dict.fromkeys(texts)))
