"""Supervised training of a student: encode, train with checkpoints, merge, save."""

from __future__ import annotations

import contextlib
import gc
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from symdistill.errors import Interrupted, TrainingError
from symdistill.models.chat import template_differences
from symdistill.models.weights import bfloat16_is_native, check_vocabulary, quiet
from symdistill.progress import Progress, Silent
from symdistill.records import TrainingExample
from symdistill.students.formatting import EncodedSet, decoded_preview, encode_examples
from symdistill.students.loading import Student
from symdistill.students.saving import save_student
from symdistill.students.settings import LoraSettings
from symdistill.training.allocation import freed_memory_kept
from symdistill.training.dev import DevWatch
from symdistill.training.log import TrainingLog
from symdistill.training.loop import clock, ctrl_c, disk_errors, lora_config, training_arguments
from symdistill.training.settings import TrainingSettings
from symdistill.training.shared_attention import can_share
from symdistill.training.trainer import CompletionTrainer, StepCallback, sharded

_FINAL_STEPS = 10


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """How a training went, resumed parts included.

    `final_loss` is the mean over the last ten logged steps; `tokens` were read, padding left out; `seconds` is the
    time of the steps themselves. What stands in several steps of a curriculum counts once: `examples` are those of the
    step that has most of them, `dropped_too_long` those of the step that lost most. `history` holds the lines of
    training.jsonl, `dev_accuracy` one value a measurement.
    """

    steps: int
    epochs: float
    final_loss: float
    tokens: int
    seconds: float
    examples: int
    dropped_too_long: int
    trained_parameters: int
    dev_accuracy: tuple[float, ...] = ()
    history: tuple[Mapping[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The result as plain values, without `history`."""
        names = [n for n in self.__dataclass_fields__ if n != "history"]
        return {n: list(v) if isinstance(v := getattr(self, n), tuple) else v for n in names}


def train(
    student: Student,
    examples: Sequence[TrainingExample],
    settings: TrainingSettings,
    *,
    output_dir: Path,
    checkpoint_dir: Path,
    log_path: Path,
    seed: int,
    lora: LoraSettings | None = None,
    group_weights: Mapping[str, float] | None = None,
    progress: Progress | None = None,
    dev_accuracy: Callable[[Any], float] | None = None,
    label: str = "",
) -> TrainingResult:
    """Train the student in place and save it to `output_dir` (weights, tokenizer, chat template).

    `checkpoint_dir` belongs to this training alone, with these examples and settings: where it holds a checkpoint,
    training goes on from it and ends with the same weights. It is left to the caller to remove. `group_weights` are
    the λ of `losses`; groups not named weigh 1. `dev_accuracy` is given the model after each epoch; the weights with
    the best result are saved. Examples of several phases make a curriculum (see `curriculum`); dev accuracy is then
    measured after the epochs of the last phase alone, so that nothing stops, or is chosen, before it.

    Raises:
        TrainingError: nothing to learn from, a loss that is no number, or nowhere to write.
        ConfigError: a setting transformers refuses, or fewer epochs than phases. PrerequisiteError: peft is missing.
        Interrupted: Ctrl-C; a checkpoint is kept.
    """
    progress = progress or Silent()
    weights = dict(group_weights or {})
    encoded = encode_examples(student.format, examples, settings.max_length)
    _check_groups(encoded, weights)
    check_vocabulary(int(student.model.get_input_embeddings().weight.shape[0]), student.tokenizer, student.name)
    _introduce(student, examples, encoded, progress)
    log = TrainingLog(log_path, label)
    dev = DevWatch(dev_accuracy, settings.early_stopping_patience, checkpoint_dir) if dev_accuracy else None
    use_cache = student.model.config.use_cache
    try:
        with quiet(), disk_errors(checkpoint_dir):
            set_seed(seed)
            model = _with_adapters(student.model, lora) if lora else student.model
            trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
            trainer = _trainer(model, encoded, weights, settings, checkpoint_dir, log, seed, progress)
            callback = StepCallback(trainer, progress, label, dev)
            trainer.add_callback(callback)
            try:
                with _sparing(trainer):
                    _run(trainer, callback, log, checkpoint_dir, dev)
            finally:
                trainer.close()
            if dev is not None:
                dev.restore_best(student.model)
            if lora:
                model.merge_and_unload()
    finally:
        student.model.config.use_cache = use_cache
    student.model.eval()
    if trainer.is_world_process_zero():
        save_student(student, output_dir)
    result = _result(trainer, log, encoded, trained, dev)
    progress.finish(_summary(result, trainer))
    return result


def _trainer(
    model: Any,
    encoded: EncodedSet,
    weights: Mapping[str, float],
    settings: TrainingSettings,
    checkpoint_dir: Path,
    log: TrainingLog,
    seed: int,
    progress: Progress,
) -> CompletionTrainer:
    """The trainer of these examples, as the settings say."""
    args = training_arguments(TrainingArguments, settings, checkpoint_dir, seed)
    trainer = CompletionTrainer(
        model,
        args,
        encoded.examples,
        weights,
        log,
        bf16=bfloat16_is_native() if settings.bf16 == "auto" else settings.bf16,
        accumulation=settings.gradient_accumulation_steps,
        share=settings.share_prompts and _shares(model, args, progress),
        together=None if settings.rationales_together == "all" else settings.rationales_together,
        row_tokens=settings.row_tokens,
        recomputed=settings.gradient_checkpointing,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _summary(result: TrainingResult, trainer: CompletionTrainer) -> str:
    """The line a training ends with."""
    saved = 1 - trainer.computed_tokens / trainer.read_tokens if trainer.read_tokens else 0.0
    return (
        f"{result.steps:,} steps   loss {result.final_loss:.3f}   "
        f"{result.tokens / max(result.seconds, 1e-9):,.0f} tok/s"
        + (f"   prompt sharing saved {saved:.0%}" if saved >= 0.005 else "")
        + f"   {clock(result.seconds)}"
    )


def _run(
    trainer: CompletionTrainer, callback: StepCallback, log: TrainingLog, checkpoint_dir: Path, dev: DevWatch | None
) -> None:
    """Train, from the last checkpoint where there is one. Raises Interrupted."""
    last = get_last_checkpoint(str(checkpoint_dir)) if checkpoint_dir.is_dir() else None
    if trainer.is_world_process_zero():
        log.truncate(int(last.rpartition("-")[2]) if last else 0)
    if last and trainer.restore_if_complete(last, dev.stopped_at() if dev else None):
        return
    try:
        with ctrl_c(callback):
            trainer.train(resume_from_checkpoint=last)
    except KeyboardInterrupt:
        raise _interrupted(trainer) from None
    if callback.stop_asked:
        raise _interrupted(trainer)


@contextlib.contextmanager
def _sparing(trainer: CompletionTrainer) -> Iterator[None]:
    """What keeps a process from doing work again and again that has nothing to do with training."""
    with contextlib.ExitStack() as stack:
        if trainer.args.device.type == "cpu":
            gc.collect()
            gc.freeze()  # else every collection looks through all that the libraries have made
            stack.callback(gc.unfreeze)
            trainer.add_callback(_FromTheSecondStep(lambda: stack.enter_context(freed_memory_kept())))
        yield


class _FromTheSecondStep(TrainerCallback):  # type: ignore[misc]
    """The first step makes what stays, gradients and the optimiser's state; made among blocks that come and go they
    would leave gaps that fit nothing."""

    def __init__(self, then: Callable[[], object]) -> None:
        self._then: Callable[[], object] | None = then

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._then is not None:
            self._then()
            self._then = None


def _interrupted(trainer: CompletionTrainer) -> Interrupted:
    state = trainer.state
    return Interrupted(
        f"Training was stopped at step {state.global_step:,} of {state.max_steps:,}.",
        "The same command goes on from the last checkpoint.",
    )


def _check_groups(encoded: EncodedSet, weights: Mapping[str, float]) -> None:
    wrong = {g: w for g, w in weights.items() if not (math.isfinite(w) and w >= 0)}
    if wrong:
        raise TrainingError(f"Group weights must be numbers from 0 up: {wrong}.", "Correct the method's weights.")
    groups = {e.group for e in encoded.examples}
    if not any(weights.get(g, 1.0) > 0 for g in groups):
        raise TrainingError(
            f"Every group of training examples has weight 0 ({', '.join(sorted(groups))}): no label counts.",
            "Give at least one group a weight above 0.",
        )


def _introduce(student: Student, examples: Sequence[TrainingExample], encoded: EncodedSet, progress: Progress) -> None:
    """Show what training is about to do, and what about it is not as the template has it."""
    progress.note(decoded_preview(student.format, encoded.examples[0]))
    for difference in template_differences(
        student.tokenizer, examples[0].prompt, examples[0].completion, student.template
    ):
        progress.note(f"  template: {difference}")
    if encoded.too_long:
        steps = ", ".join(f"{count:,} of step {phase + 1}" for phase, count in encoded.too_long_in.items())
        progress.note(
            f"  {encoded.too_long:,} of {len(examples):,} examples were dropped as too long "
            f"(the longest has {encoded.longest:,} tokens; see `training.max_length`)"
            + (f": {steps} of the curriculum" if any(e.phase for e in examples) else "")
        )


def _shares(model: Any, args: TrainingArguments, progress: Progress) -> bool:
    """Whether prompts are shared; where they cannot be, that is said."""
    if sharded(args.distributed_state):
        reason = "the model's weights are spread over processes"
    elif not can_share(model):
        reason = f"{type(model).__name__} does not compute the same from shared rows"
    else:
        return True
    progress.note(f"  prompts are not shared: {reason}; training goes on with separate rows")
    return False


def _with_adapters(model: Any, lora: LoraSettings) -> Any:
    config = lora_config(lora)
    from peft import get_peft_model

    return get_peft_model(model, config)


def _result(
    trainer: CompletionTrainer, log: TrainingLog, encoded: EncodedSet, trained: int, dev: DevWatch | None
) -> TrainingResult:
    history = log.records()
    final = [r["loss"] for r in history[-_FINAL_STEPS:]]
    return TrainingResult(
        steps=trainer.state.global_step,
        epochs=trainer.epochs,
        final_loss=sum(final) / max(1, len(final)),
        tokens=sum(r["tokens"] for r in history),
        seconds=sum(r["seconds"] for r in history),
        examples=max(Counter(e.phase for e in encoded.examples).values()),
        dropped_too_long=max(encoded.too_long_in.values(), default=0),
        trained_parameters=trained,
        dev_accuracy=tuple(entry["accuracy"] for entry in dev.history()) if dev else (),
        history=tuple(history),
    )
