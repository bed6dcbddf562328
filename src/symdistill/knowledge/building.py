"""From a student's mistakes to knowledge: what the teacher is asked, and the items its replies become.

NesyCD, step 3 (Liao et al. 2024): for each question the student got wrong, the teacher is shown the question and the
wrong reply and writes two notes, a learning summary and supplementary knowledge. Each becomes an item. Questions
answered correctly carry no knowledge.

Nothing here asks a model: requests go out, replies come in, and sampling stands between.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from symdistill import content
from symdistill.curation.words import ngrams, words
from symdistill.errors import DataError
from symdistill.knowledge.items import KnowledgeItem, Provenance, item_id
from symdistill.knowledge.parsing import Field, Outcome, parse_analysis
from symdistill.knowledge.repetition import first_words, without_loops
from symdistill.prompts import (
    ERROR_ANALYSIS,
    ERROR_ANALYSIS_WITH_GOLD,
    error_analysis_example,
    error_analysis_messages,
    question_text,
)
from symdistill.records import Completion, Example, Failure, Prediction, Request, Sampling
from symdistill.tasks.answers import answers_equal

REPLY_WORDS = 256
"""Words of a wrong reply the teacher is shown at most, as in the paper."""

BuildOutcome = Literal[Outcome, "copied_example", "failed", "unanswered"]
"""What became of one mistake (or solved question): an outcome of parsing; or the teacher wrote down the prompt's own
example; or its call failed; or it was not asked yet."""

_LOOP_MARK = " [the same again and again]"
_CUT_MARK = "[…]"
_TITLE = 80
_COPIED = 0.5
_SHORTEST_SENTENCE = 12
_LIST_MARK = re.compile(r"\A(?:[\s>#*•–—-]|\(?\d{1,3}[.)](?!\d)|`)+")
_MARKUP = re.compile(r"\*\*|__|`|</?[a-zA-Z][^<>\n]{0,80}>")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)")
_WHOLE_END = re.compile(r"[.!?](?=\s|$)|\n")
_ENTRY_NUMBER = re.compile(r"[.!?;:]\s+\(?\d{1,3}\Z")
"""The number of a list's entry in the middle of a line: the stop after it ends nothing."""
_LETTERS = re.compile(r"[^\W\d_]{2}")
_ENDING = 40


@dataclass(frozen=True, slots=True)
class ErrorCase:
    """A question the student got wrong: its whole reply, and the answer read from it."""

    example: Example
    reply: str
    answer: str | None


@dataclass(frozen=True, slots=True)
class Built:
    """What became of one mistake. `items` are ids; `leftover` is text of the teacher's reply that is in no item."""

    example_id: str
    task: str
    request_key: str
    outcome: BuildOutcome
    items: tuple[str, ...] = ()
    leftover: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """One entry for each mistake, in their order."""

    built: tuple[Built, ...]

    @property
    def counts(self) -> dict[BuildOutcome, int]:
        """How many mistakes came to each outcome, most frequent first."""
        return dict(Counter(entry.outcome for entry in self.built).most_common())

    @property
    def without_items(self) -> tuple[Built, ...]:
        """Mistakes that brought no item, and why."""
        return tuple(entry for entry in self.built if not entry.items)


def error_cases(examples: Iterable[Example], predictions: Iterable[Prediction]) -> list[ErrorCase]:
    """The mistakes among a student's predictions: of each one judged wrong, its first wrong sample.

    A prediction for a question without a gold answer was not judged and is left out.

    Raises:
        DataError: a prediction is about a question that is not among `examples`.
    """
    by_id = {example.id: example for example in examples}
    found = []
    for prediction in predictions:
        example = by_id.get(prediction.example_id)
        if example is None:
            raise DataError(
                f"A prediction is about the question {prediction.example_id!r}, which the task does not hold.",
                "Use the task file the predictions were made for.",
            )
        if prediction.correct or example.answer is None:
            continue
        for reply, answer in zip(prediction.samples, prediction.answers, strict=True):
            if not answers_equal(answer, example.answer, example.answer_type, example.choices):
                found.append(ErrorCase(example, reply, answer))
                break
    return found


def shown_reply(reply: str) -> str:
    """A student's reply as the teacher sees it: loops cut, and at most 256 words."""
    return first_words(without_loops(reply.strip(), _LOOP_MARK), REPLY_WORDS, _CUT_MARK)


def analysis_requests(
    errors: Sequence[ErrorCase], model: str, sampling: Sampling, *, show_gold: bool = False
) -> list[Request]:
    """One request for each mistake, in their order. `model` is the teacher's name as it stands in content keys."""
    return [
        content.request(
            model,
            error_analysis_messages(case.example, shown_reply(case.reply), show_gold=show_gold),
            sampling,
            0,
            case.example.id,
        )
        for case in errors
    ]


def items_from(
    errors: Sequence[ErrorCase],
    requests: Sequence[Request],
    completions: Mapping[str, Completion],
    failures: Mapping[str, Failure] | None = None,
    *,
    show_gold: bool = False,
    run: str = "",
) -> tuple[list[KnowledgeItem], BuildReport]:
    """The items of the teacher's replies, and what became of every mistake.

    `requests` are those of `analysis_requests` for the same `errors` and `show_gold`; `completions` and `failures` map
    their keys (see `sampling.Sampled`). A note that goes round in circles is cut to its first round. A note the reply
    was cut in ends with its last whole sentence or list entry, and is flagged `truncated`; what is taken off is in
    `leftover`. Where nothing whole remains, it stays as it is and goes to `review`.

    Raises:
        ValueError: there are not as many requests as errors.
    """
    prompt = ERROR_ANALYSIS_WITH_GOLD if show_gold else ERROR_ANALYSIS
    sources = [
        Provenance(
            example_id=case.example.id,
            task=case.example.task,
            question=question_text(replace(case.example, instruction=None)),
            student_reply=case.reply,
            request_key=request.key,
            model=request.model,
            prompt=prompt if case.example.answer is not None else ERROR_ANALYSIS,
            run=run,
        )
        for case, request in zip(errors, requests, strict=True)
    ]
    return items_of(sources, completions, failures, worked=error_analysis_example())


