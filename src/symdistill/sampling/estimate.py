"""What a list of requests would cost, before any call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from symdistill.models.base import LanguageModel
from symdistill.models.settings import Price
from symdistill.records import Request
from symdistill.sampling.limits import Budget, Cost, Purse
from symdistill.sampling.sampler import Plan, plan
from symdistill.sampling.store import ResponseStore


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of `planned` different requests `stored` have a reply, `given_up` were declined for good, `to_buy` are left.

    `most` is an upper bound for one try of each, `expected` what it takes if the rest is like the replies stored
    already (None when there are none). Dollars are None when the price is not known. `about_mistakes` and
    `about_solutions` are about requests that depend on replies nobody has yet, at most.
    """

    planned: int
    stored: int
    given_up: int
    to_buy: int
    most_tokens: int
    most_usd: float | None
    expected_tokens: int | None
    expected_usd: float | None
    about_mistakes: Estimate | None = None
    about_solutions: Estimate | None = None

    def with_later(self, about_mistakes: Estimate | None, about_solutions: Estimate | None) -> Estimate:
        """The same with what depends on replies nobody has yet."""
        return replace(self, about_mistakes=about_mistakes, about_solutions=about_solutions)


def estimate(
    requests: Sequence[Request],
    store: ResponseStore | None,
    model: LanguageModel,
    *,
    price: Price | None,
    retry_failures: bool = False,
) -> Estimate:
    """Price `requests` without asking anything. `store` None: there is none yet."""
    planned = plan(requests, store, retry_failures=retry_failures)
    purse = Purse(Budget(), price, Cost())
    prompts = sum(model.count_tokens(request) for request in planned.to_ask)
    most = purse.cost(prompts, sum(request.sampling.max_tokens for request in planned.to_ask))
    expected = _expected(planned, prompts, model, purse)
    return Estimate(
        planned=len(planned.requests),
        stored=len(planned.completions),
        given_up=len(planned.given_up),
        to_buy=len(planned.to_ask),
        most_tokens=most.tokens,
        most_usd=most.usd if price else None,
        expected_tokens=expected.tokens if expected else None,
        expected_usd=expected.usd if expected and price else None,
    )


def _expected(planned: Plan, prompts: int, model: LanguageModel, purse: Purse) -> Cost | None:
    told = [reply for reply in planned.completions.values() if reply.prompt_tokens or reply.completion_tokens]
    if not planned.to_ask:
        return Cost()
    if not told:
        return None
    bound = sum(model.count_tokens(planned.requests[reply.key]) for reply in told)
    prompt = prompts * sum(reply.prompt_tokens for reply in told) / bound if bound else 0
    generated = len(planned.to_ask) * sum(reply.completion_tokens for reply in told) / len(told)
    return purse.cost(round(prompt), round(generated))
