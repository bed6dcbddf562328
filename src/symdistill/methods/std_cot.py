"""`std-cot`: fine-tuning on the teacher's chains of thought (Magister et al. 2022; Ho et al. 2022).

The student learns q → r, a from rationales that reach the right answer; loss CE(r, a). `samples: 1` is Magister's and
the later papers' Std-CoT; more is Ho et al.'s *diverse reasoning* (their D, 1 to 64), every kept sample weighing the
same.

Departure: which of several kept rationales counts as *the* one (samples: 1) is not published; here it is the first
by sample index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pydantic import PositiveInt

from symdistill.curation.completion import final_completion
from symdistill.methods.base import Material, Method, MethodSettings
from symdistill.records import Rationale, TrainingExample


class StdCotSettings(MethodSettings):
    """How many rationales of a question are learned."""

    samples: PositiveInt = 1
    """Rationales of a question at most, the first by sample index."""


class StdCot(Method):
    """CE(r, a) on up to `samples` kept rationales a question."""

    settings_type = StdCotSettings
    settings: StdCotSettings

    def training_examples(self, material: Material) -> list[TrainingExample]:
        by_id = {e.id: e for e in material.examples}
        chosen = first_samples(material.rationales, self.settings.samples)
        return [TrainingExample(r.example_id, self.prompt(by_id[r.example_id]), final_completion(r)) for r in chosen]


def first_samples(rationales: Sequence[Rationale], samples: int) -> list[Rationale]:
    """The first `samples` rationales of each question, by sample index."""
    taken: Counter[str] = Counter()
    kept = []
    for rationale in sorted(rationales, key=lambda r: (r.example_id, r.sample_index)):
        if taken[rationale.example_id] < samples:
            taken[rationale.example_id] += 1
            kept.append(rationale)
    return kept
