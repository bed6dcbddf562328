"""Triples as files, and back: JSON lines, TSV, N-Quads, Turtle and JSON-LD, each also gzipped (`.gz`).

| ending    | holds batches' provenance | for |
|-----------|---------------------------|-----|
| `.jsonl`  | yes, in rows of its own   | people and programs |
| `.tsv`    | their names               | spreadsheets, COMET's files |
| `.nq`     | yes                       | RDF tools; the batch is the graph's name |
| `.ttl`    | yes                       | RDF tools, readable; the batch is a property |
| `.jsonld` | yes                       | the web |

A JSON row is `{"head": …, "relation": …, "tail": …, "confidence": …, "batch": …, "source": …}`, the last three where
known; `subject`, `predicate` and `object` will do as well, and `tails` may hold several tails. A row
`{"provenance": {"id": …, "origin": …}}` describes a batch. In TSV a tab, a line break and a backslash inside a text are
escaped with a backslash. Reading gives back what was written, whatever the texts hold: `records.canonical_hash` is the
same after a round trip through each format. RDF has one statement for a triple of a batch, so there a triple that comes
again is written once (`records.each_once`).
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import IO, Any, get_args

from symdistill.curation.files import lines_written
from symdistill.errors import DataError
from symdistill.knowledge.triples.normalise import says_nothing
from symdistill.knowledge.triples.records import Batch, Origin, Triple, checked, each_once
from symdistill.knowledge.triples.review import Decision
from symdistill.tasks.files import read_rows, way_to

_RDF = (".nq", ".ttl", ".jsonld")
ENDINGS = (".jsonl", ".tsv", *_RDF)

_COLUMNS = ("head", "relation", "tail", "confidence", "batch", "source")
_OTHER_NAMES = {"subject": "head", "predicate": "relation", "object": "tail", "score": "confidence"}
_ROW = 'A row looks like {"head": "PersonX is late", "relation": "xWant", "tail": "to hurry"}.'
_LINE_LIMIT = 1 << 20
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_ESCAPED = re.compile(r"\\([\\tnr])")
_UNESCAPES = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file holds. `places` says where in it each triple stands ("line 3").

    `nothing` counts the tails that were left out because they say that there is none.
    """

    triples: tuple[Triple, ...]
    batches: tuple[Batch, ...] = ()
    places: Sequence[str] = field(default=(), compare=False)
    nothing: int = 0


def ending(path: Path) -> str | None:
    """The format of a file by its name, None for one that is no format of ours."""
    name = path.name.lower().removesuffix(".gz")
    return next((known for known in ENDINGS if name.endswith(known)), None)


