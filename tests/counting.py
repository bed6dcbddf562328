"""Questions that carry their own rationales, for runs that ask no model: `teacher: {model: dataset}`."""

from __future__ import annotations

import json
from pathlib import Path


def write_questions(path: Path, *, train: int, test: int) -> Path:
    """A JSONL file of counting questions, the last `test` of them held out."""
    rows = [
        {
            "id": f"q{i}",
            "question": f"Count {i} and one more thing on table number {i * 7}.",
            "answer": str(i + 1),
            "split": "train" if i < train else "test",
            "rationales": [f"{i} + 1 = {i + 1}. Therefore, the answer is {i + 1}."],
        }
        for i in range(train + test)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
