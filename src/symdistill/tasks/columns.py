"""From a row's columns to what it asks and answers, whatever the columns are called.

Shapes that are recognised by their column names, in this order: `messages` (the last assistant turn is the reply, a
system turn the instruction), `conversations` (ShareGPT), Alpaca (`instruction`, `input`, `output`), and a question
column with an answer column under the names people use (`question`/`answer`, `prompt`/`completion`, …). `task.columns`
overrides any of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from string import ascii_uppercase
from typing import Any

from symdistill.errors import ConfigError, DataError
from symdistill.records import AnswerType
from symdistill.tasks.answers import parse_answer
from symdistill.tasks.cues import last_line, split_reply

NAMES = (
    *("id", "question", "answer", "completion", "messages", "choices", "answer_type", "task", "split", "instruction"),
    *("rationale", "rationales", "contrast_of"),
)
"""What `task.columns` can say where to find."""

_QUESTION = ("question", "problem", "query", "prompt", "input", "question_stem", "sentence", "text")
_ANSWER = ("answer", "answerKey", "answer_key", "final_answer", "gold", "target", "label")
_COMPLETION = ("completion", "response", "output", "solution")
_CHOICES = ("choices", "options")
_ID = ("id", "question_id", "qid")
_ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("dev", "development", "validation", "valid", "val"), "dev"),
}
_ANSWER_TYPES: tuple[AnswerType, ...] = ("choice", "number", "label", "text")
_SHORT_WORDS = 12
"""A completion of one line and up to so many words is the answer itself."""

_MISSING = object()


@dataclass(slots=True)
class Draft:
    """A row as read: what is known before the task's answer type is.

    `reply` is a completion that states the answer (`answer` is then its text reading). `explanations` are rationales
    that lead to the row's own answer without having to state it.
    """

    place: str
    question: str
    answer: str | None = None
    value: Any = None
    reply: str | None = None
    id: str | None = None
    task: str | None = None
    split: str | None = None
    instruction: str | None = None
    answer_type: AnswerType | None = None
    choices: dict[str, str] | None = None
    aliases: dict[str, str] = field(default_factory=dict)
    rationales: tuple[str, ...] = ()
    explanations: tuple[str, ...] = ()
    contrast_of: str | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which column holds what, for rows with one set of columns. `letters` are columns that hold one option each."""

    columns: Mapping[str, str]
    letters: tuple[str, ...] = ()


class RowReader:
    """Reads rows; remembers which column is which for each set of columns it meets.

    Raises:
        ConfigError: `columns` maps a name that is not one of `NAMES`.
    """

    def __init__(self, columns: Mapping[str, str]) -> None:
        for name in columns:
            if name not in NAMES:
                raise ConfigError(f"`task.columns` maps `{name}`, which is nothing a row has.", _nearest(name, NAMES))
        self._mapped = dict(columns)
        self._unmet = dict(columns)
        self._plans: dict[tuple[str, ...], _Plan] = {}

    def check_mapping(self, source: str) -> None:
        """Raises DataError if a column that `task.columns` names was in none of the rows read."""
        for name, column in self._unmet.items():
            known = sorted({str(key) for keys in self._plans for key in keys})
            raise DataError(
                f"{source}: no row has the column `{column}` of `task.columns.{name}`.", _nearest(column, known)
            )

    def read(self, row: Mapping[str, Any], place: str) -> Draft:
        """One row. Raises DataError where it holds no question or a value of the wrong kind."""
        keys = (*row, "" if row.get("input") else "input") if "output" in row else tuple(row)
        plan = self._plans.get(keys)
        if plan is None:
            plan = self._plans[keys] = self._plan(row, place)
        get = _getter(row, plan.columns)
        draft = _conversation(get("messages"), place) if "messages" in plan.columns else _question(get, place)
        draft.id = _text(get("id"), "id", place)
        draft.task = _text(get("task"), "task", place)
        draft.contrast_of = _text(get("contrast_of"), "contrast_of", place)
        draft.instruction = _text(get("instruction"), "instruction", place) or draft.instruction
        draft.split = _split(get("split"), place)
        draft.answer_type = _answer_type(get("answer_type"), place)
        options = get("choices") if "choices" in plan.columns else {key: row[key] for key in plan.letters}
        draft.choices, draft.aliases = _choices(options, place)
        if "answer" in plan.columns:
            _take_answer(draft, get("answer"))
        completion = get("completion")
        if completion is not None and "messages" not in plan.columns and not isinstance(completion, list):
            _take_completion(draft, _text(completion, "completion", place))
        _take_rationales(draft, get, row)
        return draft

    def _plan(self, row: Mapping[str, Any], place: str) -> _Plan:
        for name, column in self._mapped.items():
            if _descend(row, column) is not _MISSING:
                self._unmet.pop(name, None)
            elif name in ("question", "messages"):
                missing = f"there is no column `{column}`, which `task.columns.{name}` names"
                raise DataError(f"{place}: {missing}.", _nearest(column, [str(key) for key in row]))
        found = dict(self._mapped)
        lists = {key for key, value in row.items() if isinstance(value, Sequence) and not isinstance(value, str)}

        def first(name: str, candidates: Sequence[str]) -> None:
            column = next((c for c in candidates if c in row and c not in found.values()), None)
            if name not in found and column is not None:
                found[name] = column

        if "question" not in found:
            first("messages", [c for c in ("messages", "conversations") if c in lists])
        if "messages" not in found and {"instruction", "output"} <= row.keys() and "question" not in row:
            found.setdefault("question", "input" if row.get("input") else "instruction")
            found.setdefault("completion", "output")
            if found["question"] == "instruction":
                found["instruction"] = ""
        if "messages" not in found:
            first("question", _QUESTION)
            if "question" not in found:
                raise DataError(
                    f"{place}: no column holds the question (columns: {', '.join(map(str, row))}).",
                    "Say which does: `task.columns: {question: COLUMN}`.",
                )
        first("answer", _ANSWER)
        first("completion", _COMPLETION)
        first("choices", _CHOICES)
        first("id", _ID)
        for name in ("task", "split", "instruction", "answer_type", "contrast_of", "rationale", "rationales"):
            first(name, (name,))
        letters = []
        if "choices" not in found:
            for letter in ascii_uppercase:
                if letter not in row:
                    break
                letters.append(letter)
        return _Plan(found, tuple(letters) if len(letters) > 1 else ())


