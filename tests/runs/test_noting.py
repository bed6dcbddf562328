"""A base of notes is kept in order as the file of questions changes."""

from __future__ import annotations

import json
from pathlib import Path

from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.items import KnowledgeItem, Provenance
from symdistill.runs.config import parse_config
from symdistill.runs.directory import RunDirectory
from symdistill.runs.noting import put_in_order
from symdistill.runs.workspace import Workspace


def workspace(place: Path, held_out: set[str]) -> Workspace:
    rows = [
        {"id": f"q{i}", "question": f"What is {i}?", "answer": "1", "split": "test" if f"q{i}" in held_out else "train"}
        for i in range(6)
    ]
    (place / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = parse_config({"task": {"path": str(place / "q.jsonl")}, "method": "label-only"})
    return Workspace(config, RunDirectory(place / "run"))


def note(number: int, *sources: int) -> KnowledgeItem:
    came = tuple(Provenance(f"q{i}", "default", f"What is {i}?") for i in sources)
    return KnowledgeItem(f"k_{number}", "summary", f"Title {number}", f"Text of {number}.", "default", provenance=came)


def test_a_note_about_a_question_that_is_held_out_by_now_is_retired(tmp_path: Path) -> None:
    """Also where nothing new came in. One that came from a training question too, or from nowhere, stays."""
    with KnowledgeBase(tmp_path / "knowledge.sqlite") as base:
        base.add([note(0, 0), note(1, 1), note(2, 1, 2), note(3)], by="test")
        revision = put_in_order(workspace(tmp_path, {"q5"}), base, new=True)
        assert {item.id for item in base.items()} == {"k_0", "k_1", "k_2", "k_3"}
        base.path.with_suffix(".json").write_text(json.dumps({"refined": revision}))
        put_in_order(workspace(tmp_path, {"q1"}), base, new=False)
        assert {item.id for item in base.items()} == {"k_0", "k_2", "k_3"}
        [gone] = [item for item in base.items(status=None) if item.id == "k_1"]
        assert (gone.status, gone.edited_by) == ("retired", "refinement")
