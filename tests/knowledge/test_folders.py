"""A folder of Markdown files: out and back changes nothing, edits come in, conflicts are reported and never lost."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hard_items import changes, several
from symdistill.errors import DataError
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.folders import MOST_BYTES, export_folder, import_folder
from symdistill.knowledge.items import KnowledgeItem, Provenance
from symdistill.knowledge.utility import Lift
from symdistill.knowledge.visible import without_controls

SOURCE = Provenance("e_1", "t", "Who?", "Bob.", "r1_x", "m", "error-analysis/1")
SWAP = KnowledgeItem("k_1", "summary", "Both holders", "Write both down.", "bbh/swap", provenance=(SOURCE,))
SUM = KnowledgeItem("k_2", "supplementary", "Carrying", "Carry the tens.", "gsm8k", "review", flags=("too_long",))
NEW = "---\nkind: rule\ntask: gsm8k\ntitle: Units\n---\nConvert units first.\n"


@pytest.fixture
def base(tmp_path):
    with KnowledgeBase(tmp_path / "k.sqlite") as opened:
        opened.add([SWAP, SUM], by="refinement")
        yield opened


@pytest.fixture
def folder(base, tmp_path):
    export(base, tmp_path / "notes")
    return tmp_path / "notes"


def export(base, folder):
    return export_folder(base, folder, base.items(status=None))


def file_of(folder, key):
    (path,) = folder.glob(f"*--{key}.md")
    return path


def edit(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def without_line_ends(text):
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@given(several, st.lists(st.tuples(st.integers(0, 9), changes), max_size=4))
@settings(max_examples=50, deadline=None)
def test_out_and_back_changes_nothing(tmp_path_factory, items, edits):
    path = tmp_path_factory.mktemp("round")
    with KnowledgeBase(path / "k.sqlite") as base:
        base.add(items, by="b")
        for index, changed in edits if items else ():
            base.edit(items[index % len(items)].id, by="c", **changed)
        before = list(base.histories())
        written = export(base, path / "notes")
        assert (written.written, written.kept) == (len(items), [])
        files = contents(path / "notes")
        done = import_folder(base, path / "notes", by="ann")
        assert (done.unchanged, done.added, done.edited) == (len(items), [], [])
        assert (done.conflicts, done.problems, done.notes) == ([], [], [])
        assert list(base.histories()) == before
        assert export(base, path / "notes").unchanged == len(items)
        assert contents(path / "notes") == files


@given(several.filter(len), changes)
@settings(max_examples=50, deadline=None)
def test_any_edit_in_a_file_arrives_as_it_was_written(tmp_path_factory, items, changed):
    path = tmp_path_factory.mktemp("edit")
    with KnowledgeBase(path / "mine.sqlite") as mine, KnowledgeBase(path / "yours.sqlite") as yours:
        mine.add(items, by="b")
        yours.add(items, by="b")
        wanted = yours.edit(items[0].id, by="ann", **changed)
        export_folder(yours, path / "notes", [replace(wanted, version=1)])
        done = import_folder(mine, path / "notes", by="ann")
        now = mine.get(items[0].id)
        if not wanted.text.strip() and without_line_ends(items[0].text) != without_line_ends(wanted.text):
            assert "was emptied" in done.problems[0]
            return
        assert (now.title, now.status, now.flags) == (wanted.title, wanted.status, wanted.flags)
        shown = without_controls(wanted.text)  # what acts on a terminal stands written out in the file
        assert now.text in (wanted.text, shown, items[0].text)
        assert without_line_ends(now.text) in (without_line_ends(wanted.text), without_line_ends(shown))
        assert now.provenance == items[0].provenance
        assert bool(done.edited) == (now.version == 2)


def test_an_edited_file_becomes_a_version_by_the_person(base, folder):
    path = file_of(folder, "k_1")
    edit(path, "Write both down.", "Write both names down.")
    edit(path, "status: active", "status: retired")
    done = import_folder(base, folder, by="ann")
    assert (done.edited, done.unchanged, done.added) == (["k_1"], 1, [])
    version = base.history("k_1")[-1]
    assert (version.by, version.note, version.item.version) == ("ann", f"edited in {path.name}", 2)
    assert (version.item.text, version.item.status) == ("Write both names down.", "retired")
    assert version.item.provenance == SWAP.provenance


def test_a_file_that_came_in_can_be_edited_again(base, folder):
    path = file_of(folder, "k_1")
    for number, text in enumerate(("one", "two", "three"), 2):
        edit(path, path.read_text().split("---\n")[2], f"{text}\n")
        assert import_folder(base, folder, by="ann").edited == ["k_1"]
        assert base.get("k_1").version == number
        assert f"version: {number}\n" in path.read_text()


def test_an_edit_of_an_old_version_is_a_conflict_and_nothing_is_lost(base, folder):
    path = file_of(folder, "k_1")
    edit(path, "Write both down.", "Mine.")
    edit(file_of(folder, "k_2"), "Carry the tens.", "Carry.")
    base.edit("k_1", by="bob", text="Theirs.")
    before = path.read_bytes()
    done = import_folder(base, folder, by="ann")
    assert done.edited == ["k_2"], "the others are imported"
    (conflict,) = done.conflicts
    for said in (str(path), "version 1 of k_1", "at version 2", "'bob'", "set `version: 2`"):
        assert said in conflict
    assert base.get("k_1").text == "Theirs."
    assert path.read_bytes() == before
    edit(path, "version: 1", "version: 2")
    assert import_folder(base, folder, by="ann").edited == ["k_1"]
    assert [v.item.text for v in base.history("k_1")] == ["Write both down.", "Theirs.", "Mine."]


def test_a_file_nobody_touched_is_no_conflict_when_the_base_goes_on(base, folder):
    before = contents(folder)
    base.edit("k_1", by="bob", text="Theirs.")
    done = import_folder(base, folder, by="ann")
    assert (done.unchanged, done.conflicts) == (2, [])
    assert base.get("k_1").text == "Theirs."
    assert contents(folder) == before


def test_the_same_edit_made_twice_is_no_conflict(base, folder):
    edit(file_of(folder, "k_1"), "Write both down.", "Same.")
    base.edit("k_1", by="bob", text="Same.")
    assert import_folder(base, folder, by="ann").conflicts == []
    assert "version: 2" in file_of(folder, "k_1").read_text()


def test_a_version_the_base_never_had_is_a_conflict(base, folder):
    edit(file_of(folder, "k_1"), "version: 1", "version: 9")
    edit(file_of(folder, "k_1"), "Write both", "Note both")
    (conflict,) = import_folder(base, folder, by="ann").conflicts
    assert "version 9 of k_1" in conflict
    assert "latest that the base has is 1" in conflict


def test_a_new_file_becomes_an_item_once(base, folder):
    (folder / "deeper").mkdir()
    path = folder / "deeper" / "units.md"
    path.write_text(NEW)
    (key,) = import_folder(base, folder, by="ann").added
    item = base.get(key)
    assert (item.kind, item.title, item.text, item.status) == ("rule", "Units", "Convert units first.", "active")
    assert (item.edited_by, item.provenance) == ("ann", ())
    assert import_folder(base, folder, by="ann").added == []
    edit(path, "first.", "before adding.")
    assert import_folder(base, folder, by="ann").edited == [key]


def test_a_new_file_that_cannot_be_stamped_is_known_again(base, folder):
    path = folder / "units.md"
    path.write_text(NEW)
    (key,) = import_folder(base, folder, by="ann").added
    path.write_text(NEW)
    assert import_folder(base, folder, by="ann").unchanged == 3
    base.edit(key, by="bob", text="Later.")
    path.write_text(NEW)
    assert import_folder(base, folder, by="ann").conflicts == []
    assert base.get(key).text == "Later."
    edit(path, "Convert", "Never convert")
    assert "version 1" in import_folder(base, folder, by="ann").conflicts[0]


def test_a_deleted_file_changes_nothing(base, folder):
    file_of(folder, "k_1").unlink()
    assert import_folder(base, folder, by="ann").unchanged == 1
    assert base.get("k_1").status == "active"


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("bad.md", b"---\ntitle: a: b\n---\nx\n", "bad.md, line 2: not valid YAML"),
        ("bad.md", b"---\nkind: song\ntask: t\ntitle: x\n---\nx\n", "bad.md, line 2: unknown kind 'song'"),
        ("bad.md", NEW.replace("rule", "rule\nstatus: on").encode(), "bad.md, line 3: unknown status 'on'"),
        ("bad.md", b"# Heading\n", "bad.md, line 1: this is no knowledge item"),
        ("bad.md", b"---\nkind: rule\n---\nx \xff\n", "bad.md, line 4: not UTF-8"),
        ("bad.md", NEW.replace("Units", "").encode(), "bad.md, line 4: `title` is empty"),
        ("bad.md", NEW.replace("Convert units first.", " ").encode(), "there is no text"),
        (
            "bad.md",
            NEW.replace("kind", "id: k_77\nversion: 1\nstatus: active\nkind").encode(),
            "Taking the `id` line out makes a new item",
        ),
        ("bad.md", b"---\n" + b"x" * (MOST_BYTES + 1), "larger than"),
        ("bad.md", b"", "line 1: this is no knowledge item"),
    ],
)
def test_a_bad_file_is_named_and_the_rest_comes_in(base, folder, name, content, said):
    (folder / name).write_bytes(content)
    edit(file_of(folder, "k_1"), "Write both down.", "Mine.")
    done = import_folder(base, folder, by="ann")
    (problem,) = done.problems
    assert said in problem
    assert name in problem
    assert done.edited == ["k_1"]
    assert (folder / name).read_bytes() == content


def test_kind_stays_and_text_is_not_emptied(base, folder):
    edit(file_of(folder, "k_1"), "kind: summary", "kind: rule")
    edit(file_of(folder, "k_2"), "Carry the tens.", "")
    problems = import_folder(base, folder, by="ann").problems
    assert any("the kind of k_1 is summary" in problem for problem in problems)
    assert any("the text of k_2 was emptied" in problem for problem in problems)
    assert base.get("k_1").version == base.get("k_2").version == 1


def test_two_files_of_one_item_are_both_left_out(base, folder):
    path = file_of(folder, "k_1")
    (folder / "copy.md").write_text(path.read_text().replace("Write both", "Copied"))
    edit(path, "Write both", "Note both")
    done = import_folder(base, folder, by="ann")
    (problem,) = done.problems
    assert "copy.md" in problem
    assert path.name in problem
    assert "all are item k_1" in problem
    assert base.get("k_1").version == 1


def test_a_readme_and_hidden_files_are_none_of_ours(base, folder):
    (folder / "README.md").write_text("About these notes.\n")
    (folder / ".draft.md").write_text("later\n")
    (folder / ".git").mkdir()
    (folder / ".git" / "x.md").write_text("x\n")
    assert import_folder(base, folder, by="ann").problems == []


def test_one_file_may_be_imported(base, folder):
    for key in ("k_1", "k_2"):
        edit(file_of(folder, key), "title: ", "title: My ")
    assert import_folder(base, file_of(folder, "k_2"), by="ann", note="why").edited == ["k_2"]
    assert base.history("k_2")[-1].note == "why"
    assert base.get("k_1").version == 1


def test_a_mark_at_the_front_and_other_line_ends_are_no_edit(base, folder):
    path = file_of(folder, "k_1")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert import_folder(base, folder, by="ann").unchanged == 2
    path.write_bytes(path.read_bytes().replace(b"Both holders", b"Holders"))
    assert import_folder(base, folder, by="ann").edited == ["k_1"]
    assert (base.get("k_1").title, base.get("k_1").text) == ("Holders", SWAP.text)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf---\r\nid: k_1\r\n")
    assert b"version: 2\r\n" in path.read_bytes()


def test_nothing_to_import_is_said(base, tmp_path):
    with pytest.raises(DataError, match="There is no folder"):
        import_folder(base, tmp_path / "nowhere", by="ann")


# Export into a folder that is there


def test_export_brings_files_up_to_date_and_keeps_their_names(base, folder):
    file_of(folder, "k_1").rename(folder / "my name.md")
    base.edit("k_1", by="bob", title="Another title")
    written = export_folder(base, folder, base.items(), {"k_1": Lift(1, 0, 3, 0.08, -0.1, 0.3)})
    assert (written.written, written.unchanged) == (1, 0)
    text = (folder / "my name.md").read_text()
    assert "title: Another title" in text
    assert "lift: +0.08" in text
    assert len(list(folder.iterdir())) == 2


def test_export_never_overwrites_an_edit(base, folder):
    path = file_of(folder, "k_1")
    edit(path, "Write both down.", "Mine.")
    base.edit("k_1", by="bob", text="Theirs.")
    before = path.read_bytes()
    written = export(base, folder)
    assert path.read_bytes() == before
    assert "holds an edit that was not imported" in written.kept[0]
    path.write_text("---\nid: k_1\ntitle: broken: yaml\n---\n")
    assert "not valid YAML" in export(base, folder).kept[0]
    assert "broken" in path.read_text()


def test_export_leaves_files_of_the_users_own_alone(base, folder):
    name = file_of(folder, "k_1").name
    file_of(folder, "k_1").write_text("my notes\n")
    export(base, folder)
    assert (folder / name).read_text() == "my notes\n"
    assert "Write both down." in (folder / name.replace(".md", "-2.md")).read_text()


def test_export_into_two_files_of_one_item_writes_neither(base, folder):
    path = file_of(folder, "k_1")
    (folder / "copy.md").write_bytes(path.read_bytes())
    base.edit("k_1", by="bob", text="Theirs.")
    assert "several files" in export(base, folder).kept[0]
    assert "Theirs." not in path.read_text()


def test_a_file_that_cannot_be_stamped_is_said(base, folder):
    path = file_of(folder, "k_1")
    edit(path, "Write both down.", "Mine.")
    (folder / f".{path.name}.{os.getpid()}.part").mkdir()
    done = import_folder(base, folder, by="ann")
    assert done.edited == ["k_1"]
    assert "imported as version 2" in done.notes[0]
    assert "version: 1" in path.read_text()


def test_a_place_that_cannot_be_written_is_said(base, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Cannot write"):
        export(base, tmp_path / "file" / "notes")
