"""Whether a text contradicts a graph, as far as the text speaks in the graph's own words.

A statement is a clause, or as many clauses running as the wording has, that reads as a relation's verbalisation ("an
apple is kept in the pantry", "PersonX trips. Because of this, PersonX feels embarrassed.") about a head, or a tail,
that the graph knows. It is checked where the graph holds something under that relation, or one that is declared
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
_NEXT = "\x01"  # between clauses; no slot reaches over it
_SIDES = ("some head", "some tail")


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
        self._patterns = [(relation, *_pattern(relation)) for relation in worded]
        self._lengths = sorted({length for _, _, length in self._patterns}, reverse=True)
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
        clauses = _clauses(text[:100_000])
        for at in range(len(clauses)):
            for relation, head, tail in self._read(clauses, at):
                head, tail = self._node(head), self._node(tail)
                if head and tail and {head, tail} & self._nodes:
                    statement = Triple(head, relation, tail)
                    found.setdefault(statement.fact, statement)
                    break
        return list(found.values())

    def checkable(self, text: str) -> bool:
        """Whether a text has a statement that the graph can check. Raises as `share`."""
        return any(self._conflicts(statement) is not None for statement in self.statements(text))

    def unread(self) -> list[str]:
        """The relations whose own sentence about a head and a tail is not read as theirs, in the schema's order: their
        wording is also another's, or lost where a text is cut into clauses."""
        found = []
        for name, relation in self._schema.relations.items():
            read = next(self._read(_clauses(relation.sentence(*_SIDES)), 0), None)
            if read != (name, *_SIDES):
                found.append(name)
        return found

    def blind(self) -> bool:
        """Whether no statement can ever be checked: the graph holds nothing under a relation that can be read, nor
        under one that is its inverse or disjoint with it."""
        held = {name for _, name in self._about}
        unread = set(self.unread())
        return not any(held & set(self._beside_names(name)) for name in self._schema.relations if name not in unread)

    def _read(self, clauses: list[str], at: int) -> Iterator[tuple[str, str, str]]:
        """What the clauses from `at` on read as: relation, head and tail, those of more words first."""
        spans = {
            length: _NEXT.join(span)
            for length in self._lengths
            if len(span := clauses[at : at + length]) == length and all(len(clause) <= LONGEST for clause in span)
        }
        for relation, pattern, length in self._patterns:
            match = pattern.fullmatch(spans[length]) if length in spans else None
            if match is not None:
                yield relation.id, match["head"], match["tail"]

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
        head, _, tail = statement.fact
        return chain.from_iterable(
            self._about.get((node, name), ())
            for name in self._beside_names(statement.relation)
            for node in dict.fromkeys((head, tail))
        )

    def _beside_names(self, name: str) -> tuple[str, ...]:
        relation = self._schema.relations[name]
        inverse = (relation.inverse,) if relation.inverse else ()
        return relation.id, *inverse, *relation.disjoint

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


def _clauses(text: str) -> list[str]:
    """The clauses of a text in their normal form, without what leads in to them."""
    plain = (_LEAD.sub("", normal(clause), count=1) for clause in _CLAUSE.split(text))
    return [clause for clause in plain if clause]


def _pattern(relation: Relation) -> tuple[re.Pattern[str], int]:
    """What clauses in the words of a relation look like, in their normal form, and how many there are."""
    clauses = _clauses(relation.verbalise.replace("{head}", "\x00h\x00").replace("{tail}", "\x00t\x00"))
    parts = re.split(r"\x00([ht])\x00", _NEXT.join(clauses))
    slots = [rf"\s*(?P<{'head' if side == 'h' else 'tail'}>[^{_NEXT}]+?)\s*" for side in parts[1::2]]
    texts = [_words(part) for part in parts[::2]]
    return re.compile(texts[0] + slots[0] + texts[1] + slots[1] + texts[2]), len(clauses)


def _words(text: str) -> str:
    """Words of a wording as they stand, between others; white space is any."""
    plain = text.strip(" ")
    before, after = (r"(?<!\w)" if plain[:1].isalnum() else ""), (r"(?!\w)" if plain[-1:].isalnum() else "")
    return before + r"\s+".join(map(re.escape, plain.split(" "))) + after
