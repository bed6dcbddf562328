"""Sums of quotes, and what the budget has left."""

from __future__ import annotations

from pathlib import Path

import pytest

from symdistill import content
from symdistill.errors import RecordingMissing
from symdistill.models import Price, TeacherSettings, load_teacher
from symdistill.models.recorded import RecordedModel
from symdistill.records import Completion, Message, Request, Sampling
from symdistill.runs.quoting import Quote, quote, summed
from symdistill.sampling.store import ResponseStore

TEACHER = TeacherSettings(model="openai:big", base_url="http://127.0.0.1:9/v1", price=Price(input=1, output=1))


def requests(count: int) -> list[Request]:
    return [content.request("openai:big", [Message("user", f"{n}?")], Sampling(max_tokens=50), 0) for n in range(count)]


def quoted(wanted: list[Request], store: ResponseStore | None = None, **changes: object) -> Quote:
    teacher = TEACHER.model_copy(update=changes)
    return quote(wanted, store, load_teacher(teacher, to_ask=False), teacher, account="run")


def test_what_a_run_has_spent_is_gone_from_its_budget(tmp_path: Path) -> None:
    first, *rest = requests(5)
    with ResponseStore(tmp_path / "store.sqlite") as store:
        store.add([(first, Completion(first.key, "x", prompt_tokens=100, completion_tokens=800))], "run")
        found = quoted([first, *rest], store, budget_tokens=1000)
        assert (found.to_buy, found.spent.tokens) == (4, 900)
        [line] = found.budget_lines()
        assert line.startswith("The budget of 1,000 tokens (`teacher.budget_tokens`), of which 900 are spent, may stop")
        [line] = quoted([first, *rest], store, budget_tokens=930).budget_lines()
        assert "stops it before the next reply" in line
        assert not list(quoted([first], store, budget_tokens=930).budget_lines()), "nothing is left to buy"


def test_sums_keep_replays_and_purchases_apart() -> None:
    [one, *others] = requests(4)
    recording = RecordedModel("openai:big", [(one, Completion(one.key, "x"))])
    replayed = quote([one], None, recording, TeacherSettings(model="recorded:x.jsonl", budget_usd=1), account="run")
    bought = quoted(others, budget_usd=0.5)
    for both in (summed(replayed, bought), summed(bought, replayed)):
        assert (both.planned, both.to_buy, both.replays, both.replayed, both.bought) == (4, 4, 1, 1, 3)
        assert both.budget.usd == 0.5
        assert both.least == bought.least
        assert len(list(both.budget_lines())) == 1
    assert not list(replayed.budget_lines())


def test_a_recording_is_looked_up_but_for_what_is_guessed() -> None:
    known, unknown = requests(2)
    recording = RecordedModel("openai:big", [(known, Completion(known.key, "x"))])
    teacher = TeacherSettings(model="recorded:x.jsonl")
    with pytest.raises(RecordingMissing, match="this prompt was not recorded"):
        quote([known, unknown], None, recording, teacher, account="run")
    assert quote([known, unknown], None, recording, teacher, account="run", guessed={unknown.key}).replayed == 2
