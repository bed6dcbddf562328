"""Whole runs of the survey's first experiment: one student learns from gold labels, from a teacher's, from its reasons
and from a tree, and the tree and rules stand beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from symdistill.errors import ConfigError, DataError, Interrupted, RunDirectoryError
from symdistill.knowledge.rules.files import read_rules
from symdistill.knowledge.trees.features import write_features
from symdistill.knowledge.trees.tree import read_tree
from symdistill.records import Request
from symdistill.runs.api import FinishedRun
from symdistill.runs.config import parse_config
from symdistill.runs.featuring import find_rules, tree_files
from symdistill.runs.grid import load_grid
from symdistill.runs.grid_checks import check_grid, price_grid
from symdistill.runs.pipeline import price, run_all
from symdistill.runs.symbols import feature_requests
from symdistill.runs.workspace import workspace

pytest.importorskip("torch")

from symbolic_teacher import METHODS, configuration, say, taught
from tiny import save_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> tuple[FinishedRun, list[Request]]:
    place = tmp_path_factory.mktemp("survey")
    with taught() as model:
        run = run_all(parse_config(configuration(place, tiny)), place / "run")
    return run, model.requests


def examples(run: FinishedRun) -> dict[str, int]:
    students = json.loads(run.directory.manifest.read_text())["students"]
    return {name: card["examples"] for name, card in students.items()}


def measures(run: FinishedRun, label: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.directory.path / "trees" / label / "measures.json").read_text())
    return found


def test_every_arm_learns_from_the_same_inputs(finished: tuple[FinishedRun, list[Request]]) -> None:
    assert examples(finished[0]) == {
        "label-only": 40,
        "teacher-labels": 39,  # one reply names no label of the task
        "std-cot": 40,
        "kb-student": 40,
        "kb-flipped": 40,
    }


def shown_for_questions(requests: list[Request]) -> list[str]:
    return [m.content for r in requests if "<inputs>" in r.messages[-1].content for m in r.messages]


def test_no_gold_label_is_shown_to_a_teacher_whose_labels_are_learned(
    finished: tuple[FinishedRun, list[Request]],
) -> None:
    shown = shown_for_questions(finished[1])
    assert shown
    assert not any("→" in text for text in shown)


@pytest.mark.parametrize(
    ("labels", "features", "told"),
    [
        ("teacher", {}, False),
        ("gold", {}, True),
        ("teacher", {"show_answers": True}, True),
        ("gold", {"show_answers": False}, False),
    ],
)
def test_who_may_see_gold_labels_is_a_matter_of_the_methods_and_of_a_key(
    tmp_path: Path, tiny: Path, labels: str, features: dict[str, Any], told: bool
) -> None:
    settings = configuration(tmp_path, tiny, methods=[{"name": "tree", "labels": labels}])
    settings["features"] |= features
    with taught() as model, workspace(parse_config(settings), tmp_path / "run") as work:
        shown = shown_for_questions(feature_requests(work, model)[0])
    assert shown
    assert any("→ positive" in text for text in shown) == told


@pytest.mark.parametrize(
    ("labels", "order", "default"),
    [("gold", ["positive", "negative"], "positive"), ("teacher", ["negative", "positive"], None)],
)
def test_the_prompt_for_rules_tells_the_commonest_gold_label_only_where_gold_labels_may_be_seen(
    tmp_path: Path, tiny: Path, labels: str, order: list[str], default: str | None
) -> None:
    settings = configuration(tmp_path, tiny, methods=[{"name": "rules", "by": "teacher", "labels": labels}])
    path = Path(settings["task"]["path"])
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    swapped = {"positive": "negative", "negative": "positive"}  # so that the commonest is not the first by alphabet
    path.write_text("".join(json.dumps(row | {"answer": swapped[row["answer"]]}) + "\n" for row in rows))
    with taught() as model, workspace(parse_config(settings), tmp_path / "run") as work:
        asked = "Does the writer call the film boring?"
        write_features(tree_files(work.directory.path).questions, {"boring": asked})
        rules, _ = find_rules(work)
    (prompt,) = {request.messages[-1].content for request in model.requests}
    listed = prompt.partition("<answers>")[2].partition("</answers>")[0]
    assert sorted(order, key=listed.index) == order
    assert rules.default == default


def test_the_tree_and_the_rules_stand_in_the_same_table(finished: tuple[FinishedRun, list[Request]]) -> None:
    rows = {row["method"]: row for row in finished[0].metrics}
    assert list(rows) == ["teacher", *(m.get("label", m["name"]) for m in METHODS)]
    for name in ("tree", "rules"):
        row = rows[name]
        assert (row["n"], row["decoding"], row["parse_rate"]) == (20, "decided", 1.0)
        assert row["accuracy"] == (1.0 if name == "tree" else pytest.approx(0.95, abs=0.051))
        assert row["generated_tokens"] > 3, "the teacher answers three questions about each input"
        assert row["flops"] is None
        assert "parameters" not in row
    assert rows["std-cot"]["parameters"] == rows["label-only"]["parameters"] > 1000
    assert rows["teacher"]["parameters"] == 1.5e9
    assert rows["tree"]["teacher_share"] == pytest.approx(1.0)
    comparison = finished[0].comparison
    assert comparison is not None
    assert {standing.method for standing in comparison.standings} == set(rows)


def test_a_decision_says_why(finished: tuple[FinishedRun, list[Request]]) -> None:
    lines = [json.loads(line) for line in finished[0].directory.predictions.read_text().splitlines()]
    tree = next(line for line in lines if line["method"] == "tree" and line["id"] == "r0")
    assert "because: Does the review praise the acting? yes" in tree["samples"][0]
    assert tree["samples"][0].endswith("Therefore, the answer is negative.")
    rules = next(line for line in lines if line["method"] == "rules" and line["id"] == "r6")
    assert "This rule was right in" in rules["samples"][0] or "the default holds" in rules["samples"][0]


def test_the_files_of_the_knowledge_can_be_read_back(finished: tuple[FinishedRun, list[Request]]) -> None:
    folder = finished[0].directory.path / "trees"
    tree = read_tree(folder / "tree" / "tree.json")
    assert set(tree.features) == {"praises_acting", "boring"}
    assert read_rules(folder / "tree" / "rules.jsonl") == tree.rules()
    assert (folder / "tree" / "tree.svg").read_text().startswith("<svg")
    assert not (folder / "rules" / "tree.json").exists()
    assert read_rules(folder / "rules" / "rules.jsonl").default is not None


def test_measures_hold_fidelity_completeness_control_and_edits(finished: tuple[FinishedRun, list[Request]]) -> None:
    told = measures(finished[0], "tree")
    assert told["completeness"]["value"] == told["fidelity"]["value"] == 1
    assert told["control"]["mean"] < 0.9
    assert {one["model"] for one in told["agreements"]} == {
        *("teacher", "label-only", "teacher-labels", "std-cot", "rules", "kb-student", "kb-flipped")
    }
    assert all(one["fidelity"]["n"] == 20 for one in told["agreements"]), "a reply without an answer disagrees"
    pairs = {(one["student"], one["against"]) for one in told["followings"]}
    assert pairs == {("kb-student", other) for other in ("label-only", "teacher-labels", "std-cot")}
    rules = next(one for one in told["agreements"] if one["model"] == "rules")
    assert rules["fidelity"] == rules["control"]["agreement"], "a tree speaks about every input"
    assert rules["control"]["agreement"]["low"] > rules["control"]["high"] or rules["control"]["p"] < 0.01
    assert told["edits"]["together"]["flipped"]["moved"]["value"] == 1
    assert told["edits"]["together"]["flipped"]["stayed"]["value"] == 1
    (edited,) = told["students"]
    assert (edited["base"], edited["edited"]) == ("kb-student", "kb-flipped")
    assert edited["moved"]["n"] + edited["elsewhere"]["n"] == 20
    assert measures(finished[0], "rules")["students"] == [], "nobody learned from these"


def test_the_report_shows_the_tree_and_what_is_kept_of_the_teacher(finished: tuple[FinishedRun, list[Request]]) -> None:
    page = finished[0].report.read_text()
    for words in ("Knowledge that people read", "Beside the teacher", "Who agrees with it", "What an edit does"):
        assert words in page
    assert "decided" in page
    assert "1.5 G" in page


def test_a_second_start_buys_and_trains_nothing(
    finished: tuple[FinishedRun, list[Request]], tiny: Path, tmp_path: Path
) -> None:
    run, asked = finished
    before = run.directory.metrics.read_text()
    with taught() as model:
        run_all(parse_config(configuration(run.directory.path.parent, tiny)), run.directory.path)
    assert not model.requests
    assert run.directory.metrics.read_text() == before
    assert len({request.key for request in asked}) == len(asked)


def test_a_flipped_rule_is_learned_as_it_says_now(finished: tuple[FinishedRun, list[Request]], tiny: Path) -> None:
    from symdistill.runs.learning import build_examples, material_for
    from symdistill.runs.symbols import with_lessons
    from symdistill.runs.teaching import pool

    run = finished[0]
    with taught(), workspace(parse_config(configuration(run.directory.path.parent, tiny)), run.directory.path) as work:
        learned = {}
        for method in work.methods[-2:]:
            material = with_lessons(work, method, material_for(work, method, pool(work)))
            learned[method.label] = {e.example_id: e.completion for e in build_examples(method, material)}
    assert learned["kb-student"]["r2"] == (
        "Does the review praise the acting? Yes. Does the writer call the film boring? No. "
        "Therefore, the answer is positive."
    )
    changed = {name for name, text in learned["kb-student"].items() if learned["kb-flipped"][name] != text}
    asked = {learned["kb-student"][name].partition(" Therefore")[0] for name in changed}
    assert len(asked) == 1, "one leaf of the tree says another label, and only its inputs changed"
    assert 10 < len(changed) < 40


def test_a_stop_in_the_answers_goes_on_without_buying_twice(tmp_path: Path, tiny: Path) -> None:
    methods = [{"name": "tree", "labels": "gold", "folds": 0, "min_leaf": 2}]
    told = configuration(tmp_path, tiny, methods=methods, evaluation={"max_new_tokens": 6})

    def stops(request: Request) -> Any:
        if request.example_id == "r31":
            raise Interrupted("Stopped.")
        return say(request)

    with pytest.raises(Interrupted), taught(stops) as first:
        run_all(parse_config(told), tmp_path / "run")
    with taught() as model:
        wanted = price(parse_config(told), tmp_path / "run")
        assert wanted is not None
        assert 0 < wanted.stored < wanted.planned
        run = run_all(parse_config(told), tmp_path / "run")
    assert len(model.requests) == wanted.to_buy
    assert {r.key for r in first.requests if r.example_id != "r31"}.isdisjoint(r.key for r in model.requests)
    assert run.metrics[0]["accuracy"] == 1.0
    assert not (tmp_path / "run" / "student").exists(), "no student is needed for a tree"


def test_screening_may_change_between_two_starts(tmp_path: Path, tiny: Path) -> None:
    """What was bought stays good: a run whose questions were screened too strictly goes on with other limits."""
    methods = [{"name": "tree", "labels": "gold", "folds": 0, "min_leaf": 2}]
    told = configuration(tmp_path, tiny, methods=methods, evaluation={"max_new_tokens": 6})
    with taught(), pytest.raises(DataError, match="No question is answered well enough"):
        run_all(parse_config(told | {"features": {"again": 20, "requests": 1, "most_alike": 0.1}}), tmp_path / "run")
    with taught() as model:
        run = run_all(parse_config(told), tmp_path / "run")
    assert not model.requests
    assert run.metrics[0]["accuracy"] == 1.0
    with taught(), pytest.raises(RunDirectoryError, match=r"different: `features.most`"):
        run_all(parse_config(told | {"features": {"again": 20, "requests": 1, "most": 2}}), tmp_path / "run")


def test_own_questions_are_asked_as_they_stand(tmp_path: Path, tiny: Path) -> None:
    write_features(tmp_path / "mine.yaml", {"actors": "Does the review praise the acting?"})
    told = configuration(
        tmp_path,
        tiny,
        methods=[{"name": "tree", "labels": "gold", "folds": 0, "min_leaf": 2}],
        features={"questions": str(tmp_path / "mine.yaml"), "again": 0},
        evaluation={"max_new_tokens": 6},
    )
    with taught() as model:
        planned = price(parse_config(told), tmp_path / "run")
        assert planned is not None
        assert planned.to_buy == 60
        run_all(parse_config(told), tmp_path / "run")
    assert len(model.requests) == 60
    assert read_tree(tmp_path / "run" / "trees" / "tree" / "tree.json").features == ["actors"]


def test_cells_of_a_grid_share_the_answers(tmp_path: Path, tiny: Path) -> None:
    write_features(tmp_path / "mine.yaml", {"actors": "Does the review praise the acting?"})
    tree = {"name": "tree", "labels": "gold"}
    told = configuration(
        tmp_path,
        tiny,
        methods=[tree, {"name": "kb-student", "source": tree}],
        features={"questions": str(tmp_path / "mine.yaml"), "again": 0},
        evaluation={"max_new_tokens": 6},
        grid={"seeds": [0, 1, 2]},
    )
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(told))
    grid = load_grid(tmp_path / "grid.yaml", [], tmp_path / "out")
    with taught():
        planned = price_grid(check_grid(grid))
    assert len(grid.cells) == 1 + 3, "nothing in a tree depends on the seed of training"
    assert planned is not None
    assert planned.planned == 60


def test_rules_the_teacher_writes(tmp_path: Path, tiny: Path) -> None:
    told = configuration(tmp_path, tiny, methods=[{"name": "rules", "by": "teacher"}])
    with taught():
        run = run_all(parse_config(told), tmp_path / "run")
    assert {row["method"]: row["accuracy"] for row in run.metrics}["rules"] >= 0.9
    found = read_rules(tmp_path / "run" / "trees" / "rules" / "rules.jsonl")
    assert {source.kind for rule in found.rules for source in rule.sources} == {"teacher"}


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"teacher": {"model": "dataset"}}, ConfigError, "tree asks a teacher yes/no questions .* `dataset` cannot"),
        ({"teacher": {}}, ConfigError, "tree asks a teacher yes/no questions .* no teacher is named"),
        ({"features": {"questions": "nowhere.yaml"}}, DataError, "There is no .*nowhere.yaml"),
        ({"features": {"agian": 3}}, ConfigError, "features.agian"),
        ({"rows": {"answer_type": "number", "answer": "3"}}, ConfigError, "tells labels apart"),
        ({"rows": {"answer": "positive"}}, DataError, "only the answer 'positive'"),
        ({"rows": {"task": None}}, ConfigError, "belong to 2 tasks"),
    ],
)
def test_what_cannot_work_ends_before_anything_is_bought(
    tmp_path: Path, tiny: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    rows = changes.pop("rows", {})
    told = configuration(
        tmp_path,
        tiny,
        **{"methods": [{"name": "tree", "labels": "gold"}], "evaluation": {"max_new_tokens": 6}, **changes},
    )
    path = tmp_path / "reviews.jsonl"
    lines = [json.loads(line) | rows for line in path.read_text().splitlines()]
    if "task" in rows:
        lines = [line | {"task": f"t{number % 2}"} for number, line in enumerate(lines)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with taught() as model, pytest.raises(error, match=message):
        run_all(parse_config(told), tmp_path / "run")
    assert not model.requests


def test_a_rule_that_is_not_there_cannot_be_flipped(tmp_path: Path, tiny: Path) -> None:
    methods = [{"name": "kb-student", "source": {"folds": 0, "labels": "gold"}, "flip": 9}]
    with (
        taught(),
        pytest.raises(ConfigError, match=r"`flip: 9` of kb-student names a rule that is not there: \d decide"),
    ):
        run_all(parse_config(configuration(tmp_path, tiny, methods=methods)), tmp_path / "run")
