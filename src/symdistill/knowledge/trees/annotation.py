"""Asking a model the questions about every input, asking some again, and reading the answers.

The second time the questions stand in another order, so that a model that goes by their place is found out.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from symdistill import content
from symdistill.knowledge.rules.observations import Observation
from symdistill.knowledge.trees.features import Features
from symdistill.prompts.features import feature_answer_messages
from symdistill.records import Completion, Example, Failure, Request, Sampling

ReplyOutcome = Literal["complete", "partial", "unreadable", "empty", "cut", "failed", "unanswered"]

_MOST_LINES = 1_000
_MOST_DIGITS = 9
"""Of the number of a question: Python refuses to read thousands of them."""
_YES_NO = r"(?P<answer>yes|no|true|false)"
_NUMBERED = re.compile(
    rf"[\s*_`>|(\[]{{0,12}}(?:q(?:uestion)?\s?)?(?P<number>\d{{1,3}})\s?[.):|\]-]{{0,3}}[\s*_`\"':=|-]{{0,12}}{_YES_NO}\b",
    re.IGNORECASE,
)
_NAMED = re.compile(
    rf"[\s*_`>|\"'-]{{0,12}}(?P<name>[A-Za-z]\w{{0,63}})[\s*_`\"':=|-]{{1,12}}{_YES_NO}\b", re.IGNORECASE
)
_AFTER = re.compile(
    rf"[\s*_`>|(\[]{{0,12}}(?P<number>\d{{1,3}})\s?[.):]\s.{{1,400}}?[?:]\s{{0,4}}[*_\"']{{0,3}}{_YES_NO}\b",
    re.IGNORECASE,
)
_BARE = re.compile(rf"[\s*_`>|\"'-]{{0,12}}{_YES_NO}\b", re.IGNORECASE)
_YES = frozenset({"yes", "true"})


@dataclass(frozen=True, slots=True)
class AskedAbout:
    """A request about one input: the questions it asks, in their order, and the how-manieth time it is (from 0)."""

    request: Request
    example_id: str
    names: tuple[str, ...]
    time: int


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of one request: the answers that could be read, and how it went."""

    asked: AskedAbout
    answers: Mapping[str, bool]
    outcome: ReplyOutcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """All answers: `given[time][example_id][name]`, and the replies they were read from."""

    given: Sequence[Mapping[str, Mapping[str, bool]]]
    replies: Sequence[Answered] = field(repr=False)

    @property
    def outcomes(self) -> Mapping[ReplyOutcome, int]:
        return Counter(reply.outcome for reply in self.replies)

    def settled(self, example_id: str, name: str) -> bool | None:
        """What most of the answers say, the first one where they are balanced; None without any."""
        said = [of[example_id][name] for of in self.given if name in of.get(example_id, {})]
        if not said:
            return None
        return said[0] if 2 * sum(said) == len(said) else 2 * sum(said) > len(said)


def answer_requests(
    examples: Sequence[Example],
    features: Features,
    model: str,
    sampling: Sampling,
    *,
    per_request: int = 12,
    again: Collection[str] = (),
    seed: int = 0,
) -> list[AskedAbout]:
    """Requests about every input, `per_request` questions in each, and about the inputs named in `again` once more.

    `model` is the name in content keys; `seed` decides the order of the questions the second time.
    """
    found = []
    for time in (0, 1) if again else (0,):
        names = list(features)
        if time:
            random.Random(f"{seed}/order").shuffle(names)
        parts = [tuple(names[at : at + per_request]) for at in range(0, len(names), per_request)]
        for example in examples:
            if time and example.id not in again:
                continue
            for part in parts:
                messages = feature_answer_messages(example.question, [features[name] for name in part])
                request = content.request(model, messages, sampling, time, example.id)
                found.append(AskedAbout(request, example.id, part, time))
    return found


def answers_from(
    asked: Sequence[AskedAbout],
    completions: Mapping[str, Completion],
    failures: Mapping[str, Failure] | None = None,
) -> Answers:
    """The answers in the replies. What cannot be read is left out and counted, never guessed."""
    replies = [_read(one, completions.get(one.request.key), (failures or {}).get(one.request.key)) for one in asked]
    times = 1 + max((one.time for one in asked), default=0)
    given: list[defaultdict[str, dict[str, bool]]] = [defaultdict(dict) for _ in range(times)]
    for reply in replies:
        given[reply.asked.time][reply.asked.example_id].update(reply.answers)
    return Answers(given, replies)


def observations_from(
    examples: Sequence[Example], features: Features, answers: Answers, labels: Mapping[str, str | None] | None = None
) -> list[Observation]:
    """The table of answers. `labels` take the place of the examples' own answers where they are given."""
    return [
        Observation(
            example.id,
            {name: answers.settled(example.id, name) for name in features},
            example.answer if labels is None else labels.get(example.id),
            example.split or "train",
            example.question,
        )
        for example in examples
    ]


def _read(asked: AskedAbout, completion: Completion | None, failure: Failure | None) -> Answered:
    if completion is None:
        if failure is None:
            return Answered(asked, {}, "unanswered")
        return Answered(asked, {}, "failed", f"{failure.kind}: {failure.message}")
    if not completion.text.strip():
        return Answered(asked, {}, "empty")
    found = read_answers(completion.text, asked.names)
    if completion.finish_reason == "length" and len(found) < len(asked.names):
        return Answered(asked, found, "cut")
    if len(found) == len(asked.names):
        return Answered(asked, found, "complete")
    return Answered(asked, found, "partial" if found else "unreadable", completion.text.strip()[:200])


def read_answers(reply: str, names: Sequence[str]) -> dict[str, bool]:
    """The answers a reply gives to questions of these names, in that order; a question answered both ways has none.

    Lines like `2. yes`, `bored: no` and `2. Is it …? No` are read, JSON, and plain yes and no where there are just as
    many as questions.
    """
    said = list(_said(reply, names))
    if not said:
        bare = [match["answer"] for line in reply.splitlines()[:_MOST_LINES] if (match := _BARE.match(line))]
        said = list(zip(names, map(_is_yes, bare), strict=True)) if len(bare) == len(names) else []
    found: dict[str, bool] = {}
    disputed = set()
    for name, answer in said:
        if found.setdefault(name, answer) != answer:
            disputed.add(name)
    return {name: answer for name, answer in found.items() if name not in disputed}


def _said(reply: str, names: Sequence[str]) -> Iterator[tuple[str, bool]]:
    by_name = {name.casefold(): name for name in names}
    try:
        begin = reply.index("{")
        value, _ = json.JSONDecoder().raw_decode(reply, begin)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        for key, answer in value.items():
            name = _name_of(key, names, by_name)
            if name is not None and (match := _BARE.fullmatch(str(answer).strip())):
                yield name, _is_yes(match["answer"])
        return
    for line in reply.splitlines()[:_MOST_LINES]:
        for pattern, group in ((_NUMBERED, "number"), (_NAMED, "name"), (_AFTER, "number")):
            match = pattern.match(line)
            name = _name_of(match[group], names, by_name) if match else None
            if match and name is not None:
                yield name, _is_yes(match["answer"])
                break


def _name_of(key: str, names: Sequence[str], by_name: Mapping[str, str]) -> str | None:
    if key.isdecimal():
        number = int(key) if len(key) <= _MOST_DIGITS else 0
        return names[number - 1] if 1 <= number <= len(names) else None
    return by_name.get(key.strip().casefold())


def _is_yes(answer: str) -> bool:
    return answer.lower() in _YES
