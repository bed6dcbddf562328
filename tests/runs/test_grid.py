"""Grids: which cells a file makes, and how a mistake in one is explained before anything is spent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from symdistill.errors import ConfigError, DataError, RunDirectoryError, SymdistillError
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.items import KnowledgeItem
from symdistill.runs.config import load_config
from symdistill.runs.grid import Grid, load_grid
from symdistill.runs.grid_checks import check_grid, pools, price_grid
from symdistill.runs.grid_running import fingerprint, is_done
from symdistill.runs.grid_state import editable_key
from symdistill.runs.teaching import curate_replies, pool, sample_teacher
from symdistill.runs.workspace import workspace
from symdistill.sampling.store import ResponseStore

QUESTIONS = [
    {
        "id": f"q{i}",
        "task": ("sums", "dates")[i % 2],
        "question": f"Count {i} and one more thing on the table number {i * 7}.",
        "answer": str(i + 1),
        "split": "test" if i >= 16 else "train",
        "rationales": [f"{i} + {k} - {k} + 1 = {i + 1}. Therefore, the answer is {i + 1}." for k in range(4)],
    }
    for i in range(24)
]

BASE = """\
task: {path: q.jsonl}
teacher: {model: dataset, samples: 4}
methods:
  - zero-shot
  - label-only
  - std-cot
  - {name: scotd, label: many}
