"""`skintern`: internalising symbolic knowledge step by step (Liao et al. 2024, arXiv 2409.13183).

1. *Rationales* [P]: answer-conditioned, temperature 0.8, two a question (`samples`), the right ones kept. The teacher
   section is shared by all methods, an entry's own `teacher` changes keys of it for that method: `teacher: {samples: 2,
   temperature: 0.8, top_k: 50, show_answer: true}`.
2. *Knowledge* [P] for every training question, without any mistake of a student: the teacher is shown question, answer
   and a kept rationale, and writes a learning summary k^m and supplementary knowledge k^p (`km`, `kp`; `analysis`:
   single keys of `teacher` for these calls, at temperature 0.8 and 1,024 tokens where nothing is said).
3. *Progressive fine-tuning* [P] in T `steps`. In step t the student learns k_t, e_t, q → r, a:

       L_t = CE(r, a | k_t, e_t, q)        k_t = compress(k, S_t)        |e_t| = ⌊K·S_t⌋

   with a share S_t that falls from 1 to 0. k_t is k with that share of its tokens (`compressor`); without any, the
   sentence that introduces it is gone, too. e_t are worked examples from the K (`examples`) training questions most
   like q. The epochs are divided among the steps (`training.curriculum`); weights, optimiser and schedule go on.
4. *Inference* [P]: q alone, with the prompt of the last step, which is that of std-cot. Nothing is looked up.

`schedule: linear` is S_t = (T − t) / (T − 1) [P]. The forms of the other two are not published [?]; here, with
x = (t − 1) / (T − 1), `exponential` is (e^(−3x) − e^(−3)) / (1 − e^(−3)), fast at first and then slow, and
`inverse-exponential` its mirror image, 1 − exponential(1 − x), slow at first and then fast.

Of T = 7 and 12 epochs, both in the paper, no division is even: `training.curriculum` says what is done then.

Departures. The paper compresses with LLMLingua-2 (`compressor: llmlingua2`); the default here needs no download
(`knowledge.compression`, with self-information under the untrained student). The paper draws e_t anew from the K
neighbours in every step; here one order is drawn a question and its beginning used, so that no step shows what the
step before did not; the nearest stands last, next to the question. The released code [C] instead shows 6 − t random
questions of the batch, and leaves out what compresses the knowledge. The paper speaks of m notes a question without
saying how many: here one, about the first kept rationale. Its appendix has the notes written about mistakes, in words
of an earlier paper; sections 3.1 and D.2 do not, and are followed. A note that leaks its question's answer or copies
the question is not shown for it (`knowledge.retrieval.exclude_leaking`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from symdistill.curation.completion import final_completion
from symdistill.errors import DataError
from symdistill.methods.base import Material, Method, MethodSettings, Scaffold
from symdistill.methods.std_cot import first_samples
from symdistill.prompts import Demonstration, question_text, student_messages
from symdistill.records import Example, Message, TrainingExample

if TYPE_CHECKING:
    from symdistill.knowledge.items import Kind

Schedule = Literal["linear", "exponential", "inverse-exponential"]

USUAL_ANALYSIS: Mapping[str, Any] = {"temperature": 0.8, "max_tokens": 1024}
"""How the teacher's notes are drawn where the configuration does not say (appendix A.4)."""

USUAL_EPOCHS = 12
"""Epochs of all steps together where the configuration does not say (the paper's E)."""

_STEEPNESS = 3.0
_ROUNDING = 1e-9


class SkinternSettings(MethodSettings):
    """Notes, examples and steps. Each part can be left out for an ablation: `km`, `kp`, `examples: 0`."""

    samples: PositiveInt = 2
    """Rationales of a question at most."""
    steps: int = Field(default=4, ge=2)
    """Steps in which what stands before a question is taken away."""
    schedule: Schedule = "linear"
    """How the share that is left falls from 1 to 0."""
    km: bool = True
    """Learning summaries."""
    kp: bool = True
    """Supplementary knowledge."""
    examples: NonNegativeInt = 6
    """Worked examples before a question in the first step."""
    embedding_model: Path | None = None
    """A sentence-transformers directory that finds them; None: TF-IDF of the words, nothing to download."""
    compressor: Literal["self-information", "llmlingua2"] = "self-information"
    """What shortens the notes."""
    compressor_model: Path | None = None
    """The encoder's directory, for `llmlingua2`."""
    analysis: Mapping[str, Any] = Field(default_factory=dict)
    """Single keys of `teacher`, for the notes."""

    @model_validator(mode="after")
    def _fits_together(self) -> SkinternSettings:
        if not (self.km or self.kp or self.examples):
            raise ValueError("nothing to take away step by step: set km, kp or examples, or use std-cot")
        if self.compressor == "llmlingua2" and self.compressor_model is None:
            raise ValueError("compressor llmlingua2 needs compressor_model, the directory of its encoder")
        return self


