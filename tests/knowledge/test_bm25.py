from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symdistill.knowledge import Bm25Index, terms

RULES = [
    "Write who holds what before the first swap.",
    "At each swap exchange both entries; never change only one.",
    "Read the answer off the final list, not off the last swap.",
    "The area of a circle is 3.14 times the radius squared.",
    "A dozen is 12; a gross is 144.",
]


def lucene(texts: Sequence[str], query: str, k1: float = 1.2, b: float = 0.75) -> list[float]:
    """Lucene's BM25 with exact lengths, as the formula says it, in double precision."""
    bags = [Counter(terms(text)) for text in texts]
    lengths = [sum(bag.values()) for bag in bags]
    mean = sum(lengths) / len(lengths)
    scores = [0.0] * len(texts)
    for term in terms(query):
        holding = sum(term in bag for bag in bags)
        idf = math.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
        for place, bag in enumerate(bags):
            if term in bag:
                scores[place] += idf * bag[term] / (bag[term] + k1 * (1 - b + b * lengths[place] / mean))
    return scores


def zipf(rng: random.Random, vocabulary: int, low: int, high: int) -> str:
    """A text whose words are as uneven as those of a language."""
    size = rng.randint(low, high)
    return " ".join(f"w{int(vocabulary ** rng.random())}" for _ in range(size))


def assert_exact(index: Bm25Index, texts: Sequence[str], query: str, k: int, exclude: Collection[int] = ()) -> None:
    """Scores are the formula's, and the search returns the first k of all texts in order of score and position."""
    scores = index.scores(query, range(len(texts)))
    assert scores == pytest.approx(lucene(texts, query, index.k1, index.b), rel=1e-6, abs=0)
    ranked = sorted((p for p in range(len(texts)) if scores[p] > 0 and p not in exclude), key=lambda p: -scores[p])
    found = index.search(query, k, exclude)
    assert [(hit.index, hit.score) for hit in found] == [(p, scores[p]) for p in ranked[:k]]


def test_the_text_that_shares_rare_words_comes_first() -> None:
    index = Bm25Index.build(RULES)
    found = index.search("Who holds what after the last swap?", 2)
    assert [hit.index for hit in found] == [0, 2]
    assert index.search("radius 3.14", 5)[0].index == 3
    assert [hit.index for hit in index.search("144", 5)] == [4]


def test_defaults_are_lucenes() -> None:
    index = Bm25Index.build(RULES)
    assert (index.k1, index.b) == (1.2, 0.75)
    assert index.scores("swap list", range(5)) == pytest.approx(lucene(RULES, "swap list"), rel=1e-6)


WORDS = st.sampled_from(["a", "b", "c", "d", "1", "2.5", "1,000", "swap", "list", "é"])
TEXTS = st.lists(st.lists(WORDS, max_size=12).map(" ".join), min_size=1, max_size=30)


@settings(deadline=None)
@given(
    texts=TEXTS,
    query=st.lists(WORDS | st.just("unknown"), max_size=12).map(" ".join),
    k=st.integers(1, 40),
    left_out=st.sets(st.integers(0, 29)),
    k1=st.sampled_from([0.0, 0.9, 1.2, 2.0]),
    b=st.sampled_from([0.0, 0.4, 0.75, 1.0]),
)
def test_results_are_those_of_the_formula(
    texts: list[str], query: str, k: int, left_out: set[int], k1: float, b: float
) -> None:
    index = Bm25Index.build(texts, k1=k1, b=b)
    assert_exact(index, texts, query, k, {p for p in left_out if p < len(texts)})


@pytest.mark.parametrize("vocabulary", [20, 400, 5000])
def test_results_are_those_of_the_formula_where_most_texts_are_never_scored(vocabulary: int) -> None:
    rng = random.Random(vocabulary)
    texts = [zipf(rng, vocabulary, 1, 40) for _ in range(1500)]
    texts += rng.sample(texts, 100)  # exact ties
    index = Bm25Index.build(texts)
    for _ in range(12):
        query = zipf(rng, vocabulary, 1, 40)
        best = [hit.index for hit in index.search(query, 3)]
        assert_exact(index, texts, query, rng.choice([1, 3, 10]))
        assert_exact(index, texts, query, 5, exclude=best)


