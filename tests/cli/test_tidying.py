"""`symdistill knowledge prune` and `refine`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from knowledge_commands import SUM, call, filled, now, use
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.items import KnowledgeItem, Provenance


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return filled(tmp_path / "run")


def test_prune_retires_what_did_harm_and_says_how_to_take_it_back(
    capsys: pytest.CaptureFixture[str], path: Path
) -> None:
    call(capsys, "review", path, "--accept", "k_3")
    code, out, _ = call(capsys, "prune", path, "--dry-run")
    assert code == 0
    assert out.splitlines()[0].split() == ["id", "lift", "low", "high", "helped", "hurt", "uses", "title"]
    assert out.splitlines()[1].split()[0::4] == ["k_3", "0"]
    assert "1 would be retired. Nothing was changed." in out
    assert now(path, "k_3").status == "active"
    out = call(capsys, "prune", path, "--min-lift", "0", "--min-uses", "6", "--by", "ann")[1]
    assert "-0.44" in out
    assert "1 retired. To take one back:" in out
    assert now(path, "k_3").status == "retired"
    assert "lift -0.44" in call(capsys, "log", path, "k_3")[1]
    assert out.splitlines()[-1].split() == ["symdistill", "knowledge", "edit", str(path), "k_3", "--status", "active"]
    assert call(capsys, "edit", path, "k_3", "--status", "active")[0] == 0
    assert "-0.44" in call(capsys, "list", path)[1], "what was measured still counts"
    assert "Nothing to retire" in call(capsys, "prune", path, "--min-uses", "9")[1]


def test_prune_wants_evidence_and_says_what_may_be_chance(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    with KnowledgeBase(path / "knowledge.sqlite") as base:
        base.add([replace(SUM, id="k_4", text="Add.", status="active")], by="t")
        base.record_uses([replace(use(n, good=True, item="k_4"), correct_without=n > 0) for n in range(6)])
        base.record_uses([replace(use(9, good=False, item="k_4"), student=f"s{n}") for n in range(9)])
    code, out, _ = call(capsys, "prune", path, "--min-lift", "0.02")
    assert code == 0
    assert out == (
        "1 more item has an estimate below 0.02 that may be chance; --by-estimate would retire these too.\n"
        "Nothing to retire: of 2 active items, 2 were measured on 5 questions or more, and none of these has a lift "
        "surely below 0.02.\n"
    ), "nine students of one question are one question; items in review are not counted"
    assert now(path, "k_4").status == "active"
    assert "1 retired" in call(capsys, "prune", path, "--min-lift", "0.02", "--by-estimate")[1]


def test_refine_puts_edits_in_order_and_takes_back_flags(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    source = Provenance("e1", "sums", "Ann has 48 eggs and buys 69 more. How many has she?")
    leak = KnowledgeItem("k_1", "summary", "Eggs", "Add. The answer is 117.", "sums", provenance=(source,))
    gone = replace(leak, id="k_2", text="Count the eggs with care and add them.", status="retired")
    with KnowledgeBase(tmp_path / "k.sqlite") as base:
        base.add([leak, gone, replace(gone, id="k_3", status="active")], by="t")
        base.add([replace(leak, id=f"k_{n}", text="Write the eggs in a list, then add.") for n in (4, 5)], by="t")
    questions = tmp_path / "q.jsonl"
    rows = [("e1", source.question, "117"), ("e2", "What is 2 and 2?", "4"), ("e3", "What is 3 and 4?", "7")]
    questions.write_text("".join(json.dumps({"id": i, "question": q, "answer": a}) + "\n" for i, q, a in rows))
    base_file = tmp_path / "k.sqlite"
    out = call(capsys, "refine", base_file, "--dry-run")[1]
    assert "5 items: " in out
    assert "Nothing was changed." in out
    assert "Not looked at whether 4 items give an answer away" in out
    out = call(capsys, "refine", base_file, "--task", questions)[1]
    assert "k_1  states the answer of e1" in out
    assert "k_3  says the same as k_2, which is retired" in out
    assert "5 items: 1 merged into others, 1 sent to review, 1 flagged." in out
    with KnowledgeBase(base_file) as base:
        assert (base.get("k_1").flags, base.get("k_3").status) == (("leaks_answer",), "review")
        assert base.get("k_5").edited_by == "refinement"
    assert "It is flagged leaks_answer" in call(capsys, "edit", base_file, "k_1", "--text", "Add what is bought.")[1]
    call(capsys, "review", base_file, "--accept", "k_3")
    assert "5 items: 1 no longer flagged." in call(capsys, "refine", base_file, "--task", questions)[1]
    assert "5 items: nothing to change." in call(capsys, "refine", base_file, "--task", questions)[1]


def test_refine_does_not_take_another_question_for_the_source(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source = Provenance("7", "sums", "Ann has 48 eggs and buys 70 more. How many has she?")
    with KnowledgeBase(tmp_path / "k.sqlite") as base:
        base.add([KnowledgeItem("k_1", "summary", "t", "The answer is 117.", "sums", provenance=(source,))], by="t")
    questions = tmp_path / "q.jsonl"
    rows = [(str(n), f"What are {n} and {110}?", str(110 + n)) for n in range(5, 10)]
    questions.write_text("".join(json.dumps({"id": i, "question": q, "answer": a}) + "\n" for i, q, a in rows))
    out = call(capsys, "refine", tmp_path / "k.sqlite", "--task", questions)[1]
    assert "1 item: nothing to change." in out
    assert "--task FILE" in out
