"""`rl`: learning from one's own verified replies (the reinforcement family of the survey, arXiv 2408.10210).

Expert iteration in the shape of ReST (Gulcehre et al. 2023, arXiv 2308.08998) and STaR (Zelikman et al. 2022, arXiv
2203.14465). Student 0 is trained on the teacher's rationales (`init_from: std-cot`) or not at all (`base`). Then, for
round t = 1 … `rounds`:

    grow      the student t−1 draws `samples` replies to every labelled training question
    judge     each gets the gated reward of `methods.reward`
    improve   right, whole replies with R ≥ τ_t train the student t; τ_t rises evenly from `threshold` to
              `threshold_last`

Loss: CE(r, a) on the kept replies and, with `learn_teacher`, on the rationales student 0 learned from: the union of
data and samples that ReST improves on. Each round trains from the base model, as STaR and ReST-EM do (Singh et al.
2023, arXiv 2312.06585), or goes on from the student before (`train_from: previous`), as ReST does.

Beside the reward stands the audit: greedy accuracy on `dev_fraction` of the labelled questions, cut from train, which
no student learns from and no reward is computed on. The rounds end early

    hacking   where the mean reward of a student's draws is higher than an earlier student's and its audited accuracy
              lower, by more than `epsilon` and by more than chance: both answered the same questions, and McNemar's
              exact one-sided test has p < 0.05 (`HACKING_LEVEL`). Compared with are the student before, where one
              step did it, and the best audited of those with less reward, from which several small steps may have
              led away. That student is out of the choice
    plateau   where two rounds running gain less than `epsilon` over the best audited accuracy before them
    nothing   where no reply passes the threshold

and the student with the best audited accuracy is the method's, the earliest of equals: student 0 where no round helped.

`algorithm` changes what a round learns, and nothing else; the judge, the audit, the end and the choice stay. A round is
then a block of optimisation between two audits, it goes on from the student before, and that student is the reference:

    dpo    pairs of its replies (`methods.preferences`): sigmoid loss on β times the log-ratios to the reference
    kto    verdicts on its replies (`methods.preferences`): right ones desirable, wrong ones not
    grpo   its replies while it learns: advantages of the gated reward within groups of `samples` replies to a question

Departures. DPO and KTO are not online within a round; their reference moves from round to round, as in iterated DPO
(Pang et al. 2024, arXiv 2404.19733), and `threshold` holds for what is preferred. GRPO (Shao et al. 2024, arXiv
2402.03300) is as TRL has it by default: the token mean of DAPO and no divergence from a reference (β = 0). [?]
Thresholds are absolute rewards; ReST names a list of them, here it is a straight line. A question teaches
`per_question` different replies at most, the best rewarded first, so that easy ones do not outweigh the others (ReST-EM
caps at 10). A reply that was cut is never learned, whatever its reward: it would teach an end where none is. No
rationalisation (STaR's hint with the gold answer): a question that is never solved teaches nothing but the teacher's
rationale. The student chosen by the audit looks a little better there than it is; only the test questions tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt, model_validator

from symdistill.curation.completion import final_completion
from symdistill.curation.words import squeezed
from symdistill.methods.base import Material, Method, MethodSettings
from symdistill.methods.preferences import preferable
from symdistill.methods.reward import Judged, RewardSettings
from symdistill.records import TrainingExample

Stop = Literal["hacking", "plateau", "nothing kept", "rounds"]
Algorithm = Literal["expert-iteration", "dpo", "kto", "grpo"]

_GENTLE: Mapping[str, Any] = {"learning_rate": 1.0e-5, "num_train_epochs": 1.0, "max_steps": -1}
USUAL: Mapping[Algorithm, Mapping[str, Any]] = {
    "expert-iteration": {},
    "dpo": _GENTLE,
    "kto": _GENTLE,
    "grpo": _GENTLE,
}
"""Keys of `training` that the rounds of an algorithm have where its entry does not say: what suits the cross-entropy of
rationales is too much for them. `max_steps` would take the place of the epochs."""

HACKING_LEVEL = 0.05
"""Below this one-sided exact p a fall on the audited questions is one: with fewer than 5 of them none can be."""

USUAL_BETA: Mapping[Algorithm, float] = {"expert-iteration": 0.0, "dpo": 0.1, "kto": 0.1, "grpo": 0.0}

_WITHOUT_MEANING: Mapping[Algorithm, tuple[str, ...]] = {
    "expert-iteration": ("beta",),
    "dpo": ("learn_teacher",),
    "kto": ("learn_teacher",),
    "grpo": ("learn_teacher", "threshold", "threshold_last", "per_question"),
}


class RlSettings(MethodSettings):
    """The rounds, the reward, and when they end."""

    algorithm: Algorithm = "expert-iteration"
    """What a round learns: kept replies, pairs (dpo), verdicts (kto), or advantages within groups (grpo)."""
    init_from: Literal["std-cot", "base"] = "std-cot"
    """Student 0: trained on the teacher's rationales, or the untrained model."""
    warm_start: Mapping[str, Any] = Field(default_factory=dict)
    """Single keys of `training` for student 0, on top of the method's own."""
    teacher_samples: PositiveInt = 1
    """Rationales of a question that student 0 learns at most."""
    learn_teacher: bool = True
    """Whether the rounds learn them too."""
    rounds: int = Field(default=3, ge=1, le=50)
    """Rounds at most."""
    samples: PositiveInt = 8
    """Replies a question and round."""
    temperature: float = Field(default=0.8, gt=0, le=5, allow_inf_nan=False)
    """Of the replies that are drawn."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: PositiveInt = 256
    """Tokens of a reply at most, drawn or audited."""
    train_from: Literal["base", "previous"] | None = None
    """None: the base model in expert iteration; the student before is what the others go on from."""
    beta: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """How much a student is held to the one the round begins with; None: 0.1 for dpo and kto, 0 for grpo."""
    reward: RewardSettings = RewardSettings()
    critic: Path | None = None
    """The directory of a critic that judges question and reply, for `reward.critic`."""
    graph: Path | None = None
    """The directory of a knowledge graph that replies must not contradict, for `reward.kb_contradiction`."""
    threshold: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Reward that a reply needs in the first round; it rises evenly to `threshold_last`."""
    threshold_last: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """Reward that a reply needs in the last round."""
    per_question: PositiveInt = 4
    """Different replies to a question that are learned at most, the best rewarded first."""
    dev_fraction: float = Field(default=0.1, gt=0, lt=1)
    """Share of the labelled training questions kept apart for the audit."""
    epsilon: float = Field(default=0.01, ge=0, lt=1)
    """Audited accuracy that makes a difference: the rounds end where it falls by more while the reward rises, in one
    round or in several, or where two rounds gain less."""

    @model_validator(mode="after")
    def _can_be_reached(self) -> RlSettings:
        if self.threshold_last < self.threshold:
            raise ValueError(f"threshold_last ({self.threshold_last:g}) is below threshold ({self.threshold:g})")
        if self.threshold_last > self.reward.highest:
            raise ValueError(
                f"threshold_last is {self.threshold_last:g}, and the highest reward {self.reward.highest:g}: "
                "nothing would pass the last round"
            )
        return self

    @model_validator(mode="after")
    def _fits_the_algorithm(self) -> RlSettings:
        named = {name for name in self.model_fields_set if getattr(self, name) is not None}
        idle = [name for name in _WITHOUT_MEANING[self.algorithm] if name in named]
        if idle:
            raise ValueError(f"{idle[0]} has no meaning for the algorithm {self.algorithm}: leave it out")
        if self.algorithm != "expert-iteration" and self.train_from == "base":
            raise ValueError(f"the rounds of {self.algorithm} go on from the student before: train_from: previous")
        if self.algorithm in ("dpo", "kto") and self.beta == 0:
            raise ValueError(f"a beta of 0 leaves {self.algorithm} nothing to learn")
        if self.algorithm == "kto" and self.reward.only:
            raise ValueError("kto learns which replies are right, and `reward.only` does not ask: choose dpo or grpo")
        if self.algorithm == "grpo" and self.samples < 2:
            raise ValueError("grpo compares the replies to a question: samples must be 2 or more")
        return self

    @property
    def goes_on(self) -> bool:
        """Whether a round begins with the student before it."""
        return self.train_from == "previous" or self.algorithm != "expert-iteration"

    @property
    def held(self) -> float:
        """β of the algorithm."""
        return USUAL_BETA[self.algorithm] if self.beta is None else self.beta

    def round_training(self) -> Mapping[str, Any]:
        """Keys of `training` for the students after the first."""
        return {**USUAL[self.algorithm], **self.training}

    def threshold_of(self, round_: int) -> float:
        """τ of a round, counted from 1."""
        if self.rounds == 1:
            return self.threshold
        risen = self.threshold + (self.threshold_last - self.threshold) * (round_ - 1) / (self.rounds - 1)
        return self.threshold_last if round_ == self.rounds else min(risen, self.threshold_last)


