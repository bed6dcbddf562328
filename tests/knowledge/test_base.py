"""The knowledge base: every version is kept, edits do not trample each other, and a bad file or row is said."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import warnings
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base_items import SUM, SWAP, USE, with_sql
from symdistill.errors import DataError, StoreError
from symdistill.knowledge.base import Change, KnowledgeBase
from symdistill.knowledge.items import KnowledgeItem, Provenance, item_id


@pytest.fixture
def base(tmp_path):
    with KnowledgeBase(tmp_path / "knowledge.sqlite") as opened:
        opened.add([SWAP, SUM], by="refinement")
        yield opened


def test_what_was_added_is_there_as_its_first_version(base):
    found = base.get("k_1")
    assert found == replace(SWAP, edited_by="refinement", edited_at=found.edited_at)
    assert found.edited_at.endswith("+00:00")
    assert [item.id for item in base.items()] == ["k_1", "k_2"]


def test_an_id_that_is_there_is_left_as_it_is(base):
    base.edit("k_1", by="ann", title="Mine")
    assert base.add([replace(SWAP, text="other"), replace(SUM, id="k_3")], by="b") == ["k_3"]
    assert base.get("k_1").title == "Mine"
    assert base.get("k_1", 1).text == SWAP.text


def test_making_the_same_item_twice_gives_one_id():
    assert item_id("summary", "t", "x", "r1") == item_id("summary", "t", "x", "r1")
    assert len({item_id("summary", "t", "x", "r1"), item_id("rule", "t", "x", "r1"), item_id("summary", "t", "x")}) == 3


def test_an_edit_is_a_new_version_and_the_history_says_who_and_why(base):
    edited = base.edit("k_1", by="ann", note="clearer", title="Both holders", status="review")
    assert (edited.version, edited.title, edited.status, edited.text) == (2, "Both holders", "review", SWAP.text)
    first, second = base.history("k_1")
    assert (first.by, first.note, first.item.title) == ("refinement", "", SWAP.title)
    assert (second.by, second.note, second.item) == ("ann", "clearer", edited)
    assert second.at == edited.edited_at
    assert base.get("k_1", 1).status == "active"


def test_an_edit_that_changes_nothing_writes_nothing(base):
    before = base.revision
    assert base.edit("k_1", by="ann", title=SWAP.title, flags=[]).version == 1
    assert base.revision == before


def test_retiring_is_an_edit_and_can_be_taken_back(base):
    base.edit("k_1", by="prune", status="retired")
    assert [item.id for item in base.items()] == ["k_2"]
    assert [item.id for item in base.items(status=("retired",))] == ["k_1"]
    assert base.edit("k_1", by="ann", status="active").version == 3
    assert [item.status for item in base.items(status=None)] == ["active", "active"]


def test_the_second_of_two_editors_gets_the_conflict(base):
    seen = base.get("k_1").version
    base.edit("k_1", by="ann", title="Ann's", expected=seen)
    with pytest.raises(DataError, match=r"at version 2 \(by 'ann'.*not at 1"):
        base.edit("k_1", by="bob", title="Bob's", expected=seen)
    assert base.get("k_1").title == "Ann's"


EDIT = """
import sys
from symdistill.errors import DataError
from symdistill.knowledge.base import KnowledgeBase
with KnowledgeBase(sys.argv[1]) as base:
    sys.stdin.readline()
    try:
        base.edit("k_1", by=sys.argv[2], text=f"by {sys.argv[2]}", expected=1)
        print("edited")
    except DataError:
        print("conflict")
