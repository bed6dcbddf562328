from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BloomConfig, BloomForCausalLM

from symdistill.errors import Interrupted, ModelError, TrainingError
from symdistill.records import Message, TrainingExample
from symdistill.students.loading import Student, make_student
from symdistill.students.settings import LoraSettings
from symdistill.training import TrainingResult
from tiny import tiny_student, tiny_tokenizer
from tiny_training import Watch, ctrl_c, examples, lines, run, same, weights


def learned(history: Sequence[Mapping[str, Any]]) -> float:
    """How far the loss fell from the first epoch's three steps to the second's: single steps differ in groups."""
    losses = [r["loss"] for r in history]
    return (sum(losses[:3]) - sum(losses[3:6])) / 3


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingResult, Student]:
    place = tmp_path_factory.mktemp("whole")
    result, student = run(place)
    return place, result, student


def test_training_learns_and_says_so(whole: tuple[Path, TrainingResult, Student]) -> None:
    place, result, student = whole
    logged = lines(place)
    assert [r["step"] for r in logged] == list(range(1, 9))
    assert learned(logged) > 0.3
    assert result.steps == 8
    assert result.tokens == sum(r["tokens"] for r in logged) > 0
    assert result.seconds == pytest.approx(sum(r["seconds"] for r in logged))
    assert result.epochs == pytest.approx(8 / 3, abs=0.1)
    assert result.trained_parameters == sum(p.numel() for p in student.model.parameters())
    assert json.loads(json.dumps(result.to_dict()))["dropped_too_long"] == 0
    assert not same(weights(student), weights(tiny_student()))


def test_tokens_are_counted_without_padding(whole: tuple[Path, TrainingResult, Student]) -> None:
    place, _, student = whole
    lengths = [
        len(student.format.encode_prompt(e.prompt)) + len(student.format.encode_completion(e.completion)) + 1
        for e in examples()
    ]
    logged = lines(place)
    assert sum(r["tokens"] for r in logged[:3]) == sum(lengths), "an epoch is three steps of up to eight examples"


