"""Grids made up for tests: methods with known chances of a right answer, seeds that differ, two tasks out of domain."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from symdistill.evaluation.evidence import RunEvidence
from symdistill.evaluation.grid_arms import CellResult
from symdistill.evaluation.metrics import MetricRow

TASKS = ("sums", "dates", "navigate", "web_of_lies")
LEARNED = frozenset({"sums", "dates"})


def row(
    method: str, accuracy: float, n: int, *, decoding: str = "greedy", samples: int = 1, flops: float = 1e9
) -> MetricRow:
    return MetricRow(
        method=method,
        split="test",
        n=n,
        accuracy=accuracy,
        ci_low=0.0,
        ci_high=1.0,
        parse_rate=0.98,
        decoding=decoding,
        samples=samples,
        prompt_tokens=93.4 * samples,
        generated_tokens=48.2 * samples,
        prompt_flops_paper=flops / 3,
        flops=flops,
        seconds=41.0,
        seed=0,
    )


def answered(
    method: str,
    verdicts: Sequence[bool],
    *,
    decoding: str = "greedy",
    samples: int = 1,
    flops: float = 1e9,
    tasks: Sequence[str] = TASKS,
    contrasts: Mapping[str, str] | None = None,
    asked: Mapping[str, str] | None = None,
) -> RunEvidence:
    """What one run answered to questions q0, q1, …, which belong to the tasks in turn."""
    ids = [f"q{i}" for i in range(len(verdicts))]
    right = [bool(v) for v in verdicts]
    return RunEvidence(
        run="cells/x",
        method=method,
        decoding=decoding,
        samples=samples,
        verdicts=dict(zip(ids, right, strict=True)),
        golds=dict.fromkeys(ids, "1"),
        row=row(method, sum(right) / len(right), len(right), decoding=decoding, samples=samples, flops=flops),
        tasks={i: tasks[number % len(tasks)] for number, i in enumerate(ids)},
        contrasts=contrasts or {},
        asked=asked or {},
    )


def cell(method: str, evidence: Sequence[RunEvidence], *, seed: int | None = 0, **changes: object) -> CellResult:
    values: dict[str, object] = {
        "name": f"{method}-{seed}",
        "title": f"{method} · seed {seed}",
        "method": method,
        "student": "smollm2-135m",
        "fraction": 1.0,
        "seed": seed,
        "evidence": tuple(evidence),
        "train_tasks": LEARNED,
        "train_seconds": 312.0,
        "teacher_usd": 0.42,
        "teacher_tokens": 180_000.0,
        **changes,
    }
    return CellResult(**values)  # type: ignore[arg-type]


METHODS = {
    "label-only": (0.28, 9e9),
    "std-cot": (0.42, 26e9),
    "mt-cot": (0.30, 9.4e9),
    "cascod": (0.44, 39e9),
    "kard": (0.47, 81e9),
    "skintern": (0.49, 25e9),
    "nesycd": (0.50, 44e9),
}


def a_grid(
    *,
    n: int = 200,
    seeds: int = 3,
    fractions: Sequence[float] = (0.25, 0.5, 1.0),
    students: Sequence[str] = ("smollm2-135m",),
) -> list[CellResult]:
    """A grid like a real one: question difficulties that all methods share, luck of seeds, gains with more data."""
    chance = np.random.default_rng(7)
    hardness = chance.normal(0, 0.18, n)
    cells = []
    for number, student in enumerate(students):
        zero = chance.random(n) < np.clip(0.03 + hardness / 9, 0, 1)
        cells.append(
            cell(
                "zero-shot",
                [answered("zero-shot", zero, flops=30e9)],
                seed=None,
                fraction=None,
                student=student,
                title="zero-shot",
            )
        )
        for fraction in fractions:
            for method, (level, flops) in METHODS.items():
                for seed in range(seeds):
                    luck = chance.normal(0, 0.02)
                    share = level * (0.55 + 0.45 * fraction**0.5) + 0.06 * number + luck
                    right = chance.random(n) < np.clip(share + hardness, 0, 1)
                    title = f"{method} · {100 * fraction:g}% · seed {seed}"
                    place = {"fraction": fraction, "student": student, "title": title}
                    cells.append(cell(method, [answered(method, right, flops=flops)], seed=seed, **place))
    return cells


def with_samples(n: int = 200, counts: Sequence[int] = (1, 5, 10, 20, 30)) -> list[CellResult]:
    """SCoTD's curve: accuracy over the teacher's samples, greedy and by vote, beside a method without any."""
    chance = np.random.default_rng(3)
    cells = []
    for seed in range(3):
        cells.append(cell("label-only", [answered("label-only", chance.random(n) < 0.3, flops=9e9)], seed=seed))
        for count in counts:
            share = 0.34 + 0.08 * np.log10(count)
            found = [
                answered("scotd", chance.random(n) < share, flops=26e9),
                answered("scotd", chance.random(n) < share + 0.05, decoding="vote", samples=30, flops=420e9),
            ]
            title = f"scotd · samples {count} · seed {seed}"
            cells.append(cell("scotd", found, seed=seed, vary={"teacher.samples": str(count)}, title=title))
    return cells


def bits(text: str) -> list[bool]:
    """Right and wrong answers as 1 and 0."""
    return [c == "1" for c in text]


def check_tables(text: str) -> None:
    """What makes LaTeX take the tables: every row has its columns and begins with a group, braces and dollars close,
    every command is known, and there is nothing but ASCII."""
    assert text.isascii()
    commands = set(re.findall(r"\\([A-Za-z]+)", text))
    known = {"usepackage", "begin", "end", "centering", "small", "toprule", "midrule", "bottomrule", "caption", "label"}
    fitted = {"sbox", "ifdim", "wd", "linewidth", "resizebox", "usebox", "else", "fi"}
    maths = {"kappa", "mu", "times", "rightarrow", "leq", "cdot", "backslash", "tau", "alpha", "lambda"}
    assert commands <= known | fitted | maths | {"c", "v", "u", "H", "aa", "AA", "ss"}
    bare = re.sub(r"\\[{}$&]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    for block in text.split(r"\begin{tabular}{")[1:]:
        columns, rest = block.split("}", 1)
        rows = [line for line in rest.split(r"\end{tabular}")[0].splitlines() if line and not line.endswith("rule")]
        assert len(rows) > 1
        assert all(row.replace(r"\&", "").count("&") == len(columns) - 1 for row in rows)
        assert all(row.startswith("{}") and row.endswith(r" \\") for row in rows)