student: {model: STUDENT}
grid:
  seeds: [0, 1]
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Write a grid beside its questions; `rows` in the place of the usual ones."""

    def written(text: str, rows: list[dict[str, Any]] | None = None) -> Path:
        (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows or QUESTIONS))
        student = tmp_path / "tiny"
        student.mkdir(exist_ok=True)
        path = tmp_path / "grid.yaml"
        path.write_text(text.replace("STUDENT", str(student)))
        return path

    return written


def load(path: Path, *overrides: str) -> Grid:
    return load_grid(path, overrides, path.parent / "out")


def titles(grid: Grid) -> list[str]:
    return [cell.title for cell in grid.cells]


def test_a_section_makes_a_grid_of_any_run(write) -> None:
    grid = load(write(BASE))
    assert titles(grid) == [
        "zero-shot",
        *(f"{method} · seed 0" for method in ("label-only", "std-cot", "many")),
        *(f"{method} · seed 1" for method in ("label-only", "std-cot", "many")),
    ]
    assert len({grid.place(cell) for cell in grid.cells}) == len(grid.cells)
    assert {cell.config.store for cell in grid.cells} == {grid.directory / "store.sqlite"}


def test_a_seed_changes_training_and_draws_and_leaves_questions_and_replies_as_they_are(write) -> None:
    path = write(BASE)
    by_title = {cell.title: cell.config for cell in load(path).cells}
    first, second = by_title["many · seed 0"], by_title["many · seed 1"]
    assert (first.training.seed, second.training.seed) == (0, 1)
    assert (first.curation.seed, second.curation.seed) == (0, 1)
    assert first.seed == second.seed == 0
    assert by_title["label-only · seed 1"].curation.seed is None, "nothing is curated for it"
    assert by_title["zero-shot"].training.seed is None


def test_fractions_students_and_varied_keys_multiply_what_depends_on_them(write) -> None:
    text = BASE + "  fractions: [0.5, 1]\n  students: [a/one, {label: two, model: b/one, lora: {r: 8}}]\n"
    grid = load(write(text + "  vary: {teacher.samples: [1, 2, 4], many.weighting: [sample, instance]}\n"))
    by_method = {m: [c for c in grid.cells if c.method == m] for m in ("zero-shot", "label-only", "std-cot", "many")}
    seeds, fractions, students = 2, 2, 2
    assert {m: len(cells) for m, cells in by_method.items()} == {
        "zero-shot": students,
        "label-only": seeds * fractions * students,
        "std-cot": seeds * fractions * students * 3,
        "many": seeds * fractions * students * 3 * 2,
    }
    last = by_method["many"][-1]
    assert last.title == "many · two · 100% · samples 4 · weighting instance · seed 1"
    assert last.name == "many_two_100pct_seed1_samples-4_weighting-instance"
    assert last.config.student.model == "b/one"
    assert last.config.student.lora is not None
    assert last.config.teacher.samples == 4
    assert dict(last.config.method or {})["weighting"] == "instance"
    assert len({cell.name for cell in grid.cells}) == len(grid.cells)


def test_a_grid_that_grows_keeps_the_names_of_its_cells(write) -> None:
    before = {cell.name for cell in load(write(BASE)).cells}
    grown = load(write(BASE.replace("[0, 1]", "[0, 1, 2]") + "  fractions: [0.5, 1]\n"))
    assert before <= {cell.name for cell in grown.cells}


def test_overrides_reach_the_grid(write) -> None:
    grid = load(write(BASE), "grid.seeds=[3]", "training.max_steps=5", "grid.fractions=[0.25]")
    assert {cell.seed for cell in grid.cells} == {None, 3}
    assert {cell.config.training.max_steps for cell in grid.cells} == {5}
    assert {cell.config.task.fraction for cell in grid.cells if cell.method != "zero-shot"} == {0.25}


@pytest.mark.parametrize(
    "override", ["grid.vary={training.lr: [1]}", "grid.vary={training.max_steps: [0]}", "grid.vary={many.samples: [1]}"]
)
def test_a_mistake_in_what_an_override_varies_names_the_override(write, override: str) -> None:
    text = BASE + "training: {num_train_epochs: 2}\n"
    key = override.removeprefix("grid.vary={").partition(":")[0]
    with pytest.raises(ConfigError, match=re.escape(f"`grid.vary.{key}` (override `{override}`)")):
        load(write(text), override)


def test_anchors_do_not_carry_a_seed_where_it_does_not_belong(write) -> None:
    """YAML makes one object of an anchor and its aliases; setting `training.seed` must not reach the alias."""
    text = BASE.replace("methods:", "training: &t {max_steps: 2}\nmethods:").replace(
        "label: many}", "label: many, training: *t}"
    )
    cell = load(write(text)).cells[-1]
    assert cell.config.training.seed == 1
    assert "seed" not in (cell.config.method or {})["training"]


@pytest.mark.parametrize(
    "change, says",
    [
        (("grid:", "gird:"), r"has no section `grid`.*Did you mean `grid` by `gird`\?"),
        (
            ("  seeds: [0, 1]\n", "  fractions: [1]\n"),
            r"`grid` in .*, line \d+ has no `seeds`.*a list of whole numbers",
        ),
        (("[0, 1]", "[]"), r"`grid\.seeds` in .*, line 10 must be a list of at least one; it is an empty list"),
        (("[0, 1]", "[0, 0]"), r"`grid\.seeds`.*nothing stands twice \(`0` does\)"),
        (("[0, 1]", "3"), r"`grid\.seeds`.* must be a list of whole numbers"),
        (("[0, 1]", "[-1]"), r"`grid\.seeds\.0`.* must be a whole number of at least 0, not -1"),
        (("[0, 1]", "[true]"), r"`grid\.seeds`.* without true or false"),
        (("[0, 1]", "[0]\n  fractions: [0]"), r"`grid\.fractions\.0`.* a number above 0 and at most 1, not 0"),
        (
            ("[0, 1]", "[0]\n  fractions: [1.5]"),
            r"`grid\.fractions\.0`.*line 11 must be a number above 0 and at most 1",
        ),
        (("[0, 1]", "[0]\n  fractoins: [1]"), r"Unknown key `grid\.fractoins`.*Did you mean `grid\.fractions`\?"),
        (("[0, 1]", "[0]\n  baseline: std-cod"), r"`grid\.baseline`.*line 11.*`std-cod`.*Did you mean `std-cot`\?"),
        (("[0, 1]", "[0]\n  students: [a/one, b/one]"), r"Two students are called `one` \(`grid\.students\.1`.*label"),
        (
            ("[0, 1]", "[0]\n  students: [{label: x, modl: y}]"),
            r"Unknown key `grid\.students\.0\.modl`.*line 11.*Did you mean `grid\.students\.0\.model`\?",
        ),
        (("[0, 1]", "[0]\n  vary: {teacher.samples: 5}"), r"`grid\.vary`.*list of values.*`teacher\.samples`"),
        (("[0, 1]", "[0]\n  vary: {teacher.samples: [1, 1]}"), r"`grid\.vary`.*nothing stands twice"),
        (
            ("[0, 1]", "[0]\n  vary:\n    teacher.smples: [1]"),
            r"Unknown key `grid\.vary\.teacher\.smples`.*line 12.*Did you mean `grid\.vary\.teacher\.samples`\?",
        ),
        (("[0, 1]", "[0]\n  vary: {teachr.samples: [1]}"), r"`grid\.vary\.teachr\.samples`.*Did you mean `teacher`\?"),
        (
            ("[0, 1]", "[0]\n  vary: {many.weigthing: [sample]}"),
            r"Unknown key `grid\.vary\.many\.weigthing`.*line 11.*Did you mean `grid\.vary\.many\.weighting`\?",
        ),
        (("[0, 1]", "[0]\n  vary: {mny.weighting: [sample]}"), r"`grid\.vary\.mny\.weighting`.*Did you mean `many`\?"),
        (
            ("[0, 1]", "[0]\n  vary: {teacher.samples: [0]}"),
            r"`grid\.vary\.teacher\.samples`.*line 11 must be .*above 0",
        ),
        (
            ("[0, 1]", "[0]\n  vary: {training.lr: [1, 2]}"),
            r"Unknown key `grid\.vary\.training\.lr` in .*, line 11\. Known here: learning_rate, num_train_epochs, ",
        ),
        (
            ("[0, 1]", "[0]\n  vary: {many.training.lr: [1, 2]}"),
            r"Unknown key `grid\.vary\.many\.training\.lr` in .*, line 11\. Known here: learning_rate, ",
        ),
        (
            ("[0, 1]", "[0]\n  vary: {training.learn_rate: [1, 2]}"),
            r"Unknown key `grid\.vary\.training\.learn_rate`.* Did you mean `grid\.vary\.training\.learning_rate`\?",
        ),
        (("[0, 1]", "[0]\n  vary: {training.seed: [1, 2]}"), r"`grid\.vary\.training\.seed`.*Use `grid\.seeds`"),
        (
            ("[0, 1]", "[0]\n  vary: {seed: [1, 2]}"),
            r"`grid\.vary\.seed`.*cannot be varied.*other replies.*`grid\.seeds`",
        ),
        (("[0, 1]", "[0]\n  vary: {task.fraction: [0.5]}"), r"Use `grid\.fractions`"),
        (("[0, 1]", "[0]\n  vary: {student.model: [a, b]}"), r"Use `grid\.students`"),
        (
            ("student:", "training: {seed: 3}\nstudent:"),
            r"`training\.seed` in .*, line 8 fixes what `grid\.seeds` varies",
        ),
        (
            ("label: many}", "label: many, training: {seed: 3}}"),
            r"`methods\.3\.training\.seed`.* fixes what `grid\.seeds`",
        ),
        (("q.jsonl}", "q.jsonl, fraction: 0.5}"), r"`task\.fraction`.* fixes what `grid\.fractions` varies"),
        (
            ("- std-cot", "- std-cot\n  - {name: std-cot, label: again}"),
            r"cells `std-cot · .*` and `again · .*` are the same run",
        ),
        (("- std-cot", "- std-coat"), r"Unknown method `std-coat`.*line 6.*Did you mean `std-cot`\?"),
    ],
)
def test_a_mistake_names_the_key_and_what_to_do(write, change: tuple[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as problem:
        load(write(BASE.replace(*change)))
    assert problem.value.fix


def test_a_run_refuses_a_grid(write) -> None:
    with pytest.raises(ConfigError, match=r"`grid` in .*, line 9.*`symdistill compare`"):
        load_config(write(BASE))


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Students are not looked at."""
    monkeypatch.setattr("symdistill.students.loading.check_student", lambda settings: settings.model)