def items_of(
    sources: Sequence[Provenance],
    completions: Mapping[str, Completion],
    failures: Mapping[str, Failure] | None,
    *,
    worked: str,
) -> tuple[list[KnowledgeItem], BuildReport]:
    """The items of the replies to the requests that `sources` name, and what became of every one.

    `worked` are the notes of the prompt's own example, which are no item. See `items_from`.
    """
    found: dict[str, KnowledgeItem] = {}
    built = []
    for source in sources:
        completion = completions.get(source.request_key)
        if completion is None:
            built.append(_unanswered(source, (failures or {}).get(source.request_key)))
            continue
        items, entry = _read(source, completion, worked)
        for item in items:
            known = found.get(item.id, item)
            found[item.id] = replace(known, provenance=tuple(dict.fromkeys((*known.provenance, source))))
        built.append(entry)
    return list(found.values()), BuildReport(tuple(built))


def _unanswered(source: Provenance, failure: Failure | None) -> Built:
    if failure is None:
        return Built(source.example_id, source.task, source.request_key, "unanswered")
    detail = f"{failure.kind}: {failure.message}"
    return Built(source.example_id, source.task, source.request_key, "failed", detail=detail)


def _read(source: Provenance, completion: Completion, worked: str) -> tuple[list[KnowledgeItem], Built]:
    cut = completion.finish_reason == "length"
    analysis = parse_analysis(completion.text, cut)
    leftover = [analysis.leftover] if analysis.leftover else []
    fields: tuple[tuple[Field, str | None], ...] = (
        ("summary", analysis.summary),
        ("supplementary", analysis.supplementary),
    )
    items: list[KnowledgeItem] = []
    copied = 0
    for kind, text in fields:
        if text is None:
            continue
        if _copies(text, worked):
            leftover.append(text)
            copied += 1
            continue
        item, rest = _item(kind, text, source, cut=cut and _ends_in(completion.text, text))
        items.append(item)
        leftover += [rest] if rest else []
    outcome: BuildOutcome = "copied_example" if copied and not items else analysis.outcome
    detail = "a note repeats the example of the prompt" if copied else ""
    ids, text = tuple(item.id for item in items), "\n\n".join(leftover)
    return items, Built(source.example_id, source.task, source.request_key, outcome, ids, text, detail)


def _ends_in(reply: str, note: str) -> bool:
    """Does a reply that was cut end in this note? In JSON, where its text is written otherwise, it may."""
    ending = note[-_ENDING:]
    return reply.rstrip().endswith(ending) or ending not in reply


def _item(kind: Field, text: str, source: Provenance, *, cut: bool) -> tuple[KnowledgeItem, str]:
    """The item of one note, and what was taken off its end."""
    shorter = without_loops(text)
    cut = cut and shorter == text  # a note that only went on repeating itself lost nothing
    kept, rest = _whole_part(text) if cut else (shorter, "")
    item = KnowledgeItem(
        id=item_id(kind, source.task, kept or rest, source.request_key),
        kind=kind,
        title=title_of(kept or rest),
        text=kept or rest,
        task=source.task,
        status="active" if kept else "review",
        provenance=(source,),
        flags=("truncated",) if cut else (),
    )
    return item, rest if kept else ""


def _whole_part(text: str) -> tuple[str, str]:
    """A note that was cut, up to its last whole list entry or sentence (nothing where there is none), and the rest."""
    end = 0
    for match in _WHOLE_END.finditer(text):
        line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        if _LETTERS.search(line) and not _ENTRY_NUMBER.search(line):
            end = match.end()
    return text[:end].rstrip(), text[end:].strip()


def title_of(text: str) -> str:
    """A line to know a note by: its first one that says something, without marks, of at most 80 characters.

    A line that only announces a list is passed over unless there is no other.
    """
    lines = [" ".join(_MARKUP.sub("", _LIST_MARK.sub("", line, count=1)).split()) for line in text.split("\n")]
    meaning = [line for line in lines if _LETTERS.search(line)]
    if not meaning:
        return _shortened(" ".join(text.split()))
    line = next((line for line in meaning if not line.endswith((":", "："))), meaning[0]).rstrip(" :：")
    sentence = _SENTENCE_END.search(line, _SHORTEST_SENTENCE)
    return _shortened(line[: sentence.start()] if sentence else line.removesuffix("."))


def _shortened(line: str) -> str:
    if len(line) <= _TITLE:
        return line
    return (line[:_TITLE].rpartition(" ")[0].rstrip(" ,;:") or line[: _TITLE - 1]) + "…"


def _copies(text: str, worked: str) -> bool:
    """Does most of the note stand in the prompt's worked example?"""
    own = ngrams(words(text), 3)
    return len(own & _grams(worked)) > _COPIED * len(own)


@cache
def _grams(text: str) -> set[tuple[str, ...]]:
    return ngrams(words(text), 3)
