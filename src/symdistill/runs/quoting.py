"""What requests to a teacher would take, known before anybody is asked: how many replies are bought and how many are
replayed, whether a recording has them, which key is wanted, and how far the budget goes."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from symdistill.errors import ConfigError
from symdistill.models.base import LanguageModel
from symdistill.models.recorded import RecordedModel
from symdistill.models.registry import is_replay, missing_key
from symdistill.models.settings import Price, TeacherSettings
from symdistill.records import Request
from symdistill.sampling.estimate import Estimate, estimate
from symdistill.sampling.limits import NOTHING, Budget, Cost, Purse
from symdistill.sampling.meter import dollars
from symdistill.sampling.prices import price_of
from symdistill.sampling.sampler import plan
from symdistill.sampling.store import ResponseStore

N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True)
class Quote(Estimate):
    """An estimate, with what else there is to know before one begins.

    `replays` of `planned`, and `replayed` of `to_buy`, come from a recording or the rows: nobody is asked for them.
    `unset` are environment variables that must hold a key and do not. `spent` of the `budget` is gone; `least` is the
    upper bound of the cheapest single reply, zero where nothing is bought.
    """

    replays: int = 0
    replayed: int = 0
    unset: tuple[str, ...] = ()
    budget: Budget = dataclasses.field(default_factory=Budget)
    spent: Cost = NOTHING
    least: Cost = NOTHING

    @property
    def bought(self) -> int:
        """Replies that somebody is asked for."""
        return self.to_buy - self.replayed

    def budget_lines(self) -> Iterator[str]:
        """How far the budget goes, a sentence for each that is set; none where nothing is bought."""
        later = [one for one in (self.about_mistakes, self.about_solutions) if one is not None]
        if not self.bought and not any(one.to_buy for one in later):
            return
        usd = [self.most_usd, *(one.most_usd for one in later)]
        if self.budget.usd is not None:
            most = sum(known for known in usd if known is not None)
            told = dollars(self.budget.usd), dollars(self.spent.usd) if self.spent.usd else ""
            yield _reach("budget_usd", *told, self.budget.usd - self.spent.usd, self.least.usd, most)
        if self.budget.tokens is not None:
            tokens = self.most_tokens + sum(one.most_tokens for one in later)
            told = f"{self.budget.tokens:,} tokens", f"{self.spent.tokens:,}" if self.spent.tokens else ""
            left = self.budget.tokens - self.spent.tokens
            yield _reach("budget_tokens", *told, left, self.least.tokens, tokens)


def quote(
    requests: Sequence[Request],
    store: ResponseStore | None,
    model: LanguageModel,
    teacher: TeacherSettings,
    *,
    account: str,
    guessed: Collection[str] = (),
) -> Quote:
    """Price `requests` to the `model` of `teacher`, whose spending is booked under `account`; `store` None: there is
    none yet. Requests whose keys are `guessed` stand for others, which depend on replies that nobody has.

    Raises:
        ConfigError: a budget in dollars for a model whose price is unknown.
        RecordingMissing: the teacher is a recording, and has no reply to a request.
    """
    price = check_price(teacher)
    found = estimate(requests, store, model, price=price, retry_failures=teacher.retry_failures)
    to_ask = plan(requests, store, retry_failures=teacher.retry_failures).to_ask
    if isinstance(model, RecordedModel):
        model.check(request for request in to_ask if request.key not in guessed)
    purse = Purse(Budget(), price, NOTHING)
    bounds = [purse.cost(model.count_tokens(request), request.sampling.max_tokens) for request in to_ask]
    replay, key = is_replay(teacher), missing_key(teacher)
    gone = store.spending(account) if store else None
    return Quote(
        **{field.name: getattr(found, field.name) for field in dataclasses.fields(Estimate)},
        replays=found.planned if replay else 0,
        replayed=found.to_buy if replay else 0,
        unset=(key,) if key else (),
        budget=Budget() if replay else Budget(usd=teacher.budget_usd, tokens=teacher.budget_tokens),
        spent=Cost(gone.usd, gone.tokens) if gone else NOTHING,
        least=min(bounds, key=lambda bound: bound.tokens, default=NOTHING),
    )


def check_price(teacher: TeacherSettings, where: str = "teacher") -> Price | None:
    """What the tokens of a teacher cost, None when nobody knows. `where` is the section of its keys.

    Raises:
        ConfigError: it has a budget in dollars, which then nobody can keep to.
    """
    price = price_of(teacher.model or "", teacher.price, teacher.base_url)
    if teacher.budget_usd is not None and price is None:
        raise ConfigError(
            f"`{where}.budget_usd` is set, but the price of {teacher.model} is not known.",
            f"Set `{where}.price` to {{input: …, output: …}} in dollars for a million tokens.",
        )
    return price


def summed(one: Quote, other: Quote) -> Quote:
    """Two quotes as one."""
    return dataclasses.replace(
        one,
        planned=one.planned + other.planned,
        stored=one.stored + other.stored,
        given_up=one.given_up + other.given_up,
        to_buy=one.to_buy + other.to_buy,
        most_tokens=one.most_tokens + other.most_tokens,
        most_usd=_added(one.most_usd, other.most_usd),
        expected_tokens=_added(one.expected_tokens, other.expected_tokens),
        expected_usd=_added(one.expected_usd, other.expected_usd),
        replays=one.replays + other.replays,
        replayed=one.replayed + other.replayed,
        unset=tuple(dict.fromkeys((*one.unset, *other.unset))),
        budget=one.budget if one.budget.bounded else other.budget,
        spent=max(one.spent, other.spent, key=lambda cost: cost.tokens),  # of one account
        least=min(filter(None, map(_if_any, (one, other))), key=lambda cost: cost.tokens, default=NOTHING),
    )


def _if_any(one: Quote) -> Cost | None:
    return one.least if one.bought else None


def _added(one: N | None, other: N | None) -> N | None:
    """None where one of them is not known."""
    return None if one is None or other is None else one + other


def _reach(key: str, budget: str, spent: str, left: float, least: float, most: float) -> str:
    gone = f", of which {spent} {'is' if spent.startswith('$') else 'are'} spent" if spent else ""
    whole = f"The budget of {budget} (`teacher.{key}`){gone}"
    if least > left:
        return f"{whole}{',' if gone else ''} stops it before the next reply: raise it."
    if most > left:
        return f"{whole}{',' if gone else ''} may stop it on the way; the same command goes on once it is raised."
    return f"{whole}{',' if gone else ''} is enough."
