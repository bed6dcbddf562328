"""What a method is: the training examples it builds and the way it answers.

The supervised methods differ in which examples they build, what stands in the prompt, and how a question is
answered. Everything else (sampling, curation, training, evaluation) is shared.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator

from symdistill import content
from symdistill.errors import CallFailed
from symdistill.methods.gate_settings import GateSettings
from symdistill.prompts import Demonstration, student_messages
from symdistill.records import Completion, Example, Message, Rationale, Request, Sampling, TrainingExample
from symdistill.settings import Settings

if TYPE_CHECKING:
    from symdistill.knowledge.compression import Compress
    from symdistill.knowledge.corpus import Passage
    from symdistill.knowledge.items import KnowledgeItem
    from symdistill.knowledge.passages import Reading, Search
    from symdistill.knowledge.retrieval import Retriever

Ask = Callable[[Sequence[Request]], Mapping[str, Completion]]
"""The one door to a model: requests in, completions by key out; a request that failed is absent."""


_PART = 25
"""Requests that are asked together where a whole call was refused; fewer than those after which a sampler gives up."""

TEACHER_KEYS = (
    *("samples", "temperature", "top_p", "top_k", "max_tokens", "stop", "logprobs"),
    *("instruction", "demonstrations", "show_answer"),
)
"""What of the `teacher` section a method may have otherwise. Who is asked, and within which limits, is the run's."""


def _mode_alone(gate: Any) -> Any:
    """`gate: always` means `gate: {mode: always}`."""
    return {"mode": gate} if isinstance(gate, str) else gate


