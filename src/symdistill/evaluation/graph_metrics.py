"""What a knowledge graph is worth, in figures: how much of it is right, new, varied and consistent, and how much more
there would be to find.

Facts are triples without differences of writing (`Triple.fact`): what is there in several batches is one fact.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from symdistill.curation.embeddings import tfidf
from symdistill.curation.words import words
from symdistill.evaluation.statistics import wilson
from symdistill.knowledge.triples.records import Batch, Triple

Fact = tuple[str, str, str]

VENDI_SAMPLE = 500
"""Texts the Vendi score is computed from; its cost grows with their cube."""

FEWEST_HEADS = 10
"""Heads below which drawing them anew gives no interval: of one nothing varies, and of a few far too little."""

_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `n`, and the 95% Wilson interval of that share."""

    count: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.count / self.n if self.n else math.nan


@dataclass(frozen=True, slots=True)
class Population:
    """How many facts there are where repeated draws come from, estimated by how often they meet again.

    `seen` different facts were drawn in `samples` independent draws. `total` is the estimate with its 95% interval,
    None where no fact came twice: then all that is known is that there are many more.
    """

    samples: int
    seen: int
    repeated: int
    total: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a reference a graph holds: of its heads, of its head–relation pairs, of its facts."""

    heads: Share
    pairs: Share
    facts: Share


@dataclass(frozen=True, slots=True)
class GraphFigures:
    """A graph in figures. Shares are of facts unless they say otherwise; `vendi` and `self_bleu` are of at most
    `VENDI_SAMPLE` facts."""

    triples: int
    facts: int
    heads: int
    nodes: int
    by_relation: Mapping[str, int]
    distinct_1: float
    distinct_2: float
    vendi: float
    vendi_of: int
    self_bleu: float


def share(count: int, n: int) -> Share:
    """`count` of `n` with its interval."""
    interval = wilson(count, n)
    return Share(count, n, interval.low, interval.high)


def describe(triples: Sequence[Triple], *, seed: int = 0) -> GraphFigures:
    """Counts and diversity. Diversity is that of the tails, each fact's once."""
    by_fact = {triple.fact: triple for triple in triples}
    tails = [fact[2] for fact in by_fact]
    score, used = vendi(tails, seed=seed)
    return GraphFigures(
        triples=len(triples),
        facts=len(by_fact),
        heads=len({fact[0] for fact in by_fact}),
        nodes=len({side for head, _, tail in by_fact for side in (head, tail)}),
        by_relation=dict(Counter(fact[1] for fact in by_fact).most_common()),
        distinct_1=distinct_n(tails, 1),
        distinct_2=distinct_n(tails, 2),
        vendi=score,
        vendi_of=used,
        self_bleu=self_bleu(tails, seed=seed),
    )


def distinct_n(texts: Iterable[str], n: int) -> float:
    """Different word n-grams by all n-grams of the texts; 0 where there is none (Li et al., NAACL 2016)."""
    counts: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        tokens = words(text)
        counts.update(zip(*(tokens[start:] for start in range(n)), strict=False))
    return len(counts) / counts.total() if counts else 0.0


def vendi(texts: Sequence[str], *, most: int = VENDI_SAMPLE, seed: int = 0) -> tuple[float, int]:
    """The Vendi score of a sample of the texts, and its size: the number of texts that would be as varied if they had
    nothing in common. From 1 (all alike) to the size.

    The exponential of the entropy of the eigenvalues of K/n, K the cosine of TF-IDF vectors (Friedman and Dieng, TMLR
    2023).
    """
    chosen = list(texts) if len(texts) <= most else random.Random(seed).sample(list(texts), most)
    if not chosen:
        return 0.0, 0
    vectors = tfidf(chosen)
    kernel = vectors @ vectors.T
    np.fill_diagonal(kernel, 1.0)  # a text without words is like itself all the same
    values = np.linalg.eigvalsh(kernel / len(chosen))
    values = values[values > 1e-12]
    return float(np.exp(-np.sum(values * np.log(values)))), len(chosen)


def self_bleu(texts: Sequence[str], *, longest: int = 4, most: int = VENDI_SAMPLE, seed: int = 0) -> float:
    """How much a sample of the texts resemble one another: the mean BLEU of each with all others as references, from 0
    (no word in common) to 1 (all alike); 0 of fewer than two.

    Zhu et al., SIGIR 2018 (Texygen). BLEU with n-grams up to `longest`, uniform weights, the closest reference's length
    for brevity, and 0.1 in the place of an n-gram count of none (Chen and Cherry's first smoothing, WMT 2014), which a
    text too short for an n-gram gets too: of texts of two words not even equal ones reach 1.
    """
    chosen = list(texts) if len(texts) <= most else random.Random(seed).sample(list(texts), most)
    tokens = [words(text) for text in chosen]
    if len(tokens) < 2:
        return 0.0
    lengths = Counter(map(len, tokens))
    counted = [[_runs(one, size) for size in range(1, longest + 1)] for one in tokens]
    best = [_two_largest(each[size] for each in counted) for size in range(longest)]
    return sum(_bleu(one, best, lengths) for one in counted) / len(counted)


def _runs(tokens: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(tokens[start:] for start in range(size)), strict=False))


def _two_largest(texts: Iterable[Counter[tuple[str, ...]]]) -> dict[tuple[str, ...], tuple[int, int]]:
    """For each n-gram the two largest counts in one text: the largest among the others is one of these."""
    found: dict[tuple[str, ...], tuple[int, int]] = {}
    for counts in texts:
        for run, count in counts.items():
            first, second = found.get(run, (0, 0))
            found[run] = (count, first) if count > first else (first, max(second, count))
    return found


