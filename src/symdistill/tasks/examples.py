"""From drafts to examples: answer types, gold answers in one form, ids, and rows that say the same thing twice."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from symdistill.content import content_key
from symdistill.errors import DataError
from symdistill.prompts import cue
from symdistill.records import AnswerType, Example
from symdistill.tasks.answers import parse_answer
from symdistill.tasks.choices import lone_choice
from symdistill.tasks.columns import Draft
from symdistill.tasks.labels import MOST_LABELS
from symdistill.tasks.numerals import lone_number

_LABEL_WORDS = 4
_LABEL_CHARACTERS = 40
_INTEGER = re.compile(r"-?[0-9]{1,18}")


@dataclass(slots=True)
class Tally:
    """What happened to rows on the way, for the notes of a task."""

    repeated: int = 0
    merged: int = 0
    closed: int = 0
    unstated: int = 0
    disputed: int = 0


def infer_types(drafts: Sequence[Draft], name: str) -> dict[str, AnswerType]:
    """The answer type of each task whose rows do not say: number, label or text (rows with options are choices)."""
    answers: dict[str, list[str]] = defaultdict(list)
    for draft in drafts:
        if draft.answer is not None and draft.choices is None and draft.answer_type is None:
            answers[draft.task or name].append(draft.answer)
    return {task: _type_of(golds) for task, golds in answers.items()}


def _type_of(golds: Sequence[str]) -> AnswerType:
    distinct = set(golds)
    if all(_INTEGER.fullmatch(gold) or lone_number(gold) is not None for gold in distinct):
        return "number"
    short = all(len(gold) <= _LABEL_CHARACTERS and len(gold.split()) <= _LABEL_WORDS for gold in distinct)
    folded = {gold.casefold() for gold in distinct}
    return "label" if short and len(folded) <= MOST_LABELS and len(golds) >= 2 * len(folded) else "text"


def build_examples(
    drafts: Sequence[Draft],
    *,
    name: str,
    answer_type: AnswerType | None,
    instruction: str | None,
    types: dict[str, AnswerType],
    tally: Tally,
) -> list[Example]:
    """One example a question. `answer_type` and `instruction`, where given, hold for every row.

    Raises:
        DataError: an answer is none of the row's options, an id stands for different questions, or for all rows.
    """
    examples = []
    for draft in drafts:
        kind = (
            answer_type or draft.answer_type or ("choice" if draft.choices else types.get(draft.task or name, "text"))
        )
        examples.append(_example(draft, kind, name, instruction, tally))
    return _named(drafts, examples, tally)


def _example(draft: Draft, kind: AnswerType, name: str, instruction: str | None, tally: Tally) -> Example:
    answer = _gold(draft, kind)
    tally.unstated += answer is None and draft.reply is None and bool(draft.rationales)
    rationales = draft.rationales
    for text in draft.explanations:
        if answer is not None and parse_answer(text, kind, draft.choices) is None:
            text = f"{text}\n{cue(answer)}"
            tally.closed += 1
        rationales += (text,)
    return Example(
        id=draft.id or content_key("q1", [draft.question, draft.choices, draft.task]),
        question=draft.question,
        answer=answer,
        answer_type=kind,
        choices=draft.choices,
        task=draft.task or name,
        split=draft.split,
        instruction=instruction if instruction is not None else draft.instruction,
        rationales=rationales,
        contrast_of=draft.contrast_of,
    )


def _gold(draft: Draft, kind: AnswerType) -> str | None:
    if kind == "choice" and draft.choices:
        return _letter(draft, draft.choices)
    if draft.reply is not None:
        return parse_answer(draft.reply, kind, draft.choices)
    if kind == "choice" and draft.answer is not None:
        return lone_choice(draft.answer, None) or draft.answer
    return draft.answer


def _letter(draft: Draft, choices: dict[str, str]) -> str | None:
    """The letter of the option the answer names by letter, by the data's own label, by its text or by its index."""
    if draft.reply is not None:
        return parse_answer(draft.reply, "choice", choices)
    if draft.answer is None:
        return None
    letters = list(choices)
    numbered = isinstance(draft.value, int) and not isinstance(draft.value, bool)
    if draft.answer in draft.aliases:
        return draft.aliases[draft.answer]
    if not numbered:
        named = lone_choice(draft.answer, choices)
        if named is not None:
            return named
    if draft.answer.isdecimal() and len(draft.answer) < 4 and int(draft.answer) < len(letters):
        return letters[int(draft.answer)]
    named = lone_choice(draft.answer, choices)
    if named is None:
        hint = "It may be a letter, an index from 0, or the text of an option."
        raise DataError(
            f"{draft.place}: the answer `{draft.answer[:60]}` is none of the options {', '.join(letters)}.", hint
        )
    return named


def _named(drafts: Sequence[Draft], examples: Sequence[Example], tally: Tally) -> list[Example]:
    """Examples with an id each; rows that differ in their rationales only become one."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for at, example in enumerate(examples):
        groups[example.id].append(at)
    if len(groups) == 1 and len(examples) > 1 and drafts[0].id:
        raise DataError(
            f"All {len(examples):,} rows have the id `{drafts[0].id}` (from {drafts[0].place}).",
            "Map another column (`task.columns: {id: COLUMN}`), or leave the ids out.",
        )
    named: dict[int, Example] = {}
    for id_, group in groups.items():
        if len(group) == 1:
            named[group[0]] = examples[group[0]]
            continue
        meanings: dict[str, list[int]] = defaultdict(list)
        for at in group:
            meanings[_meaning(examples[at])].append(at)
        if len(meanings) > 1 and drafts[group[0]].id:
            one, other = (same[0] for same in list(meanings.values())[:2])
            raise DataError(
                f"{drafts[other].place}: the id `{id_}` stands for another question or answer than in "
                f"{drafts[one].place}.",
                "Give every question an id of its own, or leave the ids out.",
            )
        for meaning, same in meanings.items():
            joined = _joined([examples[at] for at in same], tally)
            named[same[0]] = joined if len(meanings) == 1 else replace(joined, id=content_key("q1", meaning))
    answers: defaultdict[tuple[str, str], set[str | None]] = defaultdict(set)
    for example in named.values():
        answers[example.task, example.question + repr(example.choices)].add(example.answer)
    tally.disputed += sum(len(given) > 1 for given in answers.values())
    return [named[at] for at in sorted(named)]


def _joined(same: Sequence[Example], tally: Tally) -> Example:
    """Rows of one question and one answer as one example, with the rationales of all."""
    rationales = tuple(dict.fromkeys(text for example in same for text in example.rationales))
    if len(rationales) > len(same[0].rationales):
        tally.merged += len(same) - 1
    else:
        tally.repeated += len(same) - 1
    return replace(same[0], rationales=rationales)


def _meaning(example: Example) -> str:
    return repr(replace(example, id="", rationales=()))
