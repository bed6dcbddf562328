"""A model that several processes ask in turn: what another one bought while this one waited is not bought again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from symdistill import content
from symdistill.models.scripted import ScriptedModel
from symdistill.records import Completion, Message, Sampling
from symdistill.sampling.sampler import Sampler
from symdistill.sampling.store import ResponseStore


def wanted(count: int) -> list:
    return [
        content.request("scripted", [Message("user", f"question {i}")], Sampling(), 0, f"q{i}") for i in range(count)
    ]


def test_what_was_bought_while_waiting_is_not_bought_again(tmp_path: Path) -> None:
    requests, turns = wanted(4), []
    with ResponseStore(tmp_path / "s.sqlite") as store:

        @contextmanager
        def turn() -> Iterator[None]:
            """Another process has its turn first and buys three of the four."""
            turns.append("waited")
            store.add([(r, Completion(r.key, "theirs", cost_usd=0.5)) for r in requests[:3]], run="other")
            yield

        model = ScriptedModel(lambda request: "ours", name="scripted")
        told: dict[str, Completion] = {}
        with Sampler(store, model, run="this", turn=turn, told=told.update) as sampler:
            found = sampler.sample(requests)
            assert [found.completions[r.key].text for r in requests] == ["theirs", "theirs", "theirs", "ours"]
            assert len(model.requests) == 1
            sampler.sample(requests)
            assert turns == ["waited"], "who finds everything in the store waits for nobody"
        assert set(told) == {r.key for r in requests}
        assert sum(reply.cost_usd for reply in told.values()) == 1.5
