"""A corpus as files people have: what is read of them, how it is cut, and what cannot be used."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.errors import DataError
from symdistill.knowledge.corpus import Document, Passage, corpus_key, cut, passage_id, read_documents
from symdistill.knowledge.passages import check_corpus


def read(path: Path) -> list[tuple[str, str, str]]:
    return [(d.source, d.title, " ".join(d.words)) for d in read_documents(path)]


def jsonl(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    "row, wanted",
    [
        ({"text": "a  b\nc"}, ("", "a b c")),
        ({"_id": "7", "title": "On  bees", "text": "hum"}, ("7", "hum")),
        ({"id": 7, "contents": "hum"}, ("7", "hum")),
        ({"docid": "x", "Passage": "hum", "Title": None}, ("x", "hum")),
        ({"wikipedia_title": "Bee", "text": ["hum", "", None, "buzz"], "url": "u"}, ("u", "hum buzz")),
        ({"text": "hum", "metadata": {"text": "no"}}, ("", "hum")),
    ],
)
def test_a_row_is_read_whatever_its_fields_are_called(tmp_path: Path, row: dict[str, Any], wanted: Any) -> None:
    path = jsonl(tmp_path / "c.jsonl", row)
    [(source, title, text)] = read(path)
    assert (source, text) == (wanted[0] or f"{path}, line 1", wanted[1])
    assert title == {"On  bees": "On bees", "Bee": "Bee"}.get(row.get("title") or row.get("wikipedia_title") or "", "")


def test_a_folder_is_read_in_the_order_of_its_names_and_a_file_is_a_document(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.md").write_text("# Two\n\ntext")
    (tmp_path / "a.txt").write_bytes("\ufeffone été".encode())
    (tmp_path / ".hidden.txt").write_text("no")
    (tmp_path / "notes.log").write_text("no")
    (tmp_path / "d.csv").write_text("text,id\nfour,r4\n")
    jsonl(tmp_path / "c.jsonl", {"text": "three", "id": "r3"})
    with gzip.open(tmp_path / "e.txt.gz", "wt") as file:
        file.write("five")
    assert read(tmp_path) == [
        ("a.txt", "", "one été"),
        ("b/two.md", "", "# Two text"),
        ("r3", "", "three"),
        ("r4", "", "four"),
        ("e.txt.gz", "", "five"),
    ]


@given(st.lists(st.text("ab", min_size=1, max_size=5), max_size=40), st.integers(1, 7))
def test_passages_hold_the_words_in_order_and_but_the_last_are_full(words: list[str], size: int) -> None:
    passages = list(cut(Document("d", "t", words), size))
    assert [w for p in passages for w in p.text.split()] == words
    assert [len(p.text.split()) for p in passages[:-1]] == [size] * max(0, len(passages) - 1)
    assert all(0 < len(p.text.split()) <= size for p in passages)
    assert all((p.title, p.source) == ("t", "d") for p in passages)


def test_a_passages_id_is_made_of_what_it_says() -> None:
    assert passage_id("t", "x") == passage_id("t", "x") != passage_id("", "x")
    assert passage_id("a b", "c") != passage_id("a", "b c")
    assert Passage("p", "text", "Bees").shown == "Bees: text"
    assert Passage("p", "text").shown == "text"


def test_a_long_text_is_read_in_pieces_without_breaking_words_or_characters(tmp_path: Path) -> None:
    words = [f"wört{i}" for i in range(300_000)]
    (tmp_path / "c.txt").write_text(" \n".join(words), encoding="utf-8")
    assert (tmp_path / "c.txt").stat().st_size > 3 << 20
    assert " ".join(words) == read(tmp_path / "c.txt")[0][2]


def test_a_run_without_spaces_counts_as_several_words(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("x" * 3_000_000)
    [document] = read_documents(tmp_path / "c.txt")
    found = list(document.words)
    assert max(map(len, found)) == 64
    assert sum(map(len, found)) == 3_000_000


PAGE = b"\n <!DOCTYPE html><html><body>text</body></html>"


@pytest.mark.parametrize(
    "name, content, says",
    [
        ("c.txt", b"plain \xe9t\xe9", "not UTF-8 (near byte 6)"),
        ("c.txt", "wide".encode("utf-16"), "UTF-16"),
        ("c.txt", b"bin\0ary", "binary"),
        ("c.txt", b"text " * 2_000 + b"\0", "binary"),
        ("c.md", b"%PDF-1.7 ...", "a PDF"),
        ("c.txt", b"PK\x03\x04...", "zip"),
        ("c.md", PAGE, "HTML"),
        ("c.jsonl", PAGE, "HTML"),
        ("c.jsonl", b'{"text": "ok"}\n{"text": \n', "line 2: not valid JSON"),
        ("c.jsonl", b'{"text": "ok"}\n[1]\n', "line 2: a list"),
        ("c.jsonl", b'{"question": "?", "answer": "!"}\n', "its fields: question, answer"),
        ("c.jsonl", b"{}\n", "its fields: none"),
        ("c.jsonl", b'{"text": {"a": 1}}\n', "`text` is no text"),
        ("c.jsonl", b'{"text": 7}\n', "`text` is no text"),
        ("c.jsonl", b'{"text": "\xe9"}\n', "not UTF-8"),
        ("c.txt.gz", b"\x1f\x8b torn", "Cannot read"),
        ("c.docx", b"?", "unknown ending"),
        ("c.parquet", b"torn", "not a Parquet file"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_setting(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        check_corpus(path, "methods.1.corpus")
    assert says in raised.value.message
    assert "`methods.1.corpus`" in raised.value.message
    assert str(path) in raised.value.message
    assert raised.value.fix


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir()], ids=["nothing", "an empty folder"])
def test_where_there_is_nothing_it_says_so(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "corpus")
    with pytest.raises(DataError, match=r"`method\.corpus`"):
        list(read_documents(tmp_path / "corpus"))


def test_a_corpus_is_known_by_its_content_wherever_it_lies(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("same")
    assert corpus_key(tmp_path / "one", 128) == corpus_key(tmp_path / "two", 128) != corpus_key(tmp_path / "one", 64)
    (tmp_path / "two" / "a.txt").write_text("other")
    assert corpus_key(tmp_path / "one", 128) != corpus_key(tmp_path / "two", 128)
    (tmp_path / "one" / "b.log").write_text("not read")
    (tmp_path / "three.txt").write_text("same")
    assert corpus_key(tmp_path / "three.txt", 128) == corpus_key(tmp_path / "three.txt", 128)
