"""The text a student is trained to produce."""

from __future__ import annotations

import re
from functools import cache

from symdistill.prompts import cue
from symdistill.records import Rationale
from symdistill.tasks.answers import answers_equal, parse_answer
from symdistill.tasks.cues import reasoning_of

_GOES_ON = re.compile(r"[.!?][)\]\"'”’*]*\s+\S")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:/\d+)?")


def final_completion(rationale: Rationale) -> str:
    """The rationale as it stands when its last sentence is the cue with its answer, else with that sentence added.

    Every completion so ends the same way, whatever the teacher's habits. A rationale without an answer is returned as
    it stands.
    """
    text = rationale.text
    if rationale.answer is None or _concludes(text.rstrip(), rationale.answer):
        return text
    return f"{text.rstrip()}\n{cue(rationale.answer)}".lstrip("\n")


def reasoning_alone(rationale: Rationale) -> str:
    """The rationale up to the sentences that announce its answer; empty where nothing stands before them."""
    return reasoning_of(rationale.text)


@cache
def _cue_start() -> re.Pattern[str]:
    before = cue("\0").partition("\0")[0].split()
    return re.compile(r"\b" + r"\s+".join(map(re.escape, before)) + r"[\s:]*", re.IGNORECASE)


def _concludes(text: str, answer: str) -> bool:
    """Is the last sentence of `text` the cue with this answer, and nothing after it?"""
    if text.endswith(cue(answer)):
        return True
    _, *stated = _cue_start().split(text.rpartition("\n")[2])
    if not stated:
        return False
    tail = stated[-1]
    if answers_equal(tail, answer, "label") or answers_equal(tail, answer, "text"):
        return True
    if _GOES_ON.search(tail):
        return False
    if _NUMBER.fullmatch(answer):
        return answers_equal(tail, answer, "number")
    return len(answer) == 1 and parse_answer(cue(tail), "choice") == answer
