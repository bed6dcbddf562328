"""Knowledge when the student is unsure: the gate of NesyCD, for any student.

The confidence of a reply is the mean over its first 16 tokens of 100·|p1 − p2|, the two largest probabilities of each
step at the gate's temperature, decoded greedily from the full prompt with the question. Above the threshold the reply
simply goes on: the prompt is read once. Otherwise it ends there, the items that fit the question are retrieved, and
the student is asked again with them. `always` and `never` ask once, with and without knowledge.

With self-consistency the greedy beginning decides, and all samples are drawn from the prompt it decided for. A
question that no item fits is answered directly, and nothing has to be decided. One whose prompt with knowledge brings
no reply (it is too long for the student) is answered directly as well.

With self-consistency a sure question is read a second time: its greedy beginning is no sample of the vote, and the
samples start anew from the same prompt. That costs one reading of the direct prompt and 16 tokens at most a question.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from symdistill.errors import DataError, UnusableModel
from symdistill.methods.base import Ask, Knowledge, Material, Method, Passes, Reply
from symdistill.methods.gate_settings import GATE_TEMPERATURE, GateMode, GateSettings
from symdistill.records import GATE_TOKENS, Completion, Example, Message, Sampling, TrainingExample

if TYPE_CHECKING:
    from symdistill.knowledge.items import KnowledgeItem
    from symdistill.knowledge.passages import Search

RELEASED_THRESHOLD = 68.0
"""The threshold of NesyCD's released code, for a student whose own was not calibrated."""


@dataclass(frozen=True, slots=True)
class Gate:
    """When knowledge is retrieved. A `threshold` of 0 or less never retrieves, one of 100 or more always does."""

    mode: GateMode = "confidence"
    threshold: float = RELEASED_THRESHOLD
    temperature: float = GATE_TEMPERATURE

    @property
    def decided(self) -> GateMode:
        """The mode; where the threshold leaves nothing to measure, what it comes to."""
        if self.mode == "confidence" and not 0 < self.threshold < 100:
            return "never" if self.threshold <= 0 else "always"
        return self.mode

    def sampling(self, sampling: Sampling, samples: int) -> Sampling:
        """How the deciding reply is drawn. Where samples follow it, only its beginning is wanted."""
        if _is_greedy(sampling, samples):
            return replace(sampling, top_two_at=self.temperature, go_on_above=self.threshold)
        return Sampling(
            max_tokens=min(sampling.max_tokens, GATE_TOKENS),
            seed=sampling.seed,
            top_two_at=self.temperature,
            go_on_above=self.threshold,
        )


def gate_of(method: Method, calibrated: float | None) -> Gate:
    """The gate of a method that has one: with the threshold that was set, else the `calibrated` one.

    Raises:
        DataError: it decides by a threshold, and there is none yet.
    """
    settings = method.gating or GateSettings(mode="never")
    if settings.mode != "confidence":
        return Gate(settings.mode)
    threshold = calibrated if settings.threshold == "calibrated" else settings.threshold
    if threshold is None:
        raise DataError(
            f"The gate of {method.label} is not calibrated yet.", "Run `symdistill evaluate`, or set `threshold`."
        )
    return Gate("confidence", threshold, settings.temperature)


