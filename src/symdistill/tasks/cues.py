"""Where a reply announces its answer.

A cue is "the answer is" and its relatives ("Answer:", "the correct option is", "### Final answer"), `\\boxed{…}`, or a
last line that starts with "####". The last cue of a reply counts: models change their minds on the way. Every search
here is linear in the reply, and what is looked at around a cue is bounded, so a hostile reply costs no more than a
long one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

ANSWER_LIMIT = 4000
"""Characters after a cue that can belong to the answer."""

_CANDIDATES_TRIED = 100
_LOOK_BACK = 400
_ANNOUNCEMENTS = 20

_QUALIFIED = re.compile(r"(?<!\w)(?:correct|right|best)\s{1,3}\Z", re.IGNORECASE)
_WORDED = re.compile(
    r"""
    (?:answers?|(?:correct|right|best)\s{1,3}(?:option|choice))\b
    (?:\s{1,3}(?:choice|option|letter)\b)?
    (?:\s{0,3}\([^()\n]{0,60}\))?                              # (arabic numerals)
    (?:\s{1,3}(?:to|for|of)\s[^.!?:=\n]{1,120}?)?              # to the question
    (?:,?\s{1,3}(?:then|therefore|thus|hence|here|now),?)?
    [*_]{0,3}\s{0,3}
    (?:[:=]|(?<![\w])(?:is|was|are|equals|(?:will|would|should|must)\s{1,3}be)\b)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_HEADING = re.compile(r"answer[*_]{0,3}:?[*_]{0,3}[ \t]{0,9}(?=\r?\n)", re.IGNORECASE)
_HEADING_START = re.compile(r"[ \t]{0,9}(?:\#{1,6}[ \t]{0,3})?[*_]{0,3}(?:the[ ])?(?:final[ ])?", re.IGNORECASE)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s{0,3}\{")
_SECTION = re.compile(r"#{4}\s{0,3}(?:step|part|case|solution|explanation)\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?][\"'”’)\]*]{0,3}\s+|\n\s*")


@dataclass(frozen=True, slots=True)
class Cue:
    """`start` is where the announcement begins, `begin` and `end` bound the text that can hold the answer."""

    start: int
    begin: int
    end: int


def last_cue(reply: str) -> Cue | None:
    """The last announcement of an answer in `reply`, None where there is none."""
    found = [cue for cue in (_worded(reply), _boxed(reply), _hashes(reply)) if cue is not None]
    return max(found, key=lambda cue: cue.start, default=None)


def split_reply(reply: str) -> tuple[str, str | None]:
    """A reply cut before the sentence that announces its answer: what was thought, and what was concluded.

    Both parts are stripped of outer white space; the second is None where the reply holds no cue.
    """
    cue = last_cue(reply)
    if cue is None:
        return reply.strip(), None
    cut = _sentence_start(reply, cue.start)
    return reply[:cut].strip(), reply[cut:].strip()


def reasoning_of(reply: str) -> str:
    """A reply up to where it announces its answer, be it in several sentences: "So, the answer is no. Therefore, the
    answer (Yes or No) is No." An answer that is taken back stays, with what follows it."""
    text = split_reply(reply)[0]
    for _ in range(_ANNOUNCEMENTS):
        cue = last_cue(text)
        if cue is None or _SENTENCE_END.search(text[cue.begin :].lstrip()):
            break
        text = text[: _sentence_start(text, cue.start)].rstrip()
    return text


def last_line(reply: str) -> str:
    """The last line that holds anything but white space; empty where it is longer than an answer can be."""
    stripped = reply.rstrip()
    line_start = stripped.rfind("\n") + 1
    return stripped[line_start:].lstrip() if len(stripped) - line_start <= ANSWER_LIMIT else ""


def _worded(reply: str) -> Cue | None:
    for word, place in _nouns(reply):
        if word != "answer":
            qualified = _QUALIFIED.search(reply, max(0, place - 12), place)
            if qualified is None:
                continue
            place = qualified.start()
        elif place and (reply[place - 1].isalnum() or reply[place - 1] == "_"):
            continue
        match = _WORDED.match(reply, place) or _heading(reply, place)
        if match:
            return Cue(place, match.end(), min(len(reply), match.end() + ANSWER_LIMIT))
    return None


def _nouns(reply: str) -> Iterator[tuple[str, int]]:
    """Where the words stand that a cue is built on, from the end, up to a limit."""
    folded = reply.replace("İ", "I").lower()  # the one letter whose lower case is longer
    places = {word: folded.rfind(word) for word in ("answer", "option", "choice")}
    for _ in range(_CANDIDATES_TRIED):
        word = max(places, key=places.__getitem__)
        place = places[word]
        if place < 0:
            return
        yield word, place
        places[word] = folded.rfind(word, 0, place)


def _heading(reply: str, place: int) -> re.Match[str] | None:
    """The word "answer" alone on its line, as a heading: the answer stands below."""
    line_start = reply.rfind("\n", max(0, place - 40), place) + 1
    if place - line_start > 40 or not _HEADING_START.fullmatch(reply, line_start, place):
        return None
    return _HEADING.match(reply, place)


def _boxed(reply: str) -> Cue | None:
    place = max(reply.rfind("\\boxed"), reply.rfind("\\fbox"))
    match = _BOXED.match(reply, place) if place >= 0 else None
    if match is None:
        return None
    depth, limit = 1, min(len(reply), match.end() + ANSWER_LIMIT)
    for at in range(match.end(), limit):
        depth += (reply[at] == "{") - (reply[at] == "}")
        if depth == 0:
            return Cue(place, match.end(), at)
    return Cue(place, match.end(), limit)


def _hashes(reply: str) -> Cue | None:
    line = last_line(reply)
    if not line.startswith("####") or line.startswith("#####") or _SECTION.match(line):
        return None
    end = len(reply.rstrip())
    return Cue(end - len(line), end - len(line) + 4, end)


def _sentence_start(reply: str, place: int) -> int:
    begin = max(0, place - _LOOK_BACK)
    ends = [match.end() for match in _SENTENCE_END.finditer(reply, begin, place)]
    return ends[-1] if ends else begin
