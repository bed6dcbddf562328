"""`nesycd`: Neural-Symbolic Collaborative Distillation (Liao et al. 2024, arXiv 2409.13203).

1. *General distillation.* std-cot gives a first student S_P (`general`: single keys of `training` for it).
2. *Demonstrations.* S_P answers the training questions; its mistakes are kept with its whole replies.
3. *Symbolic distillation.* About each mistake the teacher writes two notes, a learning summary and supplementary
   knowledge, which become items of a knowledge base (`knowledge.building`, `knowledge.refinement`; `analysis`: single
   keys of `teacher` for these calls). Questions answered correctly carry no knowledge; where all are, what follows
   is step 1 again, and nothing is looked up.
4. *Augmented distillation.* The student S_E learns

       L = L_AD + λ1·L_AP + λ2·L_DC

       ad    q + k → r, a     augmented distillation: questions with knowledge and a kept rationale
       ap    q + k → a        answer prediction: questions with knowledge and a gold answer
       dc    q → r, a         direct chain of thought: every question with a kept rationale

   k are the question's own items (`train_knowledge: own`) or those retrieved for it, its own left out (`retrieved`).
5. *Gated inference* (`methods.gate`). Where S_E is unsure of its direct reply, it answers with retrieved items.

Where the paper is silent: λ1 = λ2 = 1; S_E starts from the base model (`init_from: general`: from S_P). A λ of 0
leaves its group out. Token means are taken inside each group, so λ means what it says whatever the lengths and
however few mistakes there are.

Departures. *ap* asks for the answer alone in so many words: with the prompt of *ad* the student could not tell whether
to reason, and the short completions of *ap* would teach it not to. An item that leaks its question's answer or copies
the question is not shown for it (`knowledge.retrieval.exclude_leaking`). The threshold is calibrated on questions cut
from train that neither S_E nor the knowledge base has seen (`dev_fraction`); the released code fixes 68
(`threshold: 68`). Its gate reads the prompt without the question and has no value for a reply that ends at once; ours
reads the whole prompt, and the end token is a step like any other. With self-consistency the gate's reading of the
prompt comes on top of the samples' own (see `methods.gate`). The code trains step 1 for 10 epochs and step 4 for 3;
here both take `training.num_train_epochs` unless `general` says otherwise. The wrong reply is shown to the teacher
without its loops and with 256 words at most, as in the code; `show_gold` adds the right answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from symdistill.curation.completion import final_completion
from symdistill.errors import DataError
from symdistill.methods.base import Ask, Knowledge, Material, Method, MethodSettings, Reply
from symdistill.methods.gate import answer_gated, gate_of, prompt_for
from symdistill.methods.gate_settings import GATE_TEMPERATURE, GateMode, GateSettings, Rule, Threshold
from symdistill.methods.std_cot import first_samples
from symdistill.prompts import cue, wording
from symdistill.records import Example, Message, Sampling, TrainingExample

if TYPE_CHECKING:
    from symdistill.knowledge.items import KnowledgeItem

AT_INFERENCE = ("gate", "threshold", "gate_temperature", "rule", "within")
"""Settings that decide how a trained student is asked, and nothing of what it is."""


class NesycdSettings(MethodSettings):
    """The choices of each step."""

    general: Mapping[str, Any] = Field(default_factory=dict)
    """Step 1: single keys of `training`."""
    mistake_tokens: PositiveInt = 256
    """Step 2: tokens of a reply of the first student at most."""
    analysis: Mapping[str, Any] = Field(default_factory=dict)
    """Step 3: single keys of `teacher`. Where nothing is said: greedy, 512 tokens."""
    show_gold: bool = False
    """Step 3: show the teacher the right answer as well."""
    samples: PositiveInt = 1
    """Rationales of a question at most, in steps 1 and 4."""
    train_knowledge: Literal["own", "retrieved"] = "own"
    """Step 4: what stands before a question, its own items or those retrieved for it, its own left out."""
    init_from: Literal["base", "general"] = "base"
    """Step 4: what the student starts from, the base model or the first student."""
    lambda_ap: NonNegativeFloat = 1.0
    """Step 4: what answers given with knowledge weigh; 0 leaves them out."""
    lambda_dc: NonNegativeFloat = 1.0
    """Step 4: what reasoning without knowledge weighs; 0 leaves it out."""
    gate: GateMode = "confidence"  # type: ignore[assignment]  # its other keys stand beside it
    """Step 5: when knowledge stands before a question: where the student is unsure, always, or never."""
    threshold: Threshold = "calibrated"
    """Confidence, 0 to 100, above which the student answers directly."""
    gate_temperature: PositiveFloat = GATE_TEMPERATURE
    """At which the student's confidence is read."""
    rule: Rule = "best"
    """The calibrated threshold: that of the best dev accuracy, or the cheapest that loses less than `within`."""
    within: NonNegativeFloat = 0.01
    """Dev accuracy that the cheapest threshold may lose."""
    dev_fraction: float = Field(default=0.1, gt=0, lt=1)
    """Share of each task's labelled training questions kept apart to calibrate the gate and measure the items."""


