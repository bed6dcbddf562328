"""What sampling would cost, before any call."""

from __future__ import annotations

import pytest

from scripted import PRICE, SAMPLING, bound_usd, reply, sampled, wanted
from symdistill.errors import CallFailed
from symdistill.models import ScriptedModel, byte_bound
from symdistill.sampling import ResponseStore, estimate


@pytest.fixture
def store(tmp_path):
    with ResponseStore(tmp_path / "store.sqlite") as opened:
        yield opened


@pytest.mark.parametrize("price", [None, PRICE])
def test_an_estimate_before_any_call(store, price):
    requests = wanted()
    model = ScriptedModel(reply)
    fresh = estimate(requests, None, model, price=price)
    most = byte_bound(requests[0]) + SAMPLING.max_tokens
    assert (fresh.planned, fresh.stored, fresh.to_buy, fresh.most_tokens) == (8, 0, 8, 8 * most)
    assert (fresh.expected_tokens, fresh.expected_usd) == (None, None)
    assert fresh.most_usd == (None if price is None else pytest.approx(8 * bound_usd(requests[0])))
    sampled(store, reply, requests[:4])
    half = estimate(requests, store, model, price=price)
    assert (half.stored, half.to_buy, half.most_tokens, half.expected_tokens) == (4, 4, 4 * most, 4 * 15)
    assert half.expected_usd == (None if price is None else pytest.approx(4 * 20 / 1e6))
    sampled(store, lambda r: CallFailed("refused", "no"), requests)
    done = estimate(requests, store, model, price=price)
    assert (done.given_up, done.to_buy, done.most_tokens, done.expected_tokens) == (4, 0, 0, 0)
    assert estimate(requests, store, model, price=price, retry_failures=True).to_buy == 4
    assert model.calls == 0
