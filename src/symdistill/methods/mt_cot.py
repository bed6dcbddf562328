"""`mt-cot`: explanations and answers as two tasks of one student (Li et al. 2022, arXiv 2210.06726).

    L = (1 - α)·CE(rationale) + α·CE(answer)

    rationale    "[Explanation Generation] " + q → r, a    the whole chain of thought, its final answer included
    answer       "[Answer Prediction] " + q → a

At inference only the answer task is asked: what an answer costs is what it costs a `label-only` student.

[P] Li et al. have three forms of the explanation task: the rationale (MT-Re), the answer before it (MT-Ra), and the
chain of thought with the answer at its end (MT-CoT, the one here). [C] CasCoD's code (github.com/C-W-D/CasCoD) and that
of SKIntern and NesyCD, for which MT-CoT is a baseline, use the same targets, the tags above, and α·CE(answer);
SKIntern's fixes α = 0.3, the default here. [?] Which of several kept rationales is *the* one: the first `samples`.

Departures. The explanation task is q → r, a, as in those codes; where the baseline is summed up it is often written
q → r, which is `explain_answer: false`. The tags stand before the question; in both codes they follow it. The answer
stands in the sentence that all methods here end in. The answers learned are the gold ones of all labelled questions,
those without a kept rationale too; the codes train on the teacher's answers, and on questions with a right rationale
alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from symdistill.curation.completion import final_completion, reasoning_alone
from symdistill.methods.two_groups import ANSWER, RATIONALE, TwoGroups, TwoGroupsSettings
from symdistill.prompts import cue
from symdistill.records import Example, Rationale, TrainingExample


class MtCotSettings(TwoGroupsSettings):
    """The weights of the two groups."""

    alpha: float = Field(default=0.3, ge=0, le=1)
    """What the answers weigh; the rationales weigh the rest."""
    explain_answer: bool = True
    """Explanations end in their answer (q → r, a). False: they stop before it (q → r)."""


class MtCot(TwoGroups):
    """(1 - α)·CE(r, a) + α·CE(a), each with a tag of its own."""

    settings_type = MtCotSettings
    settings: MtCotSettings
    rationale_prefix = "[Explanation Generation] "
    answer_prefix = "[Answer Prediction] "

    @property
    def group_weights(self) -> Mapping[str, float]:
        return {RATIONALE: 1 - self.settings.alpha, ANSWER: self.settings.alpha}

    def about(self, example: Example, rationales: Sequence[Rationale]) -> list[TrainingExample]:
        explain, predict = self.rationale_prompt(example), self.prompt(example)
        text_of = final_completion if self.settings.explain_answer else reasoning_alone
        texts = filter(None, map(text_of, rationales))
        found = [TrainingExample(example.id, explain, text, group=RATIONALE) for text in texts]
        if example.answer is not None:
            found.append(TrainingExample(example.id, predict, cue(example.answer), group=ANSWER))
        return found
