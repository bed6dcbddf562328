from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from symdistill import content
from symdistill.errors import CallFailed, ConfigError, DataError, FailureKind, RecordingMissing
from symdistill.models import TeacherSettings, load_teacher
from symdistill.models.recorded import RecordedModel
from symdistill.models.recording import Entry, write_recording
from symdistill.records import Completion, Failure, Message, Request, Sampling

MODEL = "openai:teacher"
WARM = Sampling(temperature=0.7, max_tokens=64)


def wanted(question: str = "What is 3 + 4?", index: int = 0, sampling: Sampling = WARM, **other: str) -> Request:
    messages = (Message("system", other.get("instruction", "Think.")), Message("user", question))
    return content.request(other.get("model", MODEL), messages, sampling, index)


def recorded(count: int = 4, model: str = MODEL) -> list[Entry]:
    requests = [wanted(index=index, model=model) for index in range(count)]
    return [(r, Completion(r.key, f"Sample {r.sample_index}.", cost_usd=0.01, prompt_tokens=9)) for r in requests]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "teacher.jsonl.gz"
    write_recording(path, {"models": [MODEL]}, recorded())
    return path


def answer(model: RecordedModel, request: Request) -> Completion | CallFailed:
    (found,) = asyncio.run(model.generate([request]))
    return found


def test_it_answers_under_the_recorded_models_name(file: Path) -> None:
    model = load_teacher(TeacherSettings(model=f"recorded:{file}"))
    assert model.name == MODEL
    replies = asyncio.run(model.generate([wanted(index=index) for index in (2, 0)]))
    assert [reply.text for reply in replies if isinstance(reply, Completion)] == ["Sample 2.", "Sample 0."]


def test_a_recording_without_prompts_answers_whoever_has_the_questions(tmp_path: Path) -> None:
    path = tmp_path / "teacher.jsonl"
    write_recording(path, {"models": [MODEL]}, recorded(), prompts=False)
    model = RecordedModel.load(path)
    reply = answer(model, wanted(index=2))
    assert isinstance(reply, Completion)
    assert reply.text == "Sample 2."
    for request, said in [
        (wanted("What is 9 + 9?"), "holds no prompts"),
        (wanted(sampling=replace(WARM, temperature=1.0)), "temperature 0.7"),
        (wanted(index=4), "only 4 samples"),
    ]:
        with pytest.raises(RecordingMissing, match=said):
            answer(model, request)


def test_a_replay_is_free_and_otherwise_as_it_was(file: Path) -> None:
    (request, reply) = recorded()[1]
    assert isinstance(reply, Completion)
    assert answer(RecordedModel.load(file), request) == replace(reply, cost_usd=0.0)


@pytest.mark.parametrize(
    "request_, what, fix",
    [
        (wanted(index=4), "only 4 samples", "at most 4"),
        (wanted(sampling=replace(WARM, temperature=1.0)), "temperature 0.7", "`teacher.temperature: 0.7`"),
        (wanted(sampling=replace(WARM, max_tokens=9, seed=3)), "max_tokens 64", "`seed: 0`"),
        (wanted(instruction="Be brief."), "another prompt", "teacher.instruction"),
        (wanted("What is 9 + 9?"), "not recorded", "questions"),
        (wanted(model="openai:other"), "openai:other", "name"),
    ],
    ids=["index", "temperature", "two", "instruction", "question", "model"],
)
def test_a_miss_names_the_key_and_what_differs(file: Path, request_: Request, what: str, fix: str) -> None:
    with pytest.raises(RecordingMissing) as missed:
        answer(RecordedModel.load(file), request_)
    assert request_.key in missed.value.message
    assert str(file) in missed.value.message
    assert what in missed.value.message
    assert fix in missed.value.fix


def test_the_nearest_recorded_settings_are_named() -> None:
    cold = Sampling(temperature=0.0, max_tokens=32, top_p=0.5)
    entries = recorded(1) + [(r, Completion(r.key, "cold")) for r in [wanted(sampling=cold)]]
    with pytest.raises(RecordingMissing, match=r"temperature 0\.7") as missed:
        answer(RecordedModel(MODEL, entries), wanted(sampling=replace(WARM, temperature=0.8)))
    assert "top_p" not in str(missed.value)


def test_a_gap_between_samples_is_a_miss_of_its_own() -> None:
    entries = recorded()
    with pytest.raises(RecordingMissing, match="sample 2 of it"):
        answer(RecordedModel(MODEL, [entries[0], *entries[2:]]), wanted(index=1))


@pytest.mark.parametrize(
    "kind, replayed",
    [("refused", "refused"), ("rejected", "rejected"), ("timeout", "rejected"), ("server", "rejected")],
)
def test_a_recorded_failure_is_one_again_and_not_worth_another_try(kind: FailureKind, replayed: str) -> None:
    request = wanted()
    outcome = answer(RecordedModel(MODEL, [(request, Failure(request.key, kind, "no answer"))]), request)
    assert isinstance(outcome, CallFailed)
    assert (outcome.kind, outcome.transient) == (replayed, False)
    assert kind in outcome.message


def test_several_models_in_one_file_are_not_a_teacher(tmp_path: Path) -> None:
    path = tmp_path / "two.jsonl"
    write_recording(path, {}, recorded() + recorded(model="openai:other"))
    with pytest.raises(ConfigError, match="openai:other, openai:teacher"):
        RecordedModel.load(path)


def test_a_recording_without_replies_is_no_teacher(tmp_path: Path) -> None:
    path = tmp_path / "none.jsonl"
    write_recording(path, {}, [])
    with pytest.raises(DataError, match="without any reply"):
        RecordedModel.load(path)
