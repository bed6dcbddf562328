"""Retrieval: what is found, what a question may not find, and that edits count at once."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as search
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from symdistill.errors import ConfigError
from symdistill.knowledge.block import knowledge_block
from symdistill.knowledge.items import KnowledgeItem, Provenance
from symdistill.knowledge.retrieval import Retriever, query_text
from symdistill.knowledge.settings import RetrievalSettings
from symdistill.prompts import student_messages
from symdistill.records import Example
from tiny_encoder import save_encoder

SWAP = Example("q_swap", "Alice and Bob swap balls. Who holds the red ball?", task="shuffled", instruction="Track it.")
AREA = Example("q_area", "A circle has radius 3. What is its area?", "28.27", "number", task="geometry")


def item(name: str, text: str, *sources: Example, kind: Any = "summary", **changes: Any) -> KnowledgeItem:
    provenance = tuple(Provenance(e.id, e.task, e.question) for e in sources)
    task = sources[0].task if sources else "by hand"
    return replace(KnowledgeItem(name, kind, text[:20], text, task, provenance=provenance), **changes)


OTHER_SWAP = Example("q_swap2", "Carol and Dan swap hats. Who has the blue hat?", task="shuffled")
TRACK = item("k_1", "Update both holders at every swap.", OTHER_SWAP)
CIRCLE = item("k_2", "The area of a circle is pi times the squared radius.", AREA, kind="supplementary")
HAND = item("k_3", "Check the unit of the result.")
ITEMS = [TRACK, CIRCLE, HAND]


def found(items: Sequence[KnowledgeItem], example: Example, **settings: Any) -> list[str]:
    return [i.id for i in Retriever(items, RetrievalSettings(**settings)).retrieve(example)]


def test_each_kind_gives_its_best() -> None:
    both = [*ITEMS, item("k_4", "A swap exchanges two things.", OTHER_SWAP, kind="supplementary")]
    assert found(both, SWAP) == ["k_1", "k_4"]
    assert found(both, SWAP, kinds=("supplementary", "summary")) == ["k_4", "k_1"]
    assert found(both, SWAP, kinds=("supplementary",)) == ["k_4"]
    many = [*both, item("k_5", "Who holds what before the swap of balls?", OTHER_SWAP)]
    assert found(many, SWAP, top_k=2) == ["k_5", "k_1", "k_4", "k_2"]


def test_what_shares_no_word_is_not_found() -> None:
    assert found([HAND], Example("q", "¿Cuánto?", task="numbers")) == []
    assert Retriever([]).retrieve(SWAP) == []
    assert len(Retriever([])) == 0


def test_the_query_is_the_task_and_the_question_with_its_options() -> None:
    example = replace(SWAP, choices={"A": "Alice"})
    everything = query_text(example, RetrievalSettings())
    assert everything == "shuffled Track it. Alice and Bob swap balls. Who holds the red ball? (A) Alice"
    assert query_text(example, RetrievalSettings(query=("question",))).startswith("Alice and")
    assert query_text(example, RetrievalSettings(query=("task",), query_words=2)) == "shuffled Track"
    assert len(query_text(replace(SWAP, question="w " * 999), RetrievalSettings()).split()) == 512


def test_the_keys_say_what_an_item_is_found_by() -> None:
    asked = Example("q", "Who wears hats?", task="t")
    assert found([TRACK], asked) == ["k_1"]  # by the question it came from
    assert found([TRACK], asked, keys=("text",)) == []
    titled = replace(TRACK, title="Hats and coats")
    assert found([titled], asked, keys=("title",)) == ["k_1"]
    assert found([titled], replace(asked, question="?", task="shuffled"), keys=("task",)) == ["k_1"]


OWN = item("k_own", "Follow the red ball.", SWAP)
SAME_QUESTION = Example("other_file/7", f"  {SWAP.question.upper()}\n", task="elsewhere")


def test_a_question_does_not_find_what_came_from_it_alone() -> None:
    assert found([OWN], SWAP) == []
    mended = replace(SWAP, question="Where is the red ball?")
    assert Retriever([OWN]).retrieve_many([mended], exclude_own=True, training=True) == [[]]  # the same id
    assert found([OWN], SAME_QUESTION) == []  # the same words under another id
    assert found([item("k_own", OWN.text, SWAP, SAME_QUESTION)], SWAP) == []  # one question twice
    assert found([OWN], OTHER_SWAP) == ["k_own"]
    assert found([OWN], SWAP, exclude_own=False) == ["k_own"]
    assert [i.id for i in Retriever([OWN]).retrieve(SWAP, exclude_own=False)] == ["k_own"]
    assert found([OWN], SWAP, keys=("text",)) == []
    assert found([OWN, TRACK], SWAP) == ["k_1"]  # the next best takes its place


def test_a_question_finds_what_came_from_another_of_its_id() -> None:
    stranger = replace(SWAP, question="Who swaps the red balls?")  # question 7 of the test file, say
    assert found([OWN], stranger) == ["k_own"]
    assert found([replace(OWN, flags=("leaks_answer",))], stranger) == ["k_own"]
    elsewhere = replace(stranger, task="another task")
    assert [i.id for i in Retriever([OWN]).retrieve_many([elsewhere], training=True)[0]] == ["k_own"]
    unknown = replace(OWN, provenance=(Provenance(SWAP.id, SWAP.task, ""),))
    assert found([unknown], stranger) == []  # nothing but the id is known of the source
    assert found([unknown], elsewhere) == ["k_own"]


def test_questions_with_options_are_known_by_their_words_too() -> None:
    example = replace(SWAP, choices={"A": "Alice", "B": "Bob"})
    written = Provenance(
        "another id", "shuffled", "Track it.\nAlice and Bob swap balls. Who holds the red ball?\n(A) Alice\n(B) Bob"
    )
    assert found([replace(OWN, provenance=(written,))], example) == []


def test_a_question_does_not_find_a_shared_item_by_way_of_itself() -> None:
    shared = item("k_s", "Keep a list.", SWAP, AREA)
    rival = item("k_r", "Keep the red list.", OTHER_SWAP)
    assert found([shared, rival], SWAP, exclude_own=False) == ["k_s"]  # its own question stands in k_s
    assert found([shared, rival], SWAP) == ["k_r"]
    assert found([shared], SWAP, top_k=2) == ["k_s"]  # by its other source
    assert found([shared, rival], replace(SWAP, id="new", question="Who swaps the red balls?")) == ["k_s"]


@pytest.mark.parametrize("flag", ["leaks_answer", "copies_question"])
def test_an_item_that_leaks_is_not_found_by_its_own_questions(flag: Any) -> None:
    leaking = item("k_l", "The red ball is with Bob.", SWAP, OTHER_SWAP, flags=(flag,))
    assert found([leaking], SWAP) == found([leaking], OTHER_SWAP) == found([leaking], SWAP, exclude_own=False) == []
    assert found([leaking], replace(SWAP, id="new", question="Who swaps balls?")) == ["k_l"]
    assert found([leaking], SWAP, exclude_leaking=False) == ["k_l"]
    assert found([replace(leaking, flags=("merged",))], SWAP) == ["k_l"]


@pytest.mark.parametrize("status", ["review", "retired"])
def test_only_active_items_are_found(status: Any) -> None:
    assert found([replace(TRACK, status=status)], SWAP) == []
    retriever = Retriever([TRACK])
    retriever.update([replace(TRACK, status=status, version=2)])
    assert (retriever.retrieve(SWAP), len(retriever)) == ([], 0)
    retriever.update([TRACK])  # an older version
    assert retriever.retrieve(SWAP) == []
    retriever.update([replace(TRACK, version=3)])
    assert [i.version for i in retriever.retrieve(SWAP)] == [3]


def test_ties_go_to_the_lower_id_whatever_the_order() -> None:
    twins = [replace(TRACK, id=f"k_{n}") for n in range(9)]
    for seed in range(5):
        shuffled = random.Random(seed).sample(twins, 9)
        assert found(shuffled, SWAP, top_k=3) == ["k_0", "k_1", "k_2"]


def test_the_words_of_all_items_are_bounded() -> None:
    long = item(
        "k_long",
        "Update both holders at every swap of any two balls, red or blue, that Alice and Bob hold.",
        OTHER_SWAP,
    )
    extra = item("k_x", "A swap exchanges two balls.", OTHER_SWAP, kind="supplementary")
    assert found([long, TRACK, extra], SWAP) == ["k_long", "k_x"]
    assert found([long, TRACK, extra], SWAP, max_words=11) == ["k_1", "k_x"]
    assert found([long, TRACK, extra], SWAP, max_words=10) == ["k_1"]
    assert found([long, TRACK, extra], SWAP, max_words=3) == []
    crowd = [replace(long, id=f"k_{n}") for n in range(40)]
    assert found([*crowd, replace(TRACK, id="k_short")], SWAP, max_words=11) == ["k_short"]


def test_many_questions_are_answered_as_each_alone() -> None:
    retriever = Retriever([*ITEMS, OWN])
    examples = [SWAP, AREA, OTHER_SWAP]
    assert retriever.retrieve_many(examples) == [retriever.retrieve(e) for e in examples]
    assert retriever.retrieve_many([]) == []


def hashed(texts: Sequence[str]) -> NDArray[np.float32]:
    """A made-up embedding: the sum of a random vector a word."""
    rows = []
    for text in texts:
        seeds = [int(hashlib.sha256(word.encode()).hexdigest()[:8], 16) for word in text.lower().split()]
        rows.append(np.sum([np.random.default_rng(s).normal(size=8) for s in seeds] or [np.ones(8)], axis=0))
    matrix = np.asarray(rows, dtype=np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


SETTINGS = {
    "bm25": RetrievalSettings(top_k=3),
    "dense": RetrievalSettings(method="dense", top_k=3, embedding_model=Path("unused")),
    "hybrid": RetrievalSettings(method="hybrid", top_k=3, embedding_model=Path("unused")),
}
WORDS = ["swap", "ball", "red", "list", "area", "circle", "count", "twice"]
TEXT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)
QUESTIONS = [Example(f"q{n}", " ".join(WORDS[n : n + 3]), task="t") for n in range(6)]
CHANGE = st.builds(
    item,
    st.integers(0, 7).map("k_{}".format),
    TEXT,
    st.sampled_from(QUESTIONS),
    st.sampled_from(QUESTIONS),
    kind=st.sampled_from(["summary", "supplementary", "rule"]),
    status=st.sampled_from(["active", "active", "active", "review", "retired"]),
    flags=st.sampled_from([(), (), ("leaks_answer",)]),
)


@search(deadline=None, max_examples=60)
@given(st.lists(st.lists(CHANGE, max_size=6), max_size=8), st.sampled_from(sorted(SETTINGS)))
def test_after_edits_the_outcome_is_that_of_a_fresh_build(batches: list[list[KnowledgeItem]], method: str) -> None:
    settings = SETTINGS[method]
    edited = Retriever([], settings, embed=hashed)
    latest: dict[str, KnowledgeItem] = {}
    for batch in batches:
        coming = []
        for change in batch:
            version = latest[change.id].version + 1 if change.id in latest else 1
            latest[change.id] = replace(change, version=version)
            coming.append(latest[change.id])
        edited.update(coming)
        fresh = Retriever(reversed(latest.values()), settings, embed=hashed)
        assert len(edited) == len(fresh)
        for own in (True, False):
            assert edited.retrieve_many(QUESTIONS, exclude_own=own) == fresh.retrieve_many(QUESTIONS, exclude_own=own)


@pytest.mark.parametrize("method", sorted(SETTINGS))
def test_a_thousand_edits_leave_the_outcome_of_a_fresh_build(method: str) -> None:
    rng = random.Random(1)
    retriever, latest = Retriever([], SETTINGS[method], embed=hashed), {}
    for version in range(1, 1001):
        change = item(
            f"k_{rng.randrange(40)}", " ".join(rng.choices(WORDS, k=6)), rng.choice(QUESTIONS), version=version
        )
        latest[change.id] = change
        retriever.update([change])
    fresh = Retriever(latest.values(), SETTINGS[method], embed=hashed)
    assert retriever.retrieve_many(QUESTIONS) == fresh.retrieve_many(QUESTIONS)


def test_a_text_is_embedded_once() -> None:
    seen: list[str] = []

    def counting(texts: Sequence[str]) -> NDArray[np.float32]:
        seen.extend(texts)
        return hashed(texts)

    retriever = Retriever([TRACK, replace(TRACK, id="k_9")], SETTINGS["dense"], embed=counting)
    retriever.update([replace(TRACK, version=2, flags=("merged",))])
    assert len(seen) == 1


def test_dense_finds_without_a_shared_word_and_hybrid_joins_the_rankings() -> None:
    def directions(texts: Sequence[str]) -> NDArray[np.float32]:
        rows = [[1.0, 0.1] if "swap" in t or "exchange" in t else [0.0, 1.0] for t in texts]
        return np.asarray(rows, dtype=np.float32) / np.linalg.norm(rows, axis=1, keepdims=True).astype(np.float32)

    near, shares = item("k_b", "exchange items"), item("k_a", "red ball holds who")
    dense = {"method": "dense", "embedding_model": Path("unused")}
    assert [i.id for i in Retriever([near, shares], RetrievalSettings(**dense), embed=directions).retrieve(SWAP)] == [
        "k_b"
    ]
    assert found([near, shares], SWAP) == ["k_a"]
    both = item("k_c", "swap the ball")
    hybrid = RetrievalSettings(**(dense | {"method": "hybrid"}), top_k=3)
    ranked = Retriever([near, shares, both], hybrid, embed=directions).retrieve(SWAP)
    # BM25: a, c (b shares nothing). Dense: b and c tie, then a. 1/61 + 1/63 for a, 1/61 for b, 1/62 + 1/62 for c.
    assert [i.id for i in ranked] == ["k_a", "k_c", "k_b"]


def test_an_encoder_in_a_directory(tmp_path: Path) -> None:
    encoder = save_encoder(tmp_path / "encoder")
    settings = RetrievalSettings(method="dense", embedding_model=encoder, top_k=2)
    retriever = Retriever([*ITEMS, OWN], settings)
    assert [i.id for i in retriever.retrieve(SWAP)] == [
        i.id for i in Retriever([OWN, *reversed(ITEMS)], settings).retrieve(SWAP)
    ]
    assert {i.id for i in retriever.retrieve(SWAP)} == {"k_1", "k_2", "k_3"}
    with pytest.raises(ConfigError, match=r"knowledge.retrieval.embedding_model.*not a directory"):
        Retriever([], settings.model_copy(update={"embedding_model": tmp_path / "nowhere"}))


@pytest.mark.parametrize(
    "wrong",
    [{"method": "dense"}, {"method": "hybrid"}, {"kinds": ()}, {"keys": ("text", "text")}, {"query": ()}, {"top_k": 0}],
)
def test_settings_that_say_nothing(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RetrievalSettings(**wrong)


def test_the_block_groups_by_kind_and_stands_before_the_question() -> None:
    block = knowledge_block([TRACK, CIRCLE, HAND])
    assert block == (
        "Learning summary:\nUpdate both holders at every swap.\nCheck the unit of the result.\n\n"
        "Supplementary knowledge:\nThe area of a circle is pi times the squared radius."
    )
    prompt = student_messages(AREA, instruction="Answer.", knowledge=block)
    assert prompt[-1].content.endswith(f"{block}\n\n{AREA.question}")
    assert len(prompt[-1].content) > len(block) + len(AREA.question) + 2  # a sentence introduces it


@pytest.mark.parametrize("items", [[], [item("k", " \n")]])
def test_no_knowledge_leaves_the_prompt_without_a_trace(items: list[KnowledgeItem]) -> None:
    assert student_messages(SWAP, instruction="A.", knowledge=knowledge_block(items)) == student_messages(
        SWAP, instruction="A."
    )


def test_braces_in_knowledge_are_text() -> None:
    block = knowledge_block([item("k", "{knowledge} {0} {question}")])
    assert "{knowledge} {0} {question}" in student_messages(AREA, knowledge=block)[-1].content