def test_plain_transformers_loads_the_student(whole: tuple[Path, TrainingResult, Student]) -> None:
    place, _, student = whole
    model = AutoModelForCausalLM.from_pretrained(place / "student", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(place / "student")
    assert same(dict(model.named_parameters()), weights(student))
    turns = [{"role": "system", "content": "Add."}, {"role": "user", "content": "1+1?"}]
    ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    assert ids == student.format.encode_prompt([Message(**t) for t in turns])
    assert model.generation_config.eos_token_id == student.format.end_of_turn
    assert model.config.use_cache
    assert {p.name for p in (place / "student").iterdir()} >= {"model.safetensors", "tokenizer.json", "config.json"}
    assert not list(place.glob("**/training_args.bin"))
    assert model.generate(torch.tensor([ids]), max_new_tokens=3, do_sample=False).shape[1] > len(ids)


def test_the_same_seed_trains_the_same_student(whole: tuple[Path, TrainingResult, Student], tmp_path: Path) -> None:
    _, again = run(tmp_path)
    assert same(weights(again), weights(whole[2]))
    _, other = run(tmp_path, seed=6, log_path=tmp_path / "other.jsonl", checkpoint_dir=tmp_path / "other")
    assert not same(weights(other), weights(whole[2]))


@pytest.mark.parametrize("stop_at", [1, 4, 8])
def test_ctrl_c_keeps_a_checkpoint_and_the_same_call_goes_on(
    whole: tuple[Path, TrainingResult, Student], tmp_path: Path, stop_at: int
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match=f"step {stop_at} of 8"):
        run(tmp_path, progress=Watch(stop_at, ctrl_c))
    assert signal.getsignal(signal.SIGINT) is handler
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == [f"checkpoint-{stop_at}"]
    assert not (tmp_path / "student").exists()
    watch = Watch()
    result, student = run(tmp_path, progress=watch)
    assert same(weights(student), weights(whole[2]))
    assert [r["step"] for r in lines(tmp_path)] == list(range(1, 9))
    assert [r["loss"] for r in lines(tmp_path)] == pytest.approx([r["loss"] for r in lines(whole[0])], abs=1e-5)
    assert (result.steps, result.tokens) == (8, whole[1].tokens)
    assert len(watch.facts) == 8 - stop_at


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    def twice() -> None:
        ctrl_c()
        ctrl_c()

    with pytest.raises(Interrupted):
        run(tmp_path, progress=Watch(4, twice))
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["checkpoint-3"]


KILLED = """
import os, signal, sys
from pathlib import Path
place, kind, *paths = sys.argv[1:]
sys.path[:0] = paths
from test_supervised import ADAPTERS, Watch, run
kill = Watch(5, lambda: os.kill(os.getpid(), signal.SIGKILL))
run(Path(place), lora=ADAPTERS[kind], progress=kill)
"""
ADAPTERS = {"full": None, "lora": LoraSettings(r=4, dropout=0.2)}


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_a_killed_training_ends_with_the_same_weights(
    whole: tuple[Path, TrainingResult, Student], tmp_path: Path, kind: str
) -> None:
    here = Path(__file__).parent
    command = [sys.executable, "-c", KILLED, str(tmp_path / "killed"), kind, str(here), str(here.parent)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert [r["step"] for r in lines(tmp_path / "killed")] == [1, 2, 3, 4]
    assert [p.name for p in (tmp_path / "killed" / "checkpoints").iterdir()] == ["checkpoint-3"]
    _, student = run(tmp_path / "killed", lora=ADAPTERS[kind])
    expected = whole[2] if kind == "full" else run(tmp_path / "whole", lora=ADAPTERS[kind])[1]
    assert same(weights(student), weights(expected))
    assert [r["step"] for r in lines(tmp_path / "killed")] == list(range(1, 9))


def test_lora_is_merged_into_the_saved_student(tmp_path: Path) -> None:
    result, student = run(tmp_path, lora=LoraSettings(r=4))
    assert result.trained_parameters < sum(p.numel() for p in student.model.parameters())
    assert not any("lora" in n for n, _ in student.model.named_parameters())
    base, tuned = weights(tiny_student()), weights(student)
    changed = {n for n in base if not torch.equal(base[n], tuned[n])}
    assert changed == {n for n in base if "proj" in n}, "every linear layer but the head, and nothing else"
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "student", dtype=torch.float32)
    assert same(dict(saved.named_parameters()), tuned)
    assert learned(result.history) > 0


def test_bfloat16_trains_float32_weights(tmp_path: Path) -> None:
    result, student = run(tmp_path, settings={"bf16": True})
    assert {p.dtype for p in student.model.parameters()} == {torch.float32}
    assert learned(result.history) > 0
    finer = [p for p in student.model.parameters() if not torch.equal(p, p.bfloat16().float())]
    assert len(finer) == len(list(student.model.parameters())), "the masters, not what they were rounded to"
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "student", dtype=torch.float32)
    assert same(dict(saved.named_parameters()), weights(student))


@pytest.mark.parametrize("stop_at", [4, 8])
def test_bfloat16_goes_on_from_a_checkpoint_to_the_same_weights(tmp_path: Path, stop_at: int) -> None:
    _, wanted = run(tmp_path / "whole", settings={"bf16": True})
    with pytest.raises(Interrupted):
        run(tmp_path, settings={"bf16": True}, progress=Watch(stop_at, ctrl_c))
    _, student = run(tmp_path, settings={"bf16": True})
    assert same(weights(student), weights(wanted))


def test_lora_in_bfloat16_leaves_the_weights_under_it_as_they_were(tmp_path: Path) -> None:
    student = tiny_student()
    before = weights(student)
    _, student = run(tmp_path, student, lora=LoraSettings(r=4), settings={"bf16": True, "learning_rate": 1e-12})
    assert all(torch.allclose(p, before[n], rtol=1e-6, atol=1e-7) for n, p in weights(student).items())


def test_gradient_checkpointing_changes_nothing(whole: tuple[Path, TrainingResult, Student], tmp_path: Path) -> None:
    _, student = run(tmp_path, settings={"gradient_checkpointing": True})
    assert same(weights(student), weights(whole[2]))