def read_triples(path: Path) -> Contents:
    """The triples of a file and the batches it describes.

    Raises:
        DataError: there is no such file, its format is unknown, or a line is damaged; the message names file and line.
        PrerequisiteError: the format needs pyoxigraph, which is not installed.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}.", way_to(path, "Name a file of triples, or a graph's directory."))
    kind = _known_ending(path)
    if kind == ".jsonl":
        return _read_jsonl(path)
    return _read_tsv(path) if kind == ".tsv" else _read_rdf(path, kind)


def write_triples(path: Path, triples: Iterable[Triple], batches: Iterable[Batch] = ()) -> int:
    """Write triples to a file, whole or not at all, and return how many; in RDF a triple that comes again counts once.

    Raises:
        DataError: the format is unknown, or the file cannot be written; what was there before is untouched.
        PrerequisiteError: as `read_triples`.
    """
    kind = _known_ending(path)
    count = 0
    given = each_once(triples) if kind in _RDF else triples

    def counted() -> Iterator[Triple]:
        nonlocal count
        for triple in given:
            count += 1
            yield triple

    with _written(path) as write:
        if kind == ".jsonl":
            for batch in batches:
                write(_json({"provenance": {name: value for name, value in asdict(batch).items() if value}}))
            for triple in counted():
                write(_json(row_of(triple)))
        elif kind == ".tsv":
            write("\t".join(_COLUMNS).encode() + b"\n")
            for triple in counted():
                write(_tsv_line(triple).encode() + b"\n")
        else:
            _write_rdf(write, kind, counted(), batches)
    return count


def write_provenance(
    path: Path, triples: Iterable[Triple], batches: Iterable[Batch], decisions: Iterable[Decision]
) -> None:
    """Write where triples came from and who judged them, as W3C PROV in Turtle, N-Quads or JSON-LD.

    Raises:
        DataError, PrerequisiteError: as `write_triples`; JSON lines and TSV are no forms of PROV.
    """
    from symdistill.knowledge.triples import prov, rdf
    from symdistill.knowledge.triples.oxigraph import ox

    kind = _known_ending(path)
    if kind not in _RDF:
        raise DataError(f"{path} cannot hold PROV.", f"Name it with one of {', '.join(_RDF)}.")
    statements = prov.provenance(triples, batches, decisions)
    with _written(path) as write:
        sink: Any = _Sink(write)
        if kind == ".ttl":
            ox.serialize(statements, sink, ox.RdfFormat.TURTLE, prefixes=rdf.PREFIXES)
        else:
            form = ox.RdfFormat.N_QUADS if kind == ".nq" else ox.RdfFormat.JSON_LD
            ox.serialize((ox.Quad(s.subject, s.predicate, s.object) for s in statements), sink, form)


def row_of(triple: Triple) -> dict[str, Any]:
    """A triple as a JSON row, without what is not known."""
    row: dict[str, Any] = {"head": triple.head, "relation": triple.relation, "tail": triple.tail}
    if triple.confidence is not None:
        row["confidence"] = float(triple.confidence)
    return (
        row | ({"batch": triple.batch} if triple.batch else {}) | ({"source": triple.source} if triple.source else {})
    )


def _line_of(place: str) -> str:
    return place.rpartition(", ")[2]


def _known_ending(path: Path) -> str:
    kind = ending(path)
    if kind is None:
        raise DataError(f"{path} is no format of triples.", f"Name it with one of {', '.join(ENDINGS)} (or with .gz).")
    return kind


@contextlib.contextmanager
def _written(path: Path) -> Iterator[Callable[[bytes], None]]:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31) if path.suffix.lower() == ".gz" else None
    with lines_written(path) as write:
        yield (lambda data: write(packer.compress(data))) if packer else write
        if packer:
            write(packer.flush())


def _json(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


# JSON lines


def _read_jsonl(path: Path) -> Contents:
    triples, places, batches = [], [], []
    nothing = 0
    for place, row in read_rows(path):
        if "provenance" in row:
            batches.append(_batch(row["provenance"], place))
            continue
        values = {_OTHER_NAMES.get(name, name): value for name, value in row.items()}
        tails = values.get("tails")
        if tails is None:
            triples.append(_triple(values, place))
            places.append(_line_of(place))
            continue
        if not isinstance(tails, list):
            raise DataError(f"{place}: `tails` is not a list.", _ROW)
        for tail in tails:
            if isinstance(tail, str) and says_nothing(tail):
                nothing += 1
            else:
                triples.append(_triple({**values, "tail": tail}, place))
                places.append(_line_of(place))
    return Contents(tuple(triples), tuple(batches), places, nothing)


def _triple(values: dict[str, Any], place: str) -> Triple:
    for name in ("head", "relation", "tail"):
        if name not in values:
            raise DataError(f"{place}: there is no `{name}`.", _ROW)
    texts = {name: values.get(name) or "" for name in ("head", "relation", "tail", "batch", "source")}
    if wrong := next((name for name, value in texts.items() if not isinstance(value, str)), None):
        raise DataError(f"{place}: `{wrong}` is not text.", _ROW)
    confidence = values.get("confidence")
    if isinstance(confidence, bool) or not isinstance(confidence, (int, float, type(None))):
        raise DataError(f"{place}: `confidence` is not a number.", "It is between 0 and 1, or left out.")
    return checked(Triple(**texts, confidence=confidence), place)


def _batch(values: Any, place: str) -> Batch:
    known = {f.name for f in fields(Batch)}
    if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()) or not values.get("id"):
        raise DataError(f"{place}: `provenance` is not a group of texts with an `id`.", "Take the row out.")
    if values.get("origin") not in get_args(Origin):
        raise DataError(f"{place}: unknown `origin` of a batch.", f"Known: {', '.join(get_args(Origin))}.")
    return Batch(**{name: value for name, value in values.items() if name in known})


# TSV


def _tsv_line(triple: Triple) -> str:
    confidence = "" if triple.confidence is None else repr(float(triple.confidence))
    cells = (triple.head, triple.relation, triple.tail, confidence, triple.batch, triple.source)
    return "\t".join(re.sub(r"[\\\t\n\r]", lambda found: _ESCAPES[found[0]], cell) for cell in cells)


def _read_tsv(path: Path) -> Contents:
    """With our head line every column is known and escapes are undone; without, the first three are the triple."""
    columns: list[str] = list(_COLUMNS[:3])
    triples, places = [], []
    nothing = 0
    ours = False
    for number, line in _lines(path):
        cells = line.split("\t")
        named = [_OTHER_NAMES.get(cell.strip().lower(), cell.strip().lower()) for cell in cells]
        if number == 1 and {"head", "relation", "tail"} <= set(named):
            columns, ours = named, tuple(named) == _COLUMNS
            continue
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        if len(cells) < 3:
            raise DataError(f"{place}: {len(cells)} cells.", "A line holds head, relation and tail, with tabs between.")
        if ours:
            cells = [_ESCAPED.sub(lambda found: _UNESCAPES[found[1]], cell) for cell in cells]
        values: dict[str, Any] = dict(zip(columns, cells, strict=False))
        if not ours and says_nothing(values.get("tail", "")):
            nothing += 1
            continue
        values["confidence"] = _confidence(values.get("confidence", ""), place)
        triples.append(_triple(values, place))
        places.append(_line_of(place))
    return Contents(tuple(triples), (), places, nothing)


def _confidence(text: str, place: str) -> float | None:
    try:
        return float(text) if text.strip() else None
    except ValueError:
        raise DataError(f"{place}: the confidence {text[:40]!r} is no number.", "It is between 0 and 1.") from None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    number = 0
    try:
        with _opened(path) as file:
            while line := file.readline(_LINE_LIMIT):
                number += 1
                if len(line) == _LINE_LIMIT:
                    raise DataError(f"{path}, line {number}: longer than a megabyte.", "Is this a file of triples?")
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                yield number, text.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise DataError(f"{path}, line {number}: not UTF-8.", "Save the file as UTF-8.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is damaged after line {number} ({error}).", "Compress it again.") from None
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror or error}.", "Check the file and its rights.") from None


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


# RDF


class _Sink:
    """What pyoxigraph writes to."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        self._write(bytes(data))
        return len(data)

    def flush(self) -> None: ...


