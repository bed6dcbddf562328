"""What a reply answers, and whether that is right: one implementation for curation, voting and evaluation.

`parse_answer` reads the text after the reply's last cue (see `cues`). Without a cue an answer is read only where the
reply, or its last line, is an answer and nothing else: prose that mentions a number or a letter answers nothing. What
cannot be read is None; it never votes and counts as wrong.

Nothing here evaluates text, and every call is bounded: only so much of a reply as an answer can fill is looked at
closely.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from symdistill.records import AnswerType
from symdistill.tasks.choices import lone_choice, stated_choice
from symdistill.tasks.cues import ANSWER_LIMIT, last_cue, last_line
from symdistill.tasks.numerals import lone_number, read_number
from symdistill.tasks.wording import first_sentence, negated, unquoted, unwrapped

__all__ = ["answers_equal", "canonical_answer", "check_answer", "parse_answer"]

_LABEL_WORDS = 6
_LONE_LABEL_WORDS = 3
_LONE_NUMBER_WORDS = 12
_LONE_TEXT_WORDS = 60
_COMPARED_LIMIT = 2 * ANSWER_LIMIT
_REMEMBERED_LENGTH = 80

_LEADING = re.compile(r"(?:\n\s{0,9}[-•]\s|[\s:*#=]|\\\[|\\\(|\\begin\{[a-z*]{1,20}\})+")
_TEXT_LEADING = re.compile(r"(?:[\s:]|\*\*(?=\s)|\\\[|\\\()+")
_HEDGE = re.compile(
    r"(?:(?:probably|likely|most\s+likely|clearly|definitely|certainly|therefore|thus|then|simply|that|indeed)\b[\s,:]*)+",
    re.IGNORECASE,
)
_LABEL_END = re.compile(
    r"[,;!?\n()\[\]]|\.(?=\s|$)|:(?=\s|$)|\s[-–—]+\s|—|\b(?:because|since|as|so|but)\b", re.IGNORECASE
)
_BEFORE_DIGITS = re.compile(r"[^0-9]*")
_VERDICT = re.compile(r"(yes|no|true|false)(?!\w)(?=[,.;:!]|\s*[-–—]\s)", re.IGNORECASE)
_VERDICT_CLAUSE = re.compile(
    r"(yes|no|true|false)\s+(?:it|he|she|they|we|you|i|the|this|that|these|those|there)\b", re.IGNORECASE
)
_EITHER = re.compile(r"(?:/|\b(?:or|and)\b)", re.IGNORECASE)
_NO_ANSWER = re.compile(
    r"(?:i|we)\s+(?:am|do|can|cannot|don|think|know|need|have|will|would)\b|sorry\b|let\b|first\b|step\b|n/?a\b",
    re.IGNORECASE,
)
_INTRODUCED = re.compile(r"the\s+(?:word|string|letters?|sequence|text)\s+(?=[\"'“‘`])", re.IGNORECASE)
_QUOTES = re.compile(r"[\"“”„«»`]|(?<![^\W_])['‘’]|['‘’](?![^\W_])")
_TIGHT = re.compile(r"\s*([,\[\](){}])\s*")
_SPELLED = re.compile(r"(?:[^\W\d_]\s)*[^\W\d_]|[\W_]*")  # "n a o a", "] ] >"
_TAGGED = re.compile(r"(?:a|ans|result)\s{0,3}:\s+", re.IGNORECASE)
_WORD_CHARACTER = re.compile(r"\w")


def parse_answer(reply: str, answer_type: AnswerType, choices: Mapping[str, str] | None = None) -> str | None:
    """The answer a reply states, None where it states none that can be read.

    A number comes back as a plain decimal ("$1,234.50" is "1234.5"; a fraction that does not end stays one), a choice
    as its letter, a label and a text as written but for quotes, emphasis and the final stop.
    """
    reply = reply.rpartition("</think>")[2]
    cue = last_cue(reply)
    if cue is None:
        return _lone(reply, answer_type, choices)
    return _stated(reply[cue.begin : cue.end], answer_type, choices)


def check_answer(reply: str, gold: str, answer_type: AnswerType, choices: Mapping[str, str] | None = None) -> bool:
    """Does the reply state the gold answer?"""
    return answers_equal(parse_answer(reply, answer_type, choices), gold, answer_type, choices)


def answers_equal(
    parsed: str | None, gold: str, answer_type: AnswerType, choices: Mapping[str, str] | None = None
) -> bool:
    """Is a parsed answer the gold one? The gold answer may be written in any form that can be read."""
    if parsed is None:
        return False
    return canonical_answer(parsed, answer_type, choices) == canonical_answer(gold, answer_type, choices)


def canonical_answer(answer: str, answer_type: AnswerType, choices: Mapping[str, str] | None = None) -> str:
    """What equal answers share: "18.0" and "18", "]]>" and "] ] >", "Yes" and "yes". Votes are counted by it."""
    if answer_type == "choice":
        letter = lone_choice(answer[:_COMPARED_LIMIT], choices)
        if letter is not None:
            return letter
    # The same few answers are compared over and over: one gold answer with every sample of its question.
    shorten = _canonical if len(answer) <= _REMEMBERED_LENGTH else _canonical.__wrapped__
    return shorten(answer[:_COMPARED_LIMIT], answer_type)


@lru_cache(maxsize=8192)
def _canonical(answer: str, answer_type: AnswerType) -> str:
    if answer_type == "number":
        number = lone_number(answer, units=True) or read_number(answer)
        if number is not None:
            return number.canonical
    text = _canonical_text(answer)
    return " ".join(text.replace("_", " ").replace("-", " ").split()) if answer_type == "label" else text


def _stated(text: str, answer_type: AnswerType, choices: Mapping[str, str] | None) -> str | None:
    """The answer in the words after a cue."""
    if answer_type == "text":
        return _stated_text(text[_end_of(_TEXT_LEADING, text) :])
    text = text[_end_of(_LEADING, text) :]
    if answer_type == "choice":
        return stated_choice(text, choices)
    if answer_type == "label":
        return _stated_label(text)
    sentence = first_sentence(text)
    if len(sentence) >= ANSWER_LIMIT or negated(sentence[: _end_of(_BEFORE_DIGITS, sentence)]):
        return None
    number = read_number(sentence)
    return number.shown if number else None


def _lone(reply: str, answer_type: AnswerType, choices: Mapping[str, str] | None) -> str | None:
    """The answer of a reply without a cue: the reply itself, or its last line, if that is an answer and no more."""
    line = last_line(reply)
    words = len(line.split(None, _LONE_TEXT_WORDS))
    if words > (_LONE_NUMBER_WORDS if answer_type == "number" else _LONE_TEXT_WORDS):
        return None
    alone = len(line) == len(reply.strip())
    tag = None if answer_type == "choice" else _TAGGED.match(line)
    text = unwrapped(line[tag.end() :] if tag else line)
    alone = alone or tag is not None
    if not text or len(text) >= ANSWER_LIMIT:
        return None
    if answer_type == "number":
        number = lone_number(text, units=alone)
        return number.shown if number else None
    if answer_type == "choice":
        return lone_choice(text, choices)
    if _NO_ANSWER.match(text):
        return None
    if answer_type == "label":
        verdict = _VERDICT.match(text)
        if verdict and alone and first_sentence(text) == text:
            return verdict[1]
        return _stated_label(text) if words <= (_LONE_LABEL_WORDS if alone else 2) else None
    sentence = words > _LONE_LABEL_WORDS and line.rstrip()[-1:] in ".!"
    return _stated_text(text) if alone and not sentence else None


def _stated_label(text: str) -> str | None:
    """The clause a label stands in, without hedges; None where it names two labels or is no label at all."""
    text = text.replace("**", "").replace("`", "").lstrip(" \"'“‘$")
    text = text[_end_of(_HEDGE, text) :]
    text = text.lstrip("( \"'“‘")
    end = _LABEL_END.search(text)
    clause = text[: end.start()] if end else text
    clause = unwrapped(clause.rpartition("=")[2]).strip(" \"'“”‘’")
    verdict = _VERDICT_CLAUSE.match(clause)
    if verdict:
        return verdict[1]
    if not clause or _EITHER.search(clause) or len(clause.split()) > _LABEL_WORDS:
        return None
    return clause


def _stated_text(text: str) -> str | None:
    text = _block(text)
    text = text[_end_of(_INTRODUCED, text) :]
    quoted = unquoted(text)
    if quoted is not None:
        return quoted or None
    if text.startswith("**"):
        text = text[2:].replace("**", "", 1)
    answer = unwrapped(first_sentence(text) if "\n" not in text else text)
    return answer or None


def _block(text: str) -> str:
    """The first line, and the lines below it that have its shape: a grid, or steps one a line."""
    first, *rest = text.split("\n")
    kept, tokens = [first], len(first.split())
    for line in rest:
        same = tokens >= 2 and len(line.split()) == tokens
        symbols = bool(line.strip()) and not _WORD_CHARACTER.search(first + line)
        if not (same or symbols):
            break
        kept.append(line)
    return "\n".join(kept).rstrip()


def _canonical_text(answer: str) -> str:
    text = unicodedata.normalize("NFKC", answer)[:_COMPARED_LIMIT].replace("−", "-").casefold()
    text = _TIGHT.sub(r"\1", " ".join(unwrapped(text).split()))
    text = _QUOTES.sub("", text).strip()
    if text.startswith("(") and text.endswith(")") and _WORD_CHARACTER.search(text) and text.count("(") == 1:
        text = text[1:-1]
    text = text[:-1].rstrip() if text.endswith(".") and text.strip(".") else text
    return "".join(text.split()) if _SPELLED.fullmatch(text) else text


def _end_of(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.match(text)
    return match.end() if match else 0