class Rl(Method):
    """CE(r, a) on rationales, the student's own among them."""

    settings_type = RlSettings
    settings: RlSettings
    learns_answers = True

    def __init__(self, settings: RlSettings, *, student_instruction: str = "") -> None:
        super().__init__(settings, student_instruction=student_instruction)
        self.needs = "rationales" if settings.init_from == "std-cot" else "answers"

    def training_examples(self, material: Material) -> list[TrainingExample]:
        """One example for each rationale, teacher's and student's alike."""
        by_id = {e.id: e for e in material.examples}
        return [
            TrainingExample(r.example_id, self.prompt(by_id[r.example_id]), final_completion(r))
            for r in material.rationales
        ]


def select(judged: Sequence[Judged], threshold: float, per_question: int) -> list[Judged]:
    """The replies a round learns: right and whole, R ≥ `threshold`, no text twice for a question, and of each question
    the `per_question` best rewarded, earlier samples first among equals. In the order of `judged`."""
    passed = [(at, j) for at, j in enumerate(judged) if preferable(j, threshold)]
    taken: Counter[str] = Counter()
    texts: set[tuple[str, str]] = set()
    chosen = set()
    for at, one in sorted(passed, key=lambda entry: (-entry[1].reward, entry[1].rationale.sample_index, entry[0])):
        question, text = one.rationale.example_id, squeezed(one.rationale.text)
        if taken[question] < per_question and (question, text) not in texts:
            taken[question] += 1
            texts.add((question, text))
            chosen.add(at)
    return [j for at, j in enumerate(judged) if at in chosen]


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one student: the mean reward of its draws, and its verdicts on the audited questions, the same for all."""

    reward: float
    verdicts: Sequence[bool]

    @property
    def audited(self) -> float:
        """Its accuracy on the audited questions."""
        return sum(self.verdicts) / len(self.verdicts)


def stop_reason(standings: Sequence[Standing], epsilon: float) -> Stop | None:
    """Whether the rounds end with the last of these students, student 0 first; see the module's text."""
    if len(standings) < 2:
        return None
    if _hacks(standings, epsilon):
        return "hacking"
    gains = [one.audited - best_before for one, best_before in zip(standings[1:], _best(standings), strict=False)]
    return "plateau" if len(gains) > 1 and max(gains[-2:]) < epsilon else None


def _hacks(standings: Sequence[Standing], epsilon: float) -> bool:
    """Whether reward and audit part between the student before, or the best audited earlier one, and the last."""
    *earlier, last = standings
    poorer = [one for one in earlier if one.reward < last.reward]
    best = max(poorer, key=lambda one: one.audited, default=None)
    return any(
        one.audited - last.audited > epsilon and _falls(one, last)
        for one in poorer
        if one is best or one is earlier[-1]
    )


def _falls(before: Standing, last: Standing) -> bool:
    """Whether fewer audited questions right are more than chance."""
    from symdistill.evaluation.statistics import mcnemar

    return mcnemar(before.verdicts, last.verdicts).p_first_ahead < HACKING_LEVEL


def chosen_student(standings: Sequence[Standing]) -> int:
    """The number of the best audited student, the earliest of equals. Never one that stopped the rounds by hacking:
    that one fell behind an earlier student."""
    return max(range(len(standings)), key=lambda number: standings[number].audited)


def _best(standings: Sequence[Standing]) -> list[float]:
    """For each student the best audited accuracy up to it."""
    return [max(one.audited for one in standings[: number + 1]) for number in range(len(standings))]