class Nesycd(Method):
    """L_AD + λ1·L_AP + λ2·L_DC, and knowledge at inference where the student is unsure."""

    settings_type = NesycdSettings
    settings: NesycdSettings
    uses_knowledge = True

    def __init__(self, settings: NesycdSettings, *, student_instruction: str = "") -> None:
        super().__init__(settings, student_instruction=student_instruction)
        self._knowledge: Knowledge | None = None

    @property
    def group_weights(self) -> Mapping[str, float]:
        return {"ad": 1.0, "ap": self.settings.lambda_ap, "dc": self.settings.lambda_dc}

    def training_examples(self, material: Material) -> list[TrainingExample]:
        """Where the first student made no mistake the third group is all there is. Raises DataError where there is
        nothing at all, or no training question has knowledge for another reason."""
        chosen: defaultdict[str, list[str]] = defaultdict(list)
        for rationale in first_samples(material.rationales, self.settings.samples):
            chosen[rationale.example_id].append(final_completion(rationale))
        found = self.knowledge_of(material)
        no_mistakes = material.knowledge is not None and material.knowledge.no_mistakes
        if not any(found) and no_mistakes and not self.settings.lambda_dc:
            raise DataError(
                f"{self.label} has nothing to learn from: its first student answered every training question rightly, "
                "which leaves nothing to write notes about, and `lambda_dc: 0` leaves out what is learned without.",
                "Give more or harder questions, or set `lambda_dc` above 0.",
            )
        if not any(found) and not no_mistakes:
            raise DataError(
                f"{self.label} has no knowledge to train with: no active item fits a training question.",
                "Look at `symdistill knowledge list` and knowledge.json of the run; with a base from elsewhere set "
                "`train_knowledge: retrieved`.",
            )
        examples: list[TrainingExample] = []
        for example, items in zip(material.examples, found, strict=True):
            direct, completions = self.prompt(example), chosen[example.id]
            if items:
                known = prompt_for(self, example, items)
                examples += [TrainingExample(example.id, known, text, group="ad") for text in completions]
                if example.answer is not None and self.settings.lambda_ap:
                    examples.append(TrainingExample(example.id, answer_only(known), cue(example.answer), group="ap"))
            if self.settings.lambda_dc:
                examples += [TrainingExample(example.id, direct, text, group="dc") for text in completions]
        return examples

    def knowledge_of(self, material: Material) -> list[Sequence[KnowledgeItem]]:
        """The items each training question is trained with."""
        if material.knowledge is None:
            raise DataError(f"{self.label} needs a knowledge base.", "Run `symdistill knowledge build` first.")
        retriever = material.knowledge.retriever
        if self.settings.train_knowledge == "retrieved":
            found = retriever.retrieve_many(material.examples, exclude_own=True, training=True)
            return [tuple(items) for items in found]
        from symdistill.knowledge.instances import own_items

        settings = retriever.settings
        own = own_items(
            material.knowledge.items, material.examples, settings.kinds, leaking=not settings.exclude_leaking
        )
        return [tuple(own.get(example.id, ())) for example in material.examples]

    def prepare(self, material: Material) -> None:
        self._knowledge = material.knowledge

    @property
    def gating(self) -> GateSettings:
        """Its gate, whose keys stand among the method's own."""
        own = self.settings
        return GateSettings(
            mode=own.gate,
            threshold=own.threshold,
            temperature=own.gate_temperature,
            rule=own.rule,
            within=own.within,
            dev_fraction=own.dev_fraction,
        )

    def answer(
        self, ask: Ask, model: str, examples: Sequence[Example], sampling: Sampling, samples: int = 1
    ) -> list[Reply]:
        """A student in training, which has no knowledge base before it yet, answers directly."""
        if self._knowledge is None or self.settings.gate == "never":
            return super().answer(ask, model, examples, sampling, samples)
        gate = gate_of(self, self._knowledge.threshold)
        return answer_gated(self, gate, self._knowledge, ask, model, examples, sampling, samples)


def answer_only(prompt: tuple[Message, ...]) -> tuple[Message, ...]:
    """The prompt with a last line that asks for the answer alone."""
    last = prompt[-1]
    return (*prompt[:-1], Message(last.role, f"{last.content}\n{wording('answer_only')}"))