def _write_rdf(write: Callable[[bytes], None], kind: str, triples: Iterable[Triple], batches: Iterable[Batch]) -> None:
    from symdistill.knowledge.triples import prov, rdf
    from symdistill.knowledge.triples.oxigraph import ox

    described = [quad for batch in batches for quad in prov.batch_quads(batch)]
    sink: Any = _Sink(write)
    if kind == ".ttl":
        plain = (part for source in ((q.triple for q in described), rdf.without_graphs(triples)) for part in source)
        ox.serialize(plain, sink, ox.RdfFormat.TURTLE, prefixes=rdf.PREFIXES)
        return
    quads = (q for source in (described, (q for t in triples for q in rdf.quads_of(t))) for q in source)
    if kind == ".nq":
        ox.serialize(quads, sink, ox.RdfFormat.N_QUADS)
    else:
        ox.serialize(quads, sink, ox.RdfFormat.JSON_LD, prefixes=rdf.PREFIXES)


def _read_rdf(path: Path, kind: str) -> Contents:
    from symdistill.knowledge.triples import prov, rdf
    from symdistill.knowledge.triples.oxigraph import ox

    formats = {".nq": ox.RdfFormat.N_QUADS, ".ttl": ox.RdfFormat.TURTLE, ".jsonld": ox.RdfFormat.JSON_LD}
    try:
        with _opened(path) as file:
            quads = list(ox.parse(file, formats[kind]))
    except SyntaxError as error:
        at = f", line {error.lineno}" if error.lineno else ""
        raise DataError(f"{path}{at}: not valid {kind[1:]} ({error.msg}).", "Correct the file.") from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(f"Cannot read {path}: {error}.", "Check the file.") from None
    triples = [checked(triple, str(path)) for triple in rdf.triples_of(quads, str(path))]
    return Contents(tuple(triples), tuple(prov.batches_of(quads, str(path))), [""] * len(triples))


def in_batch(contents: Contents, batch: Batch) -> Contents:
    """The contents with every triple in a batch that is described.

    Triples without a batch join `batch`, with their place as source; batches that are only named get a description as
    an import of the same file.
    """
    triples = tuple(
        triple if triple.batch else replace(triple, batch=batch.id, source=triple.source or place)
        for triple, place in zip(contents.triples, contents.places, strict=True)
    )
    known = {b.id for b in contents.batches}
    named = dict.fromkeys(triple.batch for triple in triples)
    added = [replace(batch, id=name) for name in named if name not in known]
    return replace(contents, triples=triples, batches=(*contents.batches, *added))
