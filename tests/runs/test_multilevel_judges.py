"""Who selects and who grades in a multilevel run: critics, people, and models that are asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from symdistill.errors import ConfigError
from symdistill.evaluation.statistics import wilson
from symdistill.records import Completion, Request
from symdistill.runs.config import parse_config
from symdistill.runs.directory import RunDirectory
from symdistill.runs.families import check_family, price_family
from symdistill.runs.pipeline import run_all
from symdistill.runs.workspace import Workspace

pytest.importorskip("torch")

from pages import Page
from reinforced import students
from rounds import fluke, improving, lineage, pair_row, sum_right, sums, teacher, terms, write_rows
from tiny import save_tiny

SERVED = {"model": "openai:any", "base_url": "http://x/v1"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student")


def save_critic(place: Path, recall: float = 0.9, seed: int = 0) -> None:
    """A critic that likes what is sure."""
    pytest.importorskip("sklearn")
    from symdistill.training.critic import fit_critic
    from symdistill.training.critic_labels import Labelled
    from symdistill.training.settings import CriticSettings

    labelled = [
        Labelled((f"Add {n} and {m}.", f"{n} + {m} is {'surely' if good else 'maybe'} {n + m}."), good, f"{n}")
        for n in range(40)
        for m, good in ((3, True), (4, False))
    ]
    fit_critic(labelled, CriticSettings(recall=recall), seed=seed)[0].save(place)


def test_a_critic_cannot_audit_what_it_selects_in_another_directory(tmp_path: Path, tiny: Path) -> None:
    for name, recall, seed in (("one", 0.9, 0), ("copy", 0.5, 0), ("other", 0.9, 1)):
        save_critic(tmp_path / name, recall, seed)

    def audited_by(name: str) -> str:
        filters = [{"name": "critic", "path": str(tmp_path / "one")}]
        audit = {"by": "filter", "filter": {"name": "critic", "path": str(tmp_path / name)}}
        config = parse_config(sums(tmp_path, tiny, multilevel={"filters": filters, "audit": audit}))
        return check_family(Workspace(config, RunDirectory(tmp_path / "run")))

    with pytest.raises(ConfigError, match="which `filters` select by"):
        audited_by("copy")
    assert "inputs in 2 rounds" in audited_by("other")


def test_labels_that_a_critic_learned_from_cannot_audit_it(tmp_path: Path, tiny: Path) -> None:
    save_critic(tmp_path / "critic")
    known = {"input": "Add 3 and 4.", "output": "3 + 4 is maybe 7.", "label": False}
    new = {"input": "Add 3 and 5.", "output": "3 + 5 is maybe 8.", "label": False}
    section = {
        "filters": [{"name": "critic", "path": str(tmp_path / "critic")}],
        "audit": {"by": "labels", "labels": str(write_rows(tmp_path / "labels.jsonl", [known, new]))},
    }
    config = parse_config(sums(tmp_path, tiny, multilevel=section))
    with pytest.raises(ConfigError, match=r"1 of the 2 labels .* is among what the filter `critic` learned from"):
        check_family(Workspace(config, RunDirectory(tmp_path / "run")))
    write_rows(tmp_path / "labels.jsonl", [new])
    assert "inputs in 2 rounds" in check_family(Workspace(config, RunDirectory(tmp_path / "run")))


def test_a_trained_critic_selects(tmp_path: Path, tiny: Path) -> None:
    save_critic(tmp_path / "critic")
    rows = [{**pair_row(n), "output": f"{n} + {2 * n} is {'surely' if n % 2 else 'maybe'} {3 * n}."} for n in range(20)]
    section = {
        "seeds": str(write_rows(tmp_path / "rows.jsonl", rows)),
        "filters": [{"name": "critic", "path": str(tmp_path / "critic"), "threshold": 0.5}],
        "rounds": 1,
    }
    with students(lambda student, request: "It is maybe something."):
        run = run_all(parse_config(sums(tmp_path, tiny, multilevel=section)), tmp_path / "run")
    first, second = run.metrics["rounds"]
    assert {row["id"] for row in lineage(tmp_path / "run") if row["round"] == 0 and row["kept"]} == {
        f"0-{n}" for n in range(1, 20, 2)
    }
    assert (first["kept"], first["scored_by"], run.metrics["stopped"]) == (10, "critic", "nothing kept")
    scores = [row["scores"]["critic"] for row in lineage(tmp_path / "run") if row["round"] == 0]
    assert first["score"] == pytest.approx(sum(scores) / 20, abs=1e-5), "of all that was written"
    assert second["dropped"]["critic"] == second["generated"]


@pytest.mark.parametrize("there", ["people.jsonl", "rounds.jsonl"])
def test_a_file_that_may_have_been_meant_by_missing_labels_is_told(tmp_path: Path, tiny: Path, there: str) -> None:
    (tmp_path / there).write_text("")
    missing = tmp_path / "poeple.jsonl"
    section = {"audit": {"by": "labels", "labels": str(missing), "fraction": 0.25}, "rounds": 1}
    with students(improving):
        line = check_family(Workspace(parse_config(sums(tmp_path, tiny, multilevel=section)), RunDirectory(tmp_path)))
    meant = f" (did you mean {tmp_path / there}?)" if there == "people.jsonl" else ""
    assert line.endswith(f"   no labels yet at {missing}{meant}")


def test_people_s_labels_are_taken_up_when_they_come(tmp_path: Path, tiny: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    section = {"audit": {"by": "labels", "labels": str(labels), "fraction": 0.25}, "rounds": 1}
    config = parse_config(sums(tmp_path, tiny, multilevel=section))
    with students(improving):
        assert "no labels yet at" in check_family(Workspace(config, RunDirectory(tmp_path / "run")))
        run = run_all(config, tmp_path / "run")
        assert [one["graded_before"] for one in run.metrics["rounds"]] == [0, 0]
        assert [one["deciding"]["n"] for one in run.metrics["students"]] == [0]
        rows = [json.loads(line) for line in (tmp_path / "run" / "audit.jsonl").read_text().splitlines()]
        assert {row["label"] for row in rows} == {None}
        write_rows(labels, [{**row, "label": "accept"} for row in rows])
    with students() as asked:
        again = run_all(config, tmp_path / "run")
    assert not any(model.requests for model in asked)
    assert [one["accuracy"] for one in again.metrics["rounds"]] == [1.0, 1.0]


def test_a_model_that_grades_is_priced_before_it_is_asked(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grading = teacher(lambda request: "Yes.", monkeypatch)
    price = {"input": 1.0, "output": 10.0}
    audit = {"by": "model", "question": "Is it right?", "fraction": 0.25, "auditor": {**SERVED, "price": price}}
    config = parse_config(sums(tmp_path, tiny, multilevel={"audit": audit, "samples": 2, "rounds": 2}))
    found = price_family(config, tmp_path / "run")
    assert found is not None
    assert found.planned == 2 + 2 * (2 * 4 + 8), "a quarter of 10 pairs, of 16 inputs a round, 2 outputs each, 8 of all"
    assert found.most_usd is not None
    assert not grading.requests
    with students(lambda student, request: f"{sum_right(request)} {len(request.key)}"):
        run = run_all(config, tmp_path / "run")
    paid = json.loads(run.directory.manifest.read_text())["teacher"]
    assert paid["replies"] == len({request.key for request in grading.requests}) <= found.planned
    assert 0 < paid["tokens"] <= found.most_tokens
    assert f"Paid for: {paid['replies']} replies" in Page(run.report.read_text()).text
    assert run.metrics["paid"] == paid
    first, second = (run.metrics["rounds"][at]["intervals"]["accuracy"] for at in (0, 1))
    assert (first["low"], first["high"]) == pytest.approx((wilson(2, 2).low, 1.0))
    assert (second["low"], second["high"]) == pytest.approx((wilson(4, 4).low, 1.0)), "of four inputs, eight outputs"


def test_what_an_auditor_may_cost_is_no_part_of_what_a_run_is(tmp_path: Path, tiny: Path) -> None:
    def identity(**auditor: Any) -> dict[str, Any]:
        audit = {"by": "model", "question": "Is it?", "auditor": {"model": "openai:any", **auditor}}
        return parse_config(sums(tmp_path, tiny, multilevel={"audit": audit})).identity()

    assert identity(budget_usd=1.0) == identity(budget_usd=2.0, retries=1)
    assert identity() != identity(max_tokens=3)


def test_what_was_cut_decides_nothing_while_people_have_not_labelled(tmp_path: Path, tiny: Path) -> None:
    """Student 1 has cut replies, the later ones have none: nobody knows who is the best."""
    labels = tmp_path / "labels.jsonl"
    section = {"audit": {"by": "labels", "labels": str(labels), "fraction": 0.25}, "rounds": 2}
    config = parse_config(sums(tmp_path, tiny, multilevel=section))

    def cut(student: str, request: Request) -> str | Completion:
        text = sum_right(request)
        if student == "student-1" and request.sampling.temperature == 0 and terms(request)[0] % 2:
            return Completion(request.key, text, finish_reason="length")
        return text

    with students(cut):
        run = run_all(config, tmp_path / "run")
    assert (run.metrics["stopped"], run.metrics["chosen"]) == ("rounds", 2)
    assert [one["deciding"]["n"] for one in run.metrics["students"]] == [0, 0]
    rows = [json.loads(line) for line in (tmp_path / "run" / "audit.jsonl").read_text().splitlines()]
    said = Page(run.report.read_text()).text
    assert "Nothing was audited, and the last student, 2" in said
    whole = len([row for row in rows if row["slice"] == "round" or row["student"] == 2])
    fixed = [row for row in rows if row.get("student") == 1]
    odd = [row for row in fixed if int(row["input"].split()[1]) % 2]
    assert 0 < len(odd) < len(fixed)
    assert f"people's labels (labels.jsonl), 0 of {whole + len(fixed) - len(odd)} outputs so far" in said
    half = [row for row in fixed if row not in odd][:1]
    for labelled, known in ((half, 1), (rows, len(fixed))):
        write_rows(labels, [{**row, "label": "accept"} for row in labelled])
        with students():
            run = run_all(config, tmp_path / "run")
        first = run.metrics["students"][0]
        assert first["deciding"]["n"] + first["reported"]["n"] == known
    assert first["deciding"]["right"] + first["reported"]["right"] == len(fixed) - len(odd), "cut ones are wrong now"


def test_a_critic_that_is_pleased_while_the_students_fall_ends_the_rounds(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from symdistill.curation.pairs import Scorer
    from symdistill.runs import multilevel_judges

    def pleased(one: Any) -> Scorer:
        """What is kept of rounds 0 and 1 has the same score; what was written has not."""
        return Scorer(lambda pairs: [0.9 if p.round > 1 or int(p.id[2:]) % 2 else 0.1 for p in pairs], 0.5)

    def falling(student: str, request: Request) -> str:
        return sum_right(request) if student == "student-1" else fluke(request)

    monkeypatch.setattr(multilevel_judges, "scorer_of", pleased)
    (tmp_path / "critic").mkdir()
    audit = {"by": "gold", "fraction": 0.25, "fixed": 0.3}
    section = {"filters": [{"name": "critic", "path": str(tmp_path / "critic")}], "rounds": 3, "audit": audit}
    config = sums(tmp_path, tiny, multilevel={**section, "per_round": 8})
    with students(falling):
        run = run_all(parse_config(config), tmp_path / "run")
    assert (run.metrics["stopped"], len(run.metrics["rounds"]), run.metrics["chosen"]) == ("drift", 3, 1)
    assert [one["score"] for one in run.metrics["rounds"]] == pytest.approx([0.5, 0.5, 0.9])
    assert "learning to please a critic" in Page(run.report.read_text()).text
