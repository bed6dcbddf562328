"""`step-by-step`: Distilling Step-by-Step (Hsieh et al. 2023, arXiv 2305.02301).

    L = CE(answer) + λ·CE(rationale)

    rationale    "explain: " + q → r    the rationale without the answer it reaches
    answer       "predict: " + q → a

At inference only `predict: ` is asked: what an answer costs is what it costs a `label-only` student.

[P] The loss, with λ = 1, and the two tasks told apart by a prefix. [C] The words of the prefixes (the paper's are
`[label]` and `[rationale]`), gold labels by default, the rationale cut before "So the answer is", and the weights
α·CE(answer) + (1 - α)·CE(rationale) with α = .5: half the paper's loss, which Adam's steps do not feel but for
`max_grad_norm` and weight decay. `alpha` writes the loss in that form. [?] Which of several kept rationales is *the*
one: the first `samples`.

Departures. A decoder is trained, not T5. The answer stands in the sentence that all methods here end in. Rationales
with a wrong answer are dropped (`curation.verify: false` keeps them, as the paper does); the answers of their questions
are learned all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field, NonNegativeFloat, model_validator

from symdistill.curation.completion import reasoning_alone
from symdistill.methods.two_groups import ANSWER, RATIONALE, TwoGroups, TwoGroupsSettings
from symdistill.prompts import cue
from symdistill.records import Example, Rationale, TrainingExample


class StepByStepSettings(TwoGroupsSettings):
    """The weights of the two groups, in one of two forms."""

    lambda_rationale: NonNegativeFloat = 1.0
    """The paper's λ: what the rationales weigh, where the answers weigh 1."""
    alpha: float | None = Field(default=None, ge=0, le=1)
    """Where it is set, the answers weigh so much and the rationales the rest, as in the released code."""

    @model_validator(mode="after")
    def _one_form(self) -> StepByStepSettings:
        if self.alpha is not None and "lambda_rationale" in self.model_fields_set:
            raise ValueError("alpha and lambda_rationale are two forms of one weight: keep one of them")
        return self


class StepByStep(TwoGroups):
    """CE(a) + λ·CE(r), each with a prefix of its own."""

    settings_type = StepByStepSettings
    settings: StepByStepSettings
    rationale_prefix = "explain: "
    answer_prefix = "predict: "

    @property
    def group_weights(self) -> Mapping[str, float]:
        alpha = self.settings.alpha
        if alpha is not None:
            return {RATIONALE: 1 - alpha, ANSWER: alpha}
        return {RATIONALE: self.settings.lambda_rationale, ANSWER: 1.0}

    def about(self, example: Example, rationales: Sequence[Rationale]) -> list[TrainingExample]:
        explain, predict = self.rationale_prompt(example), self.prompt(example)
        steps = [text for r in rationales if (text := reasoning_alone(r))]
        found = [TrainingExample(example.id, explain, text, group=RATIONALE) for text in steps]
        if example.answer is not None:
            found.append(TrainingExample(example.id, predict, cue(example.answer), group=ANSWER))
        return found
