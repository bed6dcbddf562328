"""What an item is worth, measured: the same questions answered by the same student with the item and without it.

For one item, of the questions it was retrieved for,

    helped    wrong without it, right with it
    hurt      right without it, wrong with it
    uses      all of them, those where nothing changed included

A question counts once, however many students answered it: what several students make of one question are no
independent observations of the item. Helped and hurt are then the shares of its students.

A raw difference (helped - hurt) / uses is 1 after a single lucky question. So each item starts with the prior that
knowledge mostly changes nothing: (p_helped, p_hurt, p_unchanged) ~ Dirichlet(1, 1, 8), worth KAPPA = 10 questions, of
which one helped and one hurt. With the counts it becomes Dirichlet(1 + helped, 1 + hurt, 8 + unchanged), and

    lift = E[p_helped - p_hurt] = (helped - hurt) / (uses + KAPPA)

The interval is the central 95% of p_helped - p_hurt under the same distribution. It is the honest one here: an item
has a handful of uses, where a normal approximation leaves the range and a bootstrap of an item that never hurt says
that it cannot. The difference has no quantile function in closed form; the quantiles are those of 20,000 draws with a
fixed seed, the same for the same counts (their error is about 0.002).

Lifts of many items on one dev split are noisy, and the worst of them looks worse than it is: measure what a pruning
brought on questions that had no part in it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from symdistill.knowledge.items import KnowledgeItem, Use

PRIOR = (1.0, 1.0, 8.0)
"""Pseudo-counts of helped, hurt and unchanged."""
KAPPA = sum(PRIOR)
CONFIDENCE = 0.95
MIN_USES = 5

_DRAWS = 20_000
_SEED = 20240913
_PLACES = 6
"""Decimals of a count that are told apart."""


@dataclass(frozen=True, slots=True)
class Lift:
    """How an item did on `uses` questions: the estimate of its lift, and the interval around it.

    `helped` and `hurt` are whole numbers where one student was measured.
    """

    helped: float
    hurt: float
    uses: int
    lift: float
    low: float
    high: float


def lift_of(helped: float, hurt: float, uses: int) -> Lift:
    """The estimate for these counts. No uses: the prior alone.

    Raises:
        ValueError: a count is negative, or more were helped and hurt than there were uses.
    """
    helped, hurt = (int(n) if n == int(n) else n for n in (round(helped, _PLACES), round(hurt, _PLACES)))
    if min(helped, hurt) < 0 or helped + hurt > uses + 10**-_PLACES * 2:
        raise ValueError(f"{helped:g} helped and {hurt:g} hurt of {uses} uses is impossible")
    low, high = _interval(helped, hurt, uses)
    return Lift(helped, hurt, uses, (helped - hurt) / (uses + KAPPA), low, high)


def lifts(uses: Iterable[Use], versions: Mapping[str, Collection[int]] | None = None) -> dict[str, Lift]:
    """The lift of every item that was used, by id.

    Of several measurements of one item, question and student the latest (the last in `uses`) stands; the students of
    a question are averaged. For the worth to one student, give the uses of that student. A use counts for the text it
    was measured with. `versions` maps an item's id to the versions that have its current text (`versions_of_text`), and
    uses of others are left out; for an item it does not name, only the highest version among its uses counts.
    """
    by_item: defaultdict[str, list[Use]] = defaultdict(list)
    for use in uses:
        by_item[use.item_id].append(use)
    found = {}
    for item_id, measured in by_item.items():
        current = (versions or {}).get(item_id, (max(use.version for use in measured),))
        latest = {(use.example_id, use.student): use for use in measured if use.version in current}
        if latest:
            students = Counter(example for example, _ in latest)
            helped = hurt = Fraction(0)
            for (example, _), use in latest.items():
                share = Fraction(1, students[example])
                helped += share * (use.correct_with and not use.correct_without)
                hurt += share * (use.correct_without and not use.correct_with)
            found[item_id] = lift_of(float(helped), float(hurt), len(students))
    return found


def versions_of_text(history: Iterable[KnowledgeItem]) -> frozenset[int]:
    """The versions of an item whose text is that of its latest one: a change of flags or status is no new text.

    Raises:
        ValueError: there is no version.
    """
    versions = list(history)
    text = max(versions, key=lambda item: item.version).text
    return frozenset(item.version for item in versions if item.text == text)


def harmful(
    measured: Mapping[str, Lift], min_lift: float = 0.0, min_uses: int = MIN_USES, *, by_estimate: bool = False
) -> dict[str, Lift]:
    """Of `measured` items (`lifts`) those used on `min_uses` questions or more with a lift below `min_lift`.

    The worst come first. Below is what lies below with its whole interval: an item that hurt one question of five has
    an estimate below 0 and may well be worth having. With `by_estimate`, the estimate alone decides.
    """
    low = {
        item_id: lift
        for item_id, lift in measured.items()
        if lift.uses >= min_uses and (lift.lift if by_estimate else lift.high) < min_lift
    }
    return dict(sorted(low.items(), key=lambda entry: (entry[1].lift, entry[0])))


@lru_cache(maxsize=16384)
def _interval(helped: float, hurt: float, uses: int) -> tuple[float, float]:
    counts = (helped, hurt, max(uses - helped - hurt, 0))
    shares = np.random.default_rng(_SEED).dirichlet(np.add(PRIOR, counts), _DRAWS)
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(shares[:, 0] - shares[:, 1], [outside, 1 - outside])
    return float(low), float(high)
