"""`examples/sentiment/data.py` on a clone of its source in small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "examples" / "sentiment" / "data.py"


def test_the_splits_of_the_source_become_rows(tmp_path: Path) -> None:
    (tmp_path / "clone" / "data").mkdir(parents=True)
    for split, text in (
        ("train", "1 a quiet joy .\n0 it drags , and drags .\n"),
        ("dev", "0 no .\n"),
        ("test", "1 crème brûlée for the eyes .\n"),
    ):
        (tmp_path / "clone" / "data" / f"stsa.binary.{split}").write_text(text, encoding="utf-8")
    out = tmp_path / "made" / "sst2.jsonl"
    subprocess.run([sys.executable, SCRIPT, tmp_path / "clone", "--output", out], check=True, capture_output=True)
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [(row["id"], row["answer"]) for row in rows] == [
        ("sst2/train/00000", "positive"),
        ("sst2/train/00001", "negative"),
        ("sst2/dev/00000", "negative"),
        ("sst2/test/00000", "positive"),
    ]
    assert rows[1]["question"] == "it drags , and drags ."
    assert rows[3]["question"] == "crème brûlée for the eyes ."
    assert {(row["split"], row["answer_type"]) for row in rows} == {(s, "label") for s in ("train", "dev", "test")}
