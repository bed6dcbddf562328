"""How fast a student answers, against the `generate` of transformers.

    python benchmarks/decoding.py [--only TEXT] [--rounds 2] [--questions 50] [--peer-questions N] [--student DIR]
        [--rows FILE]

Both answer the same questions with the same weights in bfloat16, up to 200 new tokens, each in a process of its own,
and take turns. What counts is tokens a second of the replies themselves (up to their end token), tokenising and the
forming of batches included, loading not. `generate` is tried with several batch sizes and counts with its best; it
gets its prompts sorted by length, which is the best that can be done for it. With `--peer-questions` it answers only
the first so many of them: rates are compared, and it is the slower one. `ctranslate2` is our other engine, with int8
weights; it is no peer, and the ratio does not look at it.

The share of the machine's bfloat16 product rate counts what the layers' and the head's weights have to multiply at
least: every prompt once without the head, every token of a reply once with it. The rate is that of two matrices of
2,048 by 2,048, measured in the same process.

Questions are the held-out ones of the quickstart, or `--rows`: JSON lines, plain or gzipped, with `question`. The
student is SmolLM2-135M as it comes, or `--student`, a directory. `--json FILE` keeps the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import resource
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contest import contest_parser, hold

from symdistill import content
from symdistill.records import Completion, Message, Sampling
from symdistill.students.settings import Engine, StudentSettings

QUESTIONS = Path(__file__).parent.parent / "examples" / "quickstart" / "questions.jsonl"
NEW_TOKENS = 200


@dataclass(frozen=True)
class Scenario:
    """`samples` replies to each question, drawn at `temperature`; `times`: questions for each of `--questions`."""

    name: str
    samples: int
    temperature: float
    times: int
    contenders: tuple[str, ...]
    target: float


SCENARIOS = [
    Scenario("30 samples, T=0.7", 30, 0.7, 1, ("symdistill", "generate:60", "generate:120"), 3.0),
    Scenario("greedy", 1, 0.0, 5, ("symdistill", "ctranslate2", "generate:32", "generate:64"), 2.0),
]


def questions_of(path: Path, count: int) -> list[str]:
    """The first questions of a file, those marked as test where there is a split."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    held_out = [r for r in rows if r.get("split", "test") == "test"] + [r for r in rows if r.get("split") == "train"]
    return [str(r["question"]) for r in held_out[:count]]


@dataclass(frozen=True)
class Answered:
    """Tokens of all prompts, each counted once, tokens of the replies to them, and the seconds it took."""

    prompt_tokens: int
    tokens: int
    seconds: float


def ours(student: Path, prompts: list[tuple[Message, ...]], scenario: Scenario, engine: Engine) -> Answered:
    from symdistill.students.answering import open_for_answering

    model = open_for_answering(StudentSettings(dtype="bfloat16"), student, engine)
    sampling = Sampling(temperature=scenario.temperature, max_tokens=NEW_TOKENS)
    asyncio.run(model.generate([content.request(model.name, prompts[0], Sampling(max_tokens=2))]))
    began = time.perf_counter()
    replies = asyncio.run(
        model.generate([content.request(model.name, p, sampling, i) for p in prompts for i in range(scenario.samples)])
    )
    seconds = time.perf_counter() - began
    done = [r for r in replies if isinstance(r, Completion)]
    once = sum(r.prompt_tokens for r in done) // scenario.samples
    return Answered(once, sum(r.completion_tokens for r in done), seconds)


