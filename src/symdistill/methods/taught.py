"""The labels a teacher gave to training questions, read from its kept replies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from symdistill.evaluation.voting import majority
from symdistill.records import Example, Rationale
from symdistill.tasks.answers import canonical_answer


def taught_answers(examples: Sequence[Example], rationales: Iterable[Rationale]) -> dict[str, str]:
    """The answer most of the teacher's replies to a question give, by question; of equally common ones the first.

    A label is written as the gold labels of its task are, where there are any; a reply that names none of these
    ("mixed", where the task knows positive and negative) gives no answer.
    """
    written: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for example in examples:
        if example.answer_type == "label" and example.answer is not None:
            written[example.task].setdefault(canonical_answer(example.answer, "label"), example.answer)
    said: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for rationale in rationales:
        if rationale.answer is not None:
            said[rationale.example_id].append((rationale.sample_index, rationale.answer))
    found = {}
    for example in examples:
        given = [answer for _, answer in sorted(said.get(example.id, ()))]
        if known := written.get(example.task):
            given = [known[key] for answer in given if (key := canonical_answer(answer, "label")) in known]
        answer = majority(given, example.answer_type, example.choices).answer
        if answer is not None:
            found[example.id] = answer
    return found