"""


def test_of_two_processes_that_edit_at_once_one_gets_the_conflict(base):
    editors = [
        subprocess.Popen(
            [sys.executable, "-c", EDIT, base.path, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("ann", "bob")
    ]
    for editor in editors:
        editor.stdin.write("go\n")
        editor.stdin.flush()
    said = [editor.communicate()[0].strip() for editor in editors]
    assert sorted(said) == ["conflict", "edited"]
    assert base.get("k_1").text == f"by {('ann', 'bob')[said.index('edited')]}"
    assert len(base.history("k_1")) == 2


def test_several_changes_are_made_together_or_not_at_all(base):
    good = Change("k_1", 1, {"status": "retired"}, "merged into k_2")
    with pytest.raises(DataError, match="k_2 is at version 1"):
        base.apply([good, Change("k_2", 7, {"title": "x"})], by="refinement")
    assert base.get("k_1").version == 1
    source = Provenance("e_1", "gsm8k", "2 + 3 =", "6")
    changed = base.apply(
        [good, Change("k_2", None, {"provenance": [source], "flags": ["merged"]})], by="refinement", note="refined"
    )
    assert [(item.id, item.version, item.flags) for item in changed] == [("k_1", 2, ()), ("k_2", 2, ("merged",))]
    assert base.get("k_2").sources == {"e_1"}
    assert [base.history(key)[-1].note for key in ("k_1", "k_2")] == ["merged into k_2", "refined"]


@pytest.mark.parametrize(
    "changes, said",
    [({"status": "gone"}, "unknown status"), ({"flags": ["odd"]}, "unknown flag"), ({"text": 3}, "not text")],
)
def test_an_edit_into_nonsense_is_refused(base, changes, said):
    with pytest.raises(DataError, match=said):
        base.edit("k_1", by="ann", **changes)
    assert base.get("k_1").version == 1


def test_an_item_that_makes_no_sense_is_refused_and_nothing_is_added(base):
    for bad in (replace(SUM, id="../x"), replace(SUM, id="k_9", kind="song"), replace(SUM, id="")):
        with pytest.raises(DataError, match="cannot be kept"):
            base.add([replace(SUM, id="k_8"), bad], by="b")
    assert len(base.items()) == 2


def test_id_and_kind_stay(base):
    with pytest.raises(TypeError, match="kind"):
        base.edit("k_1", by="ann", kind="rule")


def test_an_unknown_item_names_those_like_it(base):
    for ask in (base.get, base.history, lambda key: base.edit(key, by="ann", title="x")):
        with pytest.raises(DataError, match=r"k_1x.*Did you mean k_1"):
            ask("k_1x")
    with pytest.raises(DataError, match=r"no version 5.* It has 1\."):
        base.get("k_1", 5)


def test_choosing_by_kind_and_task(base):
    assert [item.id for item in base.items(kind="summary")] == ["k_1"]
    assert [item.id for item in base.items(task="gsm8k")] == ["k_2"]
    assert base.items(kind="summary", task="gsm8k") == []


def test_an_index_learns_what_changed(base):
    seen = base.revision
    assert base.changed_since(seen) == []
    base.edit("k_2", by="ann", status="retired")
    base.edit("k_2", by="ann", title="T")
    base.add([replace(SUM, id="k_0")], by="b")
    assert [(item.id, item.version, item.status) for item in base.changed_since(seen)] == [
        ("k_2", 3, "retired"),
        ("k_0", 1, "active"),
    ]
    assert base.revision > seen
    assert base.changed_since(base.revision) == []


@pytest.mark.parametrize(
    "query, found",
    [
        ("swap", ["k_1"]),
        ("swapping", ["k_1"]),
        ("BOTH nam", ["k_1"]),
        ("holders", ["k_1"]),
        ("gsm8k", ["k_2"]),
        ("carry swap", ["k_2", "k_1"]),  # none has both: those that have one
        ("10", ["k_2"]),
        ("nothing of it", []),
        ("", []),
    ],
)
def test_search(base, query, found):
    assert {item.id for item in base.search(query)} == set(found)


def test_search_finds_what_an_item_says_now(base):
    base.edit("k_1", by="ann", text="Bücher zählen: 交換のたびに両方を書く", title="Neu")
    assert base.search("swap") == []
    for query in ("bucher", "ZÄHLEN", "両方を"):
        assert [item.id for item in base.search(query)] == ["k_1"], query


def test_search_ranks_cuts_and_leaves_out_what_is_retired(base):
    base.add([KnowledgeItem(f"k_a{i}", "rule", "t", "filler " * 30 + "carry", "x") for i in range(5)], by="b")
    assert base.search("carry")[0].id == "k_2"
    assert len(base.search("carry", limit=3)) == 3
    base.edit("k_2", by="b", status="retired")
    assert "k_2" not in [item.id for item in base.search("carry")]
    assert [item.id for item in base.search("carry", status=("retired",))] == ["k_2"]


@pytest.mark.parametrize(
    "query",
    ['"', "a OR", "NEAR(a b", "title:x*", "^x", "-x", "(((", "a" * 100_000, "a " * 10_000, "\x00", "\ud800", "'; DROP"],
)
def test_no_query_is_an_error(base, query):
    assert isinstance(base.search(query), list)


@given(st.text())
@settings(max_examples=60, deadline=None)
def test_any_text_may_be_searched(searched, query):
    assert {item.id for item in searched.search(query, status=None)} <= {"k_1"}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    with KnowledgeBase(tmp_path_factory.mktemp("search") / "k.sqlite") as opened:
        opened.add([SWAP], by="b")
        yield opened


def test_uses_keep_what_was_measured_last(base):
    better = replace(USE, correct_without=True, reply_without="Bob")
    base.record_uses([USE, replace(USE, item_id="k_2")])
    base.record_uses([better, better])
    assert base.uses("k_1") == [better]
    assert len(base.uses()) == 2
    assert base.stats().uses == 2


def test_what_was_measured_counts_for_the_text_it_was_measured_with(base):
    base.edit("k_1", by="a", status="retired")
    base.edit("k_1", by="a", status="active")
    assert base.current_versions() == {"k_1": {1, 2, 3}, "k_2": {1}}
    base.edit("k_1", by="a", text="Another.")
    assert base.current_versions()["k_1"] == {4}


def test_stats_count_items_not_versions(base):
    base.edit("k_1", by="a", status="review", flags=["contradiction"])
    stats = base.stats()
    assert (stats.items, stats.versions, stats.unreadable) == (2, 3, 0)
    assert (stats.statuses, stats.flags) == ({"active": 1, "review": 1}, {"contradiction": 1})
    assert stats.tasks == {"bbh/tracking": 1, "gsm8k": 1}
    assert stats.bytes > 0


def test_text_without_utf_8_is_kept_as_far_as_it_is_text(base):
    base.add(
        [KnowledgeItem("k_9", "rule", "a\ud800", "b\x00c\udc00", "t", provenance=(Provenance("\ud83d", "t", "q"),))],
        by="\ud800",
    )
    found = base.get("k_9")
    assert (found.title, found.text, found.sources, found.edited_by) == (
        "a\ufffd",
        "b\x00c\ufffd",
        {"\ufffd"},
        "\ufffd",
    )


@pytest.mark.parametrize(
    "nonsense, said",
    [
        ("status = 'gone'", "unknown status 'gone'"),
        ("kind = 7", "unknown kind '7'"),
        ("provenance = 'no json'", "provenance is not JSON"),
        ('provenance = \'[{"who": "x"}]\'', "unknown value 'who'"),
        ("provenance = '[3]'", "not a list of sources"),
        ("flags = '{}'", "flags is not a list"),
        ("flags = '[[]]'", "unknown flag"),
        ("version = 'two'", "version 'two' is not a whole number"),
        ("text = x'ff00'", "text is not text"),
        ("item = ''", "id is not made of"),
    ],
)
def test_a_row_edited_into_nonsense_is_reported_and_the_rest_served(base, nonsense, said):
    with_sql(base.path, f"UPDATE versions SET {nonsense} WHERE item = 'k_1'")
    reports = []
    with KnowledgeBase(base.path, report=reports.append) as again:
        assert [item.id for item in again.items(status=None)] == ["k_2"]
        assert [item.id for item in again.items(status=None)] == ["k_2"]
        assert again.search("swap", status=None) == []
        assert again.get("k_2").text == SUM.text
        assert again.edit("k_2", by="ann", title="New").version == 2
        assert again.stats().unreadable == 1
    assert len(reports) == 1, "said once"
    assert said in reports[0]
    assert str(base.path) in reports[0]


def test_without_anyone_to_report_to_a_warning_is_given(base):
    with_sql(base.path, "UPDATE versions SET status = 'gone' WHERE item = 'k_1'")
    with pytest.warns(UserWarning, match="unknown status 'gone'"):
        base.items()


def test_an_item_in_nonsense_goes_on_from_its_last_sound_version(base):
    base.edit("k_1", by="ann", title="Sound")
    base.edit("k_1", by="ann", title="Third")
    with_sql(base.path, "UPDATE versions SET kind = 'x' WHERE item = 'k_1' AND version = 3")
    with pytest.raises(StoreError, match=r"Version 3 of 'k_1'.*knowledge edit .* k_1 --status active"):
        base.get("k_1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        after = base.edit("k_1", by="bob", status="active")
        assert (after.version, after.title) == (4, "Sound")
        assert base.get("k_1") == after
        assert [v.item.version for v in base.history("k_1")] == [1, 2, 4]


def test_a_use_edited_into_nonsense_is_reported(base):
    base.record_uses([USE, replace(USE, example_id="q2")])
    with_sql(base.path, "UPDATE uses SET correct_with = 'maybe' WHERE example_id = 'q1'")
    with pytest.warns(UserWarning, match="correct_with is not a whole number"):
        assert [use.example_id for use in base.uses()] == ["q2"]


ADD_FOR_EVER = """
import sys
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.items import KnowledgeItem
with KnowledgeBase(sys.argv[1]) as base:
    for batch in range(10**9):
        items = [KnowledgeItem(f"k_{batch}-{i}", "rule", "t", "word " * 200, "x") for i in range(50)]
        print(len(base.add(items, by="b")), flush=True)
        base.edit(f"k_{batch}-0", by="b", title="edited")
