"""Merging, flagging and sending to review, as changes that can be taken back."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.knowledge.base import Change, KnowledgeBase
from symdistill.knowledge.items import Kind, KnowledgeItem, Provenance, Status, item_id
from symdistill.knowledge.refinement import refine
from symdistill.records import Example


def item(
    text: str,
    source: str = "e1",
    *,
    kind: Kind = "summary",
    task: str = "sums",
    status: Status = "active",
    question: str = "",
    **more: Any,
) -> KnowledgeItem:
    name = more.pop("id", None) or item_id(kind, task, text, source)
    return KnowledgeItem(name, kind, text[:20], text, task, status, (Provenance(source, task, question),), **more)


def by_id(changes: Sequence[Change]) -> dict[str, Change]:
    found = {change.item_id: change for change in changes}
    assert len(found) == len(changes), "one change an item"
    return found


def flags(changes: Sequence[Change]) -> dict[str, tuple[str, ...]]:
    return {change.item_id: tuple(change.changes["flags"]) for change in changes if "flags" in change.changes}


def applied(items: Sequence[KnowledgeItem], changes: Sequence[Change]) -> list[KnowledgeItem]:
    wanted = by_id(changes)
    return [
        replace(i, version=i.version + 1, **dict(wanted[i.id].changes)) if i.id in wanted else i  # type: ignore[arg-type]
        for i in items
    ]


BASE = (
    "1. Write down who holds what before the swaps begin.\n"
    "2. Change both entries whenever two people swap their things.\n"
    "3. Read the holder off the list when every swap is done."
)
REWORDED = (
    BASE.replace("1. ", "- ").replace("2. ", "- ").replace("3. ", "- ").replace("their things", "also their things")
)


def test_near_duplicates_merge_and_keep_all_provenance() -> None:
    one, other = item(BASE, "e1", id="k_a"), item(REWORDED, "e2", id="k_b")
    changes = by_id(refine([one, other], {}))
    assert changes["k_b"].changes["status"] == "retired"
    assert changes["k_b"].changes["flags"] == ("merged",)
    assert "k_a" in changes["k_b"].note
    assert changes["k_b"].expected_version == 1
    assert {p.example_id for p in changes["k_a"].changes["provenance"]} == {"e1", "e2"}
    assert "k_b" in changes["k_a"].note


@pytest.mark.parametrize(
    "old, new",
    [
        ("Change both", "Do not change both"),
        ("Change both", "Never change both"),
        ("Write down", "Avoid writing down"),
        ("Write down", "Don't write down"),
        ("before the swaps", "after the swaps"),
        ("two people", "three people"),
        ("two people", "2.5 people"),
        ("both entries", "entries"),
        ("every swap is done", "every swap is done, in km"),
        ("Read the holder", "Read x + y, the holder"),
        ("Read the holder", "Read only the holder"),
    ],
)
def test_nothing_merges_across_a_negation_a_number_or_an_opposite(old: str, new: str) -> None:
    assert old in BASE
    found = refine([item(BASE, "e1"), item(BASE.replace(old, new), "e2")], {})
    assert not any("merged" in names for names in flags(found).values())


LONG = (
    "{} Then write each intermediate result on a line of its own, compare the final value with the rough estimate that "
    "was made at the start, and state it in the requested form so that a reader can follow the work."
)


@pytest.mark.parametrize(
    "one, other",
    [
        ("The necessary steps are listed in the table.", "The unnecessary steps are listed in the table."),
        ("Take the fourth entry of the list.", "Take the fifth entry of the list."),
        ("The ninth person is in line.", "The tenth person is in line."),
        ("The total is given in millions of people.", "The total is given in billions of people."),
        ("Count the skipped cells of the grid.", "Ignore the skipped cells of the grid."),
        ("Use inclusive ranges of days.", "Use exclusive ranges of days."),
        ("Turn north when told to turn.", "Turn south when told to turn."),
        ("Divide by the numerator.", "Divide by the denominator."),
        ("Keep the units in the table.", "Omit the units in the table."),
        ("He unlocks the door of the house.", "He locks the door of the house."),
        ("Use chapter IV of the book.", "Use chapter VI of the book."),
        ("Take his age from hers.", "Take her age from his."),
        ("Increase it to 10.", "Increase it by 10."),
        ("There are 5! orders.", "There are 5 orders."),
        ("Compute (x + y) * z.", "Compute x + (y * z)."),
        ("Close it with } ].", "Close it with ] }."),
        ("Triple the area.", "Quadruple the area."),
        ("Count the apples.", "Count the pears."),
    ],
)
def test_long_texts_that_differ_in_one_word_that_says_something_do_not_merge(one: str, other: str) -> None:
    items = [item(LONG.format(one), "e1", id="k_a"), item(LONG.format(other), "e2", id="k_b")]
    alike = fake_embedding({i.text: 0 for i in items})
    for embed in (None, alike):
        assert not any("merged" in names for names in flags(refine(items, {}, embed=embed)).values())


def test_opposites_in_one_frame_go_to_review() -> None:
    items = [item(LONG.format(f"{word} the units in the table."), word) for word in ("Keep", "Omit")]
    assert set(flags(refine(items, {})).values()) == {("contradiction",)}


@pytest.mark.parametrize(
    "one, other",
    [
        ("Organise the coloured boxes.", "organize the colored BOX"),
        ("Carry the remainders; swapped entries stay.", "Carried the remainder, swapping entries stayed"),
        ("Always make sure to calculate every sum.", "Compute each sum."),
        ("Don't round 1,000.50 m.", "Never round 1000.5 m."),
    ],
)
def test_spelling_inflection_and_small_words_are_no_difference(one: str, other: str) -> None:
    found = flags(refine([item(LONG.format(one), "e1"), item(LONG.format(other), "e2")], {}))
    assert list(found.values()) == [("merged",)]


@pytest.mark.parametrize(
    "old, new", [("Write down who", "Write down clearly who"), ("every swap", "each swap"), ("two", "2")]
)
def test_a_change_of_wording_alone_merges(old: str, new: str) -> None:
    text = BASE * 2
    assert sorted(flags(refine([item(text, "e1"), item(text.replace(old, new, 1), "e2")], {})).values()) == [
        ("merged",)
    ]


@pytest.mark.parametrize("change", [{"kind": "supplementary"}, {"task": "other"}])
def test_items_of_another_kind_or_task_stay(change: dict[str, Any]) -> None:
    assert refine([item(BASE, "e1"), item(BASE, "e2", **change)], {}) == []


def test_the_better_of_two_survives() -> None:
    plain = item(BASE, "e1", id="k_a")
    assert "k_a" in flags(refine([plain, item(BASE, "e2", id="k_b", version=3)], {}))
    assert "k_b" in flags(refine([plain, item(BASE, "e2", id="k_b", status="review", version=3)], {}))
    assert "k_b" in flags(refine([plain, item(BASE, "e2", id="k_b", flags=("truncated",), version=3)], {}))


def test_what_says_the_same_as_a_retired_item_goes_to_review_once() -> None:
    gone, merged = item(BASE, "e1", id="k_a", status="retired"), item(BASE, "e2", id="k_b", status="retired")
    merged = replace(merged, flags=("merged",))
    fresh = item(REWORDED, "e3", id="k_c")
    [change] = refine([gone, merged, fresh], {})
    assert (change.item_id, change.changes) == ("k_c", {"flags": ("retired_twin",), "status": "review"})
    assert "k_a" in change.note
    accepted = replace(fresh, flags=("retired_twin",), status="active")
    assert refine([gone, merged, accepted], {}) == []
    assert refine([merged, fresh], {}) == [], "a merged one was not taken out of use for what it says"


def test_a_merge_taken_back_stays_taken_back() -> None:
    one, other = item(BASE, "e1", id="k_a"), item(BASE, "e2", id="k_b", flags=("merged",))
    assert refine([one, other], {}) == []


def fake_embedding(groups: Mapping[str, int]) -> Any:
    def embed(texts: Sequence[str]) -> Any:
        return np.eye(8)[[groups[text] for text in texts]]

    return embed


def test_embeddings_find_duplicates_in_other_words_but_respect_negations() -> None:
    items = [
        item("Round the result at the very close.", "e1", id="k_a"),
        item("Leave rounding for what comes out.", "e2", id="k_b"),
        item("Do not approximate the outcome.", "e3", id="k_c"),
        item("Round the product at the very close.", "e4", id="k_d"),
    ]
    assert not any("merged" in names for names in flags(refine(items, {})).values())
    embed = fake_embedding({i.text: 0 for i in items})
    merged = {name for name, names in flags(refine(items, {}, embed=embed)).items() if "merged" in names}
    assert merged == {"k_b"}, "of two texts in one frame the word that differs decides"
    apart = fake_embedding({i.text: n for n, i in enumerate(items)})
    assert not any("merged" in names for names in flags(refine(items, {}, embed=apart)).values())


def test_small_steps_do_not_chain() -> None:
    texts = [f"{''.join(chance.choices('bdfgklmnrst', k=7))} word" for chance in map(random.Random, range(12))]
    angles = dict(zip(sorted(texts), np.linspace(0, 2, len(texts)), strict=True))
    items = [item(text, "e1", id=f"k_{n:02}") for n, text in enumerate(sorted(texts))]

    def embed(asked: Sequence[str]) -> Any:
        return np.array([[np.cos(angles[text]), np.sin(angles[text])] for text in asked])

    gone = [name for name, names in flags(refine(items, {}, embed=embed)).items() if "merged" in names]
    assert gone == [i.id for n, i in enumerate(items) if n % 3], "each merges with what is near to it, not in a chain"


EGGS = Example("e1", "Ann has 48 eggs and buys 69 more at the market. How many has she now?", "117", "number")


def test_leaks_copies_and_lengths_are_flagged_and_stay_active() -> None:
    items = [
        item("Add what is bought. The answer is 117.", id="k_leak"),
        item("Ann has 48 eggs and buys 69 more, so add.", id="k_copy"),
        item("Add what is bought and take away what is sold.", id="k_fine"),
        item("Add " + " ".join(f"word{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(300)), id="k_long"),
        item("The answer is 117.", "e9", id="k_other"),
    ]
    changes = refine(items, {"e1": EGGS})
    assert flags(changes) == {"k_leak": ("leaks_answer",), "k_copy": ("copies_question",), "k_long": ("too_long",)}
    assert not any("status" in change.changes for change in changes)
    assert "e1" in by_id(changes)["k_leak"].note
    assert "301 words" in by_id(changes)["k_long"].note


def test_a_question_that_is_not_at_hand_is_known_from_the_provenance() -> None:
    copied = item("Note: " + EGGS.question, question=EGGS.question, id="k_a")
    assert flags(refine([copied], {})) == {"k_a": ("copies_question",)}
    leaky = item("The answer is 117.", flags=("leaks_answer",))
    assert refine([leaky], {}) == []


def test_a_flag_goes_when_its_cause_is_gone() -> None:
    mended = item("Add what is bought.", flags=("leaks_answer", "truncated"), id="k_a")
    assert flags(refine([mended], {"e1": EGGS})) == {"k_a": ("truncated",)}


def test_a_survivor_is_checked_against_the_questions_it_took_in() -> None:
    text = BASE + "\n4. There are 117 of them."
    items = [item(text, "e0", id="k_a"), item(text, "e1", id="k_b")]
    assert flags(refine(items, {"e1": EGGS})) == {"k_a": ("leaks_answer",), "k_b": ("merged",)}


@pytest.mark.parametrize(
    "one, other",
    [
        ("Always round intermediate results.", "Never round intermediate results."),
        ("Round intermediate results at every step.", "Do not round intermediate results."),
        ("1. Read the table.\n2. Check the units of each value.", "Don't check the units of the value."),
        ("There are 7 days in a week.", "A week has 5 days."),
        ("A square has four equal sides.", "A square has 3 equal sides."),
        ("Evaluate the brackets before the sum of terms.", "Evaluate the brackets after the sum of terms."),
        ("Even numbers are divisible by 2.", "Odd numbers are divisible by 2."),
        ("If it is a leap year, February has 29 days.", "If it is a leap year, February has 28 days."),
        ("Round intermediate results.", "Do not round intermediate results at any step."),
        ("Avoid converting units twice by hand.", "Convert units twice by hand."),
        ("For rectangles, multiply length and width.", "For rectangles, divide length and width."),
    ],
)
def test_contradictions_go_to_review_on_both_sides(one: str, other: str) -> None:
    changes = by_id(refine([item(one, id="k_a"), item(other, "e2", kind="supplementary", id="k_b")], {}))
    assert {name: change.changes for name, change in changes.items()} == {
        name: {"flags": ("contradiction",), "status": "review"} for name in ("k_a", "k_b")
    }
    assert "k_b" in changes["k_a"].note
    assert "k_a" in changes["k_b"].note


@pytest.mark.parametrize(
    "one, other",
    [
        ("Even numbers are divisible by 2.", "Odd numbers are not divisible by 2."),
        ("A square has four sides.", "A triangle has three sides."),
        ("If it is a leap year, February has 29 days.", "If it is no leap year, February has 28 days."),
        ("Check the units if the value is negative.", "Do not check the units if the value is positive."),
        ("For example, Ann has 3 red apples.", "For example, Ann has 5 red apples."),
        ("Check the units of values at step 2.", "Check the units of values at step 3."),
        ("Do not forget to check the units.", "Always check the units."),
        ("Multiply 3 boxes by 4 apples.", "Multiply 5 boxes by 6 apples."),
        ("Check the units.", "Never guess."),
        ("Count the objects after each swap.", "Count the objects after each swap to avoid confusion."),
        ("Follow the given instructions in order.", "Follow the given instructions in order and do not skip."),
        ("Add the prices of the items.", "Add the prices of the items without rounding."),
        ("Not only count the objects, name them.", "Count the objects, name them."),
        ("", "..."),
    ],
)
def test_what_can_both_be_true_is_left_alone(one: str, other: str) -> None:
    assert refine([item(one), item(other, "e2")], {}) == []


def test_items_of_different_tasks_do_not_contradict_each_other() -> None:
    assert refine([item("Round the final result."), item("Never round the final result.", task="other")], {}) == []


def test_a_template_with_many_numbers_is_no_fact() -> None:
    items = [item(f"There are {n} red apples in the basket.", f"e{n}") for n in range(2, 9)]
    assert refine(items, {}) == []
    assert len(refine(items[:3], {})) == 3


def test_what_a_person_has_approved_stays_active() -> None:
    approved = item("Round the final result.", flags=("contradiction",), id="k_a")
    changes = by_id(refine([approved, item("Never round the final result.", "e2", id="k_b")], {}))
    assert set(changes) == {"k_b"}


WORDS = [
    "check",
    "units",
    "never",
    "round",
    "the",
    "final",
    "result",
    "7",
    "days",
    "not",
    "week",
    "before",
    "after",
    "if",
]


@given(
    st.lists(st.tuples(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9), st.integers(0, 3)), max_size=12),
    st.randoms(),
)
def test_the_outcome_is_settled_and_does_not_depend_on_the_order(
    rows: list[tuple[list[str], int]], chance: random.Random
) -> None:
    items = [item(" ".join(words), f"e{source}", id=f"k_{n:02}") for n, (words, source) in enumerate(rows)]
    shuffled = list(items)
    chance.shuffle(shuffled)
    changes = refine(items, {"e1": EGGS})
    assert changes == refine(shuffled, {"e1": EGGS})
    outcome = applied(items, changes)
    assert refine(outcome, {"e1": EGGS}) == []
    alive = [i for i in outcome if i.status != "retired"]
    assert {p for i in items for p in i.provenance} == {p for i in alive for p in i.provenance}


def test_the_changes_are_one_transaction_of_the_store_and_can_be_taken_back(tmp_path: Path) -> None:
    items = [
        *(item(BASE, "e1"), item(REWORDED, "e2")),
        *(item("Round the final result.", "e3"), item("Never round the final result.", "e4")),
    ]
    with KnowledgeBase(tmp_path / "knowledge.sqlite") as base:
        base.add(items, by="build")
        base.apply(refine(base.items(status=None), {}), by="refine", note="refined")
        assert [len(base.items(status=[s])) for s in ("active", "review", "retired")] == [1, 2, 1]
        assert refine(base.items(status=None), {}) == []
        (merged,) = base.items(status=["retired"])
        assert any("merged into" in version.note for version in base.history(merged.id))
        base.edit(merged.id, by="person", status="active")
        assert refine(base.items(status=None), {}) == []


@pytest.mark.slow
def test_twenty_thousand_items_are_put_in_order_in_seconds() -> None:
    chance = random.Random(0)
    vocabulary = ["".join(chance.choices("aeioubdglmnrst", k=6)) for _ in range(3000)] + ["not", "before", "first", "7"]
    texts = [". ".join(" ".join(chance.choices(vocabulary, k=10)) for _ in range(4)) for _ in range(14_000)]
    near = [f"{text} indeed" for text in texts[:6000]]
    begin = time.process_time()
    changes = refine([item(text, f"e{n}") for n, text in enumerate(texts + near)], {})
    assert sum("merged" in names for names in flags(changes).values()) >= 5900
    assert time.process_time() - begin < 60
