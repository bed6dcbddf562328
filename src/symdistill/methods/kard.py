"""`kard`: Knowledge-Augmented Reasoning Distillation (Kang et al. 2023, arXiv 2305.18395).

1. *Rationales* [P]: answer-conditioned, 10 a question (`samples`), the right ones kept. The teacher section is shared
   by all methods, an entry's own `teacher` changes keys of it: `{samples: 10, temperature: 0.7, show_answer: true}`.
2. *Training* [P]: with each rationale r the passages D(r) that BM25 finds with r itself stand before the question:

       L = CE(r, a | D(r), q)        |D(r)| = `passages`, of `passage_words` words each

3. *Reranker* (`training.reranker`) [P]: learns from the training questions which passages their rationales would find,
   KL(Q ‖ P) with Q from BM25(d | r) and P from f(d, q); f is late interaction, or a bi-encoder.
4. *Inference* [P]: BM25(q) gives `candidates` passages, the reranker orders them, the first `passages` stand before q.

`reranker: none` is BM25(q) alone, the baseline of SKIntern's paper: the best 3 passages of 128 words. What the reranker
gains is measured on questions it has not learned from: how many of the passages that the rationale finds, BM25(q) and
the reranker find too.

Numbers. 100 candidates, 32 + 32 passages to learn from and late interaction are the paper's [P]; of those 64 a step
under an encoder compares 8, at τ1 = 1 [C]. 3 passages of 128 words are those of SKIntern's comparison [P]; the code of
KARD puts one paragraph of Wikipedia before a question, and 10 on OpenBookQA [C].

Departures. BM25(q) counts beside f with a share that is chosen on training questions kept apart, up to all of it where
f is no help (`reranking.lexical: 0`: f alone, as in the paper): learned from a few hundred questions, f alone lost to
BM25(q) wherever it was measured (docs/LOG.md). Where no `reranker_model` is named, f stands on the token vectors of the
student's base model, so that nothing is downloaded; the paper takes (Bio)LinkBERT, whose directory `reranker_model` may
name. τ2 is learned; both temperatures stay above 0, and the loss is the KL of the paper (the code [C] lets temperatures
fall below 0, and defaults to the cross-entropy of the best passage). A question or rationale that shares no word with
the corpus stands alone, with the prompt of std-cot. Passages that make the prompt too long for the student are left out
from the last one on, until it is not. What is searched for is the question with its options, or the
rationale without the sentence that states its answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveInt, model_validator

from symdistill.curation.completion import final_completion
from symdistill.errors import DataError
from symdistill.methods.base import Ask, Material, Method, MethodSettings, Passes, Reply, draw
from symdistill.methods.std_cot import first_samples
from symdistill.prompts import student_messages
from symdistill.records import Completion, Example, Message, Sampling, TrainingExample
from symdistill.training.settings import RerankerSettings

if TYPE_CHECKING:
    from symdistill.knowledge.corpus import Passage
    from symdistill.knowledge.passages import Reading, Search

AT_INFERENCE = ("candidates", "reranker", "reranker_model", "reranking")
"""Settings that decide what a trained student is given to read, and nothing of what it is."""


class KardSettings(MethodSettings):
    """The corpus, the passages, and the reranker that chooses them."""

    corpus: Path
    """What is read: a file of rows with a text each, a text file, or a folder of such files."""
    passage_words: PositiveInt = 128
    """Words of a passage."""
    passages: PositiveInt = 3
    """Passages before a question, in training and at inference."""
    samples: PositiveInt = 10
    """Rationales of a question at most."""
    candidates: PositiveInt = 100
    """Passages that BM25 finds for a question, out of which the reranker chooses."""
    reranker: Literal["late-interaction", "bi-encoder", "none"] = "late-interaction"
    """What orders the candidates at inference; `none`: BM25 alone."""
    reranker_model: Path | None = None
    """An encoder's directory, all of which is trained; None: the token vectors of the student's base model."""
    reranking: RerankerSettings = Field(default_factory=RerankerSettings)
    """How the reranker is trained."""

    @model_validator(mode="after")
    def _fits_together(self) -> KardSettings:
        if self.candidates < self.passages:
            raise ValueError(f"candidates ({self.candidates}) are fewer than the passages chosen of them")
        if self.reranker == "none" and self.reranker_model is not None:
            raise ValueError("reranker is none, and reranker_model names one")
        return self


class Kard(Method):
    """CE(r, a) with passages before the question."""

    settings_type = KardSettings
    settings: KardSettings

    def __init__(self, settings: KardSettings, *, student_instruction: str = "") -> None:
        super().__init__(settings, student_instruction=student_instruction)
        self._reading: Reading | None = None

    def training_examples(self, material: Material) -> list[TrainingExample]:
        """Raises DataError where there are no passages, or none shares a word with a rationale."""
        reading = self._checked(material.reading)
        by_id = {e.id: e for e in material.examples}
        examples, found = [], False
        for rationale in first_samples(material.rationales, self.settings.samples):
            passages = reading.for_rationale(rationale.text)
            found = found or bool(passages)
            prompt = self.prompt_after(by_id[rationale.example_id], passages)
            examples.append(TrainingExample(rationale.example_id, prompt, final_completion(rationale)))
        if examples and not found:
            raise DataError(
                f"No passage of {self.settings.corpus} (`corpus` of {self.label}) shares a word with a rationale.",
                "Give a corpus that is about the questions, in their language.",
            )
        return examples

    def prepare(self, material: Material) -> None:
        self._reading = material.reading

    def prompt(self, example: Example) -> tuple[Message, ...]:
        """The prompt at inference; without passages until there are some (`prepare`)."""
        return self.prompt_with(example, "")

    def prompt_with(self, example: Example, knowledge: str) -> tuple[Message, ...]:
        found = self.reads(example)
        return self.prompt_after(example, found.passages if found else (), knowledge)

    def reads(self, example: Example) -> Search | None:
        return self._reading.search(example) if self._reading else None

    def prompt_after(self, example: Example, passages: Sequence[Passage], knowledge: str = "") -> tuple[Message, ...]:
        """The prompt with these passages; without any it is that of std-cot."""
        shown = [passage.shown for passage in passages]
        return student_messages(example, instruction=self.student_instruction, knowledge=knowledge, passages=shown)

    def reply_to(
        self, ask: Ask, model: str, asked: Sequence[tuple[Example, str]], sampling: Sampling, samples: int = 1
    ) -> list[Reply]:
        """A question whose prompt brings no reply (too long for the student) is asked again with a passage less."""
        passes = Passes(ask)
        reading = self._checked(self._reading)
        found = [reading.search(example) for example, _ in asked]
        shown = [list(search.passages) for search in found]
        drawn: dict[int, list[Completion]] = {}

        def prompts(numbers: Sequence[int]) -> list[tuple[Example, tuple[Message, ...]]]:
            return [(asked[i][0], self.prompt_after(asked[i][0], shown[i], asked[i][1])) for i in numbers]

        while read := [i for i in range(len(asked)) if shown[i] and not drawn.get(i)]:
            drawn |= zip(read, draw(passes, model, prompts(read), sampling, samples), strict=True)
            for passages in (shown[i] for i in read if not drawn[i]):
                passages.pop()
        if bare := [i for i in range(len(asked)) if not drawn.get(i)]:
            drawn |= zip(bare, draw(passes, model, prompts(bare), sampling, samples), strict=True)
        if not any(known for _, known in asked):
            passes.check()
        return [
            Reply(drawn[i], passages=tuple(shown[i]), search_flops=search.flops, search_seconds=search.seconds)
            for i, search in enumerate(found)
        ]

    def _checked(self, reading: Reading | None) -> Reading:
        if reading is None:
            raise DataError(f"{self.label} has no passages at hand.", "Run `symdistill train` (or `run`) first.")
        return reading
