"""Features: named yes/no questions about an input, in a YAML file that people edit.

    praises_acting: Does the review praise the acting?
    bored: Does the writer say that the film is boring?

The names stand in tables, rules and trees; the questions are what is asked and what explanations say. Changing a
question means asking it anew, changing a name means that answers already given are not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from symdistill.errors import DataError
from symdistill.knowledge.rules.lines import write_whole
from symdistill.knowledge.rules.logic import DOMAIN, TARGET, is_name
from symdistill.knowledge.terms import terms
from symdistill.tasks.files import read_text

_FORM = "A line looks like `praises_acting: Does the review praise the acting?`."
_MOST_CHARACTERS = 1_000_000
_NAME_WORDS = 4
_NAME_LENGTH = 40
_SMALL = frozenset(
    terms(
        "a an the is are was were be do does did has have had can could will would should may might must this that "
        "these those it its there any of in on at to for by with from as or and"
    )
)
_NOT_ASCII = re.compile(r"[^a-z0-9]+")

Features = Mapping[str, str]
"""Questions by name, in the order in which they are asked."""


def write_features(path: Path, features: Features, remarks: Iterable[str] = ()) -> None:
    """Write questions, one a line, and remarks after them. Raises DataError where that cannot be done."""
    lines = [f"{name}: {_quoted(question)}" for name, question in features.items()]
    lines += [f"# {' '.join(remark.split())}" for remark in remarks]
    write_whole(path, "".join(f"{line}\n" for line in lines))


def read_features(path: Path) -> dict[str, str]:
    """The questions of a file, in its order.

    Raises:
        DataError: the file cannot be read, is no list of named questions, or names one twice.
    """
    text = read_text(path)
    if len(text) > _MOST_CHARACTERS:
        raise DataError(f"{path} has more than {_MOST_CHARACTERS:,} characters.", _FORM)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise DataError(f"{path}{line}: not valid YAML.", _FORM) from None
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise DataError(f"{path} holds no questions.", _FORM)
    found: dict[str, str] = {}
    for key, value in node.value:
        place = f"{path}, line {key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode) or not value.value.strip():
            raise DataError(f"{place}: a name and its question are wanted.", _FORM)
        name = key.value
        if not is_name(name) or name in (DOMAIN, TARGET):
            raise DataError(
                f"{place}: {name[:60]!r} cannot be the name of a question.",
                "Use small letters and digits, joined by `_`, and neither a word of rules nor `input` nor `label`.",
            )
        if name in found:
            raise DataError(f"{place}: `{name}` stands there twice.", "Give each question a name of its own.")
        found[name] = " ".join(value.value.split())
    return found


def named_after(text: str, taken: Iterable[str] = ()) -> str:
    """A name for a question: its first words that say something, made different from those `taken`."""
    words = [_NOT_ASCII.sub("", word) for word in terms(text.replace("_", " "))]
    words = [word for word in words if word]
    telling = [word for word in words if word not in _SMALL] or words or ["feature"]
    base = "_".join(telling[:_NAME_WORDS])[:_NAME_LENGTH].strip("_")
    if not base[0].isalpha():
        base = f"q_{base}"
    used = {*taken, DOMAIN, TARGET}
    name, number = base, 2
    while name in used or not is_name(name):
        name, number = f"{base}_{number}", number + 1
    return name


def _quoted(question: str) -> str:
    """A question as YAML on one line."""
    return yaml.safe_dump(" ".join(question.split()), allow_unicode=True, width=10**9, default_style='"').strip()