def test_gradient_checkpointing_of_separate_rows_in_bfloat16(tmp_path: Path) -> None:
    changes = {"bf16": True, "gradient_checkpointing": True, "share_prompts": False, "max_steps": 2}
    assert run(tmp_path, settings=changes)[0].steps == 2


def test_accumulation_is_the_large_batch(tmp_path: Path) -> None:
    """Two micro-batches of four and one batch of eight: the same examples make the same step."""
    few = examples(8)
    steps = {"max_steps": 1, "warmup_ratio": 0.0}
    _, one = run(tmp_path / "1", examples=few, settings=steps | {"per_device_train_batch_size": 4})
    _, two = run(
        tmp_path / "2",
        examples=few,
        settings=steps | {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 1},
    )
    losses = [lines(tmp_path / n)[0]["loss"] for n in ("1", "2")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert all(
        torch.allclose(a, b, atol=2e-5) for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True)
    )


def test_shared_prompts_take_the_same_steps(tmp_path: Path) -> None:
    """Two samples a question: the same examples form each step, and loss and weights are those of separate rows."""
    twice = [
        TrainingExample(e.example_id, e.prompt, f"{word} {e.completion}")
        for e in examples(9)
        for word in ("So.", "Yes.")
    ]
    watch = Watch()
    (tmp_path / "shared").mkdir()
    (tmp_path / "separate").mkdir()
    _, one = run(tmp_path / "shared", examples=twice, progress=watch)
    _, other = run(tmp_path / "separate", examples=twice, settings={"share_prompts": False})
    logged, expected = lines(tmp_path / "shared"), lines(tmp_path / "separate")
    assert [r["tokens"] for r in logged] == [r["tokens"] for r in expected]
    assert [r["loss"] for r in logged] == pytest.approx([r["loss"] for r in expected], rel=1e-4)
    assert all(torch.allclose(weights(one)[n], w, rtol=0, atol=1e-4) for n, w in weights(other).items())
    assert "prompt sharing saved" in watch.summary


def test_a_model_that_cannot_share_prompts_is_trained_on_separate_rows(tmp_path: Path) -> None:
    model = BloomForCausalLM(BloomConfig(vocab_size=260, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.3))
    watch = Watch()
    result, _ = run(tmp_path, make_student(model, tiny_tokenizer(), name="bloom"), progress=watch)
    assert result.steps == 8
    assert "prompts are not shared" in "\n".join(watch.notes)


def test_what_training_shows(tmp_path: Path) -> None:
    watch = Watch()
    long = TrainingExample("long", examples(1)[0].prompt, "very long " * 100)
    result, _ = run(tmp_path, examples=[*examples(), long], settings={"max_length": 400}, progress=watch)
    assert watch.begun == [("training std-cot", 8, 0)]
    assert len(watch.facts) == 8
    assert set(watch.facts[-1]) == {"loss", "speed", "left"}
    assert watch.facts[-1]["left"] == "0:00"
    shown = "\n".join(watch.notes)
    assert "> 0 and 0 make 0.<|im_end|>" in shown
    assert "· 0+0?<|im_end|>" in shown
    assert "1 of 23 examples were dropped as too long" in shown
    assert result.dropped_too_long == 1
    assert watch.summary.startswith("8 steps   loss ")


