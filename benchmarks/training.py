"""How fast a student is trained, against TRL's SFTTrainer and against our own trainer without its means.

    python benchmarks/training.py [--only TEXT] [--rounds 2] [--rows FILE] [--json FILE]

Every contender trains SmolLM2-135M for a few optimiser steps on the same tokens in a process of its own: AdamW, loss on
completions only, no gradient checkpointing; TRL's with float32 weights under bfloat16 autocast, ours with bfloat16
weights over float32 masters. Contenders take turns; a contender's figure is the median second of a step over all
rounds, the first step of each left out. TRL is tried with several batch sizes (its gradients accumulate to the same
step) and with packing, and counts with its best.

    shared      our trainer
    separate    our trainer with `share_prompts: false`
    plain       the same, and every logit computed
    trl:N       SFTTrainer with N rows a forward pass; trl:pack packs rows of 1,024 tokens

Real rows are the recorded teacher's replies of the quickstart, or `--rows`: JSON lines, plain or gzipped, with
`question` and `teacher.completions`.

Needs `pip install --no-deps trl==1.16.0`.
"""

from __future__ import annotations

import gzip
import json
import random
import resource
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contest import contest_parser, hold

from symdistill.records import Message, TrainingExample

RECORDING = Path(__file__).parent.parent / "examples" / "quickstart" / "teacher.jsonl.gz"


@dataclass(frozen=True)
class Scenario:
    """A step's examples: `samples` completions of `completion` words to one prompt of `prompt` words, or, with no
    `prompt`, `samples` real rows. `target`: the ratio to TRL that is asked for."""

    name: str
    prompt: int
    samples: int
    completion: int
    lora: int | None
    contenders: tuple[str, ...]
    target: float
    steps: int


SCENARIOS = [
    Scenario("150 + 30x60", 138, 30, 59, None, ("shared", "trl:2", "separate", "trl:6", "plain", "trl:pack"), 5.0, 2),
    Scenario("600 + 30x60", 588, 30, 59, None, ("shared", "trl:2", "trl:pack"), 10.0, 2),
    Scenario("real rows, LoRA 32", 0, 16, 0, 32, ("shared", "trl:4", "separate", "trl:16", "trl:pack"), 2.0, 4),
]


def examples_of(scenario: Scenario, tokenizer: Any, rows: Path | None) -> list[TrainingExample]:
    """Everything that is trained on, one step after the other."""
    if not scenario.prompt:
        pairs = recorded() if rows is None else given(rows)
        pairs = random.Random(0).sample(pairs, scenario.samples * scenario.steps)
        return [TrainingExample(str(i), (Message("user", q),), r) for i, (q, r) in enumerate(pairs)]
    words = sorted(w[1:] for w in tokenizer.get_vocab() if w.startswith("Ġ") and w[1:].isascii() and w[1:].isalpha())
    draw = random.Random(0)
    found = []
    for step in range(scenario.steps):
        prompt = (Message("user", " ".join(draw.choices(words, k=scenario.prompt))),)
        found += [
            TrainingExample(str(step), prompt, " ".join(draw.choices(words, k=scenario.completion)))
            for _ in range(scenario.samples)
        ]
    return found


def recorded() -> list[tuple[str, str]]:
    """Question and first drawn reply of every training question of the quickstart."""
    with gzip.open(RECORDING, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file][1:]
    return [(r["messages"][-1]["content"], r["replies"][0]["text"]) for r in rows if "temperature" in r["sampling"]]


