"""Operations of an answer against sums written out token by token."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.evaluation.flops import prompt_flops_paper, question_flops, total_flops
from symdistill.records import Completion


@dataclass(frozen=True)
class Tiny:
    non_embedding_parameters: int = 1000
    head_parameters: int = 200
    linear_parameters: int = 900
    layers: int = 2
    hidden: int = 8


def by_token(shape: Tiny, prompt: int, generated: int, cached: int) -> float:
    total = 0.0
    for position in range(cached + 1, prompt + generated + 1):
        total += 2 * (shape.non_embedding_parameters + shape.head_parameters)
        total += shape.layers * (2 * position * shape.hidden + 2 * position * shape.hidden)
    return total


@given(st.integers(0, 40), st.integers(0, 40), st.data())
def test_total_is_the_sum_over_computed_tokens(prompt, generated, data):
    cached = data.draw(st.integers(0, prompt))
    assert total_flops(Tiny(), prompt, generated, cached) == by_token(Tiny(), prompt, generated, cached)


def test_golden_value():
    # 3 + 1 tokens: 4·2·1200 weights, and 2 layers · 4 · 8 · (1 + 2 + 3 + 4) of attention.
    assert total_flops(Tiny(), 3, 1) == 9600 + 640


def test_the_paper_counts_the_prompt_alone():
    assert prompt_flops_paper(Tiny(), 7) == 6300


def reply(prompt: int, generated: int, cached: int = 0) -> Completion:
    return Completion(key="k", text="", prompt_tokens=prompt, completion_tokens=generated, cached_prompt_tokens=cached)


def test_samples_that_share_a_prompt_pay_for_it_once():
    apart = question_flops(Tiny(), [reply(100, 10)] * 4)
    shared = question_flops(Tiny(), [reply(100, 10)] + [reply(100, 10, cached=100)] * 3)
    assert apart[1] - shared[1] == pytest.approx(3 * total_flops(Tiny(), 100, 0))
    assert apart[0] == shared[0] == 90_000


def test_a_question_without_a_reply_costs_nothing():
    assert question_flops(Tiny(), []) == (0.0, 0.0)
