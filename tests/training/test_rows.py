"""Rows of tries: what is shared stands once, and every example still sees exactly its own tokens."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st

from symdistill.students.formatting import EncodedExample
from symdistill.training.rows import Trie, build_trie, common_prefix, plan_rows

ids = st.lists(st.integers(0, 3), min_size=2, max_size=40)
sets = st.lists(ids, min_size=1, max_size=12)


def encode(sequences: list[list[int]]) -> list[EncodedExample]:
    return [EncodedExample(tuple(s), max(1, len(s) // 3)) for s in sequences]


def seen_by(trie: Trie) -> dict[int, list[int]]:
    """For each token of the row, the tokens its query sees, read off the blocks."""
    found: dict[int, list[int]] = {}
    flat = [
        (int(query), block.keys[row][visible[row, column]].tolist())
        for block in trie.layout.blocks
        for visible in [block.visible()]
        for row, queries in enumerate(block.queries)
        for column, query in enumerate(queries)
    ]
    for token, place in enumerate(trie.layout.place.tolist()):
        assert flat[place][0] == token
        found[token] = flat[place][1]
    return found


@settings(max_examples=150, deadline=None)
@given(sets, st.integers(5, 200))
def test_every_token_sees_its_own_example_up_to_itself(sequences: list[list[int]], budget: int) -> None:
    examples = encode(sequences)
    rows = plan_rows(examples, budget)
    assert sorted(i for row in rows for i in row) == list(range(len(examples)))
    for row in rows:
        trie = build_trie(examples, row)
        assert len(trie.ids) <= budget or len(row) == 1
        seen = seen_by(trie)
        for index in row:
            path = trie.paths[index].tolist()
            assert [trie.ids[t] for t in path] == list(examples[index].input_ids)
            assert [trie.depths[t] for t in path] == list(range(len(path)))
            for depth, token in enumerate(path):
                assert seen[token] == path[: depth + 1]


@settings(max_examples=150, deadline=None)
@given(ids, ids)
def test_common_prefix(first: list[int], second: list[int]) -> None:
    n = common_prefix(first, second)
    assert first[:n] == second[:n]
    assert n in (len(first), len(second)) or first[n] != second[n]


def test_a_row_computes_each_distinct_prefix_once() -> None:
    """30 completions of 60 tokens to one prompt of 150: 150 + 30 x 60 tokens, not 30 x 210."""
    prompt = list(range(150))
    examples = [EncodedExample((*prompt, 1000 + i, *range(59)), 150) for i in range(30)]
    [row] = plan_rows(examples, 10_000)
    trie = build_trie(examples, row)
    assert len(trie.ids) == 150 + 30 * 60
    # attention costs what it would in separate rows, but for a little padding
    scored = sum(block.queries.numel() * block.keys.shape[1] for block in trie.layout.blocks)
    assert scored == 150 * 150 + 30 * 60 * 210


def test_an_instruction_of_all_questions_is_shared_too() -> None:
    """A prefix of 100 tokens before different questions: three levels."""
    shared = list(range(100))
    examples = [EncodedExample((*shared, 500 + q, 501, 600 + i, 7), 102) for q in range(4) for i in range(3)]
    [row] = plan_rows(examples, 10_000)
    assert len(build_trie(examples, row).ids) == 100 + 4 * 2 + 12 * 2


def test_a_budget_splits_a_prompt_over_rows() -> None:
    prompt = list(range(50))
    examples = [EncodedExample((*prompt, 1000 + i, *range(9)), 50) for i in range(10)]
    rows = plan_rows(examples, 80)
    assert [len(r) for r in rows] == [3, 3, 3, 1]
    assert [len(build_trie(examples, r).ids) for r in rows] == [80, 80, 80, 60]
