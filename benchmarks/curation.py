"""How fast, and in how much memory, stored replies become a student's rationales.

    python benchmarks/curation.py [--rationales 1000000] [--processes 2]

A process of its own fills a response store with seeded synthetic replies, ten to a question, about 57 words each:
chains of arithmetic of which some are wrong, some end without an answer, some repeat another word for word or but for
a word. Then a fresh process does what `symdistill curate` does: reads the store, parses and checks every answer, looks
for exact and near duplicates, and writes `rationales.jsonl` and `dropped.jsonl`. Its clock runs from the loaded
questions to the written files; its memory is its own peak and those of the processes it starts.

Limits: 20,000 rationales a second, 1.5 GB.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from symdistill.records import Completion, Example
from symdistill.runs.config import RunConfig, parse_config
from symdistill.runs.teaching import curate_replies, requests_about
from symdistill.runs.workspace import workspace

SAMPLES = 10
RATE = 20_000
MEMORY = 1.5e9

NAMES = ("Tom", "Ana", "Lee", "Mia", "Sam", "Eva", "Max", "Zoe")
THINGS = ("apples", "pens", "books", "coins", "stamps", "cards")
OPENINGS = (
    "First we find out how many there are in all.",
    "Let us work this out step by step, one number at a time.",
    "We need the number that is left at the end of the day.",
)
FILLERS = ("", "This is what the question asks for.", "Nothing else changes the number.")


def question(number: int) -> tuple[Example, list[str]]:
    """Question `number` and its replies, always the same."""
    rng = random.Random(number)
    have, more, gone = rng.randint(20, 90), rng.randint(2, 60), rng.randint(2, 9)
    who, what = rng.choice(NAMES), rng.choice(THINGS)
    both = have + more
    text = f"{who} has {have} {what}, buys {more} more and gives {gone} away. How many {what} are left? (No. {number})"
    replies: list[str] = []
    while len(replies) < SAMPLES:
        kind = rng.random() if replies else 1.0
        if kind < 0.08:
            replies.append(rng.choice(replies))
            continue
        if kind < 0.16:
            replies.append("Well, " + rng.choice(replies))
            continue
        left = both - gone + (rng.randint(1, 5) if rng.random() < 0.2 else 0)
        middle = rng.choice(
            (
                f"{who} starts with {have} {what} and then buys {more} more, so there are {have} + {more} = {both} "
                f"{what} now.",
                f"At the start there are {have} {what}. After buying {more} more we have {have} + {more} = {both} of "
                "them in total.",
            )
        )
        then = rng.choice(
            (
                f"Then {gone} of these {what} are given away to a friend, which leaves {both} - {gone} = {left} {what} "
                f"for {who}.",
                f"Giving away {gone} means that we subtract: {both} - {gone} = {left}, and that is all there is to do.",
            )
        )
        end = f"Therefore, the answer is {left}." if rng.random() > 0.03 else ""
        parts = (rng.choice(OPENINGS), middle, then, rng.choice(FILLERS), end)
        replies.append(" ".join(part for part in parts if part))
    return Example(f"q{number}", text, str(both - gone), "number", task="sums"), replies


def config(folder: Path) -> RunConfig:
    return parse_config(
        {
            "task": {"path": str(folder / "questions.jsonl"), "decontaminate": False},
            "teacher": {"model": "openai:bench", "base_url": "http://127.0.0.1:9/v1", "samples": SAMPLES},
        }
    )


def fill(folder: Path, questions: int) -> None:
    """Write the questions, and a store with every reply to them."""
    with (folder / "questions.jsonl").open("w") as file:
        for number in range(questions + 1):
            example, _ = question(number)
            split = "train" if number < questions else "test"
            row = {"id": example.id, "question": example.question, "answer": example.answer, "split": split}
            file.write(json.dumps(row | {"answer_type": "number", "task": example.task}) + "\n")
    with workspace(config(folder), folder / "run", needs_method=False) as work:
        train = work.task.train
        for start in range(0, len(train), 500):
            rows = []
            for example in train[start : start + 500]:
                requests = requests_about(work, "openai:bench", example)
                replies = question(int(example.id[1:]))[1]
                rows += [(r, Completion(r.key, text)) for r, text in zip(requests, replies, strict=True)]
            work.store.add(rows, "bench")


def curate(folder: Path, told: Connection, processes: int) -> None:
    """What `symdistill curate` does, timed; the processes it starts are timed with it."""
    started = time.perf_counter()
    with workspace(config(folder), folder / "run", needs_method=False) as work:
        questions = len(work.task.train)
        loaded = time.perf_counter()
        curate_replies(work, processes)
        done = time.perf_counter()
        told.send((questions, loaded - started, done - loaded, peak_memory(processes)))


def peak_memory(processes: int) -> int:
    """Bytes of this process and, where there are several, of as many as the largest of its children."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if processes > 1:
        peak += processes * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


def reasons(path: Path) -> Iterator[str]:
    with path.open() as file:
        for line in file:
            yield json.loads(line)["reason"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rationales", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, theirs = context.Pipe()
        stages = ((fill, (folder, -(-options.rationales // SAMPLES))), (curate, (folder, theirs, options.processes)))
        for target, arguments in stages:
            process = context.Process(target=target, args=arguments)
            process.start()
            process.join()
            if process.exitcode:
                sys.exit(f"{target.__name__} failed")
        questions, loading, seconds, peak = ours.recv()
        dropped = Counter(reasons(folder / "run" / "dropped.jsonl"))
    rationales = questions * SAMPLES
    print(f"{rationales:,} rationales of {questions:,} questions (read in {loading:.1f} s), dropped: {dict(dropped)}")
    print(f"{'figure':<28}{'measured':>12}{'limit':>12}{'measured / limit':>18}")
    rate = rationales / seconds
    print(f"{'rationales a second':<28}{rate:>12,.0f}{RATE:>12,}{rate / RATE:>18.2f}")
    print(f"{'peak memory, GB':<28}{peak / 1e9:>12.2f}{MEMORY / 1e9:>12.2f}{peak / MEMORY:>18.2f}")
    reached = rate >= RATE and peak <= MEMORY
    print(f"limits: {'kept' if reached else 'missed'}")
    sys.exit(not reached)


if __name__ == "__main__":
    main()
