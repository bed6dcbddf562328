"""What a knowledge graph holds: triples as somebody wrote them, and the batches they came in."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from symdistill.content import canonical_json, content_key
from symdistill.errors import DataError
from symdistill.knowledge.triples.normalise import normal

LONGEST = 1_000
"""Characters of a head or a tail at most: what is longer is a passage, not a phrase."""

Origin = Literal["teacher", "extraction", "import", "hand"]


@dataclass(frozen=True, slots=True)
class Triple:
    """One statement: `head` stands in `relation` to `tail`.

    Head and tail keep the form they were written in; `fact` is what they say. `confidence` is between 0 and 1, None
    where nobody has said. `batch` names the `Batch` it came in, `source` what in it: the key of a teacher's request, a
    line of a file, an example's id. All text is data, never markup or instructions.
    """

    head: str
    relation: str
    tail: str
    confidence: float | None = None
    batch: str = ""
    source: str = ""

    @property
    def id(self) -> str:
        """`t_` and 16 hexadecimal digits of head, relation, tail and batch as they are written.

        Confidence and source stay out: a triple that is scored anew is the same triple.
        """
        return "t_" + content_key("t1", [self.head, self.relation, self.tail, self.batch])[3:19]

    @property
    def fact(self) -> tuple[str, str, str]:
        """Head, relation and tail in the forms that are compared (`normalise.normal`)."""
        return normal(self.head), self.relation, normal(self.tail)


@dataclass(frozen=True, slots=True)
class Batch:
    """Where triples came from together: one generation, one extraction, one file.

    `model` and `prompt` name who was asked and with which wording and version, `used` a file or task it was made from,
    `run` the run it belongs to. `at` is UTC, ISO 8601.
    """

    id: str
    origin: Origin
    model: str = ""
    prompt: str = ""
    used: str = ""
    run: str = ""
    at: str = ""


def checked(triple: Triple, place: str = "") -> Triple:
    """The triple itself.

    Raises:
        DataError: head, relation or tail is blank or longer than `LONGEST`, text is half of a surrogate pair, or the
            confidence is not a number between 0 and 1. `place` says where it stands.
    """
    at = f"{place}: " if place else ""
    for name in ("head", "relation", "tail"):
        text = getattr(triple, name)
        if not text.strip():
            raise DataError(f"{at}the {name} is empty.", "A triple needs a head, a relation and a tail.")
        if len(text) > LONGEST:
            raise DataError(
                f"{at}the {name} has {len(text):,} characters.", f"Heads and tails are phrases of at most {LONGEST:,}."
            )
    for name in ("head", "relation", "tail", "batch", "source"):
        try:
            getattr(triple, name).encode()
        except UnicodeEncodeError:
            raise DataError(f"{at}the {name} holds half of a surrogate pair, which is no text.", "Repair it.") from None
    confidence = triple.confidence
    if confidence is not None and not (math.isfinite(confidence) and 0 <= confidence <= 1):
        raise DataError(f"{at}a confidence of {confidence} is not between 0 and 1.", "Correct it, or leave it out.")
    return triple


def each_once(triples: Iterable[Triple]) -> list[Triple]:
    """Each triple once, by its id: with the source it came with first, and the confidence that was said last."""
    found: dict[str, Triple] = {}
    for triple in triples:
        first = found.setdefault(triple.id, triple)
        if triple.confidence is not None and triple.confidence != first.confidence:
            found[triple.id] = replace(first, confidence=triple.confidence)
    return list(found.values())


def canonical_hash(triples: Iterable[Triple]) -> str:
    """`g1_` and 32 hexadecimal digits: equal for equal sets of triples, whatever their order or format.

    It covers every field. A triple that is there twice counts once.
    """
    lines = {
        canonical_json([t.head, t.relation, t.tail, _number(t.confidence), t.batch, t.source]).encode() for t in triples
    }
    digest = hashlib.sha256()
    for line in sorted(lines):
        digest.update(line + b"\n")
    return f"g1_{digest.hexdigest()[:32]}"


def _number(confidence: float | None) -> float | None:
    return None if confidence is None else float(confidence) + 0.0  # an int of 1 is 1.0, a negative zero is 0.0
