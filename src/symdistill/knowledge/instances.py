"""Knowledge for questions with a solution at hand: what the teacher is asked, and the items its replies become.

SKIntern, section 3.1 (Liao et al. 2024): for every training question the teacher is shown the question, its answer and
a rationale that reaches it, and writes the two notes that NesyCD has it write about mistakes (`building`). No student
takes part. Nothing here asks a model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from symdistill import content
from symdistill.curation.words import squeezed
from symdistill.knowledge.building import BuildReport, items_of
from symdistill.knowledge.items import LEAKING, Kind, KnowledgeItem, Provenance
from symdistill.prompts import KNOWLEDGE_NOTES, knowledge_notes_example, knowledge_notes_messages, question_text
from symdistill.records import Completion, Example, Failure, Rationale, Request, Sampling


@dataclass(frozen=True, slots=True)
class SolvedCase:
    """A question with a solution. `answer` is the gold answer, or the solution's where the question has none."""

    example: Example
    answer: str | None
    solution: str


def solved_cases(examples: Iterable[Example], rationales: Iterable[Rationale]) -> list[SolvedCase]:
    """A case for each question that has a rationale: its first by sample index."""
    first: dict[str, Rationale] = {}
    for rationale in sorted(rationales, key=lambda r: r.sample_index):
        first.setdefault(rationale.example_id, rationale)
    return [
        SolvedCase(e, e.answer if e.answer is not None else first[e.id].answer, first[e.id].text)
        for e in examples
        if e.id in first
    ]


def notes_requests(cases: Sequence[SolvedCase], model: str, sampling: Sampling) -> list[Request]:
    """One request a case, in their order. `model` is the teacher's name as it stands in content keys."""
    return [
        content.request(
            model, knowledge_notes_messages(case.example, case.answer, case.solution), sampling, 0, case.example.id
        )
        for case in cases
    ]


def items_from_notes(
    cases: Sequence[SolvedCase],
    requests: Sequence[Request],
    completions: Mapping[str, Completion],
    failures: Mapping[str, Failure] | None = None,
    *,
    run: str = "",
) -> tuple[list[KnowledgeItem], BuildReport]:
    """The items of the teacher's replies, and what became of every case. `requests` are those of `notes_requests`.

    Notes that were cut or go round in circles are treated as `building.items_from` does.

    Raises:
        ValueError: there are not as many requests as cases.
    """
    sources = [
        Provenance(
            example_id=case.example.id,
            task=case.example.task,
            question=_plain(case.example),
            request_key=request.key,
            model=request.model,
            prompt=KNOWLEDGE_NOTES,
            run=run,
        )
        for case, request in zip(cases, requests, strict=True)
    ]
    return items_of(sources, completions, failures, worked=knowledge_notes_example())


def own_items(
    items: Iterable[KnowledgeItem], examples: Sequence[Example], kinds: Sequence[Kind], *, leaking: bool = False
) -> dict[str, list[KnowledgeItem]]:
    """The items that came from each question, by its id, kinds in their order; questions without any are left out.

    A source is a question's own where its text is; an id counts where the source has no text, since another task may
    have given it to another question. Items that leak an answer or copy a question are left out unless `leaking`.
    """
    by_text: defaultdict[str, list[str]] = defaultdict(list)
    for example in examples:
        by_text[squeezed(_plain(example))].append(example.id)
    known = {example.id for example in examples}
    found: defaultdict[str, dict[str, KnowledgeItem]] = defaultdict(dict)
    usable = [i for i in items if i.kind in kinds and (leaking or LEAKING.isdisjoint(i.flags))]
    for item in sorted(usable, key=lambda i: (kinds.index(i.kind), i.id)):
        for source in item.provenance:
            by_id = [source.example_id] if source.example_id in known else []
            for question in by_text.get(squeezed(source.question), []) if source.question.strip() else by_id:
                found[question][item.id] = item
    return {question: list(own.values()) for question, own in found.items()}


def from_held_out(
    items: Iterable[KnowledgeItem], held_out: Sequence[Example], train: Sequence[Example]
) -> list[KnowledgeItem]:
    """The items in use that came from held-out questions and from nothing else, by the text of these; a question that
    is a training question as well is none of them."""
    apart = {squeezed(_plain(e)) for e in held_out} - {squeezed(_plain(e)) for e in train}
    used = [item for item in items if item.status != "retired" and item.provenance]
    return [item for item in used if all(squeezed(source.question) in apart for source in item.provenance)]


def _plain(example: Example) -> str:
    return question_text(replace(example, instruction=None))
