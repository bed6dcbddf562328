"""The engine CTranslate2: in float32 it writes what PyTorch writes, and what it cannot do it refuses."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from symdistill import content
from symdistill.errors import CallFailed, PrerequisiteError, UnusableModel
from symdistill.records import Completion, Message, Request, Sampling

pytest.importorskip("torch")
pytest.importorskip("ctranslate2")

from transformers import PreTrainedTokenizerFast

from symdistill.models.base import LocalModel
from symdistill.models.ctranslate2_conversion import converted
from symdistill.models.ctranslate2_local import CTranslate2Model
from symdistill.models.transformers_local import TransformersModel
from tiny import save_tiny, tiny_model, tiny_tokenizer

QUESTIONS = [f"{'and ' * times}what is {times} + {times}?" for times in (0, 3, 9, 2, 17, 7, 1, 5, 12)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student")


@pytest.fixture(scope="module")
def exact(place: Path) -> CTranslate2Model:
    return CTranslate2Model.load(place, into=place, numbers="float32", batch_size=4)


@pytest.fixture(scope="module")
def rounded(place: Path) -> CTranslate2Model:
    return CTranslate2Model.load(place, into=place, batch_size=4)


@pytest.fixture(scope="module")
def usual(place: Path) -> TransformersModel:
    return TransformersModel.load(place, dtype="float32")


def request(model: LocalModel, question: str = "2+2?", system: str = "Add.", **sampling: Any) -> Request:
    messages = (Message("system", system), Message("user", question))
    return content.request(model.name, messages, Sampling(**sampling))


def ask(model: LocalModel, requests: Sequence[Request]) -> list[Completion]:
    replies = asyncio.run(model.generate(requests))
    assert all(isinstance(reply, Completion) for reply in replies), replies
    return [reply for reply in replies if isinstance(reply, Completion)]


def said(replies: Sequence[Completion]) -> list[tuple[str, str, int, int]]:
    return [(r.text, r.finish_reason, r.prompt_tokens, r.completion_tokens) for r in replies]


@pytest.mark.parametrize("limit", [1, 24])
def test_in_float32_replies_are_those_of_pytorch(exact: CTranslate2Model, usual: TransformersModel, limit: int) -> None:
    ours, theirs = (ask(m, [request(m, q, max_tokens=limit) for q in QUESTIONS]) for m in (exact, usual))
    assert said(ours) == said(theirs)
    assert len({reply.text for reply in ours}) > 1
    assert all(reply.seconds > 0 and reply.token_logprobs is None for reply in ours)


def test_replies_end_at_their_end_token_a_stop_text_or_their_own_limit(
    exact: CTranslate2Model, usual: TransformersModel
) -> None:
    [long] = ask(usual, [request(usual, QUESTIONS[0], max_tokens=24)])
    stop = long.text[4:6]
    both = []
    for model in (exact, usual):
        requests = [request(model, q, max_tokens=2 + 11 * i) for i, q in enumerate(QUESTIONS)]
        requests.append(request(model, QUESTIONS[0], max_tokens=24, stop=(stop, "never said")))
        both.append(said(ask(model, requests)))
    assert both[0] == both[1]
    assert {reason for _, reason, _, _ in both[0]} == {"stop", "length"}
    assert stop not in both[0][-1][0]


def test_int8_has_a_name_of_its_own_and_says_what_it_is(
    exact: CTranslate2Model, rounded: CTranslate2Model, usual: TransformersModel
) -> None:
    assert [m.engine for m in (usual, exact, rounded)] == ["torch float32", "ctranslate2 float32", "ctranslate2 int8"]
    assert usual.name.startswith("transformers:student#")
    assert rounded.name == usual.name.replace("transformers:", "ctranslate2-int8:")
    assert len({request(m).key for m in (usual, exact, rounded)}) == 3
    assert rounded.config.vocab_size == 260


def test_the_name_says_where_the_template_is_not_the_usual_one(rounded: CTranslate2Model, place: Path) -> None:
    assert CTranslate2Model.load(place, into=place, template="chat").name == rounded.name
    assert CTranslate2Model.load(place, into=place, template="plain").name == f"{rounded.name}+plain"


def test_another_tokenizer_is_another_conversion(tmp_path: Path) -> None:
    place = save_tiny(tmp_path / "tiny")
    before = converted(place, into=tmp_path)
    tokenizer = json.loads((place / "tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"]
    words["a"], words["b"] = words["b"], words["a"]
    (place / "tokenizer.json").write_text(json.dumps(tokenizer))
    after = converted(place, into=tmp_path)
    assert after != before
    assert (after / "vocabulary.json").read_text() != (before / "vocabulary.json").read_text()


def test_a_stop_text_is_looked_for_at_the_end_of_what_is_there(
    exact: CTranslate2Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    decode = PreTrainedTokenizerFast.decode

    def counted(self: Any, ids: Any, **options: Any) -> Any:
        lengths.append(len(ids))
        return decode(self, ids, **options)

    monkeypatch.setattr(PreTrainedTokenizerFast, "decode", counted)
    replies = ask(exact, [request(exact, q, max_tokens=300, stop=("never said",)) for q in QUESTIONS])
    generated = sum(reply.completion_tokens for reply in replies)
    assert max(reply.completion_tokens for reply in replies) > 100
    assert sum(lengths) < 40 * generated


def test_int8_answers_alone_as_in_a_crowd(rounded: CTranslate2Model) -> None:
    crowd = ask(rounded, [request(rounded, q, max_tokens=24) for q in QUESTIONS])
    alone = [ask(rounded, [request(rounded, q, max_tokens=24)])[0] for q in QUESTIONS]
    assert said(crowd) == said(alone)


@pytest.mark.parametrize(
    "sampling, what",
    [
        ({"temperature": 0.7}, "samples"),
        ({"logprobs": True}, "log-probabilities"),
        ({"top_two_at": 0.6}, "two largest"),
        ({"top_two_at": 0.6, "go_on_above": 50.0}, "two largest"),
        ({"then": " The answer is"}, "two stretches"),
    ],
)
def test_what_it_could_only_imitate_is_refused(rounded: CTranslate2Model, sampling: Any, what: str) -> None:
    with pytest.raises(UnusableModel, match=f"{what}.*student.engine: torch"):
        ask(rounded, [request(rounded), request(rounded, **sampling)])


def test_a_prompt_beyond_the_context_is_rejected_and_the_others_are_answered(tmp_path: Path) -> None:
    short = CTranslate2Model.load(save_tiny(tmp_path / "short", max_position_embeddings=60), into=tmp_path)
    long, fits = asyncio.run(
        short.generate([request(short, "?" * 60, max_tokens=90), request(short, "?", max_tokens=90)])
    )
    assert isinstance(long, CallFailed)
    assert "takes 60 in all" in long.message
    assert isinstance(fits, Completion)
    assert fits.prompt_tokens + fits.completion_tokens <= 60


def test_a_cancelled_call_stops_decoding(rounded: CTranslate2Model) -> None:
    endless = [request(rounded, f"{q} {n}", max_tokens=1900) for n in range(4) for q in QUESTIONS]
    began = time.perf_counter()
    ask(rounded, endless)
    whole = time.perf_counter() - began

    async def cancel() -> float:
        task = asyncio.create_task(rounded.generate(endless))
        await asyncio.sleep(0.01)
        task.cancel()
        began = time.perf_counter()
        with pytest.raises(asyncio.CancelledError):
            await task
        await rounded.generate([request(rounded, max_tokens=1)])  # waits until the thread gives the model back
        return time.perf_counter() - began

    assert asyncio.run(cancel()) < whole / 2


def test_models_that_were_asked_can_be_let_go(place: Path) -> None:
    """Its own thread may be the last to know of a call that is over; it must not be the one that ends the model."""
    for _ in range(30):
        model = CTranslate2Model.load(place, into=place)
        assert len(ask(model, [request(model, question, max_tokens=2) for question in QUESTIONS])) == len(QUESTIONS)
        asyncio.run(model.close())


def test_a_model_is_converted_once_and_anew_when_its_weights_change(tmp_path: Path) -> None:
    place = save_tiny(tmp_path / "student")
    first = converted(place, into=tmp_path / "made")
    written = (first / "model.bin").stat().st_mtime_ns
    assert converted(place, into=tmp_path / "made") == first
    assert (first / "model.bin").stat().st_mtime_ns == written
    save_tiny(place, seed=1)
    second = converted(place, into=tmp_path / "made")
    assert sorted(p.name for p in (tmp_path / "made").iterdir()) == sorted([first.name, second.name])
    assert (second / "model.bin").stat().st_size < (place / "model.safetensors").stat().st_size / 2


def test_without_a_place_of_its_own_a_conversion_is_kept_in_the_cache(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMDISTILL_CACHE", str(tmp_path))
    assert converted(place).parent == tmp_path / "models"
    (tmp_path / "file").write_text("")
    with pytest.raises(PrerequisiteError, match="cannot be written"):
        converted(place, into=tmp_path / "file" / "inside")


@pytest.mark.parametrize(
    "changes, problem",
    [
        ({"hidden_act": "gelu"}, "something else than PyTorch"),
        ({"head_dim": 16}, "cannot compute what it made"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 100.0, "factor": 2.0}}, "cannot convert.*yarn"),
    ],
)
def test_a_model_that_it_would_compute_wrongly_is_refused(tmp_path: Path, changes: Any, problem: str) -> None:
    place = save_tiny(tmp_path / "student", **changes)
    with pytest.raises(UnusableModel, match=f"{problem}.*student.engine: torch"):
        converted(place, into=tmp_path / "made")
    assert not list((tmp_path / "made").iterdir())


@pytest.mark.parametrize(
    "changes",
    [
        {"rope_parameters": {"rope_type": "default", "rope_theta": 100.0}},
        {"tie_word_embeddings": False},
        {"attention_bias": True, "mlp_bias": True},
        {"vocab_size": 300},
    ],
)
def test_what_a_config_can_say_is_heeded(tmp_path: Path, changes: Any) -> None:
    assert converted(save_tiny(tmp_path / "student", **changes), into=tmp_path).is_dir()


def test_tokens_that_it_cannot_tell_apart_are_refused(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<extra_id_0>"])  # the converter fills up a padded vocabulary with such names
    tiny_model(vocab_size=270).save_pretrained(tmp_path / "student")
    tokenizer.save_pretrained(tmp_path / "student")
    with pytest.raises(UnusableModel, match=r"student\.engine: torch"):
        converted(tmp_path / "student", into=tmp_path)


def test_without_the_package_the_command_that_brings_it_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(PrerequisiteError, match=r"pip install 'symdistill\[ctranslate2\]'"):
        CTranslate2Model.load(place)


@pytest.mark.slow
def test_the_real_student_in_int8_still_knows_what_it_knows(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    from symdistill.students.loading import locate_student, smollm2_gguf
    from symdistill.students.settings import StudentSettings

    try:
        smollm2_gguf()
    except PrerequisiteError as problem:
        pytest.skip(problem.message)
    where = locate_student(StudentSettings())
    for model in (CTranslate2Model.load(where, into=tmp_path), TransformersModel.load(where, dtype="float32")):
        questions = ("What is the capital of France?", "Which planet do we live on?")
        capital, planet = ask(model, [request(model, q, "Answer the question.", max_tokens=12) for q in questions])
        assert (capital.text, capital.finish_reason) == ("The capital of France is Paris.", "stop")
        assert "Earth" in planet.text