def _nearest(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"Did you mean `{close[0]}`?" if close else f"There are {', '.join(known)}."


def _getter(row: Mapping[str, Any], columns: Mapping[str, str]) -> Callable[[str], Any]:
    def get(name: str) -> Any:
        column = columns.get(name)
        if not column:
            return None
        value = _descend(row, column)
        return None if value is _MISSING else value

    return get


def _descend(row: Mapping[str, Any], column: str) -> Any:
    """A column's value; where there is no such column, a dotted path into nested values."""
    if column in row:
        return row[column]
    value: Any = row
    for part in column.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return _MISSING
    return value


def _text(value: Any, name: str, place: str) -> str | None:
    """A value as text: None for nothing, numbers as people write them."""
    if value is None or isinstance(value, str):
        return value.strip() or None if value else None
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if value != value:
            return None
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, list) and len(value) == 1:
        return _text(value[0], name, place)
    kind = "list" if isinstance(value, list) else "nested value" if isinstance(value, Mapping) else type(value).__name__
    raise DataError(
        f"{place}: the {name} is a {kind}, not a text.", f"Point into it: `task.columns: {{{name}: COLUMN.0}}`."
    )


def _question(get: Callable[[str], Any], place: str) -> Draft:
    value = get("question")
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        completion = get("completion")
        return _conversation([*value, *(completion if isinstance(completion, list) else [])], place)
    question = _text(value, "question", place)
    if question is None:
        raise DataError(f"{place}: the question is empty.", "Fill it in, or take the row out.")
    return Draft(place, question)


def _conversation(turns: Any, place: str) -> Draft:
    """A conversation: everything before the last assistant turn is the question, that turn the reply."""
    said: list[tuple[str, str]] = []
    for turn in turns if isinstance(turns, list) else ():
        role = str(turn.get("role") or turn.get("from") or "").lower() if isinstance(turn, Mapping) else ""
        content = turn.get("content", turn.get("value")) if isinstance(turn, Mapping) else None
        if isinstance(content, list):
            content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
        if not role or not isinstance(content, str):
            raise DataError(f"{place}: a turn of the conversation has no role or no text.", "Correct the row.")
        reasoning = turn.get("reasoning_content")
        content = f"<think>\n{reasoning}\n</think>\n{content}" if reasoning else content
        said.append((_ROLES.get(role, role), content.strip()))
    instruction = "\n".join(content for role, content in said if role in ("system", "developer")) or None
    said = [(role, content) for role, content in said if role not in ("system", "developer")]
    reply = said.pop()[1] if said and said[-1][0] == "assistant" else None
    asked = [content if len(said) == 1 else f"{role.capitalize()}: {content}" for role, content in said]
    if not any(role == "user" and content for role, content in said):
        raise DataError(f"{place}: the conversation holds no question.", "A turn of the user has to come first.")
    draft = Draft(place, "\n\n".join(asked), instruction=instruction)
    _take_completion(draft, reply or None)
    return draft


