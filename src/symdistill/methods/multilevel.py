"""`multilevel`: rounds of generate → filter → train, each from inputs nobody has written about before.

The multilevel family of the survey (arXiv 2408.10210), in the shapes of Referee (Sclar et al. 2022, arXiv 2210.13800:
summaries), Self-Instruct (Wang et al. 2022, arXiv 2212.10560: instructions), I2D2 (Bhagavatula et al. 2022, arXiv
2212.09246) and Impossible Distillation (Jung et al. 2023, arXiv 2305.16635). Round 0 is the teacher's, or a file of
pairs. Then, for round t = 1 … `rounds`:

    train     student t learns what was kept: of every round before (`learn: all`) or of the last (`last`); from the
              base model, or going on from student t-1 (`train_from`)
    generate  student t writes `samples` outputs for each input of the round
    filter    each output passes all filters, or is dropped with a reason (`curation.pairs`)
    audit     a slice of the inputs, `audit.fraction`, is graded by something that does not select, and never learned

Beside the rounds stand inputs that none of them has, `audit.fixed` of all. Every student answers them once, greedily,
so that students are compared on the same inputs. One half of them decides: when the rounds end, and which student is
the run's. The other half decides nothing, and is what is reported of that student.

Loss: CE(output) given the input, on what was kept.

The rounds end when any of these holds (`stop_reason`), with s the round just judged:

    drift      the mean score of what the filter that scores was given, dropped or not, rose by more than `score_rise`
               over an earlier student, and this one is right about fewer of the deciding inputs, by more than chance:
               McNemar's exact one-sided test has p < 0.05 (`DRIFT_LEVEL`). Compared with are the student before, and
               the most accurate of those whose score the last one's lies so far above: a slow slide is one too. Round
               0, which another writer wrote about other inputs, is not compared with
    plateau    in s and in the round before it, the accuracy on the deciding half gained less than `epsilon` over the
               best of the students before; nor is it here
    novelty    less than `min_novelty` of the word 3-grams of what is kept are new
    diversity  distinct-2 of what is kept fell by more than `max_diversity_loss` below the most diverse round
    budget     `rounds`, `max_items` or `max_tokens` are spent
    nothing    no output was kept to learn from

The student with the best accuracy on the deciding half is the run's, the last of equals (it learned from most; in `rl`
the earliest of equals, where each further round only repeats what the one before it could do); the last one where
nothing is audited.

Departures. [?] The papers fix the number of rounds; the rules are ours, and `plateau` looks at the accuracy of students
in place of the precision of what each round kept, which is about other inputs every time. `drift` asks for a fall, not
for a gain that stays away: a student that is no better for a higher score ends by `plateau`. Referee also conditions on
a length; here each `length` filter has one range. Self-Instruct writes an instruction and then its instances; here a
round writes instructions. Diversity is compared on samples of one size, since distinct-n falls with the number of
texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt, model_validator

from symdistill.errors import DataError
from symdistill.methods.base import Material, Method, MethodSettings
from symdistill.prompts.pairs import INPUT, pair_messages
from symdistill.records import AnswerType, Example, Message, TrainingExample
from symdistill.settings import Settings

Stop = Literal["drift", "plateau", "novelty", "diversity", "nothing kept", "rounds", "items", "tokens"]

DRIFT_LEVEL = 0.05
"""Below this one-sided exact p a fall on the deciding inputs is one: with fewer than 5 of them none can be."""

_A_FILTER = "the name of a filter or a group of keys with `name`"


class InventSettings(Settings):
    """A model that writes new texts after being shown some."""

    seeds: Path
    """Texts to begin with, in a file as `multilevel.inputs` may be."""
    shown: PositiveInt = 6
    """Texts the model is shown each time."""
    own: int = Field(default=2, ge=0)
    """So many of them of its own making, where earlier rounds kept so many."""


class AuditSettings(Settings):
    """Who grades the slice that is cut apart."""

    by: Literal["gold", "labels", "filter", "model"]
    """`gold`: the inputs' answers; `labels`: people; `filter`: a filter that does not select; `model`: a model that is
    asked."""
    fraction: float = Field(default=0.2, gt=0, lt=1)
    """Share of the inputs of each round."""
    fixed: float = Field(default=0.2, gt=0, lt=1)
    """Share of all inputs that no round has and every student answers; of what is invented, so much as the rounds have
    in all."""
    labels: Path | None = None
    """For `by: labels`: a file of rows with `input`, `output` and `label`."""
    filter: Mapping[str, Any] | None = Field(default=None, description=_A_FILTER)
    """For `by: filter`."""
    question: str | None = None
    """For `by: model`: what it is asked."""
    auditor: Mapping[str, Any] = Field(default_factory=dict)
    """For `by: model`: single keys of `teacher` for it."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        """`filter: steps` means `filter: {name: steps}`."""
        if isinstance(data, Mapping) and isinstance(data.get("filter"), str):
            data = {**data, "filter": {"name": data["filter"]}}
        return data

    @model_validator(mode="after")
    def _names_its_judge(self) -> AuditSettings:
        wanted = {"labels": "labels", "filter": "filter", "model": "question"}
        for by, key in wanted.items():
            if self.by == by and getattr(self, key) is None:
                raise ValueError(f"`by: {by}` needs `{key}`")
            if self.by != by and getattr(self, key) is not None:
                raise ValueError(f"`{key}` has no meaning with `by: {self.by}`")
        if self.auditor and self.by != "model":
            raise ValueError(f"`auditor` has no meaning with `by: {self.by}`")
        return self


class StopSettings(Settings):
    """When the rounds end."""

    epsilon: float = Field(default=0.01, ge=0, lt=1)
    """Accuracy that two rounds must gain over the best before them; less ends the rounds."""
    min_novelty: float = Field(default=0.1, ge=0, le=1)
    """Share of the word 3-grams of what is kept that must be new."""
    max_diversity_loss: float = Field(default=0.1, gt=0, le=1)
    """How far distinct-2 of what is kept may fall below the most diverse round."""
    score_rise: float = Field(default=0.02, ge=0, lt=1)
    """How far the mean score of the filter that scores may rise while fewer outputs are right."""
    max_items: PositiveInt | None = None
    """Outputs written in all, the teacher's among them."""
    max_tokens: PositiveInt | None = None
    """Tokens written in all."""


