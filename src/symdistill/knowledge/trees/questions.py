"""Asking a teacher for yes/no questions that tell the answers of a task apart, and reading what it writes.

Each request shows other inputs, so that asking several times brings different questions. A reply may be a list of
`name: question` lines as it was asked for, numbered, in bold, in a table or in JSON; every line of it has an outcome,
and why a question was not taken is never lost.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from symdistill import content
from symdistill.knowledge.near import NearIndex
from symdistill.knowledge.rules.logic import DOMAIN, TARGET, is_name
from symdistill.knowledge.terms import terms
from symdistill.knowledge.trees.features import named_after
from symdistill.prompts.features import feature_question_example, feature_question_messages
from symdistill.records import Completion, Example, Failure, Request, Sampling

Outcome = Literal[
    "question",  # taken
    "duplicate",  # says what another one says
    "asks_for_the_answer",  # the task's own question in other words
    "not_yes_no",  # what, which, how many
    "too_long",
    "copied_example",  # from the prompt's worked exchange
    "cut",  # the reply ended in it
    "failed",  # the request brought no reply
]

_NEAR = 0.75
_LONGEST = 300
_MOST_LINES = 200
_INPUT_CHARACTERS = 400
_MARK = re.compile(r"[\s>|]*(?:(?:\d{1,3}\s?[.):]|[-*•+])\s*)?[\s*_`\"'|]*")
_NAMED = re.compile(r"(?P<name>[\w /-]{1,60}?)[*_`\"'\s]*(?::|\||–|—| - )[*_`\"'\s]*(?P<question>.+)")
_OPEN = re.compile(r"(?:what|which|who|whom|whose|where|when|why|how)\b(?!\s+if)", re.IGNORECASE)
_CLOSED = re.compile(
    r"(?:is|are|was|were|am|be|do|does|did|has|have|had|can|could|will|would|shall|should|may|might|must|if|there|"
    r"in|at|any)\b",
    re.IGNORECASE,
)
_GENERIC = frozenset(
    terms(
        "a an the is are was were be been do does did has have had can could will would should may might must this "
        "that these those it its there any some of in on at to for by with from as or and whether what which overall "
        "generally mostly clearly express expresses expressed convey conveys show shows indicate indicates suggest "
        "suggests describe describes tone feeling opinion attitude answer answers label class category task input text "
        "given correct right true"
    )
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A line of a teacher's reply: the question it holds and what became of it; one that was taken has a `name`."""

    text: str
    outcome: Outcome
    name: str = ""
    detail: str = ""
    request_key: str = ""


def question_requests(
    examples: Sequence[Example],
    model: str,
    sampling: Sampling,
    *,
    requests: int = 4,
    shown: int = 8,
    count: int = 8,
    seed: int = 0,
    answers_shown: bool = True,
) -> list[Request]:
    """Requests for `count` questions each; every one shows `shown` other inputs, all answers as evenly as can be.

    Without `answers_shown` nothing of a request depends on which input has which gold answer: not what it shows of an
    input, not the draw, not the order in which the task's answers are named. `model` is the teacher's name as it stands
    in content keys.
    """
    answers = labels_of_task(examples)
    if not answers_shown:
        answers = sorted(answers)
        examples = [replace(example, answer=None) for example in examples]
    task = task_text(examples)
    found = []
    for number in range(requests):
        drawn = _even_draw(examples, shown, random.Random(f"{seed}/questions/{number}"))
        inputs = [(_input_text(example), example.answer) for example in drawn]
        messages = feature_question_messages(task, answers, inputs, count)
        found.append(content.request(model, messages, sampling, number, f"questions/{number}"))
    return found


def labels_of_task(examples: Sequence[Example]) -> list[str]:
    """The answers there are, the commonest first."""
    counts = Counter(example.answer for example in examples if example.answer is not None)
    return sorted(counts, key=lambda answer: (-counts[answer], answer))


def task_text(examples: Sequence[Example]) -> str:
    """What the task asks: its commonest instruction, or its name."""
    counts = Counter(example.instruction for example in examples if example.instruction)
    if counts:
        return min(counts, key=lambda text: (-counts[text], text)).strip()
    return f"Task: {examples[0].task if examples else 'task'}."


def _even_draw(examples: Sequence[Example], count: int, draw: random.Random) -> list[Example]:
    groups: dict[str | None, list[Example]] = {}
    for example in draw.sample(list(examples), len(examples)):
        groups.setdefault(example.answer, []).append(example)
    found: list[Example] = []
    while len(found) < count and any(groups.values()):
        for group in groups.values():
            if group and len(found) < count:
                found.append(group.pop())
    draw.shuffle(found)
    return found


def _input_text(example: Example) -> str:
    text = " ".join(example.question.split())
    return text if len(text) <= _INPUT_CHARACTERS else text[:_INPUT_CHARACTERS].rstrip() + " …"


