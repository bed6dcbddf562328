"""Items for the tests of a knowledge base."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from symdistill.knowledge.items import KnowledgeItem, Use

SWAP = KnowledgeItem("k_1", "summary", "Update both holders", "Write both names down at every swap.", "bbh/tracking")
SUM = KnowledgeItem("k_2", "supplementary", "Carrying", "Carry the tens when digits add up to 10.", "gsm8k")
USE = Use("k_1", 1, "q1", "Who holds it?", "run", "s", True, False, "Bob", "Ann")


def with_sql(path: Path, *statements: str) -> None:
    """Edit the file as a person with an SQL tool would, past the triggers."""
    db = sqlite3.connect(path)
    for trigger in ("versions_update", "versions_delete", "uses_update"):
        db.execute(f"DROP TRIGGER IF EXISTS {trigger}")
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()
