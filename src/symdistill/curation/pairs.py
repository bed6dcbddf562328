"""Pairs of an input and what a model wrote about it, and the filters such pairs pass or do not.

Every dropped pair has one reason, the first that applies: one of `ALWAYS`, or the name of a filter. Filters judge in
the order they are listed, but `similarity` last, since it compares with what is kept.

| filter         | a pair passes where …                                                                          |
|----------------|------------------------------------------------------------------------------------------------|
| `length`       | the output's words, and their ratio to the input's, are within bounds                          |
| `overlap`      | the share of the output's content words that stand in the input is within bounds               |
| `numbers_kept` | every number of the output stands in the input                                                 |
| `steps`        | no equation of the output is wrong (`steps.check_steps`), and enough of them could be judged   |
| `verify`       | the output's answer is the input's                                                             |
| `similarity`   | ROUGE-L F with every kept output is below the threshold (Self-Instruct, arXiv 2212.10560)      |
| `critic`       | a trained critic gives the pair at least a probability                                         |
| `entailment`   | an entailment model says that the output follows from the input                                |

`overlap` and `numbers_kept` bound faithfulness from below: an output that keeps to the input's own words and numbers
may still twist them, one with words and numbers of its own more often does.
"""

from __future__ import annotations

import re
import unicodedata
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from symdistill.curation.function_words import FUNCTION_WORDS
from symdistill.curation.number_words import single_values, with_digits
from symdistill.curation.rouge import SimilarityIndex, rouge_words
from symdistill.curation.steps import check_steps
from symdistill.curation.words import squeezed, words
from symdistill.records import AnswerType
from symdistill.settings import Settings
from symdistill.tasks.answers import check_answer

ALWAYS = ("cut", "empty", "echo", "duplicate")
"""What no configuration lets through: an output that was cut at the token limit, has no word, repeats its input, or
was written before."""

_SCALED = re.compile(r"(\d[\d,]*(?:\.\d+)?)[ \t-](hundred|thousand|million|billion)\b", re.IGNORECASE)
_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9}
_IN_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Pair:
    """An input, one output, and where they come from.

    `answer` is the input's gold answer where there is one; `audit` says that the input belongs to the slice that is
    graded and never learned from. `model` wrote the output, in reply to the request `key` (both empty for a pair from a
    file). `shown` are the ids of the texts that the input was drawn from, where a model invents.
    """

    id: str
    round: int
    input_id: str
    input: str
    output: str
    answer: str | None = None
    audit: bool = False
    model: str = ""
    key: str = ""
    cut: bool = False
    shown: tuple[str, ...] = ()


class PairFilter(Settings):
    """One filter."""

    needs_answers: ClassVar[bool] = False
    """Whether inputs must have a gold answer."""

    @abstractmethod
    def fault(self, pair: Pair) -> str | None:
        """What is wrong with a pair by itself, in words; None: nothing."""


class SieveFilter(PairFilter):
    """A filter to whom a pair by itself says nothing: a `Sieve` compares it with others, or asks a `Scorer`."""

    def fault(self, pair: Pair) -> str | None:
        return None


class LengthFilter(PairFilter):
    """The length of an output, in words as separated by white space."""

    name: Literal["length"]
    min_words: int = Field(default=1, ge=0)
    """Words of the output at least."""
    max_words: PositiveInt | None = None
    """Words of the output at most."""
    min_ratio: float = Field(default=0.0, ge=0)
    """Words of the output by words of the input, at least."""
    max_ratio: float | None = Field(default=None, gt=0)
    """Words of the output by words of the input, at most."""

    @model_validator(mode="after")
    def _leaves_room(self) -> LengthFilter:
        for low, high, name in ((self.min_words, self.max_words, "words"), (self.min_ratio, self.max_ratio, "ratio")):
            if high is not None and high < low:
                raise ValueError(f"max_{name} ({high:g}) is below min_{name} ({low:g})")
        return self

    def fault(self, pair: Pair) -> str | None:
        length = len(pair.output.split())
        ratio = length / max(len(pair.input.split()), 1)
        if length < self.min_words:
            return f"{length} words, at least {self.min_words} wanted"
        if self.max_words is not None and length > self.max_words:
            return f"{length} words, at most {self.max_words} wanted"
        if ratio < self.min_ratio:
            return f"{ratio:.2f} of the input's length, at least {self.min_ratio:g} wanted"
        if self.max_ratio is not None and ratio > self.max_ratio:
            return f"{ratio:.2f} of the input's length, at most {self.max_ratio:g} wanted"
        return None


