"""How questions.jsonl was made: the quickstart's questions, and two held-out tasks that nobody learns from.

The held-out tasks are the quickstart's two made harder: sums of six or seven terms instead of four or five, and
equations of three terms instead of two. reasoning-gym 0.1.25, seeded, no question twice.

pip install 'symdistill[reasoning-gym]'
python examples/combinations/make_questions.py > examples/combinations/questions.jsonl
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import reasoning_gym

TEST, SEED = 50, 20261122
TASKS = {
    "long_sums": ("chain_sum", {"min_terms": 6, "max_terms": 7, "min_digits": 1, "max_digits": 1}),
    "longer_equations": (
        "simple_equations",
        {"min_terms": 3, "max_terms": 3, "min_value": 1, "max_value": 9},
    ),
}

sys.stdout.write((Path(__file__).parent.parent / "quickstart" / "questions.jsonl").read_text(encoding="utf-8"))
for task, (kind, options) in TASKS.items():
    drawn = reasoning_gym.create_dataset(kind, size=3 * TEST, seed=SEED, **options)
    unique = list({row["question"]: row for row in drawn}.values())[:TEST]
    for number, row in enumerate(unique):
        record = {"id": f"{task}-{number:03d}", "task": task, "split": "test", "question": row["question"].strip()}
        record |= {"answer": str(row["answer"]), "answer_type": "number"}
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
