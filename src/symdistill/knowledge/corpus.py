"""A corpus of documents, and how it is cut into passages.

A corpus is a text file (one document), a file of rows (JSONL, JSON, CSV, TSV or Parquet, one document a row), or a
folder of such files, read in the order of their names. A row's text, title and id are found under the names the usual
corpora give them (BEIR, Pyserini, KILT, Wikipedia extracts); everything else in a row is left aside.

A passage is a run of `size` words of one document, single spaces between them; the last one of a document is what is
left. Nothing is held in memory but the row, or the block of a text file, that is being cut.
"""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from symdistill.content import content_key, file_sha256
from symdistill.errors import DataError
from symdistill.tasks.files import KINDS, read_rows, way_to

VERSION = 1
"""Part of every key of a corpus; a change of how it is cut means a new number."""

TEXT_KINDS = (".txt", ".text", ".md", ".markdown")

_TEXTS = (
    *("text", "contents", "content", "passage", "paragraph", "paragraphs", "body", "document", "article", "chunk"),
    *("sentence", "abstract"),
)
_TITLES = ("title", "heading", "wikipedia_title", "page_title", "name")
_IDS = ("id", "_id", "docid", "doc_id", "docno", "pid", "passage_id", "url")

_LONGEST_WORD = 64
"""Characters after which a run without white space counts as a word more: base64, minified code, some scripts."""
_WORD = re.compile(rf"\S{{1,{_LONGEST_WORD}}}")
_BLOCK = 1 << 20
_HEAD = 4096
_PAGE = re.compile(rb"\s*(?:<!doctype\s+html|<html[\s>]|<\?xml\s)", re.IGNORECASE)
_SIGNATURES = {b"%PDF": "a PDF", b"PK\x03\x04": "a zip archive (or an office document)", b"\x89PNG": "a picture"}
_TO_TEXT = "Convert it to plain text, or to JSON lines with a `text` field."


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its words in order, read once, and where it comes from (a row's id, a place in a file)."""

    source: str
    title: str
    words: Iterable[str]


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document. `id` is made of its title and text, so equal passages are one."""

    id: str
    text: str
    title: str = ""
    source: str = ""

    @property
    def shown(self) -> str:
        """What is searched, and what a student reads."""
        return f"{self.title}: {self.text}" if self.title else self.text


def passage_id(title: str, text: str) -> str:
    """`p_` and 16 hexadecimal digits of what a passage says."""
    return "p_" + content_key("p", [title, text])[2:18]


def corpus_files(corpus: Path, key: str = "method.corpus") -> list[Path]:
    """The files of a corpus, in order. `key` is the setting that names it.

    Raises:
        DataError: nothing is there, or nothing of a kind that is understood.
    """
    if not corpus.exists():
        way = way_to(corpus, "Correct the path of the file or folder.")
        raise DataError(f"There is no corpus at {corpus} (`{key}`).", way)
    if not corpus.is_dir():
        if _is_text(corpus) or _is_rows(corpus):
            return [corpus]
        raise DataError(f"{corpus} (`{key}`) has an unknown ending.", f"Known: {', '.join((*TEXT_KINDS, *KINDS))}.")
    hidden = (p for p in sorted(corpus.rglob("*")) if not any(n.startswith(".") for n in p.relative_to(corpus).parts))
    files = [p for p in hidden if p.is_file() and (_is_text(p) or _is_rows(p))]
    if not files:
        raise DataError(
            f"The folder {corpus} (`{key}`) holds no document.",
            f"It should hold files ending in {', '.join((*TEXT_KINDS, *KINDS))}.",
        )
    return files


def corpus_stamp(corpus: Path, size: int, key: str = "method.corpus") -> str:
    """What a corpus looks like from outside: its files with their sizes and times. As long as it is the same, so is
    `corpus_key`; a file that was copied has another stamp and the same key.

    Raises:
        DataError: as `corpus_files`, or a file is not there any more.
    """
    seen = []
    for file in corpus_files(corpus, key):
        try:
            stat = file.stat()
        except OSError as error:
            raise _unreadable(file, key, error) from error
        seen.append([str(file.absolute()), stat.st_size, stat.st_mtime_ns])
    return content_key("d2", {"files": seen, "words": size, "version": VERSION})


def corpus_key(corpus: Path, size: int, key: str = "method.corpus") -> str:
    """The content key of a corpus cut into passages of `size` words: of its files' names and bytes.

    Raises:
        DataError: as `corpus_files`, or a file cannot be read.
    """
    seen = []
    for file in corpus_files(corpus, key):
        name = str(file.relative_to(corpus)) if corpus.is_dir() else file.suffix
        try:
            seen.append([name, file_sha256(file)])
        except OSError as error:
            raise _unreadable(file, key, error) from error
    return content_key("d1", {"files": seen, "words": size, "version": VERSION})


def read_documents(corpus: Path, key: str = "method.corpus") -> Iterator[Document]:
    """The documents of a corpus, each to be read before the next is asked for.

    Raises:
        DataError: a file is no text (HTML, PDF, binary), not UTF-8 or damaged, or a row has no text.
        PrerequisiteError: Parquet without the package that reads it.
    """
    for file in corpus_files(corpus, key):
        _look_at(file, key)
        if _is_text(file):
            name = str(file.relative_to(corpus)) if corpus.is_dir() else file.name
            yield Document(name, "", _words(_without_nulls(_blocks(file, key), file, key)))
        else:
            yield from _rows(file, key)


def cut(document: Document, size: int) -> Iterator[Passage]:
    """The passages of a document, in order; none where it has no words."""
    held: list[str] = []
    for word in document.words:
        held.append(word)
        if len(held) == size:
            yield _passage(document, held)
            held = []
    if held:
        yield _passage(document, held)


def _passage(document: Document, words: list[str]) -> Passage:
    text = " ".join(words)
    return Passage(passage_id(document.title, text), text, document.title, document.source)


def _is_text(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(TEXT_KINDS)


def _is_rows(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(KINDS)


def _rows(file: Path, key: str) -> Iterator[Document]:
    try:
        for place, row in read_rows(file):
            yield _document(place, row, key)
    except DataError as error:
        raise error if key in error.message else DataError(f"`{key}`: {error.message}", error.fix) from error


def _document(place: str, row: Mapping[str, Any], key: str) -> Document:
    by_name = {str(name).strip().lower().replace("-", "_"): value for name, value in row.items()}
    found = next((name for name in _TEXTS if name in by_name), None)
    if found is None:
        raise DataError(
            f"{place} (`{key}`) has no text; its fields: {', '.join(map(str, row)) or 'none'}.",
            "Call the field `text`; `title` and `id` may stand beside it.",
        )
    text = by_name[found]
    parts = text if isinstance(text, list) else [text]
    if not all(part is None or isinstance(part, str) for part in parts):
        raise DataError(f"{place} (`{key}`): `{found}` is no text.", "It should be text, or a list of texts.")
    title = next((by_name[name] for name in _TITLES if isinstance(by_name.get(name), str)), "")
    source = next((by_name[name] for name in _IDS if isinstance(by_name.get(name), (str, int))), place)
    return Document(str(source), " ".join(title.split()), _words(part or "" for part in parts))


def _words(blocks: Iterable[str]) -> Iterator[str]:
    """The words of a text that comes in pieces, none of which ends inside a word."""
    for block in blocks:
        yield from (match.group() for match in _WORD.finditer(block))


def _blocks(file: Path, key: str) -> Iterator[str]:
    """A text file in pieces that end between words (but for a run of a megabyte without white space)."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    held, done = "", 0
    try:
        with _open(file) as data:
            while block := data.read(_BLOCK):
                piece, held = _whole_words(held + decoder.decode(block))
                done += len(block)
                yield piece
            yield held + decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} (`{key}`) is not UTF-8 (near byte {done + error.start:,}).",
            "Convert the file, for example with `iconv -f latin1 -t utf-8`.",
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(file, key, error) from error


