"""A knowledge base as a file that travels: it comes out as it went in, and twice is once."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hard_items import changes, several, uses
from symdistill.errors import DataError
from symdistill.knowledge.base import Conflict, KnowledgeBase
from symdistill.knowledge.exchange import export_jsonl, import_jsonl
from symdistill.knowledge.items import KnowledgeItem, Provenance, Use

SOURCE = Provenance("e_1", "t", "Who?", "Bob.", "r1_x", "m", "error-analysis/1", "run")
ITEM = KnowledgeItem("k_1", "summary", "T", "Write both down.", "t", provenance=(SOURCE,), flags=("too_long",))
USE = Use("k_1", 1, "q1", "Who holds it?", "run", "s", True, False, "Bob", "Ann")


@pytest.fixture
def one(tmp_path):
    with KnowledgeBase(tmp_path / "one.sqlite") as opened:
        opened.add([ITEM, replace(ITEM, id="k_2")], by="refinement", note="made")
        opened.edit("k_1", by="ann", note="why", status="retired")
        opened.record_uses([USE])
        yield opened


@pytest.fixture
def two(tmp_path):
    with KnowledgeBase(tmp_path / "two.sqlite") as opened:
        yield opened


@given(several.filter(len), st.lists(st.tuples(st.integers(0, 9), changes), max_size=5), st.lists(uses, max_size=4))
@settings(max_examples=40, deadline=None)
def test_out_in_and_out_again_gives_the_same_bytes(tmp_path_factory, items, edits, used):
    folder = tmp_path_factory.mktemp("exchange")
    with KnowledgeBase(folder / "one.sqlite") as one, KnowledgeBase(folder / "two.sqlite") as two:
        one.add(items, by="b", note="n")
        for index, changed in edits:
            one.edit(items[index % len(items)].id, by="c", **changed)
        one.record_uses(use for use in used if use.version in one.current_versions().get(use.item_id, ()))
        written = export_jsonl(one, folder / "one.jsonl.gz")
        merged = import_jsonl(two, folder / "one.jsonl.gz")
        assert (len(merged.added), merged.uses, merged.conflicts) == (written.items, written.uses, ())
        assert list(two.histories()) == list(one.histories())
        assert sorted(map(repr, two.uses())) == sorted(map(repr, one.uses()))
        revision = two.revision
        again = import_jsonl(two, folder / "one.jsonl.gz")
        assert (again.added, again.updated, again.uses, again.conflicts) == ((), (), 0, ())
        assert two.revision == revision
        export_jsonl(two, folder / "two.jsonl.gz")
    assert (folder / "one.jsonl.gz").read_bytes() == (folder / "two.jsonl.gz").read_bytes()


def test_the_file_says_what_it_is_and_is_short(one, tmp_path):
    export_jsonl(one, tmp_path / "k.jsonl.gz", note="from run 3")
    with gzip.open(tmp_path / "k.jsonl.gz", "rt") as file:
        header, first, second, *_ = [json.loads(line) for line in file]
    assert header == {
        "format": "symdistill-knowledge",
        "version": 1,
        "items": 2,
        "versions": 3,
        "uses": 1,
        "note": "from run 3",
    }
    assert first["provenance"] == [
        {"example_id": "e_1", "task": "t", "question": "Who?", "student_reply": "Bob.", "request_key": "r1_x"}
        | {"model": "m", "prompt": "error-analysis/1", "run": "run"}
    ]
    assert set(second) == {"item", "version", "status", "by", "at", "note"}, "only what changed"


def test_the_history_may_stay_behind(one, two, tmp_path):
    written = export_jsonl(one, tmp_path / "k.jsonl", history=False)
    assert (written.items, written.versions, written.uses) == (2, 2, 0)
    import_jsonl(two, tmp_path / "k.jsonl")
    assert two.get("k_1") == one.get("k_1")
    assert [v.item.version for v in two.history("k_1")] == [2]
    assert two.edit("k_1", by="bob", status="active").version == 3


def test_items_may_be_chosen(one, two, tmp_path):
    export_jsonl(one, tmp_path / "k.jsonl", items={"k_2"})
    assert import_jsonl(two, tmp_path / "k.jsonl").added == ("k_2",)
    assert two.uses() == []
    with pytest.raises(DataError, match="nothing to export"):
        export_jsonl(one, tmp_path / "k.jsonl", items={"k_9"})


def test_what_continues_ours_is_appended(one, two, tmp_path):
    export_jsonl(one, tmp_path / "k.jsonl")
    import_jsonl(two, tmp_path / "k.jsonl")
    one.edit("k_1", by="bob", text="More.")
    one.edit("k_1", by="bob", text="Even more.")
    export_jsonl(one, tmp_path / "k.jsonl")
    merged = import_jsonl(two, tmp_path / "k.jsonl")
    assert (merged.updated, merged.unchanged) == (("k_1",), 1)
    assert two.history("k_1") == one.history("k_1")


def test_what_was_changed_here_and_there_is_a_conflict(one, two, tmp_path):
    export_jsonl(one, tmp_path / "k.jsonl")
    import_jsonl(two, tmp_path / "k.jsonl")
    one.edit("k_1", by="ann", text="Ours.")
    one.edit("k_1", by="ann", text="Ours, again.")
    two.edit("k_1", by="bob", text="Theirs.")
    two.edit("k_2", by="bob", text="Theirs.")
    export_jsonl(two, tmp_path / "k.jsonl")
    merged = import_jsonl(one, tmp_path / "k.jsonl")
    assert merged.conflicts == (Conflict("k_1", ours=4, theirs=3),)
    assert merged.updated == ("k_2",), "the others are imported"
    assert one.get("k_1").text == "Ours, again."


def test_a_later_version_that_does_not_show_what_it_continues_is_a_conflict(one, two, tmp_path):
    two.add([ITEM], by="bob")
    export_jsonl(one, tmp_path / "k.jsonl", history=False)
    assert import_jsonl(two, tmp_path / "k.jsonl").conflicts == (Conflict("k_1", ours=1, theirs=2),)


def test_an_older_file_changes_nothing(one, two, tmp_path):
    export_jsonl(one, tmp_path / "k.jsonl")
    one.edit("k_1", by="ann", text="Later.")
    before = one.revision
    assert import_jsonl(one, tmp_path / "k.jsonl").unchanged == 2
    assert one.revision == before


def test_an_older_export_does_not_undo_what_was_measured_since(one, two, tmp_path):
    export_jsonl(one, tmp_path / "old.jsonl")
    import_jsonl(two, tmp_path / "old.jsonl")
    later = replace(USE, correct_with=False, correct_without=True)
    one.record_uses([later])
    merged = import_jsonl(one, tmp_path / "old.jsonl")
    assert (merged.uses, merged.foreign_uses, one.uses()) == (0, 0, [later])
    export_jsonl(one, tmp_path / "new.jsonl")
    assert import_jsonl(two, tmp_path / "new.jsonl").uses == 1, "what was measured later comes in"
    assert two.uses() == [later]
    assert [use.recorded_at for use in two.uses()] == [use.recorded_at for use in one.uses()]


def test_a_use_without_a_time_is_older_than_every_other(one, two, tmp_path):
    export_jsonl(one, tmp_path / "k.jsonl")
    *lines, use = map(json.loads, lines_of(tmp_path / "k.jsonl"))
    del use["recorded_at"], use["gold"]
    use |= {"correct_with": False, "correct_without": True}
    (tmp_path / "k.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*lines, use]))
    assert import_jsonl(one, tmp_path / "k.jsonl").uses == 0
    assert one.uses() == [USE]
    assert import_jsonl(two, tmp_path / "k.jsonl").uses == 1
    two.record_uses([USE])
    assert two.uses() == [USE]


def test_what_another_text_was_worth_is_left_out(one, two, tmp_path):
    export_jsonl(one, tmp_path / "k.jsonl")
    import_jsonl(two, tmp_path / "k.jsonl")
    one.edit("k_1", by="ann", text="Multiply.")
    two.edit("k_1", by="bob", text="Divide.")
    divided = [replace(USE, version=3, example_id=f"q{n}", correct_with=False, correct_without=True) for n in range(8)]
    shared = replace(USE, example_id="q9")
    two.record_uses([*divided, shared, replace(USE, item_id="k_9")])
    export_jsonl(two, tmp_path / "k.jsonl")
    merged = import_jsonl(one, tmp_path / "k.jsonl")
    assert merged.conflicts == (Conflict("k_1", ours=3, theirs=3),)
    assert (merged.uses, merged.foreign_uses) == (1, 9)
    assert one.uses() == [USE, shared], "version 1 says the same in both"


def lines_of(path):
    return path.read_text().splitlines(keepends=True)


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda lines: lines[:-1], "cut short: 2 items and 0 uses, where its first line says 2 and 1"),
        (lambda lines: [*lines, "{"], "line 6: not valid JSON"),
        (lambda lines: lines[1:], "line 1: not an export"),
        (lambda lines: [lines[0].replace('"version":1', '"version":9'), *lines[1:]], "format version 9"),
        (lambda lines: [], "is empty"),
        (lambda lines: [lines[0], lines[1].replace("summary", "song"), *lines[2:]], "line 2: .*unknown kind 'song'"),
        (lambda lines: [lines[0], lines[1].replace('"title"', '"titel"'), *lines[2:]], "line 2: unknown value 'titel'"),
        (lambda lines: [lines[0], lines[1].replace('"task":"t",', "", 1), *lines[2:]], "line 2: there is no `task`"),
        (lambda lines: [lines[0], lines[1].replace('"version":1', '"version":"1"'), *lines[2:]], "wrong type"),
        (lambda lines: [lines[0], lines[1].replace('"example_id"', '"who"'), *lines[2:]], "unknown value 'who'"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "line 2: there is no `kind`"),
        (lambda lines: [lines[0], lines[1], lines[1], *lines[3:]], "line 3: version 1 of 'k_1' stands behind"),
        (lambda lines: [*lines[:-1], lines[-1].replace("true", "1")], "line 5: `correct_with` has the wrong type"),
        (lambda lines: [lines[0], lines[1].replace("k_1", "../k"), *lines[2:]], "line 2: .*its id is not made of"),
        (lambda lines: [lines[0], lines[1].replace('"version":1', '"version":' + "9" * 30), *lines[2:]], "line 2: "),
    ],
)
def test_nothing_is_imported_from_a_file_with_one_bad_line(one, tmp_path, spoil, said):
    path = tmp_path / "k.jsonl"
    export_jsonl(one, path)
    path.write_text("".join(spoil(lines_of(path))))
    with pytest.raises(DataError, match=said) as caught:
        import_jsonl(tmp_path / "new.sqlite", path)
    assert str(path) in caught.value.message
    assert not (tmp_path / "new.sqlite").exists()


def test_a_base_is_made_for_a_sound_file(one, tmp_path):
    export_jsonl(one, tmp_path / "k.jsonl")
    assert import_jsonl(tmp_path / "new.sqlite", tmp_path / "k.jsonl").added == ("k_1", "k_2")
    with pytest.raises(DataError, match="is not there"):
        import_jsonl(one, tmp_path / "none.jsonl")
