"""Majority votes over parsed answers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.evaluation.voting import majority


@pytest.mark.parametrize(
    ("answers", "winner", "votes", "cast"),
    [
        (["7", "8", "7"], "7", 2, 3),
        (["8", "7", "7", "8", "8"], "8", 3, 5),
        # None never votes, however often it comes.
        ([None, None, None, "5"], "5", 1, 1),
        ([None, None], None, 0, 0),
        ([], None, 0, 0),
        # Nothing to tell ties apart: the answer seen first.
        (["3", "4"], "3", 1, 2),
        (["9", "4", "4", "9"], "9", 2, 4),
    ],
)
def test_the_most_frequent_answer_wins(answers, winner, votes, cast):
    vote = majority(answers, "number")
    assert (vote.answer, vote.votes, vote.cast) == (winner, votes, cast)


@pytest.mark.parametrize(
    ("answers", "answer_type", "winner"),
    [
        (["18", "4", "18.0"], "number", "18"),
        (["4", "1/2", "0.5"], "number", "1/2"),
        (["no", "Yes", "yes"], "label", "Yes"),
    ],
)
def test_equal_answers_written_differently_vote_together(answers, answer_type, winner):
    vote = majority(answers, answer_type)
    assert (vote.answer, vote.votes) == (winner, 2)


def log(*probabilities: float) -> list[float]:
    return [math.log(p) for p in probabilities]


@pytest.mark.parametrize(
    ("answers", "log_probabilities", "winner"),
    [
        (["3", "4"], log(0.1, 0.2), "4"),
        # The sum over an answer's samples decides, not its best sample.
        (["3", "4", "3", "4"], log(0.30, 0.20, 0.01, 0.19), "4"),
        # More votes beat more probability.
        (["3", "4", "4"], log(0.9, 0.01, 0.01), "4"),
        # Samples that were not tied do not count.
        (["5", "3", "3", "4", "4"], log(0.9, 0.1, 0.1, 0.2, 0.2), "4"),
        # Long replies: every probability is zero as a float, and still one is larger.
        (["3", "4"], [-2000.0, -1999.0], "4"),
        # Equal probabilities: the answer seen first.
        (["3", "4"], log(0.2, 0.2), "3"),
        # Unknown for one of the tied: not fair to compare.
        (["3", "4"], [None, -1.0], "3"),
        # Unknown for an answer that is not tied: does not matter.
        (["5", "3", "3", "4", "4"], [None, -9.0, -9.0, -1.0, -1.0], "4"),
        (["3", "4"], [-math.inf, -5.0], "4"),
        (["3", "4"], [math.nan, -5.0], "3"),
    ],
)
def test_ties_go_to_the_higher_total_probability_then_to_the_first(answers, log_probabilities, winner):
    assert majority(answers, "number", log_probabilities=log_probabilities).answer == winner


def test_log_probabilities_must_match_the_answers():
    with pytest.raises(ValueError):
        majority(["1", "2"], "number", log_probabilities=[-1.0])


@given(st.lists(st.one_of(st.none(), st.sampled_from(["1", "2", "3"])), max_size=12))
def test_the_winner_is_one_of_the_answers_and_nobody_has_more_votes(answers):
    vote = majority(answers, "number")
    assert vote.cast == sum(a is not None for a in answers)
    if vote.answer is None:
        assert vote.cast == 0
    else:
        assert vote.votes == answers.count(vote.answer) == max(answers.count(a) for a in "123")
