"""The arithmetic of budgets, rates, concurrency and patience, on a clock of the test's own."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.models import Price
from symdistill.sampling import Budget, CallLimits
from symdistill.sampling.health import Health
from symdistill.sampling.limits import Cost, Pace, Purse, Window


def test_an_overload_halves_the_window_once_and_successes_win_it_back():
    window = Window(16)
    assert window.size == 16
    assert window.overloaded(started=0.0, now=1.0)
    assert not any(window.overloaded(started=0.5, now=1.0 + i / 10) for i in range(15)), "calls of the same window"
    assert window.size == 8
    assert window.overloaded(started=1.0, now=2.0)
    assert window.size == 4
    for _ in range(5):
        window.succeeded()
    assert window.size == 5, "one more after a window full of successes"
    for _ in range(1000):
        window.succeeded()
    assert window.size == 16, "never more than was configured"
    for moment in range(10, 30):
        window.overloaded(started=moment, now=moment)
    assert window.size == 1, "never less than one"


@given(
    st.sampled_from([6.0, 60.0, 600.0]),
    st.lists(st.tuples(st.floats(0, 3), st.integers(1, 30)), min_size=1, max_size=60),
)
def test_no_minute_holds_more_than_its_rate(rate, arrivals):
    """What goes in any 60 seconds is the rate, a second's share that was unused, and what was let go last."""
    pace = Pace(rate, 0.0)
    now = 0.0
    gone: list[tuple[float, int]] = []
    for pause, amount in arrivals:
        now += pause
        while (wait := pace.wait(amount, now)) > 0:
            now += wait
        pace.take(amount)
        gone.append((now, amount))
    for start, _ in gone:
        window = [amount for moment, amount in gone if start <= moment <= start + 60]
        assert sum(window) <= rate + max(1.0, rate / 60) + window[-1] + 1e-6


def test_a_rate_is_reached_and_what_is_given_back_may_go():
    pace = Pace(60.0, 0.0)
    now, count = 0.0, 0
    while now < 60:
        now += pace.wait(1, now)
        pace.take(1)
        count += 1
    assert count == pytest.approx(61, abs=1)
    pace.take(50)
    assert pace.wait(1, now) > 49
    pace.take(-50)
    assert pace.wait(1, now) <= 1.001


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=40), st.floats(0, 5))
def test_a_purse_never_lets_go_what_would_pass_the_budget(calls, budget):
    purse = Purse(Budget(usd=budget), Price(input=1, output=1), Cost())
    ledger = 0.0
    on_replies = 0.0
    under_way: list[tuple[Cost, Cost]] = []
    for bound_usd, share in calls:
        bound = Cost(bound_usd, 10)
        while under_way and not purse.fits(bound):
            reserved, cost = under_way.pop(0)
            purse.settle(reserved, cost, on_reply=cost)
            on_replies += cost.usd
        if not purse.fits(bound):
            continue
        purse.reserve(bound)
        under_way.append((bound, Cost(bound_usd * share, 5)))
        ledger += purse.unwritten().usd
        assert purse.spent.usd + purse.reserved.usd <= budget + 1e-9
        # Should the process die now, the ledger knows of every call under way, and of not much more.
        assert on_replies == pytest.approx(purse.spent.usd)
        assert purse.reserved.usd - 1e-9 <= ledger <= 2 * purse.reserved.usd + 1e-9


def test_the_ledger_balances():
    """What is written to the ledger and what stands on rows add up to what was spent, once all calls are back."""
    for budget in (Budget(), Budget(usd=100.0)):
        purse = Purse(budget, Price(input=2e6, output=4e6), Cost())
        bound = purse.cost(10, 5)
        assert bound == Cost(40.0, 15)
        for _ in range(3):
            purse.reserve(bound)
        purse.settle(bound, purse.cost(9, 1), on_reply=purse.cost(9, 1))  # a reply
        purse.settle(bound, bound)  # a try that timed out and will be repeated
        purse.settle(bound, Cost())  # one that never arrived
        assert purse.spent == Cost(62.0, 25)
        assert purse.reserved == Cost()
        assert purse.unwritten() == Cost(40.0, 15)
        assert purse.unwritten() == Cost()


