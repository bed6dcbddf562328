"""SCoTD's selections at a budget: golden choices on small inputs, and what holds for any input."""

from __future__ import annotations

import random
import sys
from collections import Counter
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as search
from hypothesis import strategies as st

from symdistill.curation import CurationSettings, curate
from symdistill.curation.clustering import ward_clusters
from symdistill.curation.embeddings import tfidf
from symdistill.curation.selection import quintile_budgets
from symdistill.errors import ConfigError, PrerequisiteError
from symdistill.records import Example, Rationale
from tiny_encoder import save_encoder

SELECTIONS = ["random", "diversity", "likelihood", "open-endedness"]


def question(name: str, texts, logprobs=None, task="task") -> tuple[Example, list[Rationale]]:
    example = Example(name, f"Question {name}?", "yes", "label", task=task)
    rationales = [
        Rationale(name, task, example.question, text, "yes", True, index, "m", f"{name}-{index}")
        for index, text in enumerate(texts)
    ]
    if logprobs is not None:
        rationales = [replace(r, token_logprobs=values) for r, values in zip(rationales, logprobs, strict=True)]
    return example, rationales


def kept_indices(texts, logprobs=None, *, seed=0, **settings) -> list[int]:
    example, rationales = question("q", texts, logprobs)
    chosen = CurationSettings(near_duplicates=1.0, **settings)
    curated = curate(rationales, [example], chosen, verify=True, seed=seed)
    assert {d.reason for d in curated.dropped} <= {"not_selected"}
    return [r.sample_index for r in curated.kept]


TOPICS = [
    "the cat sat on the warm mat all day",
    "the cat sat on the warm mat all night",
    "the cat sat on the warm mat",
    "prime numbers have exactly two divisors",
    "prime numbers have exactly two distinct divisors",
    "rain falls because clouds cool down",
    "rain falls when clouds cool down",
]


def test_golden_choices():
    assert kept_indices(TOPICS, select="random", budget=3) == [0, 2, 6]
    assert kept_indices(TOPICS, select="random", budget=3, seed=1) == [3, 5, 6]
    assert kept_indices(TOPICS, select="diversity", budget=3) == [2, 3, 5]
    assert kept_indices(TOPICS, select="all", budget=3) == list(range(7))


def test_diversity_takes_one_of_each_topic_whatever_the_order():
    topic = {text: text.split()[0] for text in TOPICS}
    for seed in range(5):
        texts = random.Random(seed).sample(TOPICS, len(TOPICS))
        assert Counter(topic[texts[i]] for i in kept_indices(texts, select="diversity", budget=3)) == {
            "the": 1,
            "prime": 1,
            "rain": 1,
        }


LOGPROBS = [(-2.0, -2.0), (-1.0,), (-0.1, -3.0), (-0.5, -0.5, -0.5), (float("-inf"), -0.1), (float("nan"),), (-1.0,)]


@pytest.mark.parametrize(
    "budget, expected", [(1, [3]), (2, [1, 3]), (3, [1, 3, 6]), (4, [1, 2, 3, 6]), (9, list(range(7)))]
)
def test_likelihood_is_the_mean_over_tokens_and_the_earlier_of_equals(budget, expected):
    """Means: -2, -1, -1.55, -0.5, -inf, nan, -1."""
    assert kept_indices(TOPICS, LOGPROBS, select="likelihood", budget=budget) == expected


@pytest.mark.parametrize("budget", [2, 9])
@pytest.mark.parametrize("missing", [None, ()])
def test_likelihood_without_log_probabilities_names_the_key(missing, budget):
    with pytest.raises(ConfigError, match=r"teacher\.logprobs"):
        kept_indices(TOPICS, [*LOGPROBS[:-1], missing], select="likelihood", budget=budget)


