"""The wording of prompts, as text files beside this module, and the few functions that put them together.

Every prompt of the project is built here, so a reader can see what a model is asked without running anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from symdistill.errors import DataError
from symdistill.records import Example, Message

__all__ = [
    "Demonstration",
    "cue",
    "demonstrations_for",
    "question_text",
    "read_demonstrations",
    "student_messages",
    "teacher_messages",
    "wording",
]


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A worked question for a few-shot prompt. `task` None: for every task."""

    question: str
    reply: str
    task: str | None = None


@cache
def wording(name: str) -> str:
    """The text of `prompts/NAME.txt`, without its last line break."""
    return resources.files(__package__).joinpath(f"{name}.txt").read_text(encoding="utf-8").rstrip("\n")


def cue(answer: str) -> str:
    """The sentence every chain of thought ends in."""
    return f"Therefore, the answer is {answer}."


def question_text(example: Example) -> str:
    """The question as a model reads it: the task's instruction, the question, its options one a line."""
    parts = [example.instruction.strip()] if example.instruction else []
    parts.append(example.question.strip())
    if example.choices:
        parts.append("\n".join(f"({letter}) {text}" for letter, text in example.choices.items()))
    return "\n".join(parts)


def read_demonstrations(path: Path) -> tuple[Demonstration, ...]:
    """Few-shot examples from JSONL rows with `question`, `answer`, and optionally `rationale` and `task`.

    Raises:
        DataError: the file is missing, or a row is not JSON or lacks `question` or `answer`.
    """
    fix = 'A row looks like {"question": …, "rationale": …, "answer": …}.'
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"Cannot read the demonstrations {path}: {error}.", "Check `teacher.demonstrations`."
        ) from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            question, answer = str(row["question"]), str(row["answer"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}, line {number}: not a demonstration ({error!r}).", fix) from error
        rationale = str(row.get("rationale") or "").strip()
        reply = f"{rationale} {cue(answer)}" if rationale else cue(answer)
        found.append(Demonstration(question, reply, row.get("task")))
    if not found:
        raise DataError(f"{path} holds no demonstrations.", fix)
    return tuple(found)


def demonstrations_for(example: Example, demonstrations: Iterable[Demonstration]) -> list[Demonstration]:
    """Those written for the example's task or for every task."""
    return [d for d in demonstrations if d.task is None or d.task == example.task]


def teacher_messages(
    example: Example,
    *,
    instruction: str | None = None,
    demonstrations: Iterable[Demonstration] = (),
    show_answer: bool = False,
) -> tuple[Message, ...]:
    """The teacher's prompt: chain of thought, zero- or few-shot, ending in the cue.

    With `show_answer` (rationalisation; the paper's word is *conditioned*) the gold answer stands after the question.
    """
    turns = [Message("system", wording("teacher") if instruction is None else instruction)]
    for shown in demonstrations_for(example, demonstrations):
        turns += [Message("user", shown.question), Message("assistant", shown.reply)]
    question = question_text(example)
    if show_answer and example.answer is not None:
        question += "\n\n" + wording("show_answer").replace("{answer}", example.answer)
    turns.append(Message("user", question))
    return tuple(t for t in turns if t.content)


def student_messages(example: Example, *, instruction: str = "") -> tuple[Message, ...]:
    """The student's prompt: an optional system message and the question."""
    system = (Message("system", instruction),) if instruction else ()
    return (*system, Message("user", question_text(example)))