def test_training_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "scores, patience, steps, kept",
    [
        ([0.1, 0.5, 0.4, 0.3, 0.9], 2, 12, 6),
        ([0.1, 0.2, 0.3, 0.4, 0.5], 2, 15, 15),
        ([0.5, 0.5, 0.5, 0.6, 0.5], None, 15, 12),
    ],
)
def test_dev_accuracy_stops_early_and_keeps_the_best(
    tmp_path: Path, scores: list[float], patience: int | None, steps: int, kept: int
) -> None:
    seen: list[dict[str, torch.Tensor]] = []

    def accuracy(model: Any) -> float:
        seen.append({n: p.detach().float().clone() for n, p in model.named_parameters()})
        return scores[len(seen) - 1]

    settings = {"max_steps": -1, "num_train_epochs": 5, "early_stopping_patience": patience}
    result, student = run(tmp_path, settings=settings, dev_accuracy=accuracy)
    assert result.steps == steps
    assert result.dev_accuracy == tuple(scores[: steps // 3])
    best = seen[kept // 3 - 1]
    assert all(torch.allclose(p, best[n], atol=0.02, rtol=0.02) for n, p in student.model.named_parameters())


def test_dev_accuracy_goes_on_after_a_stop(tmp_path: Path) -> None:
    scores = iter([0.1, 0.9, 0.2, 0.3, 0.4])
    settings = {"max_steps": -1, "num_train_epochs": 5, "early_stopping_patience": 3}
    with pytest.raises(Interrupted):
        run(tmp_path, settings=settings, dev_accuracy=lambda _: next(scores), progress=Watch(10, ctrl_c))
    result, _ = run(tmp_path, settings=settings, dev_accuracy=lambda _: next(scores))
    assert result.dev_accuracy == (0.1, 0.9, 0.2, 0.3, 0.4)


def test_a_stop_in_the_step_that_ends_training_early_trains_no_further(tmp_path: Path) -> None:
    scores = iter([0.1, 0.5, 0.4, 0.3])
    settings = {"max_steps": -1, "num_train_epochs": 5, "early_stopping_patience": 2}
    with pytest.raises(Interrupted):
        run(tmp_path, settings=settings, dev_accuracy=lambda _: next(scores), progress=Watch(12, ctrl_c))
    result, _ = run(tmp_path, settings=settings, dev_accuracy=lambda _: next(scores))
    assert result.steps == 12
    assert result.dev_accuracy == (0.1, 0.5, 0.4, 0.3)


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """What a full disk does to whoever writes more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_is_an_error_that_says_what_to_do(
    whole: tuple[Path, TrainingResult, Student], tmp_path: Path
) -> None:
    with files_no_larger_than(20_000), pytest.raises(TrainingError, match="checkpoint cannot be written") as caught:
        run(tmp_path)
    assert "Make room" in caught.value.fix
    assert list((tmp_path / "checkpoints").iterdir()) == [], "no half a checkpoint is left"
    _, student = run(tmp_path)
    assert same(weights(student), weights(whole[2]))


def test_a_full_disk_while_saving_the_student(tmp_path: Path) -> None:
    with files_no_larger_than(20_000), pytest.raises(TrainingError, match="student cannot be written"):
        run(tmp_path, settings={"save_steps": 100})
    assert not (tmp_path / "student").exists()
    assert not list(tmp_path.glob(".student*"))


def test_a_read_only_place_is_an_error(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        blocked = tmp_path / "file"
        blocked.write_text("not a directory")
    else:
        blocked = tmp_path / "locked"
        blocked.mkdir(mode=0o500)
    with pytest.raises(TrainingError, match="cannot be written"):
        run(tmp_path, checkpoint_dir=blocked / "checkpoints")


def test_a_loss_that_is_no_number_ends_training(tmp_path: Path) -> None:
    student = tiny_student()
    with torch.no_grad():
        student.model.model.norm.weight.fill_(float("inf"))
    with pytest.raises(TrainingError, match="step 1 is no number") as caught:
        run(tmp_path, student)
    assert "learning_rate" in caught.value.fix


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"group_weights": {"answer": 0.0, "rationale": 0.0}}, "weight 0"),
        ({"group_weights": {"answer": -1.0}}, "from 0 up"),
        ({"settings": {"max_length": 10}}, "longer than 10 tokens"),
    ],
)
def test_nothing_to_learn_is_an_error_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(TrainingError, match=words):
        run(tmp_path, **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_with_more_tokens_than_the_model_is_an_error(tmp_path: Path) -> None:
    student = tiny_student()
    student.tokenizer.add_tokens([f"<new{i}>" for i in range(3)])
    with pytest.raises(ModelError, match="262 tokens, but the model has 260 embedding rows"):
        run(tmp_path, student)