def test_what_knows_nothing_is_not_multiplied_by_knowledge(write) -> None:
    """Knowledge is looked up by nesycd alone; skintern trains with notes, whatever is found by them."""
    noted = "  - {name: skintern, training: {num_train_epochs: 12}, analysis: {model: 'openai:x'}}\n"
    knowing = "  - {name: nesycd, analysis: {model: 'openai:x'}}\n"
    text = BASE.replace("student:", f"{noted}{knowing}student:").replace("[0, 1]", "[0]")
    for key, methods in (
        ("knowledge.retrieval.top_k: [1, 2]", {"nesycd"}),
        ("knowledge.retrieval.exclude_leaking: [true, false]", {"nesycd", "skintern"}),
    ):
        cells = load(write(f"{text}  vary: {{{key}}}\n")).cells
        assert {cell.method for cell in cells if cell.vary} == methods
        assert len(cells) == 6 + len(methods)


def test_keys_that_end_alike_stand_whole_in_the_cells_they_share(write) -> None:
    varied = "  vary: {teacher.temperature: [0, 1], many.evaluation.temperature: [0.5, 0.7]}\n"
    cells = load(write("evaluation: {self_consistency: 3}\n" + BASE.replace("[0, 1]", "[0]") + varied)).cells
    last = [cell for cell in cells if cell.method == "many"][-1]
    assert last.title == "many · teacher.temperature 1 · many.evaluation.temperature 0.7"
    assert dict(last.vary) == {"teacher.temperature": 1, "many.evaluation.temperature": 0.7}
    assert [cell.name for cell in cells if cell.method == "std-cot"][-1].endswith("_temperature-1")


