"""One item as the text of a Markdown file: what is written is read back to the letter, mistakes are named by line."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hard_items import items
from symdistill.errors import DataError
from symdistill.knowledge.items import KnowledgeItem, Provenance
from symdistill.knowledge.markdown import file_name, parse, render, stamped
from symdistill.knowledge.utility import Lift
from symdistill.knowledge.visible import without_controls

ITEM = KnowledgeItem(
    "k_7f3a91c2d4e5",
    "summary",
    "Update both holders at every swap",
    "1. Write who holds what.\n2. Exchange both entries.",
    "bbh/tracking_shuffled_objects",
    provenance=tuple(
        Provenance(f"e_{i}", "bbh/tracking", "Who?", "Bob.", "r1_x", "qwen2.5-1.5b-instruct", "error-analysis/2")
        for i in (12, 48, 77)
    ),
    version=2,
)
LIFT = Lift(helped=14, hurt=2, uses=61, lift=0.169, low=0.05, high=0.28)


def test_a_file_looks_as_documented():
    assert render(replace(ITEM, flags=("merged", "too_long")), LIFT) == (
        "---\n"
        "id: k_7f3a91c2d4e5\n"
        "kind: summary\n"
        "task: bbh/tracking_shuffled_objects\n"
        "title: Update both holders at every swap\n"
        "status: active\n"
        "flags: [merged, too_long]\n"
        "version: 2\n"
        "lift: +0.17 [+0.05, +0.28] (helped 14, hurt 2 of 61 questions)\n"
        "from: 3 student errors (e_12, e_48, e_77) · teacher qwen2.5-1.5b-instruct · prompt error-analysis/2\n"
        "---\n"
        "1. Write who holds what.\n"
        "2. Exchange both entries.\n"
    )


@given(items, st.integers(1, 99), st.sampled_from([None, LIFT]))
def test_what_is_written_is_read_back_to_the_letter_and_acts_on_no_terminal(item, version, lift):
    item = replace(item, version=version)
    written = render(item, lift)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028]", written.replace("\r\n", "\n"))
    draft = parse(written, "x.md")
    assert (draft.id, draft.version, draft.kind) == (item.id, version, item.kind)
    assert (draft.title, draft.text, draft.task) == (item.title, without_controls(item.text), item.task)
    assert (draft.status, draft.flags, draft.changes(item)) == (item.status, item.flags, {})


@given(items)
def test_any_yaml_program_reads_the_front_matter(item):
    head = render(item, LIFT).split("\n---\n")[0].removeprefix("---\n")
    values = yaml.safe_load(head)
    assert (values["title"], values["task"], values["version"]) == (item.title, item.task, 1)


@given(items)
def test_line_ends_of_another_system_are_no_edit(item):
    text = render(replace(item, text=item.text.replace("\r", "")))
    assert parse(text.replace("\n", "\r\n"), "x.md").changes(replace(item, text=item.text.replace("\r", ""))) == {}


@pytest.mark.parametrize(
    "before, after, changes",
    [
        ("title: Update both holders at every swap", "title: yes", {"title": "yes"}),
        ("title: Update both holders at every swap", 'title: "Swap: both"', {"title": "Swap: both"}),
        ("title: Update both holders at every swap", "title: >\n  Swap\n  both", {"title": "Swap both"}),
        ("status: active", "status: retired # harmful", {"status": "retired"}),
        ("status: active", "status: active\nflags: [leaks_answer]", {"flags": ("leaks_answer",)}),
        ("task: bbh/tracking_shuffled_objects", "task: 2024-01-01", {"task": "2024-01-01"}),
        ("2. Exchange both entries.\n", "2. Exchange both.\n", {"text": "1. Write who holds what.\n2. Exchange both."}),
        ("2. Exchange both entries.\n", "2. Exchange both entries.", {}),
        ("2. Exchange both entries.\n", "2. Exchange both entries.\n\n\n", {}),
        ("from: 3 student", "from: 9 student", {}),
        ("status: active\n", "", {}),
        ("---\n1.", "---  \n1.", {}),
    ],
)
def test_an_edit_is_what_changed(before, after, changes):
    text = render(ITEM, LIFT)
    assert before in text
    assert parse(text.replace(before, after), "x.md").changes(ITEM) == changes


@pytest.mark.parametrize(
    "before, after, said",
    [
        ("---\nid", "id", r"line 1: this is no knowledge item"),
        ("---\n1.", "1.", r"line 1: the front matter has no end"),
        ("title: Update", "title: Update: ", r"line 5: not valid YAML .*double quotes"),
        ("title: Update", 'title: "Update', r"not valid YAML"),
        ("title: Update", "title: \x07Update", r"line 5: not valid YAML"),
        ("title: Update", "title: " + "[" * 5000, r"line 2: not valid YAML"),
        ("title: Update", "title: *x", r"line 5: not valid YAML"),
        ("title: Update both holders at every swap", "title: [a, b]", r"line 5: `title` is not one text"),
        ("title:", "titel:", r"line 5: unknown key 'titel'. Did you mean `title`"),
        ("title:", "status:", r"line 6: `status` stands here twice"),
        ("title: Update both holders at every swap\n", "", r"there is no `title`"),
        ("status: active", "status: activ", r"line 6: unknown status 'activ'. Did you mean `active`"),
        ("status: active", "status: ", r"line 6: `status` is empty"),
        ("kind: summary", "kind: song", r"line 3: unknown kind 'song'. Known: summary"),
        ("version: 2", "version: two", r"line 7: `version` is 'two', not a whole number"),
        ("version: 2", "version: [2]", r"line 7: `version` is not one text"),
        ("version: 2\n", "", r"line 2: there is no `version` beside `id`"),
        ("status: active", "status: active\nflags: [odd]", r"line 7: unknown flag 'odd'"),
        ("status: active", "status: active\nflags: [[x]]", r"line 7: unknown flag"),
        ("status: active", "? [a]\n: b", r"line 6: unknown key None"),
        ("id: k_7f3a91c2d4e5\nkind: summary", "just words", r"line [23]: not"),
    ],
)
def test_a_mistake_is_named_by_file_and_line(before, after, said):
    text = render(ITEM)
    assert before in text
    with pytest.raises(DataError, match=said) as caught:
        parse(text.replace(before, after, 1), "notes/x.md")
    assert caught.value.message.startswith("notes/x.md, line ")
    assert caught.value.fix
    assert len(str(caught.value)) < 400


def test_yaml_that_would_build_objects_is_text():
    text = render(ITEM).replace("title: Update", "title: !!python/object/apply:os.system Update")
    assert parse(text, "x.md").changes(ITEM) == {}


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("leftover", ["", "version: 7\n"])
def test_a_new_file_is_stamped_with_its_id_and_version(line_end, leftover):
    text = f"---\nkind: rule\n{leftover}task: t\ntitle: T\n---\nSay it.\n".replace("\n", line_end)
    draft = parse(text, "x.md")
    assert (draft.id, draft.version, draft.status, draft.text) == (None, None, None, "Say it.")
    after = stamped(text, draft, replace(ITEM, version=1))
    again = parse(after, "x.md")
    assert (again.id, again.version, again.text) == (ITEM.id, 1, "Say it.")
    assert after.count("version") == 1
    assert after.count(line_end) == after.count("\n")


def test_stamping_changes_the_version_and_nothing_else():
    text = render(ITEM).replace("version: 2", "version: '2'  # mine").replace("---\nid", "---\n# a comment\nid")
    after = stamped(text, parse(text, "x.md"), replace(ITEM, version=13))
    assert after == text.replace("'2'", "13")


@given(items)
def test_a_file_name_fits_every_file_system(item):
    name = file_name(item)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,60}--k_[0-9a-f]{2}\.md", name)


@pytest.mark.parametrize(
    "item, name",
    [
        (ITEM, "tracking-shuffled-objects-update-both-holders-at-every-swap--k_7f3a91c2d4e5.md"),
        (replace(ITEM, id="con", task="", title="日本語"), "item--con.md"),
        (replace(ITEM, id="k_1", task="../..", title="Übung: 1/2"), "ubung-1-2--k_1.md"),
    ],
)
def test_a_file_name_is_readable(item, name):
    assert file_name(item) == name