def test_a_draw_is_nested_seeded_and_does_not_look_at_the_neighbours():
    texts = [f"text {'abcdefghijkl'[i]}" for i in range(12)]
    draws = {budget: set(kept_indices(texts, select="random", budget=budget)) for budget in (1, 3, 5, 8)}
    assert draws[1] < draws[3] < draws[5] < draws[8]
    assert len({tuple(kept_indices(texts, select="random", budget=3, seed=seed)) for seed in range(20)}) > 10
    first, second = question("q", texts), question("other", texts)
    settings = CurationSettings(select="random", budget=3, near_duplicates=1.0)
    both = curate([*second[1], *first[1]], [second[0], first[0]], settings, verify=True, seed=0)
    assert {r.sample_index for r in both.kept if r.example_id == "q"} == draws[3]


def test_a_draw_is_fair():
    texts = [f"text {'abcdefghij'[i]}" for i in range(10)]
    hits = Counter(i for seed in range(300) for i in kept_indices(texts, select="random", budget=3, seed=seed))
    assert sorted(hits) == list(range(10))
    assert all(60 <= count <= 120 for count in hits.values())  # 90 expected, standard deviation 7.9


@pytest.mark.parametrize(
    "budget, expected",
    [
        (5, (1, 3, 5, 7, 9)),
        (1, (1, 1, 1, 1, 1)),
        (2, (1, 1, 2, 3, 3)),
        (3, (1, 2, 3, 4, 5)),
        (4, (1, 2, 4, 6, 7)),
        (10, (2, 6, 10, 14, 18)),
    ],
)
def test_open_endedness_budgets(budget, expected):
    assert quintile_budgets(budget) == expected


@search(deadline=None, max_examples=40)
@given(st.integers(min_value=1, max_value=1000))
def test_open_endedness_keeps_the_mean_at_the_budget(budget):
    shares = quintile_budgets(budget)
    assert sum(shares) == 5 * budget
    assert list(shares) == sorted(shares)
    assert shares[0] >= 1


def open_question(number: int, vocabulary: int, samples: int = 12, task: str = "task"):
    """`samples` different texts with more unique bigrams the larger `vocabulary` is."""
    rng = random.Random(number)
    pool = [f"w{chr(97 + i)}" for i in range(vocabulary)]
    return question(f"q{number}", [" ".join(rng.choices(pool, k=30)) for _ in range(samples)], task=task)


def test_open_endedness_gives_open_questions_more():
    questions = [
        open_question(number, vocabulary) for number, vocabulary in enumerate([20, 3, 10, 5, 26, 2, 6, 4, 14, 8])
    ]
    settings = CurationSettings(select="open-endedness", near_duplicates=1.0)
    curated = curate([r for _, rs in questions for r in rs], [e for e, _ in questions], settings, verify=True, seed=0)
    kept = Counter(r.example_id for r in curated.kept)
    assert [kept[f"q{n}"] for n in range(10)] == [9, 1, 7, 3, 9, 1, 5, 3, 7, 5]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 7, 11])
def test_open_endedness_keeps_the_mean_for_any_number_of_questions(count):
    questions = [open_question(number, 3 + number) for number in range(count)]
    settings = CurationSettings(select="open-endedness", near_duplicates=1.0)
    curated = curate([r for _, rs in questions for r in rs], [e for e, _ in questions], settings, verify=True, seed=0)
    assert len(curated.kept) == 5 * count


def test_open_endedness_ranks_each_task_by_itself():
    """A task of long answers must not take the budget of a task of short ones."""
    wide = [open_question(number, 26, task="wide") for number in range(5)]
    narrow = [open_question(number, 3, task="narrow") for number in range(5, 10)]
    questions = wide + narrow
    settings = CurationSettings(select="open-endedness", near_duplicates=1.0)
    curated = curate([r for _, rs in questions for r in rs], [e for e, _ in questions], settings, verify=True, seed=0)
    for name in ("wide", "narrow"):
        kept = Counter(r.example_id for r in curated.kept if r.task == name)
        assert sorted(kept.values()) == [1, 3, 5, 7, 9]