@pytest.mark.usefixtures("no_model")
def test_a_mistake_found_by_a_look_at_the_files_names_the_key_of_the_grid(write) -> None:
    entry = "  - {name: kard, label: read, corpus: none.txt, reranker: none}\n"
    grid = load(write(BASE.replace("student:", f"{entry}student:")))
    with pytest.raises(DataError, match=r"read · seed 0: .*`methods\.4\.corpus`"):
        check_grid(grid)
    varied = "  vary: {read.corpus: [none.txt, other.txt]}\n"
    with pytest.raises(DataError, match=r"`grid\.vary\.read\.corpus`"):
        check_grid(load(write(BASE.replace("student:", f"{entry}student:") + varied)))


def test_a_path_in_an_override_is_taken_from_where_the_command_was_given(
    write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = "  - {name: kard, label: read, corpus: none.txt, reranker: none}\n"
    path = write(BASE.replace("student:", f"{entry}student:"))
    (tmp_path / "here").mkdir()
    for folder in (tmp_path, tmp_path / "here"):
        (folder / "corpus.txt").write_text("Two and two make four.")
    monkeypatch.chdir(tmp_path / "here")
    cell = load(path, "methods.4.corpus=corpus.txt").cells[-1]
    assert Path(dict(cell.config.method or {})["corpus"]).resolve() == tmp_path / "here" / "corpus.txt"


def finish(grid: Grid) -> None:
    """What finished cells leave behind, as far as the next start looks at it."""
    checked = check_grid(grid)
    for cell in grid.cells:
        place = grid.place(cell)
        place.mkdir(parents=True, exist_ok=True)
        for name in ("metrics.json", "predictions.jsonl"):
            (place / name).write_text("")
        made = {"made_of": fingerprint(checked, cell), "editable": editable_key(place)}
        (place / "done.json").write_text(json.dumps(made))


def kept(grid: Grid) -> set[str]:
    """The methods of which no cell would run again."""
    checked = check_grid(grid)
    return {c.method for c in grid.cells} - {c.method for c in grid.cells if not is_done(grid, c, checked)}


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    "change, stale",
    [
        ({"rationales": ["1 + 1 = 2. Therefore, the answer is 2."]}, {"zero-shot", "label-only", "std-cot", "read"}),
        ({"instruction": "Answer in French."}, {"zero-shot", "label-only", "std-cot", "read"}),
        ({}, set()),
    ],
)
def test_a_cell_whose_questions_changed_in_any_way_runs_again(write, tmp_path: Path, change: Any, stale: Any) -> None:
    entry = "  - {name: kard, label: read, corpus: corpus.txt, reranker: none}\n"
    text = BASE.replace("  - {name: scotd, label: many}\n", entry)
    (tmp_path / "corpus.txt").write_text("Two and two make four. " * 20)
    grid = load(write(text))
    everyone = {"zero-shot", "label-only", "std-cot", "read"}
    finish(grid)
    assert kept(grid) == everyone
    assert kept(load(write(text, [{**row, **change} for row in QUESTIONS]))) == everyone - stale


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    "change, left",
    [
        ("features.least_kappa=0.7", {"zero-shot", "label-only", "std-cot"}),
        ("student.engine=ctranslate2", set()),
        ("teacher.concurrency=3", {"zero-shot", "label-only", "std-cot", "tree"}),
    ],
)
def test_a_cell_that_is_asked_otherwise_runs_again(write, change: str, left: set[str]) -> None:
    text = BASE.replace("  - {name: scotd, label: many}\n", "  - tree\n")
    rows = [
        {**row, "task": "sums", "answer_type": "label", "answer": ("yes", "no")[i % 2]}
        for i, row in enumerate(QUESTIONS)
    ]
    path = write(text.replace("model: dataset", 'model: "openai:x", base_url: "http://127.0.0.1:9/v1"'), rows)
    finish(load(path))
    assert kept(load(path, change)) == left


