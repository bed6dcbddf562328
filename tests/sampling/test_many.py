"""A store of 100,000 replies: a second run asks for nothing and is soon done."""

from __future__ import annotations

import time

import pytest

from symdistill import content
from symdistill.models import ScriptedModel
from symdistill.records import Completion, Message, Sampling
from symdistill.sampling import ResponseStore, Sampler

SAMPLING = Sampling(temperature=0.7, max_tokens=128)


def requests(count: int):
    prompts = [(Message("user", f"question {number}"),) for number in range(count // 8)]
    return [content.request("scripted", prompt, SAMPLING, s) for prompt in prompts for s in range(8)]


def reply(request) -> Completion:
    return Completion(request.key, f"The answer is {request.sample_index}.", prompt_tokens=60, completion_tokens=27)


@pytest.mark.slow
def test_a_second_run_over_a_complete_store_starts_soon(tmp_path):
    wanted = requests(100_000)
    path = tmp_path / "store.sqlite"
    with ResponseStore(path) as store:
        store.add([(r, reply(r)) for r in wanted], "run")
    started = time.process_time()
    model = ScriptedModel(reply)
    with ResponseStore(path) as store, Sampler(store, model, run="run") as sampler:
        outcome = sampler.sample(requests(100_000))
    assert time.process_time() - started < 5, "seconds of this process; about one on an idle machine"
    assert (outcome.stored, outcome.bought, model.calls) == (100_000, 0, 0)


@pytest.mark.slow
def test_a_large_part_of_a_store_is_found_among_others(tmp_path):
    """Many keys are found by reading the whole file, few by looking them up; both find the same."""
    known = requests(24_000)
    unknown = [content.request("scripted", [Message("user", "new")], SAMPLING, s) for s in range(50)]
    with ResponseStore(tmp_path / "store.sqlite") as store:
        store.add([(r, reply(r)) for r in known], "run")
        keys = [r.key for r in [*known[6_000:18_000], *unknown]][::-1]
        for part in (keys, keys[:5_000]):
            chosen = set(part)
            expected = [r for r in known[6_000:18_000][::-1] if r.key in chosen]
            assert list(store.completions(part).values()) == [reply(r) for r in expected]