class MultilevelSettings(Settings):
    """Rounds of generate, filter, train."""

    inputs: Path | None = None
    """Texts to write about, cut into rounds: rows with `text` (and `answer`), or a .txt file with one a line."""
    invent: InventSettings | None = None
    """No inputs: a model writes texts like some it is shown."""
    seeds: Path | None = None
    """Rows with `input` and `output` that are round 0, so that no teacher is asked."""
    demonstrations: Path | None = None
    """Rows with `input` and `output` that the teacher is shown first."""
    request: str | None = None
    """What teacher and student read, with the input at `{input}`; None: the input alone, or the wording of prompts/
    for texts that are invented."""
    take: Literal["all", "first_line"] = "all"
    """What of a reply is the output; of a first line without its number in a list and its quotation marks."""
    rounds: int = Field(default=2, ge=1, le=50)
    """Rounds at most, after the teacher's."""
    per_round: PositiveInt | None = None
    """Inputs of a round; None: all there are, spread evenly."""
    samples: PositiveInt = 1
    """Outputs for an input."""
    temperature: float = Field(default=0.8, ge=0, le=5, allow_inf_nan=False)
    """Of the students; `teacher` says how the teacher writes."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: PositiveInt = 256
    """Tokens of an output at most."""
    learn: Literal["all", "last"] = "all"
    """What a student learns: what was kept in all rounds before it, or in the last."""
    train_from: Literal["base", "previous"] = "base"
    """What a student starts from: the base model, or the student before it."""
    filters: tuple[Mapping[str, Any], ...] = Field(default=(), description=f"a list of filters, each {_A_FILTER}")
    """What an output must pass to be learned."""
    audit: AuditSettings | None = None
    """None: nothing is graded, and the last student is the run's."""
    answer_type: AnswerType = "number"
    """Of the inputs' answers, where an audit by `gold` reads them."""
    stop: StopSettings = StopSettings()

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        """`- length` means `- {name: length}`."""
        if isinstance(data, Mapping) and isinstance(data.get("filters"), (list, tuple)):
            data = {**data, "filters": [{"name": f} if isinstance(f, str) else f for f in data["filters"]]}
        return data

    @model_validator(mode="after")
    def _fits_together(self) -> MultilevelSettings:
        if (self.inputs is None) == (self.invent is None):
            raise ValueError("one of `inputs` and `invent` is needed, and not both")
        if self.invent is not None:
            for key in ("seeds", "demonstrations"):
                if getattr(self, key) is not None:
                    raise ValueError(f"`{key}` has no meaning with `invent`, which has `invent.seeds`")
            if self.per_round is None:
                raise ValueError("`invent` needs `per_round`: how many texts are to be written in a round")
            if self.audit is not None and self.audit.by == "gold":
                raise ValueError("what is invented has no gold answer: `audit.by: gold` needs `inputs`")
        if self.request is not None and INPUT not in self.request:
            raise ValueError(f"`request` must hold {INPUT}")
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("`samples` above 1 at `temperature` 0 would all be the same")
        return self