class Skintern(Method):
    """CE(r, a) in steps, with less and less before the question."""

    settings_type = SkinternSettings
    settings: SkinternSettings

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The notes it trains with."""
        chosen: list[Kind] = ["summary"] if self.settings.km else []
        return (*chosen, "supplementary") if self.settings.kp else tuple(chosen)

    def training_examples(self, material: Material) -> list[TrainingExample]:
        if material.scaffold is None:
            raise DataError(f"{self.label} has neither notes nor neighbours.", "Run `symdistill train` (or `run`).")
        by_id = {e.id: e for e in material.examples}
        chosen = first_samples(material.rationales, self.settings.samples)
        worked: dict[str, str] = {}
        for rationale in chosen:
            worked.setdefault(rationale.example_id, final_completion(rationale))
        shares = schedule_shares(self.settings.schedule, self.settings.steps)
        prompts = {
            question: [self._prompt_at(share, by_id[question], by_id, worked, material) for share in shares]
            for question in worked
        }
        return [
            TrainingExample(r.example_id, prompts[r.example_id][phase], final_completion(r), phase=phase)
            for phase in range(self.settings.steps)
            for r in chosen
        ]

    def _prompt_at(
        self,
        share: float,
        example: Example,
        by_id: Mapping[str, Example],
        worked: Mapping[str, str],
        material: Material,
    ) -> tuple[Message, ...]:
        scaffold = material.scaffold
        assert scaffold is not None
        near = [n for n in scaffold.neighbours.get(example.id, ()) if n in worked and n != example.id]
        near = near[: self.settings.examples]
        order = random.Random(f"{material.seed}:{example.id}").sample(near, len(near))
        drawn = set(order[: math.floor(self.settings.examples * share + _ROUNDING)])
        return student_messages(
            example,
            instruction=self.student_instruction,
            knowledge=self._notes_at(share, example, scaffold),
            shown=[_demonstration(by_id[n], worked[n], example) for n in reversed(near) if n in drawn],
        )

    def _notes_at(self, share: float, example: Example, scaffold: Scaffold) -> str:
        """The question's notes with this share of their tokens; a heading goes with the last word under it."""
        from symdistill.knowledge.block import knowledge_block

        notes = [n for kind in self.kinds for n in scaffold.notes.get(example.id, ()) if n.kind == kind]
        if not notes or share <= 0:
            return ""
        texts = [n.text.strip() for n in notes]
        if share < 1:
            texts = scaffold.compress(texts, share)
        return knowledge_block(replace(note, text=text) for note, text in zip(notes, texts, strict=True))


def schedule_shares(schedule: Schedule, steps: int) -> tuple[float, ...]:
    """S_1, …, S_T: the share of notes and examples that stands before a question in each step, from 1 to 0."""
    if schedule == "linear":
        return tuple((steps - t) / (steps - 1) for t in range(1, steps + 1))
    falling = [_falling(t / (steps - 1)) for t in range(steps)]
    return tuple(falling) if schedule == "exponential" else tuple(1 - share for share in reversed(falling))


def _falling(x: float) -> float:
    end = math.exp(-_STEEPNESS)
    return (math.exp(-_STEEPNESS * x) - end) / (1 - end)


def _demonstration(example: Example, reply: str, asked: Example) -> Demonstration:
    """A worked question; an instruction that stands before the asked one as well is not repeated."""
    own = replace(example, instruction=None) if example.instruction == asked.instruction else example
    return Demonstration(question_text(own), reply)
