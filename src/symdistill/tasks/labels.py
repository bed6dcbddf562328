"""Which labels a task knows: a reply that names none of them has no answer.

What `parse_answer` reads for a label is whatever short clause stands after the cue, and a model that has not learned
its task writes anything there ("the answer is X", copied from the instruction). With the gold answers at hand such a
clause is told from a wrong label, so that it neither votes nor counts as parsed. What names no label can be no right
answer either, so the accuracy of single replies is the same with and without.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from symdistill.records import Example
from symdistill.tasks.answers import canonical_answer

MOST_LABELS = 20
"""A task with at most so many different short answers, each given twice on average, has labels."""
_PLACEHOLDER = "x"


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of each task, as `canonical_answer` writes them; of those in `closed` they are all there are."""

    known: Mapping[str, frozenset[str]]
    closed: frozenset[str] = frozenset()

    def named(self, example: Example, answer: str | None) -> str | None:
        """The parsed answer, None where it names no label of the question's task; answers of other types as they are.

        Where more labels may exist than are known, any answer stands but the X that stands for it in the instruction.
        """
        if answer is None or example.answer_type != "label":
            return answer
        label = canonical_answer(answer, "label")
        if label in self.known.get(example.task, frozenset()):
            return answer
        return None if example.task in self.closed or label == _PLACEHOLDER else answer


def labels_of(examples: Iterable[Example]) -> Labels:
    """The labels that the gold answers of these questions show.

    They are taken for all of a task's where there are at least two and at most `MOST_LABELS`, each given twice on
    average.
    """
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for example in examples:
        if example.answer_type == "label" and example.answer is not None:
            counts[example.task][canonical_answer(example.answer, "label")] += 1
    closed = {
        task for task, golds in counts.items() if 2 <= len(golds) <= MOST_LABELS and golds.total() >= 2 * len(golds)
    }
    return Labels({task: frozenset(golds) for task, golds in counts.items()}, frozenset(closed))