@dataclass(frozen=True, slots=True)
class Input:
    """What a model is to write about. `shown` names the texts an invented input was put together from."""

    id: str
    text: str
    answer: str | None = None
    shown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What the stop rules look at, of one round. None where it is not known.

    `deciding` are the verdicts on its writer's answers to the deciding half of the fixed inputs, by input; `score` is
    the mean of all that the first filter that scores was given, since what it keeps lies above its threshold anyway.
    `generated` and `tokens` are of this round alone.
    """

    kept: int
    generated: int
    tokens: int
    deciding: Mapping[str, bool] = field(default_factory=dict)
    novelty: float | None = None
    diversity: float | None = None
    score: float | None = None

    @property
    def accuracy(self) -> float | None:
        """The share right of the deciding half."""
        return sum(self.deciding.values()) / len(self.deciding) if self.deciding else None


def stop_reason(standings: Sequence[Standing], rounds: int, limits: StopSettings) -> Stop | None:
    """Why the rounds end with the last of these, round 0 first; None where they go on. See the module's text."""
    last = standings[-1]
    if drifts(standings, limits.score_rise):
        return "drift"
    if gains_nothing(standings[1:], limits.epsilon):
        return "plateau"
    if last.novelty is not None and last.novelty < limits.min_novelty:
        return "novelty"
    if narrows(standings, limits.max_diversity_loss):
        return "diversity"
    if not last.kept:
        return "nothing kept"
    if len(standings) > rounds:
        return "rounds"
    if limits.max_items is not None and sum(one.generated for one in standings) >= limits.max_items:
        return "items"
    if limits.max_tokens is not None and sum(one.tokens for one in standings) >= limits.max_tokens:
        return "tokens"
    return None


def drifts(standings: Sequence[Standing], rise: float) -> bool:
    """Whether the score of the last round lies more than `rise` above that of the round before, or of the most accurate
    earlier one that it lies so far above, and fewer of the inputs that both their students were judged on are right, by
    more than chance: what learning to please a critic looks like."""
    *earlier, last = standings
    if last.score is None:
        return False
    lower = [
        one for one in earlier if one.accuracy is not None and one.score is not None and last.score - one.score > rise
    ]
    best = max(lower, key=lambda one: one.accuracy or 0.0, default=None)
    return any(_falls(one, last) for one in lower if one is best or one is earlier[-1])


def _falls(before: Standing, last: Standing) -> bool:
    """Whether fewer of the deciding inputs both were judged on are right by more than chance."""
    from symdistill.evaluation.statistics import mcnemar

    both = [name for name in before.deciding if name in last.deciding]
    test = mcnemar([before.deciding[name] for name in both], [last.deciding[name] for name in both])
    return test.p_first_ahead < DRIFT_LEVEL


def gains_nothing(standings: Sequence[Standing], epsilon: float) -> bool:
    """Whether the last two of these students that were asked about the fixed inputs gained less than `epsilon` each
    over the best before it."""
    known = [one.accuracy for one in standings if one.accuracy is not None]
    if len(known) < 3 or standings[-1].accuracy is None:
        return False
    gains = [known[at] - max(known[:at]) for at in (len(known) - 2, len(known) - 1)]
    return max(gains) < epsilon


def narrows(standings: Sequence[Standing], loss: float) -> bool:
    """Whether the last round's diversity lies more than `loss` below that of the most diverse round."""
    known = [one.diversity for one in standings if one.diversity is not None]
    last = standings[-1].diversity
    return last is not None and max(known) - last > loss


def chosen_student(accuracies: Sequence[float | None]) -> int:
    """The number of the run's student, from the accuracy of each one on the deciding half, student 1 first: the best
    one, the last of equals (it learned from most) and where nothing is audited. 0 where there is no student."""
    best = 0
    for number, accuracy in enumerate(accuracies, 1):
        before = accuracies[best - 1] if best else None
        if before is None or (accuracy is not None and accuracy >= before):
            best = number
    return best


def check_fresh(earlier: Sequence[Input], inputs: Sequence[Input]) -> None:
    """Raise DataError where an input is one of an earlier round, by its id or by its text."""
    ids, texts = {one.id for one in earlier}, {_same(one) for one in earlier}
    for one in inputs:
        if one.id in ids or _same(one) in texts:
            raise DataError(
                f"The input {one.id} was used in an earlier round.", "Every round needs inputs of its own: add some."
            )


def _same(one: Input) -> str:
    return " ".join(one.text.casefold().split())


class Round(Method):
    """What one student learns and reads: pairs of an input and an output."""

    ends_in_answer = False

    def __init__(self, label: str, request: str, *, student_instruction: str = "") -> None:
        settings = MethodSettings(name="multilevel", label=label)
        super().__init__(settings, student_instruction=student_instruction)
        self._request = request

    def prompt(self, example: Example) -> tuple[Message, ...]:
        """The input in the run's request, behind the student's instruction: in training and in generation alike."""
        return pair_messages(self.student_instruction, self._request, example.question)

    def training_examples(self, material: Material) -> list[TrainingExample]:
        """One example for each text that stands in `Example.rationales`."""
        return [
            TrainingExample(example.id, self.prompt(example), output)
            for example in material.examples
            for output in example.rationales
        ]