@pytest.mark.usefixtures("no_model")
def test_a_cell_whose_files_changed_runs_again(write, tmp_path: Path) -> None:
    """The corpus that is read, demonstrations that are shown; a cell that names neither is kept."""
    entry = "  - {name: kard, label: read, corpus: corpus, reranker: none}\n"
    text = BASE.replace("  - {name: scotd, label: many}\n", entry)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.txt").write_text("Two and two make four. " * 20)
    grid = load(write(text))
    finish(grid)
    (tmp_path / "corpus" / "b.txt").write_text("Three and three make six. " * 20)
    assert kept(grid) == {"zero-shot", "label-only", "std-cot"}
    place = next(grid.place(cell) for cell in grid.cells if cell.method == "std-cot")
    (place / "rationales.jsonl").write_text("edited")
    assert kept(grid) == {"zero-shot", "label-only"}, "what people changed in a cell is taken up"


@pytest.mark.usefixtures("no_model")
def test_notes_that_people_edit_reach_a_finished_cell(write) -> None:
    grid = load(write(BASE))
    places = {cell.method: grid.place(cell) for cell in grid.cells if cell.seed in (None, 0)}
    for method in ("label-only", "std-cot"):
        places[method].mkdir(parents=True)
        with KnowledgeBase(places[method] / "knowledge.sqlite") as base:
            base.add([KnowledgeItem("k1", "summary", "Title", "Text", "sums")], by="test")
    finish(grid)
    with KnowledgeBase(places["label-only"] / "knowledge.sqlite") as base:
        base.edit("k1", by="test", status="retired")
    assert kept(grid) == {"zero-shot", "std-cot", "many"}


