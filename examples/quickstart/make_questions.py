"""How questions.jsonl was made: two kinds of arithmetic from reasoning-gym 0.1.25, seeded, no question twice.

pip install 'symdistill[reasoning-gym]'
python examples/quickstart/make_questions.py > examples/quickstart/questions.jsonl
"""

from __future__ import annotations

import json
import sys

import reasoning_gym

TRAIN, TEST, SEED = 120, 60, 20261121
TASKS = {
    "chain_sum": {"min_terms": 4, "max_terms": 5, "min_digits": 1, "max_digits": 1},
    "simple_equations": {"min_terms": 2, "max_terms": 2, "min_value": 1, "max_value": 12},
}

for task, options in TASKS.items():
    drawn = reasoning_gym.create_dataset(task, size=3 * (TRAIN + TEST), seed=SEED, **options)
    unique = list({row["question"]: row for row in drawn}.values())[: TRAIN + TEST]
    for number, row in enumerate(unique):
        split = "train" if number < TRAIN else "test"
        record = {"id": f"{task}-{number:03d}", "task": task, "split": split, "question": row["question"].strip()}
        record |= {"answer": str(row["answer"]), "answer_type": "number"}
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