class MethodSettings(Settings):
    """What every method can be told."""

    name: str
    label: str = ""
    """Its name in tables and folders; needed when one run has a method twice. Empty: `name`."""
    teacher: Mapping[str, Any] = Field(default_factory=dict)
    """Single keys of `teacher` for this method alone, of those that decide what its replies to the training questions
    are: samples, temperature, top_p, top_k, max_tokens, stop, logprobs, instruction, demonstrations, show_answer."""
    training: Mapping[str, Any] = Field(default_factory=dict)
    """Single keys of `training` for this method alone."""
    curation: Mapping[str, Any] = Field(default_factory=dict)
    """Single keys of `curation` for this method alone."""
    evaluation: Mapping[str, Any] = Field(default_factory=dict)
    """Single keys of `evaluation` for this method alone; `limit`, `confidence` and `teacher` are the run's."""
    gate: Annotated[GateSettings | None, BeforeValidator(_mode_alone)] = None
    """Asks the student with knowledge where it is unsure; a word stands for its mode."""
    knowledge: str | Mapping[str, Any] | None = None
    """With which knowledge: the label of a method of the run that has notes written (nesycd, skintern), the entry of
    one that does nothing else here, or the path of a knowledge base. None: `knowledge.path`, else the method's own
    notes, else those of the only such method. `gate: never` needs none."""

    @field_validator("label")
    @classmethod
    def _names_a_folder(cls, label: str) -> str:
        """The student is kept in a folder of this name, and a student is replaced by deleting its folder."""
        if label.startswith(".") or not label.isprintable() or set(label) & set("/\\") or label == "teacher":
            raise ValueError("a name without slashes, not starting with a dot, and not `teacher`")
        return label


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a knowledge base offers: its active items, and a way to find those for a question.

    `threshold` is the confidence, on the scale of 0 to 100, above which a student answers without them; None where it
    is not known (yet). `no_mistakes`: its items were to be notes about a student's mistakes, and it made none.
    """

    items: Sequence[KnowledgeItem]
    retriever: Retriever
    threshold: float | None = None
    no_mistakes: bool = False


@dataclass(frozen=True, slots=True)
class Scaffold:
    """What stands before a training question at first, and is taken away step by step.

    `notes` and `neighbours` are by question id; `neighbours` are ids of other training questions, most similar first.
    """

    notes: Mapping[str, Sequence[KnowledgeItem]]
    neighbours: Mapping[str, Sequence[str]]
    compress: Compress


@dataclass(frozen=True, slots=True)
class Lesson:
    """What distilled knowledge says about a training question, and why in words (empty where it asks nothing)."""

    label: str
    reasons: str = ""


@dataclass(frozen=True, slots=True)
class Material:
    """What a method may build from: training questions, kept rationales (ordered by question, then sample), the
    demonstrations the teacher was shown, the knowledge base of a method that uses one, what a method that fades it has
    before its questions, the passages of a method that reads some, and lessons by question id."""

    examples: Sequence[Example]
    rationales: Sequence[Rationale] = ()
    demonstrations: Sequence[Demonstration] = ()
    seed: int = 0
    knowledge: Knowledge | None = None
    scaffold: Scaffold | None = None
    reading: Reading | None = None
    lessons: Mapping[str, Lesson] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """How one question was answered: by `completions`, which vote where there are several.

    `before` are passes that only decided how to go on; their tokens count, their text does not. `knowledge` and
    `passages` stood in the prompt. `confidence` is between 0 and 100 where it was measured. Finding the passages took
    `search_flops` operations and `search_seconds`.
    """

    completions: Sequence[Completion]
    before: Sequence[Completion] = ()
    knowledge: Sequence[KnowledgeItem] = ()
    confidence: float | None = None
    passages: Sequence[Passage] = ()
    search_flops: float = 0.0
    search_seconds: float = 0.0


class Method(ABC):
    """One method. `needs` says what a training question must bring; `trains` is False for prompting alone."""

    settings_type: ClassVar[type[MethodSettings]] = MethodSettings
    trains: ClassVar[bool] = True
    asks_student: ClassVar[bool] = True
    """Whether a student answers, trained or not; False where something else decides."""
    needs: Literal["nothing", "answers", "rationales"] = "rationales"
    learns_answers: ClassVar[bool] = False
    """Whether gold answers are learned beside what `needs` says, so that some question must have one."""
    ends_in_answer: ClassVar[bool] = True
    """Whether an answer is read out of a reply; False where the reply as a whole is what is wanted."""
    uses_knowledge: ClassVar[bool] = False
    """Whether `Material.knowledge` has to be there."""

    def __init__(self, settings: MethodSettings, *, student_instruction: str = "") -> None:
        self.settings = settings
        self.student_instruction = student_instruction

    @property
    def label(self) -> str:
        return self.settings.label or self.settings.name

    @property
    def verify(self) -> bool:
        """Whether a rationale with a wrong answer is dropped, where `curation.verify` does not say."""
        return True

    @property
    def gating(self) -> GateSettings | None:
        """When its student is given knowledge; None: it has no gate."""
        return self.settings.gate

    @property
    def votes(self) -> int | None:
        """Samples that vote on an answer, where `evaluation.self_consistency` does not say; None for greedy alone."""
        return None

    @property
    def group_weights(self) -> Mapping[str, float]:
        """λ of each group of training examples; groups not named weigh 1."""
        return {}

    @abstractmethod
    def training_examples(self, material: Material) -> list[TrainingExample]:
        """The examples the student is trained on; empty for a method that does not train."""

    def prepare(self, material: Material) -> None:  # noqa: B027 - most methods have nothing to prepare
        """Take what prediction needs from the training material (demonstrations, for one)."""

    def prompt(self, example: Example) -> tuple[Message, ...]:
        """What the student reads, in training and at inference alike."""
        return student_messages(example, instruction=self.student_instruction)

    def prompt_with(self, example: Example, knowledge: str) -> tuple[Message, ...]:
        """What its student reads with knowledge before the question."""
        return student_messages(example, instruction=self.student_instruction, knowledge=knowledge)

    def reads(self, example: Example) -> Search | None:
        """The passages that stand in its prompts about a question; None for a method that looks up none."""
        return None

    def sampling(self, asked: Sampling) -> Sampling:
        """How a reply is drawn where evaluation asks for one drawn so."""
        return asked

    def answer(
        self, ask: Ask, model: str, examples: Sequence[Example], sampling: Sampling, samples: int = 1
    ) -> list[Reply]:
        """As `predict`, with what led to the replies."""
        return self.reply_to(ask, model, [(e, "") for e in examples], self.sampling(sampling), samples)

    def predict(
        self, ask: Ask, model: str, examples: Sequence[Example], sampling: Sampling, samples: int = 1
    ) -> list[list[Completion]]:
        """`samples` replies to each example, in order; a reply that failed is left out."""
        return [list(reply.completions) for reply in self.answer(ask, model, examples, sampling, samples)]

    def reply_to(
        self, ask: Ask, model: str, asked: Sequence[tuple[Example, str]], sampling: Sampling, samples: int = 1
    ) -> list[Reply]:
        """The replies to questions, each with the knowledge that stands before it (empty: none), drawn as `sampling`
        says. One that failed has no completion, as has one whose prompt is too long for the student.

        Raises:
            CallFailed: no knowledge stands before any of them, and the student takes none of the prompts.
        """
        passes = Passes(ask)
        prompts = [(e, self.prompt_with(e, known) if known else self.prompt(e)) for e, known in asked]
        replies = [Reply(row) for row in draw(passes, model, prompts, sampling, samples)]
        if not any(known for _, known in asked):
            passes.check()
        return replies


class Passes:
    """An `Ask` for all that a student is asked about the same questions. That it takes none of the prompts of one call,
    which are too long for it, is no error: those questions have no reply there."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._replied = False
        self._failure: CallFailed | None = None

    def __call__(self, requests: Sequence[Request]) -> Mapping[str, Completion]:
        outcomes = [self._outcome(requests)]
        if isinstance(outcomes[0], CallFailed):
            self._failure = outcomes[0]
            # A sampler gives up when its first requests, perhaps the longest, all fail. What was refused is stored.
            starts = range(0, len(requests), _PART) if len(requests) > _PART else ()
            outcomes = [self._outcome(requests[start : start + _PART]) for start in starts]
        parts = [outcome for outcome in outcomes if not isinstance(outcome, CallFailed)]
        found = {key: reply for part in parts for key, reply in part.items()}
        self._replied = self._replied or bool(found)
        return found

    def _outcome(self, requests: Sequence[Request]) -> Mapping[str, Completion] | CallFailed:
        try:
            return self._ask(requests)
        except CallFailed as failure:
            if failure.kind != "rejected":
                raise
            return failure

    def check(self) -> None:
        """Raises CallFailed where the student took no prompt at all."""
        if self._failure is not None and not self._replied:
            self._failure.fix = (
                "Ask shorter questions, put less before them (demonstrations, passages, notes), or take a student "
                "with a longer context."
            )
            raise self._failure


def draw(
    ask: Ask,
    model: str,
    prompts: Sequence[tuple[Example, tuple[Message, ...]]],
    sampling: Sampling,
    samples: int = 1,
) -> list[list[Completion]]:
    """`samples` replies to each prompt, in order; a reply that failed is left out.

    A second stretch begins with the text it was asked to go on from: an answer is read after its cue.
    """
    wanted = [content.samples(model, prompt, sampling, range(samples), example.id) for example, prompt in prompts]
    replies = dict(ask([request for row in wanted for request in row]))
    for key, reply in replies.items():
        if reply.first is not None:
            replies[key] = replace(reply, text=sampling.then + reply.text)
    return [[replies[request.key] for request in row if request.key in replies] for row in wanted]