class OverlapFilter(PairFilter):
    """What an output has in common with its input."""

    name: Literal["overlap"]
    min: float = Field(default=0.0, ge=0, le=1)
    """Share of the output's content words that must stand in the input: less is made up."""
    max: float = Field(default=1.0, gt=0, le=1)
    """Share that may; more is merely copied. 1: off."""

    @model_validator(mode="after")
    def _leaves_room(self) -> OverlapFilter:
        if self.max < self.min:
            raise ValueError(f"max ({self.max:g}) is below min ({self.min:g})")
        return self

    def fault(self, pair: Pair) -> str | None:
        share = content_overlap(pair.output, pair.input)
        if share < self.min:
            return f"{share:.2f} of its content words stand in the input, at least {self.min:g} wanted"
        if share > self.max:
            return f"{share:.2f} of its content words stand in the input, at most {self.max:g} wanted"
        return None


class NumbersKeptFilter(PairFilter):
    """In digits or in words on either side ("two hundred" is 200), and in names too ("A350" holds 350). "one" alone,
    mostly a pronoun, is no number of the output, and allows 1 where it stands in the input."""

    name: Literal["numbers_kept"]

    def fault(self, pair: Pair) -> str | None:
        there = numbers(pair.input) | ({"1"} if "one" in words(pair.input) else set())
        new = sorted(numbers(pair.output) - there)
        return f"{new[0]} is not in the input" if new else None


class StepsFilter(PairFilter):
    """No equation of the output may be wrong."""

    name: Literal["steps"]
    min_checked: int = Field(default=1, ge=0)
    """Equations that must have been found and could be judged."""

    def fault(self, pair: Pair) -> str | None:
        report = check_steps(pair.output)
        if wrong := report.first_wrong:
            return f"{wrong.text[:80]} does not hold"
        if report.checked < self.min_checked:
            return f"{report.checked} equations that can be judged, at least {self.min_checked} wanted"
        return None


class VerifyFilter(PairFilter):
    """The output must reach the gold answer of its input."""

    needs_answers: ClassVar[bool] = True

    name: Literal["verify"]
    answer_type: AnswerType = "number"

    def fault(self, pair: Pair) -> str | None:
        right = pair.answer is not None and check_answer(pair.output, pair.answer, self.answer_type)
        return None if right else f"the answer is not {pair.answer}"


class SimilarityFilter(SieveFilter):
    """Against all outputs kept before, those of earlier rounds among them."""

    name: Literal["similarity"]
    threshold: float = Field(default=0.7, gt=0, le=1)
    """ROUGE-L F from which two outputs are one."""


class CriticFilter(SieveFilter):
    """A critic that `symdistill triples critic` or `training.critic` made."""

    name: Literal["critic"]
    path: Path
    """Its directory."""
    threshold: float | None = Field(default=None, ge=0, le=1)
    """Probability a pair needs; None: the critic's own."""


class EntailmentFilter(SieveFilter):
    """A sequence classifier with a label "entailment", in a directory. The input is the premise."""

    name: Literal["entailment"]
    model: Path
    """Its directory."""
    threshold: float = Field(default=0.5, ge=0, le=1)
    """Probability a pair needs."""


FILTERS: Mapping[str, type[PairFilter]] = {
    "length": LengthFilter,
    "overlap": OverlapFilter,
    "numbers_kept": NumbersKeptFilter,
    "steps": StepsFilter,
    "verify": VerifyFilter,
    "similarity": SimilarityFilter,
    "critic": CriticFilter,
    "entailment": EntailmentFilter,
}
"""Filters by their names."""


def filter_name(one: PairFilter) -> str:
    """The name a filter has in a configuration."""
    return next(name for name, kind in FILTERS.items() if kind is type(one))


