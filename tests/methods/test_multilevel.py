"""The stop rules, one by one; which student is chosen; inputs that must be fresh; settings that cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from symdistill.errors import DataError
from symdistill.methods import Material
from symdistill.methods.multilevel import (
    AuditSettings,
    Input,
    MultilevelSettings,
    Round,
    Standing,
    StopSettings,
    check_fresh,
    chosen_student,
    drifts,
    gains_nothing,
    narrows,
    stop_reason,
)
from symdistill.records import Example, Message


def standing(**values: Any) -> Standing:
    return Standing(**{"kept": 10, "generated": 20, "tokens": 400, **values})


def rounds(name: str, *values: float | None) -> list[Standing]:
    return [standing(**{name: value}) for value in values]


def right(share: float | None, of: int = 1000) -> dict[str, bool]:
    """Verdicts of which so many are right, the first ones; none at all of None."""
    return {} if share is None else {f"q{n}": n < round(share * of) for n in range(of)}


def students(*shares: float | None) -> list[Standing]:
    return [standing(deciding=right(share)) for share in shares]


@pytest.mark.parametrize(
    ("accuracies", "stops"),
    [
        ((0.5,), False),
        ((0.5, 0.5), False),  # one round without a gain is not two
        ((0.5, 0.5, 0.5), True),
        ((0.5, 0.505, 0.509), True),
        ((0.5, 0.52, 0.525), False),
        ((0.5, 0.52, 0.525, 0.52), True),
        ((0.9, 0.5, 0.7), True),  # a gain over a fall is none over the best before
        ((0.5, None, 0.5, 0.5), True),
        ((0.5, 0.5, 0.5, None), False),
    ],
)
def test_two_rounds_without_a_gain_in_accuracy(accuracies: tuple[float | None, ...], stops: bool) -> None:
    assert gains_nothing(students(*accuracies), 0.01) == stops


@pytest.mark.parametrize(
    ("diversities", "stops"),
    [
        ((0.8,), False),
        ((0.8, 0.71), False),
        ((0.8, 0.69), True),
        ((0.8, 0.75, 0.69), True),  # slowly, but as far
        ((0.6, 0.8, 0.75), False),
        ((0.8, None), False),
        ((None, 0.2), False),
    ],
)
def test_falling_diversity(diversities: tuple[float | None, ...], stops: bool) -> None:
    assert narrows(rounds("diversity", *diversities), 0.1) == stops


@pytest.mark.parametrize(
    ("scores", "lost", "won", "stops"),
    [
        ((0.6, 0.7), 5, 0, True),  # p = 1/32
        ((0.6, 0.7), 4, 0, False),  # p = 1/16
        ((0.6, 0.7), 0, 0, False),  # as good as before is no fall
        ((0.6, 0.7), 6, 5, False),
        ((0.6, 0.7), 10, 2, True),  # p = 0.019
        ((0.6, 0.7), 0, 9, False),
        ((0.6, 0.61), 9, 0, False),  # the score rose too little to speak of
        ((0.7, 0.6), 9, 0, False),
        ((None, 0.7), 9, 0, False),
        ((0.6, None), 9, 0, False),
    ],
)
def test_a_score_that_rises_while_the_student_falls_by_more_than_chance(
    scores: tuple[float | None, float | None], lost: int, won: int, stops: bool
) -> None:
    before = {f"q{n}": n >= won for n in range(24)}
    last = {f"q{n}": n < 24 - lost for n in range(24)}
    assert (sum(before.values()), sum(last.values())) == (24 - won, 24 - lost)
    both = [standing(score=score, deciding=said) for score, said in zip(scores, (before, last), strict=True)]
    assert drifts(both, 0.02) == stops
    assert not drifts([standing(score=scores[0]), both[1]], 0.02), "one that was not asked them is not compared with"


@pytest.mark.parametrize(
    ("found", "stops"),
    [
        ([(0.5, 22), (0.55, 19), (0.6, 16)], True),  # 3 and 3 lost are chance, 6 are not
        ([(0.5, 22), (0.55, 20), (0.6, 18)], False),  # 4 in all
        ([(0.5, 22), (0.515, 19), (0.53, 16)], True),  # the score slides too: 0.015 a round
        ([(0.5, 18), (0.55, 22), (0.6, 20), (0.7, 16)], True),  # from the best, not from the first
        ([(0.9, 22), (0.55, 19), (0.6, 16)], False),  # the best had the higher score
        ([(None, 22), (0.55, 19), (0.6, 16)], False),
        ([(0.5, 22), (0.55, None), (0.6, 16)], True),  # what nobody graded stands for nothing
        ([(0.5, 16), (0.55, 19), (0.6, 22)], False),
    ],
)
def test_a_slow_slide_is_drift_too(found: list[tuple[float | None, int | None]], stops: bool) -> None:
    given_students = [
        standing(score=score, deciding={} if right_ is None else {f"q{n}": n < right_ for n in range(24)})
        for score, right_ in found
    ]
    assert not any(drifts(given_students[:n], 0.02) for n in range(1, len(given_students)))
    assert drifts(given_students, 0.02) == stops
    assert drifts([standing(score=0.1), *given_students], 0.02) == stops, "the teacher was not asked them"


@pytest.mark.parametrize(
    ("found", "limits", "reason"),
    [
        ([standing()], {}, None),
        ([standing(kept=0)], {}, "nothing kept"),
        ([standing(), standing(kept=0)], {}, "nothing kept"),
        ([standing(), standing(novelty=0.09)], {}, "novelty"),
        ([standing(), standing(novelty=0.1)], {}, None),
        ([standing(novelty=None), standing(novelty=None)], {"min_novelty": 1.0}, None),
        ([standing()] * 4, {}, "rounds"),
        ([standing()] * 3, {}, None),
        ([standing()] * 2, {"max_items": 40}, "items"),
        ([standing()] * 2, {"max_items": 41}, None),
        ([standing()] * 2, {"max_tokens": 800}, "tokens"),
        (students(None, 0.5, 0.5, 0.5), {}, "plateau"),
        (students(None, 0.5, 0.5), {}, None),
        (students(None, 0.6, 0.7), {}, None),
        (rounds("diversity", 0.8, 0.5), {}, "diversity"),
        ([standing(score=0.5, deciding=right(0.9)), standing(score=0.9, deciding=right(0.5))], {}, "drift"),
        ([standing(score=0.5, deciding=right(0.9)), standing(score=0.9, deciding=right(0.5), kept=0)], {}, "drift"),
        (
            [standing(score=0.5), standing(score=0.9, deciding=right(0.1))],
            {},
            None,
        ),  # of another writer nothing is known
    ],
)
def test_each_rule_ends_the_rounds(found: list[Standing], limits: dict[str, Any], reason: str | None) -> None:
    assert stop_reason(found, 3, StopSettings(**limits)) == reason


@given(st.integers(1, 8), st.lists(st.integers(0, 50), min_size=1, max_size=12))
def test_the_rounds_always_end(limit: int, kept: list[int]) -> None:
    found = [standing(kept=number) for number in kept]
    ended = next((n for n in range(1, len(found) + 1) if stop_reason(found[:n], limit, StopSettings())), None)
    assert ended is None or ended <= limit + 1
    if len(found) > limit:
        assert ended is not None


@pytest.mark.parametrize(
    ("accuracies", "chosen"),
    [
        ([], 0),
        ([None], 1),
        ([None, None, None], 3),
        ([0.2, 0.5, 0.4], 2),
        ([0.5, 0.5], 2),
        ([None, 0.3], 2),
        ([0.3, None], 1),
    ],
)
def test_the_best_audited_student_is_chosen(accuracies: list[float | None], chosen: int) -> None:
    assert chosen_student(accuracies) == chosen


def test_an_input_is_used_once() -> None:
    earlier = [Input("a", "The cat."), Input("b", "The dog.")]
    check_fresh(earlier, [Input("c", "The cow.")])
    for again in (Input("a", "Another text."), Input("c", "the  CAT.")):
        with pytest.raises(DataError, match="earlier round"):
            check_fresh(earlier, [again])


def test_a_student_learns_and_reads_the_same_prompt() -> None:
    method = Round("student-1", "Shorten: {input}", student_instruction="Be brief.")
    example = Example("s1", "A long text with {input} in it.", rationales=("Short.", "Shorter."))
    built = method.training_examples(Material([example]))
    assert [(e.example_id, e.completion) for e in built] == [("s1", "Short."), ("s1", "Shorter.")]
    assert built[0].prompt == method.prompt(example)
    assert built[0].prompt == (
        Message("system", "Be brief."),
        Message("user", "Shorten: A long text with {input} in it."),
    )


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({}, "one of `inputs` and `invent` is needed"),
        ({"inputs": "a", "invent": {"seeds": "b"}, "per_round": 3}, "one of `inputs` and `invent` is needed"),
        ({"invent": {"seeds": "b"}}, "`invent` needs `per_round`"),
        ({"invent": {"seeds": "b"}, "per_round": 3, "seeds": "c"}, "`seeds` has no meaning with `invent`"),
        ({"invent": {"seeds": "b"}, "per_round": 3, "audit": {"by": "gold"}}, "no gold answer"),
        ({"inputs": "a", "request": "Shorten it."}, "`request` must hold {input}"),
        ({"inputs": "a", "samples": 2, "temperature": 0}, "would all be the same"),
        ({"inputs": "a", "audit": {"by": "labels"}}, "`by: labels` needs `labels`"),
        ({"inputs": "a", "audit": {"by": "gold", "question": "Is it?"}}, "`question` has no meaning"),
        ({"inputs": "a", "audit": {"by": "gold", "auditor": {"model": "x"}}}, "`auditor` has no meaning"),
        ({"inputs": "a", "audit": {"by": "gold", "fraction": 1.0}}, "less than 1"),
        ({"inputs": "a", "stop": {"epsilon": -1}}, "greater than or equal to 0"),
        ({"inputs": "a", "rounds": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_do_not_fit_together(section: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        MultilevelSettings.model_validate(section)


def test_short_forms() -> None:
    section = MultilevelSettings.model_validate({"inputs": "a", "filters": ["steps", {"name": "length"}]})
    assert [dict(entry) for entry in section.filters] == [{"name": "steps"}, {"name": "length"}]
    audit = AuditSettings.model_validate({"by": "filter", "filter": "steps"})
    assert audit.filter == {"name": "steps"}
