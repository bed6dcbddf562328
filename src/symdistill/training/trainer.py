"""The supervised trainer: transformers' loop, with our batches, our loss, and checkpoints that are whole or absent."""

from __future__ import annotations

import itertools
import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import DistributedType
from safetensors import SafetensorError
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, rotate_checkpoints

from symdistill.errors import TrainingError
from symdistill.progress import Progress
from symdistill.students.formatting import EncodedExample
from symdistill.training.collation import Batch, Collator, ExampleDataset, QuestionBatches, masses_of
from symdistill.training.curriculum import Curriculum
from symdistill.training.dev import DevWatch
from symdistill.training.log import TrainingLog
from symdistill.training.losses import CompletionLoss, group_masses, group_sizes, shares_of_groups
from symdistill.training.masters import MasterWeights
from symdistill.training.recompute import CheapParts
from symdistill.training.shared_attention import sharing

_PARTIAL = ".partial"


class CompletionTrainer(Trainer):  # type: ignore[misc]
    """Trains on completions with the grouped loss of `losses`, whose normalisers span the whole optimiser step.

    The data loader yields the examples of one optimiser step (of this process), already laid out as batches: rows of
    tries up to a token budget, or separate rows of `per_device_train_batch_size`. So `gradient_accumulation_steps` is
    multiplied into the examples of a step, and the loop of transformers never accumulates by itself.

    With `bf16` the model computes with bfloat16 weights over float32 masters (`masters`); where several processes
    share or exchange weights, under autocast over float32 ones. Autocast is entered here rather than through
    accelerate, which would leave its wrapper around the model's forward. `close` ends it.

    Where the examples have several phases, the loop sees a single epoch: all batches of the `Curriculum`.
    """

    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: Any,
        args: TrainingArguments,
        examples: Sequence[EncodedExample],
        group_weights: Mapping[str, float],
        log: TrainingLog,
        *,
        bf16: bool,
        accumulation: int,
        share: bool,
        together: int | None,
        row_tokens: int | None,
        recomputed: bool,
    ) -> None:
        groups = sorted({e.group for e in examples})
        if row_tokens is None:
            # Longer rows share more and take more memory (docs/LOG.md).
            filled = 2048 if args.device.type == "cpu" else 16_384
            row_tokens = max(filled, 4 * max(len(e.input_ids) for e in examples))
        collator = Collator(
            groups, batch_size=args.per_device_train_batch_size, share=share, row_tokens=row_tokens, pad_id=0
        )
        super().__init__(model=model, args=args, train_dataset=ExampleDataset(examples), data_collator=collator)
        self._examples = examples
        self._together = together
        self._step_examples = args.per_device_train_batch_size * accumulation
        self.curriculum: Curriculum | None = None
        if len({e.phase for e in examples}) > 1:
            self.curriculum = Curriculum(
                examples,
                self._step_examples,
                args.seed,
                epochs=args.num_train_epochs,
                max_steps=args.max_steps,
                processes=self.accelerator.num_processes,
                together=together,
            )
            self.args.num_train_epochs, self.args.max_steps = 1.0, -1
        indices = {group: index for index, group in enumerate(groups)}
        self._masses = [masses_of(part, indices) for part in _phases(examples)]
        lambdas = torch.tensor([group_weights.get(g, 1.0) for g in groups], dtype=torch.float64)
        # Sharded weights are whole only inside the model's own forward pass.
        whole = not sharded(self.accelerator)
        self._loss = CompletionLoss(model, lambdas, chunked=whole, recomputed=recomputed)
        self._bf16 = bf16
        alone = whole and self.accelerator.num_processes == 1
        self._masters = MasterWeights(model) if bf16 and alone else None
        # On a GPU the calls would cost more than what they save.
        self._cheap = CheapParts(model) if args.device.type == "cpu" and not recomputed else None
        self._log = log
        self._since = time.monotonic()
        self._unlogged_tokens = 0
        self._saving = False
        self.step_tokens = 0
        self.step_loss = 0.0
        self.read_tokens = 0
        self.computed_tokens = 0

    def close(self) -> None:
        """The model is what it was before, with what it learned."""
        for part in (self._cheap, self._masters):
            if part is not None:
                part.close()
        self._cheap = self._masters = None

    @contextmanager
    def as_it_was(self) -> Iterator[None]:
        """Within the block the model holds the float32 weights that are trained, and nothing of ours."""
        with ExitStack() as stack:
            if self._masters is not None:
                stack.enter_context(self._masters.whole())
            if self._cheap is not None:
                stack.enter_context(self._cheap.paused())
            yield

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        if (masters := self._masters) is not None:
            for group in optimizer.param_groups:
                group["params"] = [masters.of(p) for p in group["params"]]
            optimizer.register_step_post_hook(lambda *_: masters.refresh())
        return optimizer

    def _clip_grad_norm(self, model: Any) -> Any:
        if self._masters is None:
            return super()._clip_grad_norm(model)
        return self.accelerator.clip_grad_norm_(self._masters.trained(), self.args.max_grad_norm)

    def get_train_dataloader(self) -> DataLoader[EncodedExample]:
        batches = self.curriculum or QuestionBatches(
            self._examples, self._step_examples, self.args.seed, together=self._together
        )
        loader = DataLoader(self.train_dataset, batch_sampler=batches, collate_fn=self.data_collator)
        prepared: DataLoader[EncodedExample] = self.accelerator.prepare(loader)
        return prepared

    def get_batch_samples(
        self, epoch_iterator: Iterator[list[Batch]], num_batches: int, device: torch.device
    ) -> tuple[list[list[Batch]], torch.Tensor]:
        """The batches of one optimiser step, and the size of every group over all of them, by f (see `losses`)."""
        steps = list(itertools.islice(epoch_iterator, num_batches))
        batches = [batch for step in steps for batch in step]
        groups = len(self._loss.lambdas)
        sizes, masses = group_sizes(batches, groups).to(device), group_masses(batches, groups).to(device)
        tokens = torch.stack([b.tokens for b in batches]).sum().to(device) if batches else torch.tensor(0)
        if self.args.world_size > 1:
            sizes, masses, tokens = (self.accelerator.reduce(x, "sum") for x in (sizes, masses, tokens))
        phase = self.curriculum.at(self.state.global_step + 1).phase if self.curriculum else 0
        shares = shares_of_groups(masses, self._masses[phase].to(device))
        sizes = torch.where(shares > 0, sizes / shares, 0.0)
        self.step_tokens, self.step_loss = int(tokens), 0.0
        self._unlogged_tokens += self.step_tokens
        self.read_tokens += sum(int(b.tokens) for b in batches)
        self.computed_tokens += sum(b.computed for b in batches)
        return steps, sizes

    def training_step(
        self, model: Any, inputs: list[Batch], num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Forward and backward over the step's batches; the step's loss. Raises TrainingError when it is no number."""
        assert num_items_in_batch is not None
        model.train()
        total = torch.zeros((), device=self.args.device)
        with nullcontext() if self._masters is None else self._masters.gradients():
            for number, batch in enumerate(inputs, 1):
                total += self._pass(model, batch, num_items_in_batch, last=number == len(inputs))
        self.step_loss = float(total)
        step: torch.Tensor = total * self.accelerator.num_processes
        return step

    def _pass(self, model: Any, batch: Batch, sizes: torch.Tensor, *, last: bool) -> torch.Tensor:
        """Forward and backward over one batch; its share of the step's loss."""
        with ExitStack() as stack:
            if not last:
                stack.enter_context(self.accelerator.no_sync(model))
            if batch.layout is not None:
                stack.enter_context(sharing(model))
            with torch.autocast(self.args.device.type, torch.bfloat16, enabled=self._bf16):
                loss = self._loss(model, batch.to(self.args.device), sizes)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise TrainingError(
                    f"The loss at step {self.state.global_step + 1} is no number ({value}).",
                    "Lower `training.learning_rate`, or set `training.bf16: false`.",
                )
            # Several processes average their gradients; the shares of the step are to be added up.
            self.accelerator.backward(loss * self.accelerator.num_processes)
        return loss.detach()

    def floating_point_ops(self, inputs: list[Batch]) -> int:
        """Evaluation counts operations; the loop's own estimate would not know our batches."""
        return 0

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        super().log(logs, start_time)
        if "loss" in logs and self.is_world_process_zero():
            now = time.monotonic()
            self._log.append(
                self.state.global_step, logs["loss"], logs["learning_rate"], self._unlogged_tokens, now - self._since
            )
            self._unlogged_tokens, self._since = 0, now

    def restore_if_complete(self, checkpoint: str, stopped_at: int | None) -> bool:
        """Take the weights of a checkpoint that was written after the last step, or after the step it was decided to
        stop early at; the loop would go on from it."""
        state = TrainerState.load_from_json(str(Path(checkpoint) / TRAINER_STATE_NAME))
        if state.global_step < state.max_steps and state.global_step != stopped_at:
            return False
        self._load_from_checkpoint(checkpoint)
        self.state = state
        return True

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        with self.as_it_was():
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    @property
    def epochs(self) -> float:
        """The epochs trained so far."""
        if self.curriculum is not None:
            return self.curriculum.epochs_after(self.state.global_step)
        return float(self.state.epoch or 0.0)

    @property
    def to_be_measured(self) -> bool:
        """Whether an epoch has ended after which dev accuracy counts: with a curriculum, one of its last phase."""
        step, curriculum = self.state.global_step, self.curriculum
        if curriculum is not None:
            return curriculum.ends_with(step) and curriculum.at(step).phase == curriculum.phases - 1
        return step >= self.state.max_steps or math.isclose(self.state.epoch, round(self.state.epoch), abs_tol=1e-9)

    def start_clock(self) -> None:
        """The next logged step begins now."""
        self._unlogged_tokens, self._since = 0, time.monotonic()

    def not_training(self, seconds: float) -> None:
        """Leave out of the step's time what was spent on something else."""
        self._since += seconds

    def _get_output_dir(self, trial: Any) -> str:
        return str(Path(self.args.output_dir) / _PARTIAL) if self._saving else str(self.args.output_dir)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write the checkpoint beside its place and rename it: what is found after a kill is whole."""
        directory = Path(self.args.output_dir)
        name = f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        began = time.monotonic()
        self._saving = True
        try:
            super()._save_checkpoint(model, trial)
            if self.args.should_save:
                shutil.rmtree(directory / name, ignore_errors=True)
                (directory / _PARTIAL / name).rename(directory / name)
        except (OSError, SafetensorError, RuntimeError) as problem:
            raise unwritable("A checkpoint", directory, problem) from problem
        finally:
            self._saving = False
            if self.args.should_save:
                shutil.rmtree(directory / _PARTIAL, ignore_errors=True)
        if self.args.should_save:
            rotate_checkpoints(output_dir=str(directory), save_total_limit=self.args.save_total_limit)
        self.not_training(time.monotonic() - began)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Weights and config only: the loop would add a pickle of its arguments, and ask the hub about adapters."""
        adapter = {"save_embedding_layers": False} if hasattr(self.model, "peft_config") else {}
        with self.as_it_was():
            self.model.save_pretrained(output_dir, state_dict=state_dict, **adapter)


def _phases(examples: Sequence[EncodedExample]) -> list[list[EncodedExample]]:
    """The examples of each phase, first to last; a training without phases is one."""
    return [[e for e in examples if e.phase == phase] for phase in sorted({e.phase for e in examples})]


class StepCallback(TrainerCallback):  # type: ignore[misc]
    """Reports each step, measures dev accuracy after epochs that count, and stops at a step's end when asked to."""

    def __init__(self, trainer: CompletionTrainer, progress: Progress, label: str, dev: DevWatch | None) -> None:
        self.stop_asked = False
        self._trainer = trainer
        self._progress = progress
        self._label = label
        self._dev = dev
        self._began = 0.0
        self._first = 0
        self._tokens = 0
        self._phase: int | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._began, self._first, self._tokens = time.monotonic(), state.global_step, 0
        self._progress.start(f"training {self._label}".strip(), total=state.max_steps, done=state.global_step)
        self._trainer.start_clock()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        curriculum = self._trainer.curriculum
        if curriculum is not None and (phase := curriculum.at(state.global_step + 1).phase) != self._phase:
            self._phase = phase
            self._progress.note(
                f"            {self._label} step {phase + 1} of {curriculum.phases} of the curriculum: "
                f"{curriculum.size(phase):,} examples"
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        last = state.global_step >= state.max_steps
        control.should_log = control.should_log or last
        self._report(state)
        if self._dev is not None and self._trainer.to_be_measured:
            control.should_training_stop = self._measure(state.global_step) or control.should_training_stop
            control.should_save = True
        if self.stop_asked:
            control.should_save = control.should_training_stop = True
        elif control.should_training_stop:
            control.should_save = False  # the student itself is saved next
        control.should_log = control.should_log or control.should_save  # what a resume goes on from has its lines

    def _report(self, state: Any) -> None:
        self._tokens += self._trainer.step_tokens
        seconds = max(time.monotonic() - self._began, 1e-9)
        left = round(seconds / (state.global_step - self._first) * (state.max_steps - state.global_step))
        curriculum = self._trainer.curriculum
        phase = {} if curriculum is None else {"phase": f"{(self._phase or 0) + 1}/{curriculum.phases}"}
        self._progress.advance(
            1,
            **phase,
            loss=f"{self._trainer.step_loss:.3f}",
            speed=f"{self._tokens / seconds:,.0f} tok/s",
            left=f"{left // 60}:{left % 60:02d}",
        )

    def _measure(self, step: int) -> bool:
        assert self._dev is not None
        began = time.monotonic()
        model = self._trainer.accelerator.unwrap_model(self._trainer.model)
        with self._trainer.as_it_was():
            stop = self._dev.measure(model.get_base_model() if hasattr(model, "peft_config") else model, step)
        accuracy = self._dev.history()[-1]["accuracy"]
        self._progress.note(f"            {self._label} step {step}: dev accuracy {accuracy:.3f}")
        self._trainer.not_training(time.monotonic() - began)
        return stop


def sharded(state: Any) -> bool:
    """Whether weights are spread over processes, which then must run the same number of forward passes."""
    return state.distributed_type not in (DistributedType.NO, DistributedType.MULTI_GPU, DistributedType.MULTI_CPU)


def unwritable(what: str, directory: Path, problem: Exception) -> TrainingError:
    """The error for a full disk or a directory that cannot be written."""
    reason = " ".join(str(problem).split())[:200]
    return TrainingError(
        f"{what} cannot be written to {directory} ({reason}).",
        "Make room there and run the same command again; training goes on from the last whole checkpoint.",
    )