def theirs(student: Path, prompts: list[tuple[Message, ...]], scenario: Scenario, batch: int) -> Answered:
    import torch

    from symdistill.models.chat import prompt_format
    from symdistill.models.weights import load_pretrained

    model, tokenizer = load_pretrained(student, dtype="bfloat16")
    form = prompt_format(tokenizer, "auto")
    end = form.end_of_turn
    torch.manual_seed(0)
    drawn: dict[str, Any] = {"do_sample": True, "temperature": scenario.temperature, "top_k": 0, "top_p": 1.0}
    tokens = 0
    began = time.perf_counter()
    encoded = sorted((form.encode_prompt(p) for p in prompts), key=len, reverse=True)
    with torch.inference_mode():
        at_once = max(1, batch // scenario.samples)
        for chunk in (encoded[i : i + at_once] for i in range(0, len(encoded), at_once)):
            width = max(map(len, chunk))
            ids = torch.tensor([[end] * (width - len(p)) + p for p in chunk])
            mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in chunk])
            out = model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=NEW_TOKENS,
                eos_token_id=end,
                pad_token_id=end,
                num_return_sequences=scenario.samples,
                **(drawn if scenario.temperature else {"do_sample": False}),
            )
            tokens += sum(row.index(end) + 1 if end in row else len(row) for row in out[:, width:].tolist())
    return Answered(sum(map(len, encoded)), tokens, time.perf_counter() - began)


def least_work(student: Path, answered: Answered) -> float:
    """Floating-point operations of the weights that cannot be avoided."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(student))
    head = model.get_output_embeddings()
    layers = sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head)
    tokens = answered.prompt_tokens + answered.tokens
    return 2.0 * (layers * tokens + head.weight.numel() * answered.tokens)


def product_rate(size: int = 2048, times: int = 20) -> float:
    """Operations a second of a bfloat16 matrix product."""
    import torch

    a, b = (torch.randn(size, size).bfloat16() for _ in range(2))
    a @ b
    began = time.perf_counter()
    for _ in range(times):
        a @ b
    return 2.0 * size**3 * times / (time.perf_counter() - began)


def contend(name: str, scenario: Scenario, arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs in a process of its own."""
    from symdistill.students.loading import locate_student

    student = arguments.student or locate_student(StudentSettings(model="smollm2-135m"))
    kind, _, batch = name.partition(":")
    count = arguments.peer_questions or arguments.questions if kind == "generate" else arguments.questions
    asked = questions_of(arguments.rows or QUESTIONS, count * scenario.times)
    prompts = [(Message("user", q),) for q in asked]
    engine: Engine = "ctranslate2" if kind == "ctranslate2" else "torch"
    answered = (
        theirs(student, prompts, scenario, int(batch))
        if kind == "generate"
        else ours(student, prompts, scenario, engine)
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    share = least_work(student, answered) / answered.seconds / product_rate()
    return {
        "tokens": answered.tokens,
        "seconds": answered.seconds,
        "gib": peak,
        "questions": len(prompts),
        "share": share,
    }


def main() -> None:
    parser = contest_parser(__doc__)
    parser.add_argument("--questions", type=int, default=50)
    parser.add_argument("--peer-questions", type=int, default=0)
    parser.add_argument("--student", type=Path)
    arguments = parser.parse_args()
    hold(
        SCENARIOS,
        arguments,
        lambda name, scenario: contend(name, scenario, arguments),
        report,
        passed_on=("rows", "questions", "peer_questions", "student"),
    )


def report(scenario: Scenario, results: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Print a scenario's table."""
    rate = {n: statistics.median(r["tokens"] / r["seconds"] for r in runs) for n, runs in results.items()}
    memory = {n: max(r["gib"] for r in runs) for n, runs in results.items()}
    share = {n: statistics.median(r["share"] for r in runs) for n, runs in results.items()}
    print(f"\n{scenario.name}")
    for name in sorted(rate, key=lambda n: -rate[n]):
        first = results[name][0]
        mean = first["tokens"] / first["questions"] / scenario.samples
        print(
            f"  {name:<13} {rate[name]:6.0f} tok/s   {share[name]:4.0%} of the product rate   "
            f"peak {memory[name]:.2f} GiB   {first['questions']} questions, {mean:.0f} tokens a reply"
        )
    best = max((n for n in rate if n.startswith("generate")), key=lambda n: rate[n], default=None)
    if best is None or "symdistill" not in rate:
        return {"rate": rate, "gib": memory, "share": share}
    ratio = rate["symdistill"] / rate[best]
    print(f"  {ratio:.2f} times {best} (to reach: {scenario.target})", flush=True)
    return {"rate": rate, "gib": memory, "share": share, "ratio": ratio}


if __name__ == "__main__":
    main()