def proposals_from(
    requests: Sequence[Request],
    completions: Mapping[str, Completion],
    failures: Mapping[str, Failure] | None = None,
    *,
    examples: Sequence[Example] = (),
) -> list[Proposal]:
    """Every line of the replies with its outcome; those taken have names, and no two of them say the same.

    `examples` say what the task asks and which answers it has, so that its own question is known again.
    """
    lines = [line for request in requests for line in _lines_of(request, completions, failures or {})]
    index = NearIndex([frozenset(terms(line.text)) for line in lines], _NEAR)
    own = _answer_terms(examples)
    found: list[Proposal] = []
    kept: dict[int, str] = {}
    for place, line in enumerate(lines):
        outcome, detail = line.outcome, line.detail
        if outcome == "question":
            outcome = _judged(line.text, own)
        if outcome == "question" and (near := index.nearest(place)) is not None:
            outcome, detail = "duplicate", f"like `{kept[near[0]]}`"
        if outcome != "question":
            found.append(Proposal(line.text, outcome, "", detail, line.request_key))
            continue
        taken = set(kept.values())
        usable = is_name(line.name) and line.name not in taken | {DOMAIN, TARGET}
        name = line.name if usable else named_after(line.name or line.text, taken)
        kept[place] = name
        index.keep(place)
        found.append(Proposal(line.text, "question", name, "", line.request_key))
    return found


def questions_of(proposals: Sequence[Proposal], most: int | None = None) -> dict[str, str]:
    """The questions that were taken, by name, at most so many."""
    taken = [proposal for proposal in proposals if proposal.outcome == "question"]
    return {proposal.name: proposal.text for proposal in taken[:most]}


def _lines_of(
    request: Request, completions: Mapping[str, Completion], failures: Mapping[str, Failure]
) -> Iterator[Proposal]:
    completion = completions.get(request.key)
    if completion is None:
        failure = failures.get(request.key)
        detail = f"{failure.kind}: {failure.message}" if failure else "no reply yet"
        yield Proposal("", "failed", "", detail, request.key)
        return
    lines = list(_read(completion.text))
    for number, (name, question) in enumerate(lines[:_MOST_LINES]):
        cut = completion.finish_reason == "length" and number == len(lines) - 1
        yield Proposal(question, "cut" if cut else "question", name, "", request.key)


def _read(reply: str) -> Iterator[tuple[str, str]]:
    """Names (or nothing) and questions of a reply; text that is neither is passed over."""
    if (pairs := _from_json(reply)) is not None:
        yield from pairs
        return
    for line in reply.splitlines():
        text = line[_match_end(line) :].strip(" \t*_`\"'|")
        if not text:
            continue
        named = _NAMED.match(text[: 2 * _LONGEST])
        if named and _is_question(named["question"]) and len(named["name"].split()) <= 5:
            yield _slug(named["name"]), _sentence(named["question"])
        elif _is_question(text):
            yield "", _sentence(text)


def _match_end(line: str) -> int:
    match = _MARK.match(line)
    return match.end() if match else 0


def _from_json(reply: str) -> list[tuple[str, str]] | None:
    """The pairs of a reply in JSON: an object of names and questions, or a list of questions or of objects."""
    begin = min((at for at in (reply.find("["), reply.find("{")) if at >= 0), default=-1)
    if begin < 0:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(reply, begin)
    except (ValueError, RecursionError):
        return None
    found: list[tuple[str, str]] = []
    if isinstance(value, dict) and isinstance(value.get("questions"), (list, dict)):
        value = value["questions"]
    entries = list(value.items()) if isinstance(value, dict) else [("", entry) for entry in value]
    for name, entry in entries:
        if isinstance(entry, str) and _is_question(entry):
            found.append((_slug(name), _sentence(entry)))
        elif isinstance(entry, dict):
            texts = {key: text for key, text in entry.items() if isinstance(text, str)}
            asked = next((text for text in texts.values() if _is_question(text)), None)
            if asked is not None:
                found.append((_slug(texts.get("name", "")), _sentence(asked)))
    return found or None


def _is_question(text: str) -> bool:
    text = text.strip(" *_`\"'|")
    return len(terms(text)) >= 3 and ("?" in text or bool(_CLOSED.match(text)))


def _sentence(text: str) -> str:
    """One question, without what a model adds after it."""
    text = " ".join(text.strip(" *_`\"'|").split())
    text = text[: text.index("?") + 1] if "?" in text else text
    return text + '"' if text.count('"') % 2 else text


def _slug(name: str) -> str:
    words = terms(name.replace("_", " ").replace("/", " "))
    slug = "_".join(words)
    return slug if is_name(slug) else ""


def _judged(question: str, own: frozenset[str]) -> Outcome:
    if len(question) > _LONGEST:
        return "too_long"
    if question in feature_question_example():
        return "copied_example"
    if _OPEN.match(question):
        return "not_yes_no"
    said = frozenset(terms(question)) - _GENERIC
    return "asks_for_the_answer" if own and said <= own and said & own else "question"


def _answer_terms(examples: Sequence[Example]) -> frozenset[str]:
    """The words the task itself asks with, and those of its answers."""
    labels = labels_of_task(examples)
    if not labels:
        return frozenset()
    return frozenset(terms(" ".join([task_text(examples), *labels])))