def test_open_endedness_counts_the_bigrams_of_dropped_samples_too():
    plain = question("plain", ["aa bb cc dd ee ff", "bb cc"])
    example, samples = question("rich", ["aa bb", "bb aa", "gg hh ii jj kk ll mm nn oo pp"])
    rich = example, [*samples[:2], replace(samples[2], correct=False, answer="no")]
    settings = CurationSettings(select="open-endedness", budget=1, near_duplicates=1.0)
    many = [question(f"mid{n}", ["aa bb cc dd ee ff gg hh", "aa bb"]) for n in range(3)]
    questions = [rich, plain, *many]
    scaled = settings.model_copy(update={"budget": 5})
    curated = curate([r for _, rs in questions for r in rs], [e for e, _ in questions], scaled, verify=True, seed=0)
    kept = Counter(r.example_id for r in curated.kept)
    assert (kept["plain"], kept["rich"]) == (1, 2)


@pytest.mark.parametrize("select", SELECTIONS)
def test_a_question_with_few_rationales_keeps_them_all(select):
    texts = ["one text", "another text"]
    assert kept_indices(texts, [(-1.0,), (-2.0,)], select=select, budget=5) == [0, 1]


@pytest.mark.parametrize("select", SELECTIONS)
@search(deadline=None, max_examples=40)
@given(
    texts=st.lists(st.text(max_size=60), min_size=1, max_size=12, unique_by=lambda t: " ".join(t.casefold().split())),
    budget=st.integers(1, 6),
    seed=st.integers(0, 3),
)
def test_any_text_can_be_selected_and_the_budget_holds(select, texts, budget, seed):
    logprobs = [(-float(len(text)),) for text in texts]
    chosen = kept_indices(texts, logprobs, select=select, budget=budget, min_words=0, seed=seed)
    assert chosen == kept_indices(texts, logprobs, select=select, budget=budget, min_words=0, seed=seed)
    assert len(chosen) == min(budget, len(texts))


def plain_ward(points: np.ndarray, count: int) -> set[frozenset[int]]:
    """Ward's method by its definition: join the pair whose union has the smallest rise in squared error."""

    def error(rows: frozenset[int]) -> float:
        members = points[sorted(rows)]
        return float(np.sum((members - members.mean(axis=0)) ** 2))

    clusters = [frozenset([row]) for row in range(len(points))]
    while len(clusters) > count:
        left, right = min(combinations(clusters, 2), key=lambda pair: error(pair[0] | pair[1]) - sum(map(error, pair)))
        clusters = [c for c in clusters if c not in (left, right)] + [left | right]
    return set(clusters)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [1, 2, 5, 9, 14])
def test_clusters_follow_the_definition(seed, count):
    points = np.random.default_rng(seed).normal(size=(14, 4))
    assert {frozenset(cluster) for cluster in ward_clusters(points, count)} == plain_ward(points, count)


def test_equal_points_can_be_clustered():
    assert sorted(map(len, ward_clusters(np.ones((5, 2)), 3))) == [1, 1, 3]


def test_tfidf_rows_are_unit_length_and_alike_for_like_texts():
    rows = tfidf([*TOPICS, "", "…"])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), [1] * 7 + [0, 0])
    likeness = rows @ rows.T
    assert likeness[0, 1] > likeness[0, 3]
    assert likeness[3, 4] > likeness[3, 5]
    np.testing.assert_allclose(
        tfidf(["Same, text", "same text"]) @ tfidf(["Same, text", "same text"]).T, np.ones((2, 2))
    )


def test_an_embedding_model_takes_the_place_of_tfidf(tmp_path):
    encoder = save_encoder(tmp_path / "encoder")
    texts = ["a b", "word " * 40, "a b c", "word " * 38]
    assert len(kept_indices(texts, select="diversity", budget=2, embedding_model=encoder)) == 2
    (encoder / "config.json").unlink()
    with pytest.raises(ConfigError, match=r"curation.embedding_model: .* config.json missing"):
        kept_indices(texts, select="diversity", budget=2, embedding_model=encoder)


def test_an_embedding_model_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"embedding_model.*is not a directory"):
        kept_indices(TOPICS, select="diversity", budget=2, embedding_model=tmp_path / "nowhere")


def test_an_embedding_model_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(PrerequisiteError, match=r"pip install 'symdistill\[train\]'$"):
        kept_indices(TOPICS, select="diversity", budget=2, embedding_model=tmp_path)
