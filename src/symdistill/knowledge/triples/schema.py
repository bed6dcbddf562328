"""Relation schemas: which relations a graph may use, what each may join, and what follows from it.

A schema is a YAML file:

    name: kitchen
    types:                                  # kinds of heads and tails; all keys of a type are optional
      event: {description: something a person does, contains: [PersonX]}
      thing: {without: [PersonX], most_words: 4}
      room:  {values: [kitchen, pantry]}
    disjoint_types: [[event, thing]]        # nothing is both
    heads: [PersonX peels an apple]         # examples, shown to a teacher who is asked for more
    relations:
      keptIn:
        description: where a thing is kept
        domain: thing
        range: room
        functional: true                    # one tail a head
        verbalise: "{head} is kept in the {tail}"
        ask: In which room is it kept?
        examples: [[apple, pantry]]
      holds:   {inverse: keptIn, verbalise: "the {head} holds {tail}"}
      besides: {symmetric: true, disjoint: [keptIn], verbalise: "{head} is found besides {tail}"}

`atomic` is the schema that ships: the 23 relations of ATOMIC 2020 (Hwang et al., AAAI 2021).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from importlib import resources
from pathlib import Path

from symdistill.errors import DataError
from symdistill.knowledge.triples.normalise import normal
from symdistill.knowledge.triples.records import Triple
from symdistill.knowledge.triples.yaml_places import Value, nearest, read_yaml

BUILT_IN = ("atomic",)

_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_KEYS = ("name", "version", "description", "types", "disjoint_types", "heads", "relations")
_TYPE_KEYS = ("description", "contains", "without", "most_words", "values")
_RELATION_KEYS = (
    *("description", "domain", "range", "inverse", "functional", "symmetric", "disjoint", "verbalise", "ask"),
    "examples",
)
_SLOT = re.compile(r"\{(head|tail)\}")


@dataclass(frozen=True, slots=True)
class NodeType:
    """A kind of head or tail, as far as a text shows it.

    A text fits if it contains one of `contains` and none of `without` (as words, whatever their case), has at most
    `most_words` words, and is one of `values`; what is not given is not asked.
    """

    id: str
    description: str = ""
    contains: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    most_words: int | None = None
    values: tuple[str, ...] = ()

    def misfit(self, text: str) -> str:
        """Why a text is none of this type; empty where it may be one."""
        plain = normal(text)
        if self.contains and not any(_stands_in(word, plain) for word in self.contains):
            return f"contains none of {', '.join(self.contains)}"
        if found := next((word for word in self.without if _stands_in(word, plain)), None):
            return f"contains {found}"
        if self.most_words is not None and (count := len(plain.split())) > self.most_words:
            return f"has {count} words, at most {self.most_words}"
        if self.values and plain not in map(normal, self.values):
            return f"is none of the {len(self.values)} values"
        return ""


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation. `inverse` and `disjoint` are mutual, whichever side of a schema names them."""

    id: str
    verbalise: str
    description: str = ""
    domain: str | None = None
    range: str | None = None
    inverse: str | None = None
    functional: bool = False
    symmetric: bool = False
    disjoint: tuple[str, ...] = ()
    ask: str = ""
    examples: tuple[tuple[str, str], ...] = ()

    def sentence(self, head: str, tail: str) -> str:
        """The relation in words between two texts. Braces in these have no meaning."""

        def fill(slot: re.Match[str]) -> str:
            text = (head if slot[1] == "head" else tail).strip()
            ends_sentence = self.verbalise[slot.end() : slot.end() + 1] == "."
            return text.rstrip(".") if ends_sentence else text

        filled = _SLOT.sub(fill, self.verbalise)
        return filled[:1].upper() + filled[1:]


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema; `text` is the YAML it was read from."""

    name: str
    relations: Mapping[str, Relation]
    types: Mapping[str, NodeType] = field(default_factory=dict)
    disjoint_types: tuple[tuple[str, str], ...] = ()
    heads: tuple[str, ...] = ()
    version: str = "1"
    description: str = ""
    text: str = field(default="", repr=False, compare=False)

    def relation(self, name: str, place: str = "") -> Relation:
        """A relation by its id. Raises DataError, naming the one that was probably meant."""
        found = self.relations.get(name)
        if found is None:
            at = f"{place}: " if place else ""
            raise DataError(
                f"{at}the schema `{self.name}` has no relation `{name[:80]}`.", nearest(name, tuple(self.relations))
            )
        return found

    def types_apart(self) -> tuple[tuple[str, str], ...]:
        """The disjoint types whose texts do not tell them apart already: a text that fits one could fit the other."""
        return tuple(
            (one, other)
            for one, other in self.disjoint_types
            if not _told_apart(self.types[one], self.types[other])
            and not _told_apart(self.types[other], self.types[one])
        )

    def verbalise(self, triple: Triple) -> str:
        """A triple as a sentence. Raises DataError for a relation the schema does not have."""
        return self.relation(triple.relation).sentence(triple.head, triple.tail)


def load_schema(source: str | Path) -> Schema:
    """The schema of a file, or one that ships, by its name.

    Raises:
        DataError: there is no such file, or it is no schema; the message names file, line and key.
    """
    if str(source) in BUILT_IN:
        name = f"{source}.yaml"
        return parse_schema(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"), name)
    path = Path(source)
    try:
        return parse_schema(path.read_text(encoding="utf-8-sig"), str(path))
    except FileNotFoundError:
        raise DataError(
            f"There is no schema {path}.", f"Name a YAML file, or one that ships: {', '.join(BUILT_IN)}."
        ) from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8.", "Save the file as UTF-8.") from None
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror or error}.", "Check the file and its rights.") from None


def parse_schema(text: str, file: str = "schema") -> Schema:
    """The schema of a YAML text. Raises DataError as `load_schema`."""
    top = read_yaml(text, file).mapping(_KEYS)
    if "relations" not in top or "name" not in top:
        lacking = "relations" if "name" in top else "name"
        raise DataError(f"{file} has no `{lacking}`.", "A schema has at least a name and relations.")
    types = {name: _node_type(name, value) for name, value in _members(top, "types").items()}
    given = top["relations"].mapping()
    if not given:
        raise top["relations"].wrong("there is no relation in it", "Name one at least.")
    relations = {name: _relation(name, value, tuple(types), tuple(given)) for name, value in given.items()}
    relations = _with_inverses(relations, given)
    relations = _with_disjoint(relations)
    return Schema(
        name=top["name"].text(),
        relations=relations,
        types=types,
        disjoint_types=_disjoint_types(top.get("disjoint_types"), tuple(types)),
        heads=top["heads"].texts() if "heads" in top else (),
        version=_version(top["version"]) if "version" in top else "1",
        description=top["description"].text() if "description" in top else "",
        text=text,
    )


def _version(value: Value) -> str:
    """The version, whether it looks like text, a number or a date."""
    plain = isinstance(value.content, int | float | date) and not isinstance(value.content, bool)
    return str(value.content) if plain else value.text()


def _members(top: Mapping[str, Value], name: str) -> Mapping[str, Value]:
    return top[name].mapping() if name in top else {}


def _identifier(name: str, value: Value) -> str:
    if not _ID.fullmatch(name):
        raise value.wrong("an id is a letter, then letters, digits, _ and -, 64 at most", "Give it another name.")
    return name


def _node_type(name: str, value: Value) -> NodeType:
    given = value.mapping(_TYPE_KEYS)
    return NodeType(
        id=_identifier(name, value),
        description=given["description"].text() if "description" in given else "",
        contains=given["contains"].texts() if "contains" in given else (),
        without=given["without"].texts() if "without" in given else (),
        most_words=given["most_words"].count() if "most_words" in given else None,
        values=given["values"].texts() if "values" in given else (),
    )


def _relation(name: str, value: Value, types: Sequence[str], relations: Sequence[str]) -> Relation:
    given = value.mapping(_RELATION_KEYS)
    if "verbalise" not in given:
        raise value.wrong("there is no `verbalise`", 'Add it, for example `verbalise: "{head} is part of {tail}"`.')
    template = given["verbalise"].text()
    if sorted(_SLOT.findall(template)) != ["head", "tail"]:
        raise given["verbalise"].wrong("{head} and {tail} have to stand in it once each")
    symmetric = given["symmetric"].truth() if "symmetric" in given else False
    domain, range_ = (_named(given.get(side), types, "type") for side in ("domain", "range"))
    if symmetric and domain != range_:
        raise given["symmetric"].wrong("a symmetric relation has one type on both sides", "Make the two the same.")
    if symmetric and "inverse" in given:
        raise given["inverse"].wrong("a symmetric relation is its own inverse", "Take one of the two out.")
    disjoint = tuple(str(_named(entry, relations, "relation")) for entry in _entries(given.get("disjoint")))
    if name in disjoint:
        raise given["disjoint"].wrong("nothing is disjoint with itself", "Take it out.")
    inverse = _named(given.get("inverse"), relations, "relation")
    if inverse == name:
        raise given["inverse"].wrong("it is its own inverse", "Say `symmetric: true` instead.")
    return Relation(
        id=_identifier(name, value),
        verbalise=template,
        description=given["description"].text() if "description" in given else "",
        domain=domain,
        range=range_,
        inverse=inverse,
        functional=given["functional"].truth() if "functional" in given else False,
        symmetric=symmetric,
        disjoint=disjoint,
        ask=given["ask"].text() if "ask" in given else "",
        examples=tuple(_pair(entry) for entry in _entries(given.get("examples"))),
    )


def _entries(value: Value | None) -> Sequence[Value]:
    return value.items() if value is not None else ()


def _pair(value: Value) -> tuple[str, str]:
    texts = value.texts()
    if len(texts) != 2:
        raise value.wrong("a pair is wanted", "Write [one, other].")
    return texts[0], texts[1]


def _named(value: Value | None, known: Sequence[str], what: str) -> str | None:
    """A value that names one of `known`, None where it is not given."""
    if value is None:
        return None
    name = value.text()
    if name not in known:
        raise value.wrong(f"there is no {what} `{name[:80]}`", nearest(name, known))
    return name


def _with_inverses(relations: Mapping[str, Relation], given: Mapping[str, Value]) -> dict[str, Relation]:
    """The relations with `inverse` on both sides. Refuses inverses that lead elsewhere than back."""
    found = dict(relations)
    for relation in relations.values():
        if relation.inverse is None:
            continue
        value = given[relation.id].mapping()["inverse"]
        other = found[relation.inverse]
        if other.symmetric:
            raise value.wrong(f"`{other.id}` is symmetric, its own inverse", "Take one of the two out.")
        if other.inverse not in (None, relation.id):
            chain = _chain(relation.id, found)
            raise value.wrong(f"inverses go {' → '.join(chain)}", "An inverse and its own inverse name each other.")
        for here, there, sides in (("domain", "range", "range"), ("range", "domain", "domain")):
            own, theirs = getattr(relation, here), getattr(other, there)
            if own is not None and theirs is not None and own != theirs:
                raise value.wrong(f"the {here} is {own}, and the {sides} of `{other.id}` is {theirs}", "Make them one.")
        found[other.id] = replace(
            other, inverse=relation.id, domain=other.domain or relation.range, range=other.range or relation.domain
        )
        found[relation.id] = replace(
            found[relation.id], domain=relation.domain or other.range, range=relation.range or other.domain
        )
    return found


def _chain(start: str, relations: Mapping[str, Relation]) -> list[str]:
    chain = [start]
    while (following := relations[chain[-1]].inverse) is not None and following not in chain:
        chain.append(following)
    return [*chain, following] if following is not None else chain


def _with_disjoint(relations: Mapping[str, Relation]) -> dict[str, Relation]:
    return {
        name: replace(
            relation,
            disjoint=tuple(
                other for other in relations if other in relation.disjoint or name in relations[other].disjoint
            ),
        )
        for name, relation in relations.items()
    }


def _disjoint_types(value: Value | None, types: Sequence[str]) -> tuple[tuple[str, str], ...]:
    found = []
    for entry in _entries(value):
        one, other = _pair(entry)
        for item in entry.items():
            _named(item, types, "type")
        if one == other:
            raise entry.wrong("nothing is disjoint with itself", "Take it out.")
        found.append((one, other))
    return tuple(found)


def _told_apart(one: NodeType, other: NodeType) -> bool:
    """Does whatever `one` must contain rule out `other`?"""
    return bool(one.contains) and {normal(word) for word in one.contains} <= {normal(word) for word in other.without}


def _stands_in(word: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(normal(word))}(?!\w)", text) is not None