def given(path: Path) -> list[tuple[str, str]]:
    """Question and first completion of the rows of a file that have one."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [(r["question"], t["completions"][0]) for r in rows if (t := r.get("teacher")) and t["completions"]]


def ours(name: str, scenario: Scenario, student: Any, examples: list[TrainingExample]) -> list[float]:
    """Seconds of each step, as training.jsonl has them."""
    from symdistill.students.settings import LoraSettings
    from symdistill.training import train
    from symdistill.training.settings import TrainingSettings

    if name == "plain":
        student.model.get_output_embeddings = lambda: None  # a head that is not found: every logit is computed
    batch = scenario.samples if name == "shared" else next(b for b in (8, 6, 5, 4) if scenario.samples % b == 0)
    settings = TrainingSettings(
        num_train_epochs=1,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=scenario.samples // batch,
        share_prompts=name == "shared",
        save_steps=10_000,
    )
    with tempfile.TemporaryDirectory() as place:
        result = train(
            student,
            examples,
            settings,
            output_dir=Path(place, "student"),
            checkpoint_dir=Path(place, "checkpoints"),
            log_path=Path(place, "training.jsonl"),
            seed=0,
            lora=LoraSettings(r=scenario.lora) if scenario.lora else None,
        )
    return [float(r["seconds"]) for r in result.history]


def theirs(name: str, scenario: Scenario, student: Any, examples: list[TrainingExample]) -> list[float]:
    """Seconds of each step of SFTTrainer."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from symdistill.students.formatting import encode_examples

    encoded = encode_examples(student.format, examples, 4096).examples
    data = Dataset.from_list(
        [{"input_ids": list(e.input_ids), "completion_mask": [int(m) for m in e.label_mask]} for e in encoded]
    )
    pack = name == "trl:pack"
    rows = 1 if pack else int(name.partition(":")[2])
    tokens = sum(len(e.input_ids) for e in encoded) / scenario.steps
    times: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            times.append(time.perf_counter() - self.began)

    with tempfile.TemporaryDirectory() as place:
        config = SFTConfig(
            output_dir=place,
            per_device_train_batch_size=rows,
            gradient_accumulation_steps=max(1, round(tokens / 1024)) if pack else scenario.samples // rows,
            num_train_epochs=1,
            learning_rate=2e-4,
            bf16=True,
            use_cpu=True,
            gradient_checkpointing=False,
            completion_only_loss=True,
            packing=pack,
            max_length=1024,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        rank = scenario.lora
        lora = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear") if rank else None
        trainer = SFTTrainer(
            student.model, args=config, train_dataset=data, processing_class=student.tokenizer, peft_config=lora
        )
        trainer.add_callback(Clock())
        trainer.train()
    return times


def contend(name: str, scenario: Scenario, rows: Path | None) -> dict[str, Any]:
    """Runs in a process of its own: seconds a step, and the peak of its memory."""
    from symdistill.students.loading import load_student
    from symdistill.students.settings import StudentSettings

    student = load_student(StudentSettings(model="smollm2-135m"), for_training=True)
    examples = examples_of(scenario, student.tokenizer, rows)
    times = (theirs if name.startswith("trl") else ours)(name, scenario, student, examples)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"contender": name, "seconds": times[1:], "gib": peak}


def main() -> None:
    arguments = contest_parser(__doc__).parse_args()
    hold(SCENARIOS, arguments, lambda name, scenario: contend(name, scenario, arguments.rows), report)


def report(scenario: Scenario, results: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Print a scenario's table."""
    seconds = {n: statistics.median(s for r in runs for s in r["seconds"]) for n, runs in results.items()}
    memory = {n: max(r["gib"] for r in runs) for n, runs in results.items()}
    print(f"\n{scenario.name}: {scenario.samples} examples a step")
    for name in sorted(seconds, key=lambda n: seconds[n]):
        print(f"  {name:<10} {seconds[name]:7.2f} s a step   peak {memory[name]:.2f} GiB")
    best = min((n for n in seconds if n.startswith("trl")), key=lambda n: seconds[n], default=None)
    if best is None or "shared" not in seconds:
        return {"seconds": seconds, "gib": memory}
    ratio = seconds[best] / seconds["shared"]
    print(f"  against {best}: {ratio:.2f} times as fast (to reach: {scenario.target})", flush=True)
    return {"seconds": seconds, "gib": memory, "trl": best, "ratio": ratio}


if __name__ == "__main__":
    main()