def test_results_are_those_of_all_scores_where_lists_are_long() -> None:
    rng = random.Random(11)
    words = [f"w{int(3000 ** rng.random())}" for _ in range(600_000)]
    texts = [" ".join(words[start : start + 12]) for start in range(0, len(words), 12)]
    index = Bm25Index.build(texts)
    for size in (1, 2, 4, 8, 16, 32):
        query = zipf(rng, 3000, size, size)
        scores = index.scores(query, range(len(texts)))
        best = np.lexsort((np.arange(len(texts)), -scores))
        for k in (1, 10, 100):
            assert [hit.index for hit in index.search(query, k)] == best[:k].tolist()
        left_out = best[:25].tolist()
        assert [hit.index for hit in index.search(query, 10, exclude=left_out)] == best[25:35].tolist()


def test_scores_agree_with_an_implementation_nobody_here_wrote() -> None:
    bm25s = pytest.importorskip("bm25s")
    rng = random.Random(7)
    texts = [zipf(rng, 300, 1, 40) for _ in range(200)]
    other = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    other.index([terms(text) for text in texts], show_progress=False)
    index = Bm25Index.build(texts)
    for _ in range(10):
        query = zipf(rng, 300, 5, 30)
        known = [term for term in terms(query) if term in other.vocab_dict]
        assert index.scores(query, range(200)) == pytest.approx(other.get_scores(known), rel=1e-5, abs=1e-6)


def test_equal_texts_come_in_their_order() -> None:
    index = Bm25Index.build(["two words", "other", "two words", "Two  WORDS!", "two words"])
    assert [hit.index for hit in index.search("two words", 3)] == [0, 2, 3]
    assert len({hit.score for hit in index.search("two words", 4)}) == 1


def test_a_word_said_twice_in_the_query_counts_twice() -> None:
    index = Bm25Index.build(RULES)
    once, twice = index.scores("swap", [0])[0], index.scores("swap swap", [0])[0]
    assert twice == pytest.approx(2 * once)


def test_excluded_texts_are_passed_over_and_the_others_keep_their_scores() -> None:
    index = Bm25Index.build(RULES)
    everything = index.search("the last swap", 5)
    assert index.search("the last swap", 5, exclude={everything[0].index}) == everything[1:]
    assert index.search("the last swap", 1, exclude=[everything[0].index]) == everything[1:2]
    assert index.search("the last swap", 5, exclude=range(5)) == []


def test_queries_that_find_nothing() -> None:
    index = Bm25Index.build([*RULES, ""])
    for query in ("", "   ", "?!", "unheard words"):
        assert index.search(query, 3) == []
        assert index.scores(query, [0, 5]).tolist() == [0, 0]
    assert len(index.search("the", 1000)) == sum("the" in terms(rule) for rule in RULES)


@pytest.mark.parametrize("texts", [[], [""], ["", "?!"]])
def test_an_index_without_words(texts: list[str]) -> None:
    index = Bm25Index.build(texts)
    assert len(index) == len(texts)
    assert index.search("anything", 3) == []
    assert index.scores("anything", range(len(texts))).tolist() == [0.0] * len(texts)


def test_scores_come_in_the_order_asked_for() -> None:
    index = Bm25Index.build(RULES)
    everything = index.scores("the final swap", range(5))
    assert index.scores("the final swap", [2, 0, 2]).tolist() == everything[[2, 0, 2]].tolist()
    assert index.scores("the final swap", []).dtype == np.float64


def test_texts_are_read_once_and_in_any_form() -> None:
    assert Bm25Index.build(iter(RULES)).search("swap", 5) == Bm25Index.build(tuple(RULES)).search("swap", 5)


def test_threads_may_share_an_index() -> None:
    rng = random.Random(3)
    index = Bm25Index.build([zipf(rng, 200, 5, 30) for _ in range(300)])
    queries = [zipf(rng, 200, 5, 20) for _ in range(40)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda query: index.search(query, 5), queries * 3))
    assert together == [index.search(query, 5) for query in queries] * 3


@pytest.mark.parametrize(
    ("k1", "b"), [(-0.1, 0.75), (math.nan, 0.75), (math.inf, 0.75), (1.2, -0.1), (1.2, 1.1), (1.2, math.nan)]
)
def test_parameters_outside_the_formula(k1: float, b: float) -> None:
    with pytest.raises(ValueError, match="k1 must be"):
        Bm25Index.build(RULES, k1=k1, b=b)


def test_arguments_that_make_no_sense() -> None:
    index = Bm25Index.build(RULES)
    with pytest.raises(ValueError, match="k must be"):
        index.search("swap", 0)
    for outside in (-1, 5):
        with pytest.raises(IndexError):
            index.scores("swap", [outside])
        with pytest.raises(IndexError):
            index.search("swap", 1, exclude=[outside])