@pytest.mark.usefixtures("no_model")
def test_notes_that_cells_share_are_priced_once(write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four variants of skintern with three seeds ask about the same solutions; first students of nesycd differ with
    the seed, and each makes mistakes of its own."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    teacher = BASE.replace("dataset", "openai:gpt-4o-mini").replace("[0, 1]", "[0, 1, 2]")
    variants = "".join(
        f"  - {{name: skintern, label: s{e}, examples: {e}, training: {{num_train_epochs: 12}}}}\n" for e in range(4)
    )
    gates = "".join(f"  - {{name: nesycd, label: {g}, gate: {g}, dev_fraction: 0.25}}\n" for g in ("always", "never"))
    price = price_grid(check_grid(load(write(teacher.replace("student:", f"{variants}{gates}student:")))))
    assert price is not None
    assert price.about_solutions is not None
    assert price.about_solutions.to_buy == 16
    assert price.about_mistakes is not None
    assert price.about_mistakes.to_buy == 12 * 3
    drawn = teacher.replace("teacher:", "curation: {select: random, budget: 1}\nteacher:")
    price = price_grid(check_grid(load(write(drawn.replace("student:", f"{variants}student:")))))
    assert price is not None
    assert price.about_solutions is not None
    assert price.about_solutions.to_buy == 16 * 3, "each seed may keep another solution"


@pytest.mark.usefixtures("no_model")
def test_the_replies_of_a_pool_are_wanted_once(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    text = BASE.replace("dataset", "openai:gpt-4o-mini")
    checked = check_grid(load(write(text + "  fractions: [0.25, 1]\n  vary: {teacher.samples: [1, 2, 4]}\n")))
    assert len(checked.tasks) == 2, "each share of the questions is read once, whatever the cells"
    found = list(pools(checked))
    assert [work.config.teacher.samples for work, _ in found][:1] == [4]
    assert sum(len(cells) for _, cells in found) == 2 * 2 * 2 * 3
    price = price_grid(checked)
    assert price is not None
    assert price.planned == price.to_buy == 16 * 4, "1, 2 and 4 samples of a quarter and of all are parts of 64 replies"
    assert not (checked.grid.directory).exists(), "pricing leaves no trace"


@pytest.mark.usefixtures("no_model")
def test_shares_of_the_questions_are_parts_of_each_other_and_even_over_tasks(write) -> None:
    checked = check_grid(load(write(BASE.replace("[0, 1]", "[0]") + "  fractions: [0.25, 0.5, 1]\n")))
    by_fraction = {
        cell.fraction: checked.workspace(cell).task for cell in checked.grid.cells if cell.method == "label-only"
    }
    learned = {fraction: {e.id for e in task.train} for fraction, task in by_fraction.items()}
    assert learned[0.25] < learned[0.5] < learned[1.0]
    assert [len(learned[f]) for f in (0.25, 0.5, 1.0)] == [4, 8, 16]
    assert [e.task for e in by_fraction[0.25].train].count("sums") == 2
    assert len({task.evaluation for task in by_fraction.values()}) == 1, "all are judged on the same questions"


UNLABELLED = [{k: v for k, v in q.items() if k != "rationales"} for q in QUESTIONS]


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    "change, rows, error, says",
    [
        (
            ("teacher: {model: dataset, samples: 4}\n", ""),
            None,
            ConfigError,
            r"std-cot · seed 0: .*no teacher is named.*`teacher\.model`",
        ),
        (
            ("", ""),
            UNLABELLED,
            DataError,
            r"std-cot · seed 0: std-cot needs rationales, and no training question brings one.*`teacher\.model`",
        ),
        (("q.jsonl}", "none.jsonl}"), None, DataError, r"none\.jsonl"),
        (
            ("[0, 1]", "[0]\n  vary: {task.eval_limit: [2, 4]}"),
            None,
            ConfigError,
            r"judged on different questions.*`grid\.vary`",
        ),
        (("q.jsonl}", "q.jsonl, tasks: [sum]}"), None, ConfigError, r"`task\.tasks`.*Did you mean `sums`\?"),
    ],
    ids=["no teacher", "labels alone", "no file", "other questions", "no task"],
)
def test_what_would_stop_a_cell_stops_the_grid_before_anything_is_spent(
    write, change: tuple[str, str], rows: Any, error: type[SymdistillError], says: str
) -> None:
    grid = load(write(BASE.replace(*change), rows))
    with pytest.raises(error, match=says) as problem:
        check_grid(grid)
    assert problem.value.fix
    assert not grid.directory.exists()


@pytest.mark.usefixtures("no_model")
def test_a_directory_of_another_configuration_is_refused(write) -> None:
    grid = load(write(BASE))
    place = grid.place(grid.cells[1])
    (place / "checkpoints").mkdir(parents=True)
    (place / "config.yaml").write_text(grid.cells[1].config.to_yaml(place))
    check_grid(grid)
    with pytest.raises(RunDirectoryError, match=re.escape("training.max_steps")) as problem:
        check_grid(load(write(BASE), "training.max_steps=9"))
    assert "--output" in problem.value.fix


@pytest.mark.usefixtures("no_model")
def test_a_directory_of_a_run_is_no_place_for_a_grid(write) -> None:
    grid = load(write(BASE))
    grid.directory.mkdir()
    (grid.directory / "config.yaml").write_text("{}")
    with pytest.raises(RunDirectoryError, match="holds a run, and no grid") as problem:
        check_grid(grid)
    assert "--output" in problem.value.fix


@pytest.mark.usefixtures("no_model")
def test_a_seed_draws_other_rationales_from_the_same_replies(write) -> None:
    text = BASE.replace("teacher:", "curation: {select: random, budget: 1}\nteacher:")
    grid = load(write(text))
    kept = []
    for cell in grid.cells:
        if cell.method == "many":
            with workspace(cell.config, grid.place(cell)) as work:
                sample_teacher(work)
                curate_replies(work)
                kept.append([r.sample_index for r in pool(work)])
    assert [len(found) for found in kept] == [16, 16]
    assert kept[0] != kept[1]
    with ResponseStore(grid.store) as store:
        assert store.stats().replies == 16 * 4


def test_the_budget_is_that_of_the_grid_and_outlives_its_growth(write) -> None:
    before = load(write(BASE)).account
    assert load(write(BASE.replace("[0, 1]", "[0, 1, 2]").replace("  - zero-shot\n", ""))).account == before
    assert load(write(BASE), "teacher.temperature=0.1").account != before


def test_a_grid_beside_a_family_says_how_seeds_are_run_then(tmp_path: Path) -> None:
    (tmp_path / "h.txt").write_text("PersonX bakes a cake\n")
    file = tmp_path / "g.yaml"
    file.write_text(
        'teacher: {model: "openai:x"}\ndirect: {heads: h.txt, relations: [xWant]}\n'
        "student: {model: smollm2-135m}\ngrid: {seeds: [0, 1]}\n"
    )
    with pytest.raises(ConfigError, match="a grid is of methods") as caught:
        load_grid(file, [], tmp_path / "grid")
    assert "symdistill compare runs/s0 runs/s1" in caught.value.fix