def _bleu(
    own: Sequence[Counter[tuple[str, ...]]],
    best: Sequence[Mapping[tuple[str, ...], tuple[int, int]]],
    lengths: Mapping[int, int],
) -> float:
    """BLEU of one text, by its n-gram counts, against all others."""
    length = own[0].total()
    logs: list[float] = []
    for counts, largest in zip(own, best, strict=True):
        matched = 0
        for run, count in counts.items():
            first, second = largest[run]
            matched += min(count, second if count == first else first)
        if not logs and not matched:
            return 0.0
        logs.append(math.log((matched or 0.1) / max(1, counts.total())))
    others = [other for other, count in lengths.items() if count > (other == length)]
    closest = min(others, key=lambda other: (abs(other - length), other))
    return math.exp(min(0.0, 1 - closest / length) + sum(logs) / len(logs))


def novelty(triples: Iterable[Triple], reference: AbstractSet[Fact]) -> Share:
    """The share of facts that the reference does not hold."""
    facts = {triple.fact for triple in triples}
    return share(len(facts - reference), len(facts))


def coverage(triples: Iterable[Triple], reference: AbstractSet[Fact]) -> Coverage:
    """The share of the reference that the graph holds."""
    facts = {triple.fact for triple in triples}
    return Coverage(
        heads=_covered({f[0] for f in facts}, {f[0] for f in reference}),
        pairs=_covered({f[:2] for f in facts}, {f[:2] for f in reference}),
        facts=_covered(facts, reference),
    )


def _covered(have: AbstractSet[object], wanted: AbstractSet[object]) -> Share:
    return share(len(have & wanted), len(wanted))


def precision_by_relation(triples: Iterable[Triple], right: Mapping[str, bool]) -> dict[str, Share]:
    """Of each relation the share of judged triples (by id) that are right, most judged first."""
    verdicts: defaultdict[str, list[bool]] = defaultdict(list)
    for triple in triples:
        if triple.id in right:
            verdicts[triple.relation].append(right[triple.id])
    ordered = sorted(verdicts.items(), key=lambda item: (-len(item[1]), item[0]))
    return {relation: share(sum(found), len(found)) for relation, found in ordered}


def recapture(samples: Sequence[AbstractSet[Fact]]) -> Population:
    """How many facts there are to be drawn, from independent draws (a teacher asked the same several times).

    Facts of one draw are marked, and the share of marked ones among the next tells how many there are. Of two draws it
    is Chapman's form of the Lincoln–Petersen estimate, (n1+1)(n2+1)/(m+1) - 1, m met twice; of more, Chao's
    incidence-based one, S + (t-1)/t · q1(q1-1)/(2(q2+1)), of q1 facts met once and q2 met twice. Both assume that all
    facts are as easily drawn; since some come more easily, the truth is more rather than less. Chapman, University of
    California Publications in Statistics 1 (1951); Chao, Biometrics 43 (1987).

    Raises:
        ValueError: fewer than two draws.
    """
    if len(samples) < 2:
        raise ValueError("recapture needs two draws or more")
    met = Counter(fact for sample in samples for fact in sample)
    seen, repeated = len(met), sum(count > 1 for count in met.values())
    if not repeated:
        return Population(len(samples), seen, 0, None)
    if len(samples) == 2:
        return _chapman(len(samples[0]), len(samples[1]), seen, repeated)
    once, twice = (sum(count == n for count in met.values()) for n in (1, 2))
    return _chao(len(samples), seen, repeated, once, twice)


def _chapman(first: int, second: int, seen: int, repeated: int) -> Population:
    total = (first + 1) * (second + 1) / (repeated + 1) - 1
    spread = (first + 1) * (second + 1) * (first - repeated) * (second - repeated)
    margin = _Z * math.sqrt(spread / ((repeated + 1) ** 2 * (repeated + 2)))
    return Population(2, seen, repeated, total, max(float(seen), total - margin), total + margin)


def _chao(samples: int, seen: int, repeated: int, once: int, twice: int) -> Population:
    scale = (samples - 1) / samples
    unseen = scale * once * (once - 1) / (2 * (twice + 1))
    if unseen <= 0:
        return Population(samples, seen, repeated, float(seen), float(seen), float(seen))
    variance = (
        unseen
        + scale**2 * once * (2 * once - 1) ** 2 / (4 * (twice + 1) ** 2)
        + scale**2 * once**2 * twice * (once - 1) ** 2 / (4 * (twice + 1) ** 4)
    )
    factor = math.exp(_Z * math.sqrt(math.log1p(variance / unseen**2)))  # log-normal: never below what was seen
    return Population(samples, seen, repeated, seen + unseen, seen + unseen / factor, seen + unseen * factor)


def independent_draws(triples: Iterable[Triple], batches: Iterable[Batch]) -> list[list[set[Fact]]]:
    """The facts of batches that a teacher wrote to the same requests, asked several times; a list for each such group.

    These are the batches whose descriptions differ in the number behind their id only (see `asking.tails_from`).
    """
    groups: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for batch in batches:
        name, _, number = batch.id.rpartition("-")
        if batch.origin == "teacher" and name and number.isdigit():
            groups[name, batch.model, batch.prompt, batch.used, batch.run].append(batch.id)
    facts: defaultdict[str, set[Fact]] = defaultdict(set)
    for triple in triples:
        facts[triple.batch].add(triple.fact)
    return [[facts[name] for name in sorted(names)] for names in groups.values() if len(names) > 1]
