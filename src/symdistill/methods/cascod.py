"""`cascod`: Cascading Decomposed CoTs Distillation (Dai et al. 2024, arXiv 2405.19842).

    L = (1 - α)·CE(rationale) + α·CE(answer)

    rationale    q → r              the rationale without the answer it reaches
    answer       q, r, cue → a      r is the teacher's, read and not learned

At inference in two passes: q → r̂, then q, r̂, cue → â. The cue, "Therefore, the answer is" on a line of its own, is the
same text and the same tokens in training and at inference. The second pass goes on from the cache of the first, so its
cost is the cue's tokens and the answer's: `prompt_flops_paper` counts q twice and r̂ once, as the papers do, `flops`
counts what is computed. In training r ends in the end of turn where it is learned, and in the cue where it is read; at
inference the end of turn of r̂ is therefore not read. With self-consistency each sample has a rationale of its own.

[P] Both objectives, their weights, and the two passes. [C] The cue, and the rationale cut before it
(github.com/C-W-D/CasCoD); α = 0.3 in the code of SKIntern and NesyCD, for which CasCoD is a baseline (CasCoD's own
scripts have 0.1, its configuration 0.5). [?] Which of several kept rationales is *the* one: the first `samples`.

Departures. The answers learned are the gold ones. The prompt of a rationale has no "Rationale:" at its end. Both passes
share `evaluation.max_new_tokens`: a rationale is cut where 32 tokens, or a quarter if that is less, are left, and the
cue follows there. SKIntern's evaluation writes other words before the rationale, and another cue, than its training:
do not copy that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import Field

from symdistill.curation.completion import reasoning_alone
from symdistill.methods.two_groups import ANSWER, RATIONALE, TwoGroups, TwoGroupsSettings
from symdistill.prompts import cue
from symdistill.records import Example, Rationale, Sampling, TrainingExample

_BEFORE, _, _AFTER = cue("\0").partition("\0")
CUE = f"\n{_BEFORE.rstrip()}"
"""What stands between a rationale and its answer. The answer follows with a blank before it."""


class CascodSettings(TwoGroupsSettings):
    """The weights of the two groups."""

    alpha: float = Field(default=0.3, ge=0, le=1)
    """What the answers weigh; the rationales weigh the rest."""


class Cascod(TwoGroups):
    """(1 - α)·CE(r) + α·CE(a) with r before it."""

    settings_type = CascodSettings
    settings: CascodSettings

    @property
    def group_weights(self) -> Mapping[str, float]:
        return {RATIONALE: 1 - self.settings.alpha, ANSWER: self.settings.alpha}

    def about(self, example: Example, rationales: Sequence[Rationale]) -> list[TrainingExample]:
        prompt = self.prompt(example)
        found = []
        for text in filter(None, map(reasoning_alone, rationales)):
            found.append(TrainingExample(example.id, prompt, text, group=RATIONALE))
            if example.answer is not None:
                answer = f" {example.answer}{_AFTER}"
                found.append(TrainingExample(example.id, prompt, answer, group=ANSWER, given=(text, CUE)))
        return found

    def sampling(self, asked: Sampling) -> Sampling:
        return replace(asked, then=CUE)
