"""What every training by transformers' loop here needs: its arguments, adapters, Ctrl-C, and words for a full disk."""

from __future__ import annotations

import contextlib
import importlib.util
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from transformers import TrainingArguments

from symdistill.errors import ConfigError, PrerequisiteError
from symdistill.students.settings import LoraSettings
from symdistill.training.settings import TrainingSettings
from symdistill.training.trainer import unwritable

A = TypeVar("A", bound=TrainingArguments)

_SAME_NAMES = (
    "learning_rate",
    "num_train_epochs",
    "max_steps",
    "per_device_train_batch_size",
    "lr_scheduler_type",
    "weight_decay",
    "max_grad_norm",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "optim",
    "save_total_limit",
    "logging_steps",
)
"""Settings handed to TrainingArguments as they are."""


class Stoppable(Protocol):
    """What ends a training at the end of a step."""

    stop_asked: bool


def training_arguments(kind: type[A], settings: TrainingSettings, directory: Path, seed: int, **more: Any) -> A:
    """The arguments of a training that writes into `directory`.

    Raises ConfigError with what transformers says of a value it does not take.
    """
    cuda = torch.cuda.is_available()
    # transformers renamed the setting during its fifth version, and keeps the old name
    names = {"activation_checkpointing", "gradient_checkpointing"} & kind.__dataclass_fields__.keys()
    # a ratio is a number below 1 to transformers; all of the training is the number below it
    warmup = settings.warmup_steps or min(settings.warmup_ratio, 1 - 1e-9)
    given: dict[str, Any] = {
        **{name: getattr(settings, name) for name in _SAME_NAMES},
        **dict.fromkeys(sorted(names), settings.gradient_checkpointing),
        "output_dir": str(directory),
        "warmup_steps": warmup,
        "save_steps": int(settings.save_steps) if settings.save_steps >= 1 else settings.save_steps,
        "save_strategy": "steps",
        "logging_strategy": "steps",
        "logging_nan_inf_filter": False,
        "eval_strategy": "no",
        "seed": seed,
        "use_cpu": not cuda,
        "dataloader_pin_memory": cuda,
        "remove_unused_columns": False,
        "report_to": "none",
        "disable_tqdm": True,
        "log_level": "error",
        "log_level_replica": "error",
        **more,
    }
    try:
        args: A = kind(**given)
    except ValueError as problem:
        raise ConfigError(f"`training` has a value transformers does not take: {problem}", "Correct it.") from problem
    args._n_gpu = min(args.n_gpu, 1)  # several GPUs are used with a process each, by `accelerate launch`
    return args


def lora_config(lora: LoraSettings) -> Any:
    """LoRA on every linear layer but the head (peft's `all-linear`). Raises PrerequisiteError."""
    if importlib.util.find_spec("peft") is None:
        raise PrerequisiteError("LoRA needs the package peft.", "pip install 'symdistill[train]'")
    from peft import LoraConfig

    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha if lora.alpha is not None else 2 * lora.r,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


@contextlib.contextmanager
def ctrl_c(callback: Stoppable) -> Iterator[None]:
    """The first Ctrl-C asks the training to stop at the end of the step; a second one stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def asked(_number: int, _frame: Any) -> None:
        if callback.stop_asked:
            raise KeyboardInterrupt
        callback.stop_asked = True

    before = signal.signal(signal.SIGINT, asked)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def disk_errors(directory: Path) -> Iterator[None]:
    """An OSError within the block becomes a TrainingError about `directory`."""
    try:
        yield
    except OSError as problem:
        raise unwritable("The state of the training", directory, problem) from problem


def clock(seconds: float) -> str:
    """ "4:09"."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