@pytest.mark.parametrize(
    "budget, spent, fits",
    [
        (Budget(), Cost(1e9, 10**12), True),
        (Budget(usd=1.0), Cost(0.5, 0), True),
        (Budget(usd=1.0), Cost(0.51, 0), False),
        (Budget(usd=0.0), Cost(), False),
        (Budget(tokens=100), Cost(99.0, 50), True),
        (Budget(tokens=100), Cost(0.0, 51), False),
        (Budget(usd=1.0, tokens=100), Cost(0.0, 51), False),
    ],
)
def test_what_fits_a_budget(budget, spent, fits):
    assert Purse(budget, None, spent).fits(Cost(0.5, 50)) is fits


def health(**limits) -> Health:
    return Health(CallLimits(**limits), 0.0, random.Random(1))


def test_retry_after_pauses_the_model_for_just_that_long():
    state = health()
    assert state.turned_away(10.0, 7.0, counted=True)
    assert state.wait(10.0) == 7.0
    assert state.turned_away(11.0, 2.0, counted=False), "a shorter wish does not shorten the pause"
    assert state.wait(11.0) == 6.0
    assert state.wait(17.0) == 0.0


def test_without_a_wish_pauses_grow_and_a_reply_resets_them():
    state = health()
    now, pauses = 0.0, []
    for _ in range(12):
        assert state.turned_away(now, None, counted=True)
        pauses.append(state.wait(now))
        now += pauses[-1]
    assert all(0.125 * 2**i <= pause <= 0.25 * 2**i for i, pause in enumerate(pauses[:8]))
    assert max(pauses) <= 60
    state.answered(now)
    state.turned_away(now, None, counted=True)
    assert state.wait(now) <= 0.25
    assert state.turned_away(now, None, counted=False)
    assert state.wait(now) <= 0.25, "calls of the same window do not add up"


@pytest.mark.parametrize("wish, after", [(None, 100), (3600.0, 0)])
def test_patience_ends(wish, after):
    state = health(patience_seconds=100.0)
    now = 0.0
    while state.turned_away(now, wish, counted=True):
        assert now < 100
        now += state.wait(now)
    assert now <= after
    state = health(patience_seconds=100.0)
    state.answered(5000.0)
    assert state.turned_away(5000.0, 50.0, counted=True), "patience starts again with every reply"


@pytest.mark.parametrize("answered, patience", [(False, 3.0), (True, 30.0)])
def test_a_server_that_is_gone_is_probed_a_while(answered, patience):
    state = health()
    if answered:
        state.answered(0.0)
    now, probes = 0.0, 0
    assert not state.gone
    while state.unreachable(now, now):
        assert state.gone
        now += state.wait(now)
        probes += 1
    assert patience <= now <= patience + 0.5
    assert 4 <= probes <= 20
    state.reached()
    assert not state.gone


def test_calls_that_left_before_the_trouble_do_not_end_patience():
    state = health()
    assert state.unreachable(0.0, 10.0)
    assert state.unreachable(0.0, 1000.0)
    assert not state.unreachable(11.0, 1000.0)


@pytest.mark.parametrize("tries", range(1, 12))
def test_backoff_is_jittered_and_bounded(tries):
    state = health(backoff_seconds=0.5, backoff_most_seconds=30.0)
    drawn = [state.backoff(tries) for _ in range(200)]
    longest = min(30.0, 0.5 * 2 ** (tries - 1))
    assert max(drawn) <= longest
    assert min(drawn) < longest / 4 < 3 * longest / 4 < max(drawn)
    assert math.isclose(sum(drawn) / len(drawn), longest / 2, rel_tol=0.25)