def _without_nulls(blocks: Iterable[str], file: Path, key: str) -> Iterator[str]:
    for block in blocks:
        if "\0" in block:
            raise DataError(f"{file} (`{key}`) is binary, not text.", _TO_TEXT)
        yield block


def _whole_words(text: str) -> tuple[str, str]:
    """`text` parted before its last word, unless white space follows it or it is as long as a block."""
    if not text or text[-1].isspace():
        return text, ""
    parts = text.rsplit(None, 1)
    if len(parts) == 2:
        return parts[0], parts[1]
    return (text, "") if len(text) > _BLOCK else ("", text)


def _look_at(file: Path, key: str) -> None:
    """Raises DataError for a file that begins as no text does."""
    name = file.name.lower()
    if name.endswith(".parquet"):
        return
    try:
        with _open(file) as data:
            head = data.read(_HEAD)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(file, key, error) from error
    kind = next((said for start, said in _SIGNATURES.items() if head.startswith(start)), None)
    if _PAGE.match(head.removeprefix(b"\xef\xbb\xbf")):
        kind = "an HTML or XML page"
    elif head.startswith((b"\xff\xfe", b"\xfe\xff")):
        kind = "UTF-16, not UTF-8"
    elif kind is None and b"\0" in head:
        kind = "binary, not text"
    if kind is not None:
        raise DataError(f"{file} (`{key}`) is {kind}.", _TO_TEXT)


def _open(file: Path) -> gzip.GzipFile | IO[bytes]:
    return gzip.open(file, "rb") if file.name.lower().endswith(".gz") else file.open("rb")


def _unreadable(file: Path, key: str, error: Exception) -> DataError:
    said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return DataError(f"Cannot read {file} (`{key}`): {said.rstrip('.')}.", "Check the file and its rights.")
