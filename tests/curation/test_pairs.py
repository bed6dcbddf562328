"""What each filter drops and lets through, and how a sieve judges a round."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from symdistill.curation.pairs import FILTERS, Pair, PairFilter, Scorer, Sieve, content_overlap, filter_name, numbers

SOURCE = "The city council voted on Monday to spend 1,250 dollars on three new benches near the river."


def pair(output: str, source: str = SOURCE, at: int = 0, **more: Any) -> Pair:
    return Pair(f"1-{at}", 1, f"i{at}", source, output, **more)


def made(name: str, **keys: Any) -> PairFilter:
    return FILTERS[name].model_validate({"name": name, **keys})


@pytest.mark.parametrize(
    ("name", "keys", "output", "said"),
    [
        ("length", {"max_words": 4}, "Council will buy benches", None),
        ("length", {"max_words": 3}, "Council will buy benches", "4 words, at most 3 wanted"),
        ("length", {"min_words": 5}, "Council will buy benches", "4 words, at least 5 wanted"),
        ("length", {"max_ratio": 0.3}, "Council will buy benches", None),
        ("length", {"max_ratio": 0.2}, "Council will buy benches", "0.24 of the input's length, at most 0.2 wanted"),
        ("length", {"min_ratio": 0.5}, "Council will buy benches", "0.24 of the input's length, at least 0.5 wanted"),
        ("overlap", {"min": 1.0}, "The council voted on new benches.", None),
        ("overlap", {"min": 0.7}, "The mayor voted on new bridges.", "0.50 of its content words stand in the input"),
        ("overlap", {"max": 0.9}, "The council voted on new benches.", "1.00 of its content words stand in the input"),
        ("numbers_kept", {}, "Benches for 1250 dollars, 3 of them.", None),
        ("numbers_kept", {}, "Benches for 1250.00 dollars.", None),
        ("numbers_kept", {}, "Benches for 1260 dollars.", "1260 is not in the input"),
        ("numbers_kept", {}, "It bought no benches.", None),
        ("steps", {}, "2 + 2 = 4. So it is 4.", None),
        ("steps", {}, "2 + 2 = 5. So it is 5.", "2 + 2 = 5 does not hold"),
        ("steps", {}, "It is four.", "0 equations that can be judged, at least 1 wanted"),
        ("steps", {"min_checked": 0}, "It is four.", None),
    ],
)
def test_one_pair(name: str, keys: dict[str, Any], output: str, said: str | None) -> None:
    fault = made(name, **keys).fault(pair(output))
    assert fault is None if said is None else fault is not None and fault.startswith(said)


@pytest.mark.parametrize(
    ("source", "output", "said"),
    [
        ("Only five came.", "Nine hundred came.", "900 is not in the input"),
        ("Only 5 came.", "Fifty came, sixty left.", "50 is not in the input"),
        ("An A350 flew.", "A B747 flew.", "747 is not in the input"),
        ("An A350 flew.", "The A350.", None),
        ("Two hundred people came.", "200 people.", None),
        ("200 people came.", "Two hundred people.", None),
        ("Twenty-five came.", "25 came.", None),
        ("Twenty-five came.", "Twenty came.", "20 is not in the input"),
        ("It cost 1.5 million.", "It cost 1,500,000.", None),
        ("It cost 2 million.", "It cost two million.", None),
        ("Two three-year plans.", "2 plans of 3 years.", None),
        ("One came.", "1 came.", None),
        ("Some came.", "One of them came.", None),
        ("Some came.", "1 came.", "1 is not in the input"),
    ],
)
def test_numbers_are_read_in_digits_and_in_words_on_both_sides(source: str, output: str, said: str | None) -> None:
    assert made("numbers_kept").fault(pair(output, source)) == said


@pytest.mark.parametrize(
    ("kind", "gold", "output", "right"),
    [
        ("number", "18", "9 + 9 = 18. Therefore, the answer is 18.0.", True),
        ("number", "18", "Therefore, the answer is 81.", False),
        ("number", None, "Therefore, the answer is 81.", False),
        ("label", "yes", "Therefore, the answer is Yes.", True),
    ],
)
def test_verify_compares_with_the_gold_answer(kind: str, gold: str | None, output: str, right: bool) -> None:
    one = made("verify", answer_type=kind)
    assert one.needs_answers
    assert (one.fault(pair(output, answer=gold)) is None) == right


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,250 and 3.50 and 007", {"1250", "3.5", "7"}),
        ("2.0 = 2", {"2"}),
        ("version 1.2.3", {"1.2.3"}),
        ("nothing", set()),
        ("0", {"0"}),
        ("one hundred and seventeen of them", {"117"}),
        ("one of them", set()),
    ],
)
def test_numbers_without_differences_of_writing(text: str, found: set[str]) -> None:
    assert numbers(text) == found


def test_overlap_counts_content_words_alone() -> None:
    assert content_overlap("it is what it is", "nothing of the kind") == 1.0
    assert content_overlap("The river bench", "a river") == 0.5


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("length", {"min_words": 5, "max_words": 4}),
        ("length", {"min_ratio": 2.0, "max_ratio": 1.0}),
        ("overlap", {"min": 0.9, "max": 0.5}),
        ("overlap", {"min": 1.5}),
        ("similarity", {"threshold": 0}),
        ("critic", {}),
        ("critic", {"path": "x", "threshold": 2}),
        ("steps", {"words": 3}),
    ],
)
def test_settings_that_cannot_be(name: str, keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        made(name, **keys)


def test_every_filter_knows_its_name() -> None:
    needed = {"critic": {"path": "x"}, "entailment": {"model": "x"}}
    for name in FILTERS:
        assert filter_name(made(name, **needed.get(name, {}))) == name


def test_a_filter_must_say_what_is_wrong_and_one_that_a_model_decides_must_have_its_model() -> None:
    class Silent(PairFilter):
        pass

    with pytest.raises(TypeError, match="fault"):
        Silent()  # type: ignore[abstract]
    with pytest.raises(KeyError, match="critic"):
        Sieve([made("critic", path="x")], {}).judge([pair("Council will buy benches.")])


def reasons(sieve: Sieve, pairs: list[Pair]) -> list[str]:
    return [verdict.reason for verdict in sieve.judge(pairs)]


def test_what_is_no_text_of_its_own_is_always_dropped() -> None:
    pairs = [pair("A bench.", cut=True), pair(" … "), pair(SOURCE.upper()), pair("A bench."), pair("a  BENCH.")]
    assert reasons(Sieve([], {}), pairs) == ["cut", "empty", "echo", "", "duplicate"]


def test_the_first_reason_counts_and_similarity_is_last() -> None:
    filters = [made("similarity"), made("length", max_words=6), made("overlap", min=0.5)]
    pairs = [
        pair("one two three four five six seven", at=0),
        pair("the council voted on Monday", at=1),
        pair("the council voted on Mondays", at=2),
        pair("the mayor slept all week", at=3),
    ]
    assert reasons(Sieve(filters, {}), pairs) == ["length", "", "similarity", "overlap"]


def test_similarity_looks_at_everything_kept_in_any_round_and_at_what_was_known() -> None:
    sieve = Sieve([made("similarity", threshold=0.7)], {}, known=[("seed", "Name three rivers of Europe.")])
    first = sieve.judge([pair("Name three rivers of Asia.", "x", 0), pair("Write a poem about tea.", "x", 1)])
    assert [v.reason for v in first] == ["similarity", ""]
    assert first[0].detail == "ROUGE-L 0.80 with seed"
    later = sieve.judge([pair("Write a poem about green tea.", "y", 2)])
    assert later[0].detail == "ROUGE-L 0.91 with 1-1"
    assert reasons(sieve, [pair("Sort these numbers.", "y", 3)]) == [""]


def test_a_shown_text_may_not_come_back() -> None:
    sieve = Sieve([], {}, known=[("seed", "Name three rivers.")])
    assert reasons(sieve, [pair("name THREE rivers.", "list", 0, shown=("seed",))]) == ["duplicate"]
    pairs = [pair("Sort.", "one list", 1, shown=("seed",)), pair("Sort.", "another list", 2, shown=("seed",))]
    assert reasons(sieve, pairs) == ["", "duplicate"]


def test_the_same_output_for_another_input_is_no_duplicate() -> None:
    assert reasons(Sieve([], {}), [pair("Yes.", "a?", 0), pair("Yes.", "b?", 1)]) == ["", ""]


def test_what_is_audited_never_decides_what_is_learned() -> None:
    filters = [made("similarity")]
    learned = [pair("Name three rivers of Asia.", "x", 1), pair("Write a poem about tea.", "x", 2)]
    audited = [pair("Name three rivers of Asia now.", "x", 0, audit=True), pair("Bake bread.", "x", 3, audit=True)]
    with_audit = Sieve(filters, {}).judge([audited[0], *learned, audited[1]])
    assert [v.reason for v in with_audit] == ["similarity", "", "", ""]
    assert Sieve(filters, {}).judge(learned) == with_audit[1:3]
    sieve = Sieve(filters, {})
    sieve.judge(audited)
    assert [v.reason for v in sieve.judge(learned)] == ["", ""]


def test_what_an_audited_input_brings_twice_counts_once_as_elsewhere() -> None:
    same = [pair("A bench.", audit=True), pair("a  BENCH.", audit=True), pair("A bench.", "Another text.", 1)]
    assert reasons(Sieve([], {}), same) == ["", "duplicate", ""]
    assert reasons(Sieve([], {}), [pair("Yes.", "a?", 0, audit=True), pair("Yes.", "b?", 1, audit=True)]) == ["", ""]
    invented = [pair("Sort.", f"list {n}", n, shown=("seed",), audit=True) for n in range(2)]
    assert reasons(Sieve([], {}), invented) == ["", "duplicate"]


def test_a_scorer_is_asked_once_about_what_is_left_and_its_scores_are_kept() -> None:
    asked: list[list[str]] = []

    def scores(pairs: Any) -> list[float]:
        asked.append([p.output for p in pairs])
        return [0.9 if "good" in p.output else 0.2 for p in pairs]

    filters = [made("length", max_words=2), made("critic", path="nowhere")]
    sieve = Sieve(filters, {"critic": Scorer(scores, 0.5)})
    found = sieve.judge([pair("good one", at=0), pair("bad one", at=1), pair("good but far too long", at=2)])
    assert [v.reason for v in found] == ["", "critic", "length"]
    assert asked == [["good one", "bad one"]]
    assert [dict(v.scores) for v in found] == [{"critic": 0.9}, {"critic": 0.2}, {}]
    assert found[1].detail == "0.200, at least 0.500 wanted"