"""


@pytest.mark.parametrize("lines", [1, 4, 9])
def test_killed_in_the_middle_of_an_add_the_file_is_sound_and_batches_whole(tmp_path, lines):
    path = tmp_path / "k.sqlite"
    child = subprocess.Popen([sys.executable, "-c", ADD_FOR_EVER, path], stdout=subprocess.PIPE, text=True)
    for _ in range(lines):
        assert child.stdout.readline() == "50\n"
    child.kill()
    child.wait()
    child.stdout.close()
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.execute("INSERT INTO words (words) VALUES ('integrity-check')")
    db.close()
    with KnowledgeBase(path) as base:
        items = base.items()
        assert len(items) % 50 == 0
        assert len(items) >= 50 * lines, "what was reported is there"
        assert len(base.search("word", limit=10**6)) == len(items)
        assert len(base.search("edited", limit=10**6)) in (len(items) // 50, len(items) // 50 - 1)


def test_threads_may_share_a_base(base):
    def write(name: str) -> None:
        for index in range(20):
            base.edit("k_1", by=name, text=f"{name} {index}")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [v.item.version for v in base.history("k_1")] == list(range(1, 62))


def test_a_text_cannot_be_emptied(base):
    with pytest.raises(DataError, match=r"would be empty.*`retired`"):
        base.edit("k_1", by="ann", text=" \n")
    assert base.get("k_1").version == 1
