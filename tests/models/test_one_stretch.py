"""Models that cannot do what only local students do say so: nobody takes half a reply for a whole one, or an unmeasured
reply for a sure one."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path
from typing import Any

import pytest

from symdistill import content
from symdistill.errors import CallFailed, RecordingMissing
from symdistill.models.dataset import DatasetModel
from symdistill.models.openai_compatible import OpenAICompatibleModel
from symdistill.models.recorded import RecordedModel
from symdistill.models.recording import write_recording
from symdistill.records import Completion, Example, Message, Request, Sampling
from symdistill.sampling import ResponseStore
from symdistill.sampling.sampler import Sampler

THEN = Sampling(max_tokens=8, then="\nTherefore, the answer is")


def wanted(model: str, sampling: Sampling = THEN) -> Request:
    return content.request(model, [Message("user", "2 + 3 =")], sampling, 0, "q1")


def remote() -> OpenAICompatibleModel:
    def open_wire(*_: Any) -> Any:
        raise AssertionError("nothing may be sent")

    return OpenAICompatibleModel("big", base_url="http://127.0.0.1:9/v1", open_wire=open_wire)


def in_process(tmp_path: Path) -> Any:
    pytest.importorskip("xllamacpp")
    from symdistill.models.llama_cpp import LlamaCppModel

    hollow = tmp_path / "hollow.gguf"  # llama.cpp could not load it
    hollow.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + bytes(64))
    return LlamaCppModel(hollow, slots=1, context=64)


@pytest.mark.parametrize("kind", ["openai", "llama_cpp", "dataset"])
@pytest.mark.parametrize(
    "sampling, says",
    [
        (THEN, "ends where its reply does"),
        (Sampling(max_tokens=8, top_two_at=0.6), "two largest probabilities"),
        (Sampling(max_tokens=8, go_on_above=68.0), "two largest probabilities"),
    ],
)
def test_what_only_a_local_student_does_is_refused_for_good(
    kind: str, sampling: Sampling, says: str, tmp_path: Path
) -> None:
    model: Any = {
        "openai": remote,
        "llama_cpp": lambda: in_process(tmp_path),
        "dataset": lambda: DatasetModel([Example("q1", "2 + 3 =", rationales=("5",))]),
    }[kind]()
    with pytest.raises(CallFailed, match=says) as caught:
        asyncio.run(model.generate([wanted(model.name, sampling)]))
    assert (caught.value.kind, caught.value.transient, caught.value.charged) == ("rejected", False, False)


def test_it_is_a_failure_of_the_request_and_not_of_the_run(tmp_path: Path) -> None:
    model = DatasetModel([Example("q1", "2 + 3 =", rationales=("5",))])
    plain, two = wanted(model.name, Sampling(max_tokens=8)), wanted(model.name)
    with ResponseStore(tmp_path / "store.sqlite") as store, Sampler(store, model, run="r") as sampler:
        assert plain.key in sampler.sample([plain]).completions
        with pytest.raises(CallFailed, match="Every request failed"):
            sampler.sample([two])
        assert store.failures([two.key])[two.key].kind == "rejected"


def test_a_recording_replays_both_stretches_or_has_no_reply(tmp_path: Path) -> None:
    two, plain = wanted("student"), wanted("student", Sampling(max_tokens=8))
    reply = Completion(two.key, " 5.", prompt_tokens=9, first=Completion(two.key, "2 and 3.", completion_tokens=4))
    path = tmp_path / "r.jsonl"
    write_recording(path, {"models": ["student"]}, [(two, reply)])
    assert asyncio.run(RecordedModel.load(path).generate([two])) == [reply]
    write_recording(path, {"models": ["student"]}, [(plain, Completion(plain.key, "5"))])
    with pytest.raises(RecordingMissing, match="then"):
        asyncio.run(RecordedModel.load(path).generate([two]))