def _take_answer(draft: Draft, value: Any) -> None:
    """An answer column: the answer as it stands, unless it holds a solution that states it."""
    text = _text(value, "answer", draft.place)
    if text is None:
        return
    marked = last_line(text).startswith("####")
    long = "\n" in text or len(text.split()) > _SHORT_WORDS
    if marked or (long and split_reply(text)[1] is not None):
        _take_completion(draft, text)
    else:
        draft.answer, draft.value, draft.reply = text, value, None


def _take_completion(draft: Draft, text: str | None) -> None:
    """A completion: a short one is the answer, a long one a rationale that may state it.

    A row that has an answer of its own keeps it.
    """
    if text is None or text == draft.answer:
        return
    if draft.answer is not None:
        if split_reply(text)[1] is None:
            draft.explanations += (text,)
        else:
            draft.rationales += (text,)
        return
    stated = last_line(text)
    if stated.startswith("####"):
        thought = text[: len(text.rstrip()) - len(stated)].strip()
        draft.answer = stated.lstrip("#").strip() or None
        draft.value = draft.answer
        draft.explanations = (thought,) if thought else ()
        return
    thought, concluded = split_reply(text)
    if concluded is not None:
        draft.reply, draft.answer = text, parse_answer(text, "text")
        draft.rationales = (text,) if thought or len(text.split()) > _SHORT_WORDS else ()
    elif "\n" not in text and len(text.split()) <= _SHORT_WORDS:
        draft.answer = draft.value = text
    else:
        draft.rationales = (text,)


def _take_rationales(draft: Draft, get: Callable[[str], Any], row: Mapping[str, Any]) -> None:
    """The row's own columns of rationales, and replies recorded under `teacher`."""
    teacher = row.get("teacher")
    replies = teacher.get("completions") if isinstance(teacher, Mapping) else None
    if isinstance(replies, list):
        draft.rationales += tuple(text for reply in replies if isinstance(reply, str) and (text := reply.strip()))
    for name in ("rationales", "rationale"):
        value = get(name)
        texts = [_text(v, name, draft.place) for v in (value if isinstance(value, list) else [value])]
        draft.explanations += tuple(text for text in texts if text is not None and text not in draft.rationales)


def _split(value: Any, place: str) -> str | None:
    name = _text(value, "split", place)
    if name is None:
        return None
    split = _SPLITS.get(name.lower())
    if split is None:
        raise DataError(f"{place}: unknown split `{name}`.", f"Known: {', '.join(_SPLITS)}.")
    return split


def _answer_type(value: Any, place: str) -> AnswerType | None:
    if value is None or value == "":
        return None
    found = next((name for name in _ANSWER_TYPES if name == value), None)
    if found is None:
        raise DataError(f"{place}: unknown answer type `{value}`.", f"Known: {', '.join(_ANSWER_TYPES)}.")
    return found


def _choices(value: Any, place: str) -> tuple[dict[str, str] | None, dict[str, str]]:
    """Options by letter, and what else each letter was called."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise DataError(f"{place}: the choices are not valid JSON ({error}).", "Correct the row.") from error
    if not value:
        return None, {}
    if isinstance(value, Mapping) and isinstance(value.get("text"), list):
        texts = value["text"]
        labels = value.get("label") or []
    elif isinstance(value, Mapping):
        kept = {label: text for label, text in value.items() if text is not None}
        texts, labels = list(kept.values()), list(kept)
    elif isinstance(value, list) and all(isinstance(v, Mapping) and "text" in v for v in value):
        texts, labels = [v["text"] for v in value], [v.get("label") for v in value]
    elif isinstance(value, list):
        texts, labels = value, []
    else:
        raise DataError(f"{place}: the choices are neither a list nor letters with texts.", "Correct the row.")
    options = [_text(text, "choice", place) or "" for text in texts]
    names = [str(label) for label in labels] if len(labels) == len(options) else []
    if len(options) > len(ascii_uppercase):
        raise DataError(f"{place}: {len(options)} choices; there are {len(ascii_uppercase)} letters.", "Use fewer.")
    upper = [name.upper() for name in names]
    lettered = len(set(upper)) == len(options) and all(len(n) == 1 and n in ascii_uppercase for n in upper)
    letters = upper if lettered else list(ascii_uppercase[: len(options)])
    return dict(zip(letters, options, strict=True)), dict(zip(names, letters, strict=False))
