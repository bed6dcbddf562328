"""Whether a text contradicts a graph, as far as the text speaks in the graph's own words.

A statement is a clause that reads as a relation's verbalisation ("an apple is kept in the pantry") about a head, or a
tail, that the graph knows. It is checked where the graph holds something under that relation, or one that is declared
its inverse or disjoint with it, about the same head or tail. It conflicts where it and that cannot all hold: two tails
of a functional relation, disjoint relations, types that exclude each other, tails that say the opposite (`conflicts`).
All else in a text is not judged, and neither is what a graph does not say: not to be in it is no contradiction.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain

from symdistill.errors import LimitReached
from symdistill.knowledge.bounded import Bounds
from symdistill.knowledge.triples.conflicts import clashing
from symdistill.knowledge.triples.normalise import normal
from symdistill.knowledge.triples.records import LONGEST, Triple
from symdistill.knowledge.triples.schema import Relation, Schema

_CLAUSE = re.compile(r"[.;:!?\n]+(?:\s|$)|\n|,\s")
_LEAD = re.compile(r"(?:(?:so|then|and|but|thus|hence|therefore|because|since|also|first|next|finally)\s+)+")
_ARTICLE = re.compile(r"(?:an?|the)\s+")
_BOUNDS = Bounds()


class Contradictions:
    """What a graph can say of texts. Needs clingo; what was asked about a statement is remembered."""

    def __init__(self, schema: Schema, triples: Iterable[Triple]) -> None:
        self._schema = schema
        self._about: defaultdict[tuple[str, str], list[Triple]] = defaultdict(list)
        for triple in triples:
            head, relation, tail = triple.fact
            for node in {head, tail}:
                self._about[node, relation].append(triple)
        self._nodes = {node for node, _ in self._about}
        worded = sorted(schema.relations.values(), key=lambda relation: -len(relation.verbalise))
        self._patterns = [(relation, _pattern(relation)) for relation in worded]
        self._verdicts: dict[tuple[str, str, str], bool | None] = {}

    def share(self, text: str) -> float:
        """The share of a text's statements that conflict with the graph, of those that can be checked; 0 without any.

        Raises:
            PrerequisiteError: clingo is not installed. LimitReached: it did not come to an end.
        """
        verdicts = [verdict for s in self.statements(text) if (verdict := self._conflicts(s)) is not None]
        return sum(verdicts) / len(verdicts) if verdicts else 0.0

    def statements(self, text: str) -> list[Triple]:
        """The statements of a text whose head or tail the graph knows, each once, in order. Where a clause reads as two
        relations ("is kept in" and "is"), the one of more words is meant."""
        found: dict[tuple[str, str, str], Triple] = {}
        for clause in _CLAUSE.split(text[:100_000]):
            plain = _LEAD.sub("", normal(clause), count=1)
            statement = self._statement(plain) if plain and len(plain) <= LONGEST else None
            if statement is not None:
                found.setdefault(statement.fact, statement)
        return list(found.values())

    def _statement(self, clause: str) -> Triple | None:
        for relation, pattern in self._patterns:
            if (match := pattern.fullmatch(clause)) is not None:
                head, tail = (self._node(match[side]) for side in ("head", "tail"))
                if head and tail and {head, tail} & self._nodes:
                    return Triple(head, relation.id, tail)
        return None

    def _node(self, text: str) -> str:
        """The node a text names: as it stands, or without its article."""
        plain = normal(text)
        bare = _ARTICLE.sub("", plain, count=1) if _ARTICLE.match(plain) else plain
        return plain if plain in self._nodes else bare if bare in self._nodes else plain

    def _conflicts(self, statement: Triple) -> bool | None:
        """Whether the statement cannot hold beside the graph; None where the graph has nothing to check it by."""
        if statement.fact not in self._verdicts:
            beside = {triple.id: triple for triple in self._beside(statement)}
            if not beside:
                self._verdicts[statement.fact] = None
            elif any(triple.fact == statement.fact for triple in beside.values()):
                self._verdicts[statement.fact] = False
            else:
                self._verdicts[statement.fact] = self._clashes(statement, beside)
        return self._verdicts[statement.fact]

    def _beside(self, statement: Triple) -> Iterator[Triple]:
        relation = self._schema.relations[statement.relation]
        inverse = (relation.inverse,) if relation.inverse else ()
        head, _, tail = statement.fact
        return chain.from_iterable(
            self._about.get((node, name), ())
            for name in (relation.id, *inverse, *relation.disjoint)
            for node in dict.fromkeys((head, tail))
        )

    def _clashes(self, statement: Triple, beside: dict[str, Triple]) -> bool:
        own = statement.id
        groups, limit = clashing({**beside, own: statement}, self._schema, _BOUNDS)
        if limit:
            raise LimitReached(f"A statement cannot be checked by the graph: {limit}", "Use a smaller graph.")
        for claims in groups.values():
            mine = {claim.value for claim in claims if claim.key == own}
            if mine and any(claim.value not in mine for claim in claims if claim.key != own):
                return True
        return False


def _pattern(relation: Relation) -> re.Pattern[str]:
    """What a clause in the words of a relation looks like, in its normal form."""
    written = normal(relation.verbalise.replace("{head}", "\x00h\x00").replace("{tail}", "\x00t\x00"))
    parts = re.split(r"\x00([ht])\x00", written)
    texts = [re.escape(" ".join(part.split())).replace(r"\ ", r"\s+") for part in parts[::2]]
    slots = [r"\s*(?P<head>.+?)\s*" if side == "h" else r"\s*(?P<tail>.+?)\s*" for side in parts[1::2]]
    spaced = [rf"(?<!\w){text}(?!\w)" if text and text[0].isalnum() else text for text in texts]
    return re.compile(spaced[0] + slots[0] + spaced[1] + slots[1] + spaced[2])
