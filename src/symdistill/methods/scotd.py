"""`scotd`: Symbolic Chain-of-Thought Distillation (Li et al. 2023, arXiv 2306.14050).

1. A teacher with a hand-written few-shot prompt draws N rationales (r̃, ã) for each question, unconditioned
   (`teacher.samples: 30`, `teacher.temperature: 1.0`, `teacher.max_tokens: 256`, `teacher.demonstrations`).
2. `setting: few-shot` uses no label: every sample with a parsable answer stays, and the student answers by
   self-consistency (30 samples, T=0.7, unless `evaluation.self_consistency` says otherwise). `setting: supervised`
   drops samples with a wrong ã and decodes greedily.
3. The student maximises E_C[log S(r̃, ã | q)] over all of them.
4. Which samples matter, at an equal budget (section 4 of the paper): `curation: {select: …, budget: 5}` with random,
   diversity, likelihood or open-endedness.

Where paper and released code differ: the paper's expectation weighs every sample alike (`weighting: sample`, the
default); the code draws one sample of each question an epoch, which in expectation weighs every *question* alike
(`weighting: instance`: a sample of a question with n kept samples weighs 1/n).

Departure: in the few-shot setting samples without a parsable answer are dropped, since a student that learns them
would learn not to answer.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

from symdistill.curation.completion import final_completion
from symdistill.methods.base import Material, Method, MethodSettings
from symdistill.records import TrainingExample


class ScotdSettings(MethodSettings):
    """Which labels are used, and what a sample weighs."""

    setting: Literal["supervised", "few-shot"] = "supervised"
    """`supervised` drops samples with a wrong answer and decodes greedily; `few-shot` uses no label, and 30 samples
    vote."""
    weighting: Literal["sample", "instance"] = "sample"
    """`sample`: every kept sample weighs the same; `instance`: every question does."""


class Scotd(Method):
    """CE(r̃, ã) over every kept sample of every question."""

    settings_type = ScotdSettings
    settings: ScotdSettings

    @property
    def verify(self) -> bool:
        return self.settings.setting == "supervised"

    @property
    def votes(self) -> int | None:
        return None if self.settings.setting == "supervised" else 30

    def training_examples(self, material: Material) -> list[TrainingExample]:
        by_id = {e.id: e for e in material.examples}
        kept = Counter(r.example_id for r in material.rationales)
        balanced = self.settings.weighting == "instance"
        return [
            TrainingExample(
                r.example_id,
                self.prompt(by_id[r.example_id]),
                final_completion(r),
                weight=1 / kept[r.example_id] if balanced else 1.0,
            )
            for r in material.rationales
        ]
