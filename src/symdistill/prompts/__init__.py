"""The wording of prompts, as text files beside this module, and the few functions that put them together.

Every prompt of the project is built here, so a reader can see what a model is asked without running anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from symdistill.errors import DataError
from symdistill.prompts.files import sections, wording
from symdistill.prompts.tags import Tags
from symdistill.records import Example, Message

__all__ = [
    "ERROR_ANALYSIS",
    "ERROR_ANALYSIS_WITH_GOLD",
    "KNOWLEDGE_NOTES",
    "Demonstration",
    "cue",
    "demonstrations_for",
    "error_analysis_example",
    "error_analysis_messages",
    "knowledge_notes_example",
    "knowledge_notes_messages",
    "question_text",
    "read_demonstrations",
    "student_messages",
    "teacher_messages",
    "wording",
]

ERROR_ANALYSIS = "error-analysis/1"
"""Name and version of what `error_analysis_messages` asks; a change of its wording means a new number."""
ERROR_ANALYSIS_WITH_GOLD = f"{ERROR_ANALYSIS}+gold"
"""The same with the gold answer shown."""
KNOWLEDGE_NOTES = "knowledge-notes/1"
"""Name and version of what `knowledge_notes_messages` asks."""

_DEMONSTRATED = ("question", "rationale", "answer")

_TAGS = Tags("question", "student_reply", "correct_answer")
_TAGS_OF_NOTES = Tags("question", "correct_answer", "solution")


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A worked question for a few-shot prompt. `task` None: for every task."""

    question: str
    reply: str
    task: str | None = None


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
    """Few-shot examples from JSONL rows with `question`, `rationale`, `answer`, and optionally `task`.

    Raises:
        DataError: the file is missing, or a row is not JSON or lacks one of the three.
    """
    fix = 'A row looks like {"question": …, "rationale": …, "answer": …}.'
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"Cannot read the demonstrations {path}: {reason}.", "Check `teacher.demonstrations`."
        ) from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}, line {number}: not valid JSON ({error}).", fix) from error
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: not a demonstration, which has keys.", fix)
        told = {key: str(row.get(key, "")).strip() for key in _DEMONSTRATED if row.get(key) is not None}
        lacking = [f"`{key}`" for key in _DEMONSTRATED if not told.get(key)]
        if lacking:
            raise DataError(f"{path}, line {number}: a demonstration without {' and '.join(lacking)}.", fix)
        reply = f"{told['rationale']} {cue(str(row['answer']))}"
        found.append(Demonstration(str(row["question"]), reply, row.get("task")))
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
    knowledge: str = "",
) -> tuple[Message, ...]:
    """The teacher's prompt: chain of thought, zero- or few-shot, ending in the cue.

    With `show_answer` (rationalisation; the paper's word is *conditioned*) the gold answer stands after the question;
    `knowledge` stands before it.
    """
    turns = [Message("system", wording("teacher") if instruction is None else instruction)]
    for shown in demonstrations_for(example, demonstrations):
        turns += [Message("user", shown.question), Message("assistant", shown.reply)]
    question = question_text(example)
    if show_answer and example.answer is not None:
        question += "\n\n" + wording("show_answer").replace("{answer}", example.answer)
    if knowledge.strip():
        question = wording("knowledge").replace("{knowledge}", knowledge.strip()) + "\n\n" + question
    turns.append(Message("user", question))
    return tuple(t for t in turns if t.content)


def student_messages(
    example: Example,
    *,
    instruction: str = "",
    knowledge: str = "",
    passages: Sequence[str] = (),
    shown: Sequence[Demonstration] = (),
    task: str = "",
) -> tuple[Message, ...]:
    """The student's prompt: an optional system message, and the question with knowledge, passages and worked examples,
    if any, before it.

    Without knowledge the sentence that introduces it is gone, too: the prompt is that of a student that has none.
    The same holds for passages, which stand numbered, one a line.
    `task` stands right before the question: the prefix by which a student of several tasks tells them apart.
    """
    system = (Message("system", instruction),) if instruction else ()
    parts = [wording("knowledge").replace("{knowledge}", knowledge.strip())] if knowledge.strip() else []
    if passages:
        listed = "\n".join(f"[{number}] {passage}" for number, passage in enumerate(passages, 1))
        parts.append(wording("passages").replace("{passages}", listed))
    parts += [wording("worked_example").format(question=d.question, reply=d.reply) for d in shown]
    return (*system, Message("user", "\n\n".join([*parts, task + question_text(example)])))


def error_analysis_messages(example: Example, wrong_reply: str, *, show_gold: bool = False) -> tuple[Message, ...]:
    """What the teacher is asked about a student's mistake (NesyCD, step 3): two general notes under two headings.

    `wrong_reply` stands there as it is given, so the caller shortens it. The gold answer and a teacher's rationale are
    not shown; with `show_gold` the answer is, where the example has one.

    One worked exchange, about map scales, goes before: a small teacher follows a form it has seen far better than one
    it has been told, and a subject far from the usual tasks shows when it copies (`error_analysis_example`). Question
    and reply are data: a tag that would close their own, and the control tokens of chat templates, lose their bracket.
    """
    part = sections("error_analysis")
    gold = _spelled_out(example.answer, example) if show_gold else None
    system, shown_gold = part["instruction"], None
    if gold is not None:
        system, shown_gold = f"{system}\n{part['with_answer']}", part["shown_answer"]
    return (
        Message("system", system),
        Message("user", _mistake(part["shown_question"], part["shown_reply"], shown_gold)),
        Message("assistant", part["shown_notes"]),
        Message("user", _mistake(question_text(example), wrong_reply, gold)),
    )


def error_analysis_example() -> str:
    """The notes of the worked exchange that `error_analysis_messages` shows."""
    return sections("error_analysis")["shown_notes"]


def knowledge_notes_messages(example: Example, answer: str | None, solution: str) -> tuple[Message, ...]:
    """What the teacher is asked about a question whose solution is at hand (SKIntern, section 3.1): the two notes of
    an error analysis, under the same headings.

    `answer` is the right one, None where nobody knows it. One worked exchange, about cake tins, goes before, and the
    tags are kept apart, as in `error_analysis_messages`.
    """
    part = sections("knowledge_notes")
    return (
        Message("system", part["instruction"]),
        Message("user", _instance(part["shown_question"], part["shown_answer"], part["shown_solution"])),
        Message("assistant", part["shown_notes"]),
        Message("user", _instance(question_text(example), _spelled_out(answer, example), solution)),
    )


def knowledge_notes_example() -> str:
    """The notes of the worked exchange that `knowledge_notes_messages` shows."""
    return sections("knowledge_notes")["shown_notes"]


def _spelled_out(answer: str | None, example: Example) -> str | None:
    """The letter of an option with the option's text."""
    if answer is not None and example.choices and answer in example.choices:
        return f"({answer}) {example.choices[answer]}"
    return answer


def _instance(question: str, answer: str | None, solution: str) -> str:
    blocks = {"question": question}
    if answer is not None:
        blocks["correct_answer"] = answer
    blocks["solution"] = solution.strip()
    return "\n".join([*_TAGS_OF_NOTES.around(blocks), sections("knowledge_notes")["request"]])


def _mistake(question: str, reply: str, gold: str | None) -> str:
    blocks = {"question": question, "student_reply": reply.strip() or "(no reply)"}
    if gold is not None:
        blocks["correct_answer"] = gold
    return "\n".join([*_TAGS.around(blocks), sections("error_analysis")["request"]])
