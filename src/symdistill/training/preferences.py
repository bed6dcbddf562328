"""Training a student on what is preferred or rewarded, by TRL's trainers: DPO, KTO and GRPO.

The reference is the student as it is when the training begins: with LoRA the model without its adapters, else a copy.
Nothing is checkpointed on the way; a training that was stopped begins again. Needs trl.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import math
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback, set_seed
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, KTOConfig, KTOTrainer

from symdistill.errors import Interrupted, TrainingError
from symdistill.models.chat import prompt_opens_reasoning
from symdistill.models.weights import bfloat16_is_native, check_vocabulary, end_tokens, quiet
from symdistill.progress import Progress, Silent
from symdistill.students.loading import Student
from symdistill.students.saving import save_student
from symdistill.students.settings import LoraSettings
from symdistill.training.lessons import (
    Lesson,
    Preferences,
    Rewarded,
    encode_opinions,
    encode_pairs,
    written_prompts,
)
from symdistill.training.log import TrainingLog
from symdistill.training.loop import clock, ctrl_c, disk_errors, lora_config, training_arguments
from symdistill.training.settings import TrainingSettings
from symdistill.training.supervised import TrainingResult

_FINAL_STEPS = 10
_MEASURED = {
    "rewards/accuracies": "preferred",
    "rewards/margins": "margin",
    "reward": "reward",
    "reward_std": "reward_spread",
    "kl": "kl",
    "completions/clipped_ratio": "cut",
    "frac_reward_zero_std": "alike",
}
"""What TRL measures and training.jsonl keeps, and its name there."""


def optimise(
    student: Student,
    lesson: Lesson,
    settings: TrainingSettings,
    *,
    output_dir: Path,
    checkpoint_dir: Path,
    log_path: Path,
    seed: int,
    lora: LoraSettings | None = None,
    progress: Progress | None = None,
    label: str = "",
) -> TrainingResult:
    """Train the student in place and save it to `output_dir`. `checkpoint_dir` is TRL's to write to, and left empty.

    Raises:
        TrainingError: nothing to learn from, a loss that is no number, prompts that TRL would write otherwise.
        ConfigError: a setting that transformers or TRL refuses. PrerequisiteError: peft is missing.
        Interrupted: Ctrl-C, between two steps.
    """
    progress = progress or Silent()
    log = TrainingLog(log_path, label)
    model, dropped = student.model, 0
    check_vocabulary(int(model.get_input_embeddings().weight.shape[0]), student.tokenizer, student.name)
    use_cache, padding = model.config.use_cache, model.config.get_text_config().pad_token_id
    generation = copy.deepcopy(model.generation_config)
    peft_config = lora_config(lora) if lora else None
    try:
        with quiet(), _nothing_told(), disk_errors(checkpoint_dir):
            set_seed(seed)
            made = _trainer(student, lesson, settings, checkpoint_dir, seed, peft_config)
            trainer, dropped = made.trainer, made.dropped
            trainer.remove_callback(PrinterCallback)
            callback = _Watch(log, progress, label)
            trainer.add_callback(callback)
            trained = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
            log.truncate(0)
            with ctrl_c(callback):
                trainer.train()
            if callback.stop_asked:
                raise _interrupted(trainer.state)
            unwrapped = trainer.accelerator.unwrap_model(trainer.model)
            if lora:
                unwrapped.merge_and_unload()
    except KeyboardInterrupt:
        raise Interrupted("Training was stopped.", "The same command begins this round again.") from None
    finally:
        model.__dict__.pop("forward", None)  # TRL's own, for log-probabilities without logits
        model.generation_config, model.config.use_cache = generation, use_cache
        model.config.get_text_config().pad_token_id = padding
    model.eval()
    if trainer.is_world_process_zero():
        save_student(student, output_dir)
    result = _result(trainer.state, log, made.examples, dropped, trained)
    progress.finish(f"{result.steps:,} steps   loss {result.final_loss:.3f}   {clock(result.seconds)}")
    return result


@dataclass(frozen=True, slots=True)
class _Made:
    trainer: Any
    examples: int
    dropped: int = 0


def _trainer(
    student: Student, lesson: Lesson, settings: TrainingSettings, directory: Path, seed: int, peft_config: Any
) -> _Made:
    bf16 = bfloat16_is_native() if settings.bf16 == "auto" else settings.bf16
    more: dict[str, Any] = {"bf16": bf16, "save_strategy": "no", "beta": lesson.beta}
    shared: dict[str, Any] = {"processing_class": copy.deepcopy(student.tokenizer), "peft_config": peft_config}
    if isinstance(lesson, Rewarded):
        return _rewarded(student, lesson, settings, directory, seed, more, shared)
    shared["ref_model"] = None if peft_config is not None else copy.deepcopy(student.model)
    if isinstance(lesson, Preferences):
        pairs = encode_pairs(student.format, lesson.pairs, settings.max_length)
        args = training_arguments(DPOConfig, settings, directory, seed, max_length=None, **more)
        rows = Dataset.from_list(pairs)
        return _Made(
            _Dpo(student.model, args=args, train_dataset=rows, **shared), len(pairs), len(lesson.pairs) - len(pairs)
        )
    batch = settings.per_device_train_batch_size
    said = encode_opinions(student.format, lesson.replies, settings.max_length, batch, seed)
    good = sum(row["label"] for row in said)
    weights = {
        "desirable_weight": max(1.0, (len(said) - good) / max(good, 1)),
        "undesirable_weight": max(1.0, good / max(len(said) - good, 1)),
    }
    args = training_arguments(KTOConfig, settings, directory, seed, max_length=None, **weights, **more)
    trainer = _Kto(student.model, args=args, train_dataset=Dataset.from_list(said), **shared)
    return _Made(trainer, len(said), len(lesson.replies) - len(said))


def _rewarded(
    student: Student,
    lesson: Rewarded,
    settings: TrainingSettings,
    directory: Path,
    seed: int,
    more: Mapping[str, Any],
    shared: Mapping[str, Any],
) -> _Made:
    prompts, template = written_prompts(student.format, [one.prompt for one in lesson.questions])
    groups = settings.per_device_train_batch_size * settings.gradient_accumulation_steps // lesson.samples
    if len(prompts) < groups:
        raise TrainingError(
            f"One step asks {groups:,} questions, and there are {len(prompts):,}.",
            "Lower `training.per_device_train_batch_size` or `gradient_accumulation_steps`.",
        )
    args = training_arguments(
        GRPOConfig,
        settings,
        directory,
        seed,
        num_generations=lesson.samples,
        max_completion_length=lesson.max_tokens,
        temperature=lesson.temperature,
        top_p=lesson.top_p,
        chat_template_kwargs=template,
        loss_type="dapo",
        scale_rewards="group",
        **more,
    )
    form, model = student.format, student.model
    if lesson.beta and shared["peft_config"] is None and not Path(model.config._name_or_path).is_dir():
        raise TrainingError(
            "The reference of GRPO is read from the student's directory, and this student has none.",
            "Load it from a directory, train with LoRA, or set `beta: 0`.",
        )
    model.generation_config.eos_token_id = sorted({form.end_of_turn, *end_tokens(model.generation_config)})
    rows = Dataset.from_dict({"prompt": prompts, "question": [one.question for one in lesson.questions]})
    ends = {form.end_of_turn, *end_tokens(model.generation_config), form.tokenizer.eos_token_id}
    opened = prompt_opens_reasoning(form.tokenizer, form.encode_prompt(lesson.questions[0].prompt))

    def gated(question: Sequence[str], completion_ids: Sequence[Sequence[int]], **_: Any) -> list[float]:
        worth = []
        for asked, ids in zip(question, completion_ids, strict=True):
            whole = bool(ids) and ids[-1] in ends
            text = form.tokenizer.decode(
                list(ids[:-1] if whole else ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
            worth.append(lesson.reward(asked, f"<think>\n{text}" if opened else text, not whole))
        return worth

    trainer = GRPOTrainer(model, reward_funcs=gated, args=args, train_dataset=rows, **shared)
    return _Made(trainer, len(prompts))


class _Dpo(DPOTrainer):  # type: ignore[misc]
    """TRL's trainer on rows that are tokens already."""

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset


class _Kto(KTOTrainer):  # type: ignore[misc]
    """TRL's trainer on rows that are tokens already."""

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset


class _Watch(TrainerCallback):  # type: ignore[misc]
    """Reports each step, writes training.jsonl, and stops at a step's end when asked to."""

    def __init__(self, log: TrainingLog, progress: Progress, label: str) -> None:
        self.stop_asked = False
        self._log, self._progress, self._label = log, progress, label
        self._since = time.monotonic()
        self._tokens = 0.0
        self._shown: dict[str, str] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._since = time.monotonic()
        self._progress.start(f"training {self._label}".strip(), total=state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_log = control.should_log or state.global_step >= state.max_steps
        self._progress.advance(1, **self._shown)
        if self.stop_asked:
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss at step {state.global_step} is no number ({loss}).",
                "Lower `training.learning_rate`, or set `training.bf16: false`.",
            )
        measured = {ours: float(logs[theirs]) for theirs, ours in _MEASURED.items() if logs.get(theirs) is not None}
        tokens, now = float(logs.get("num_tokens", self._tokens)), time.monotonic()
        if state.is_world_process_zero:
            spent = int(tokens - self._tokens)
            self._log.append(state.global_step, loss, logs["learning_rate"], spent, now - self._since, **measured)
        self._tokens, self._since = tokens, now
        self._shown = {"loss": f"{loss:.3f}"}
        if "reward" in measured:
            self._shown["reward"] = f"{measured['reward']:.2f}"


@contextlib.contextmanager
def _nothing_told() -> Iterator[None]:
    """TRL tells a server who trains with it, and the terminal what it thinks of that: neither happens here."""
    from huggingface_hub import constants

    told, logger = constants.HF_HUB_DISABLE_TELEMETRY, logging.getLogger("trl")
    level = logger.level
    constants.HF_HUB_DISABLE_TELEMETRY = True
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"trl\b")
            yield
    finally:
        constants.HF_HUB_DISABLE_TELEMETRY = told
        logger.setLevel(level)


def _interrupted(state: Any) -> Interrupted:
    return Interrupted(
        f"Training was stopped at step {state.global_step:,} of {state.max_steps:,}.",
        "The same command begins this round again; the rounds before it are kept.",
    )


def _result(state: Any, log: TrainingLog, examples: int, dropped: int, trained: int) -> TrainingResult:
    history = log.records()
    final = [r["loss"] for r in history[-_FINAL_STEPS:]]
    return TrainingResult(
        steps=state.global_step,
        epochs=float(state.epoch or 0.0),
        final_loss=sum(final) / max(1, len(final)),
        tokens=sum(r["tokens"] for r in history),
        seconds=sum(r["seconds"] for r in history),
        examples=examples,
        dropped_too_long=dropped,
        trained_parameters=trained,
        history=tuple(history),
    )