def answer_gated(
    method: Method,
    gate: Gate,
    knowledge: Knowledge,
    ask: Ask,
    model: str,
    examples: Sequence[Example],
    sampling: Sampling,
    samples: int = 1,
) -> list[Reply]:
    """A reply to each example, in order; one that failed has no completion.

    Raises:
        UnusableModel: the gate has to decide, and the model does not say how sure it is.
        CallFailed: the student takes none of the prompts, with knowledge or without.
    """
    passes = Passes(ask)
    mode, sampling = gate.decided, method.sampling(sampling)
    found: list[Sequence[KnowledgeItem]] = [()] * len(examples)
    if mode != "never":
        found = [tuple(items) for items in knowledge.retriever.retrieve_many(examples)]
    first: dict[int, Reply] = {}
    if mode == "confidence" and (doubtful := [i for i, items in enumerate(found) if items]):
        bare = [(examples[i], "") for i in doubtful]
        first = dict(zip(doubtful, method.reply_to(passes, model, bare, gate.sampling(sampling, samples)), strict=True))
        _require_measured(model, first.values())
    sure = {i for i, r in first.items() if r.completions and r.completions[0].finish_reason != "unsure"}
    shown = [() if i in sure else items for i, items in enumerate(found)]
    # A sure greedy reply is the answer; and where the shorter prompt failed, the longer one would.
    over = {i for i, r in first.items() if not r.completions or (i in sure and _is_greedy(sampling, samples))}
    left = [i for i in range(len(examples)) if i not in over]
    drawn: dict[int, Reply] = {}
    if known := [i for i in left if shown[i]]:
        noted = [(examples[i], block_of(shown[i])) for i in known]
        drawn = dict(zip(known, method.reply_to(passes, model, noted, sampling, samples), strict=True))
    shown = [() if i in drawn and not drawn[i].completions else items for i, items in enumerate(shown)]
    if direct := [i for i in left if not shown[i]]:
        bare = [(examples[i], "") for i in direct]
        drawn |= zip(direct, method.reply_to(passes, model, bare, sampling, samples), strict=True)
    passes.check()
    return [
        replace(
            drawn[i] if i in drawn else first[i],
            before=first[i].completions if i in drawn and i in first else (),
            knowledge=shown[i] if i in drawn else (),
            confidence=_confidence_in(first.get(i)),
        )
        for i in range(len(examples))
    ]


def prompt_for(method: Method, example: Example, items: Sequence[KnowledgeItem]) -> tuple[Message, ...]:
    """The prompt with these items; without any it is the method's own."""
    return method.prompt_with(example, block_of(items)) if items else method.prompt(example)


def block_of(items: Sequence[KnowledgeItem]) -> str:
    """Items as they stand before a question; empty where there are none."""
    from symdistill.knowledge.block import knowledge_block

    return knowledge_block(items) if items else ""


def confidence_of(completion: Completion) -> float | None:
    """The mean margin of a reply's beginning, 0 to 100; None where it was not measured."""
    from symdistill.evaluation.calibration import margin_of

    pairs = (completion.first or completion).top_two
    return margin_of(pairs) if pairs else None


def _confidence_in(decided: Reply | None) -> float | None:
    return confidence_of(decided.completions[0]) if decided and decided.completions else None


def _require_measured(model: str, decided: Iterable[Reply]) -> None:
    if any(confidence_of(completion) is None for reply in decided for completion in reply.completions):
        raise UnusableModel(
            f"{model} does not give the two largest probabilities of each step, by which the gate decides.",
            "Ask a local student through PyTorch, or set the gate to `always` or `never`.",
        )


def _is_greedy(sampling: Sampling, samples: int) -> bool:
    return samples == 1 and sampling.temperature == 0


def gated(method: Method, material: Material) -> Method:
    """A method that has a gate, with the knowledge of `material` behind it."""
    if method.uses_knowledge or material.knowledge is None:
        method.prepare(material)
        return method
    gate = gate_of(method, material.knowledge.threshold)
    return WithKnowledge(method, gate, material.knowledge, method.label)


class WithKnowledge(Method):
    """The student of any method, asked with a knowledge base and a gate."""

    uses_knowledge = True

    def __init__(self, inner: Method, gate: Gate, knowledge: Knowledge, label: str) -> None:
        settings = inner.settings.model_copy(update={"label": label})
        super().__init__(settings, student_instruction=inner.student_instruction)
        self.inner = inner
        self._gate = gate
        self._knowledge = knowledge

    @property
    def votes(self) -> int | None:
        return self.inner.votes

    def training_examples(self, material: Material) -> list[TrainingExample]:
        return self.inner.training_examples(material)

    def prompt(self, example: Example) -> tuple[Message, ...]:
        return self.inner.prompt(example)

    def prompt_with(self, example: Example, knowledge: str) -> tuple[Message, ...]:
        return self.inner.prompt_with(example, knowledge)

    def reads(self, example: Example) -> Search | None:
        return self.inner.reads(example)

    def answer(
        self, ask: Ask, model: str, examples: Sequence[Example], sampling: Sampling, samples: int = 1
    ) -> list[Reply]:
        return answer_gated(self.inner, self._gate, self._knowledge, ask, model, examples, sampling, samples)