@dataclass(frozen=True, slots=True)
class Scorer:
    """A model behind a filter: a score between 0 and 1 for each pair, and the least a pair needs."""

    scores: Callable[[Sequence[Pair]], Sequence[float]]
    threshold: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a pair: `reason` empty where it is kept. `scores` by the filters that gave one."""

    reason: str = ""
    detail: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        return not self.reason


class Sieve:
    """The filters of a run, with what they remember from round to round: what is learned and, apart from it, what was
    audited, so that an output that comes twice counts once in either.

    `scorers` are by the names of the filters they serve. `known` are outputs that count as written before, by their
    names (the texts a model was shown).
    """

    def __init__(
        self, filters: Sequence[PairFilter], scorers: Mapping[str, Scorer], known: Iterable[tuple[str, str]] = ()
    ) -> None:
        self._filters = [f for f in filters if not isinstance(f, SimilarityFilter)]
        similarity = next((f for f in filters if isinstance(f, SimilarityFilter)), None)
        self._index = SimilarityIndex(similarity.threshold) if similarity else None
        self._scorers = scorers
        self._written: set[tuple[str, str]] = set()
        self._outputs: set[str] = set()
        self._audited: set[tuple[str, str]] = set()
        for name, text in known:
            self._outputs.add(squeezed(text))
            if self._index is not None:
                self._index.add(name, text)

    def judge(self, pairs: Sequence[Pair]) -> list[Verdict]:
        """A verdict for each pair, in order. Pairs of the audited slice are compared with what is learned and with one
        another; whatever is learned does not depend on them."""
        faults: dict[int, tuple[str, str]] = {}
        scores: dict[int, dict[str, float]] = {}
        for at, pair in enumerate(pairs):
            if said := unusable(pair):
                faults[at] = said
        for one in self._filters:
            self._apply(one, pairs, faults, scores)
        for audited in (False, True):  # what is learned first
            for at, pair in enumerate(pairs):
                if pair.audit == audited and at not in faults and (said := self._seen(pair)):
                    faults[at] = said
        return [Verdict(*faults.get(at, ("", "")), scores.get(at, {})) for at in range(len(pairs))]

    def _apply(
        self,
        one: PairFilter,
        pairs: Sequence[Pair],
        faults: dict[int, tuple[str, str]],
        scores: dict[int, dict[str, float]],
    ) -> None:
        name = filter_name(one)
        left = [at for at in range(len(pairs)) if at not in faults]
        if not isinstance(one, SieveFilter):
            faults |= {at: (name, said) for at in left if (said := one.fault(pairs[at]))}
            return
        scorer = self._scorers[name]
        for at, score in zip(left, scorer.scores([pairs[at] for at in left]) if left else (), strict=True):
            scores.setdefault(at, {})[name] = float(score)
            if score < scorer.threshold:
                faults[at] = (name, f"{score:.3f}, at least {scorer.threshold:.3f} wanted")

    def _seen(self, pair: Pair) -> tuple[str, str] | None:
        """Was this written before? What was not is remembered."""
        text = squeezed(pair.output)
        own = ("" if pair.shown else squeezed(pair.input), text)  # what is invented must be new whatever was shown
        if (squeezed(pair.input), text) in self._written or text in self._outputs:
            return "duplicate", "the same was written before"
        if pair.audit and own in self._audited:
            return "duplicate", "the same was written before"
        if self._index is not None and (found := self._index.nearest(pair.output)):
            return "similarity", f"ROUGE-L {found[1]:.2f} with {found[0]}"
        if pair.audit:
            self._audited.add(own)
        else:
            self._written.add((squeezed(pair.input), text))
            if pair.shown:
                self._outputs.add(text)
            if self._index is not None:
                self._index.add(pair.id, pair.output)
        return None


def content_overlap(output: str, source: str) -> float:
    """The share of the output's content words that stand in the source; 1 where it has none."""
    there = set(rouge_words(source))
    content = [word for word in rouge_words(output) if word not in FUNCTION_WORDS]
    return sum(word in there for word in content) / len(content) if content else 1.0


def numbers(text: str) -> set[str]:
    """The numbers of a text, in digits or in words, without thousands separators and closing zeros."""
    text = unicodedata.normalize("NFKC", text).replace("\u2010", "-")
    text = with_digits(_SCALED.sub(_unscaled, text))
    found = {str(value) for value in single_values(text)}
    for number in _IN_DIGITS.findall(text):
        whole, point, part = number.replace(",", "").partition(".")
        part = part.rstrip("0")
        found.add(f"{whole.lstrip('0') or '0'}{point if part else ''}{part}")
    return found


def _unscaled(match: re.Match[str]) -> str:
    """ "1.5 million" as 1500000."""
    return format(Decimal(match[1].replace(",", "")) * _SCALES[match[2].lower()], "f")


def unusable(pair: Pair) -> tuple[str, str] | None:
    """Why an output is no whole text, whatever it says: the reason and, in words, what is wrong."""
    if pair.cut:
        return "cut", "the reply was cut before its end"
    if not rouge_words(pair.output):
        return "empty", "there is no word in it"
    if squeezed(pair.output) == squeezed(pair.input):
        return "echo", "it repeats its input"
    return None
