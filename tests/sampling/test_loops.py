"""Plain calls work with and without an event loop around them."""

from __future__ import annotations

import asyncio
import threading

import pytest

from symdistill import content
from symdistill.models.scripted import ScriptedModel
from symdistill.records import Message, Sampling
from symdistill.sampling.loops import ask, outside_loops


async def inside(call):
    return call()


def around(call, *, loop: bool):
    return asyncio.run(inside(call)) if loop else call()


@pytest.mark.parametrize("loop", [False, True])
def test_work_that_runs_a_loop_is_done(loop):
    assert around(lambda: outside_loops(lambda: asyncio.run(asyncio.sleep(0, "done"))), loop=loop) == "done"


@pytest.mark.parametrize("loop", [False, True])
def test_what_the_work_raises_is_raised(loop):
    with pytest.raises(ZeroDivisionError):
        around(lambda: outside_loops(lambda: 1 // 0), loop=loop)


def test_a_thread_is_used_only_where_a_loop_runs():
    here = threading.get_ident()
    assert outside_loops(threading.get_ident) == here
    assert around(lambda: outside_loops(threading.get_ident), loop=True) != here


@pytest.mark.parametrize("loop", [False, True])
def test_a_model_is_asked(loop):
    model = ScriptedModel(lambda request: request.messages[-1].content.upper())
    requests = [content.request(model.name, [Message("user", text)], Sampling()) for text in ("one", "two")]
    assert [reply.text for reply in around(lambda: ask(model, requests), loop=loop)] == ["ONE", "TWO"]
