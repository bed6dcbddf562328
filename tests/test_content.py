"""Content keys: what is in them, what is not, and that keys written once keep their meaning."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill import content
from symdistill.records import Message, Sampling

PROMPT = (Message("system", "Be brief."), Message("user", "2 + 3 ="))


def test_keys_written_once_keep_their_meaning() -> None:
    """Golden: a change here means that every stored reply would be bought again."""
    plain = content.request("openai:gpt-4o-mini", PROMPT, Sampling())
    drawn = content.request("openai:gpt-4o-mini", PROMPT, Sampling(temperature=0.7, max_tokens=512, seed=3), 4)
    assert plain.key == "r1_cdc9b0884f42dfa0d0587e759f0db835"
    assert drawn.key == "r1_c643cedb1819bc929cfa8595aefefd09"
    assert content.prompt_key(PROMPT) == "p1_61f1e1fd575d1e14a5ac679030895c91"


def test_samples_of_a_prompt_are_what_asking_for_each_gives() -> None:
    drawn = Sampling(temperature=0.7)
    several = content.samples("openai:m", iter(PROMPT), drawn, (0, 7, 3), "q1")
    assert several == [content.request("openai:m", PROMPT, drawn, index, "q1") for index in (0, 7, 3)]
    assert content.samples("openai:m", PROMPT, drawn, range(0)) == []


@pytest.mark.parametrize(
    "other",
    [
        content.request("openai:gpt-4o", PROMPT, Sampling()),
        content.request("openai:gpt-4o-mini", PROMPT[1:], Sampling()),
        content.request("openai:gpt-4o-mini", PROMPT, Sampling(), 1),
        *[
            content.request("openai:gpt-4o-mini", PROMPT, replace(Sampling(), **{name: value}))
            for name, value in [
                ("temperature", 0.1),
                ("max_tokens", 1),
                ("top_p", 0.5),
                ("top_k", 3),
                ("seed", 9),
                ("stop", ("\n",)),
                ("logprobs", True),
                ("then", "\nSo:"),
            ]
        ],
    ],
)
def test_everything_that_changes_the_reply_changes_the_key(other: object) -> None:
    assert other.key != content.request("openai:gpt-4o-mini", PROMPT, Sampling()).key


def test_what_a_request_is_about_is_not_in_its_key() -> None:
    first = content.request("m", PROMPT, Sampling(), 0, "q1")
    assert first.key == content.request("m", PROMPT, Sampling(), 0, "q2").key


def test_two_samples_are_drawn_with_different_seeds() -> None:
    seeds = {content.sample_seed(content.request("m", PROMPT, Sampling(), i).key) for i in range(100)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**31 for seed in seeds)


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.booleans(), st.none())))
def test_canonical_json_does_not_depend_on_order(values: dict[str, object]) -> None:
    shuffled = dict(reversed(values.items()))
    assert content.content_key("x1", values) == content.content_key("x1", shuffled)


def test_what_is_not_a_number_has_no_key() -> None:
    with pytest.raises(ValueError):
        content.canonical_json(math.nan)
