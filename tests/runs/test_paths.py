"""A run works from any working directory, and after its project has moved; a file counts by where it lies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

import symdistill as sd
from counting import write_questions
from symdistill.errors import DataError, RunDirectoryError
from symdistill.runs.config import RunConfig, load_config
from symdistill.runs.directory import RunDirectory, identity_key
from symdistill.runs.teaching import curate_replies, sample_teacher
from symdistill.runs.workspace import workspace


def write_rows(path: Path) -> Path:
    return write_questions(path, train=4, test=2)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a configuration and its questions, named from each other."""
    place = tmp_path / "project"
    write_rows(place / "data" / "q.jsonl")
    (place / "c.yaml").write_text("task: {path: data/q.jsonl}\nteacher: {model: dataset}\nmethod: std-cot\n")
    return place


def sample(config: Path, run: Path) -> str:
    """Sample, and return what the replies are booked under."""
    with workspace(load_config(config), run) as work:
        sample_teacher(work)
        return work.key


def curate(config: Path, run: Path) -> int:
    with workspace(load_config(config), run) as work:
        curate_replies(work)
    return len((run / "rationales.jsonl").read_text().splitlines())


def test_the_resolved_configuration_works_from_any_working_directory(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    key = sample(Path("c.yaml"), Path("runs/one"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    run = Path("../project/runs/one")
    assert curate(run / "config.yaml", run) == 4
    assert curate(Path("../project/c.yaml"), run) == 4
    assert curate(project / "c.yaml", project / "runs" / "one") == 4
    assert sample(run / "config.yaml", run) == key, "a budget counts on"
    opened = sd.open_run(run)
    assert opened.config.task.path == project / "data" / "q.jsonl"


@pytest.mark.parametrize("how", [shutil.move, shutil.copytree])
def test_a_project_moves_or_is_copied_with_its_runs(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: object
) -> None:
    monkeypatch.chdir(project)
    key = sample(Path("c.yaml"), Path("runs/one"))
    monkeypatch.chdir(tmp_path)
    moved = tmp_path / "archive" / "2026" / "project"
    moved.parent.mkdir(parents=True)
    how(project, moved)  # type: ignore[operator]
    run = moved / "runs" / "one"
    assert sd.open_run(run).config.task.path == moved / "data" / "q.jsonl"
    assert curate(run / "config.yaml", run) == 4
    assert curate(moved / "c.yaml", run) == 4
    assert sample(moved / "c.yaml", run) == key


def test_data_outside_the_project_stays_where_it_is(tmp_path: Path, project: Path) -> None:
    outside = write_rows(tmp_path / "store" / "q.jsonl")
    (project / "c.yaml").write_text(f"task: {{path: {outside}}}\nteacher: {{model: dataset}}\nmethod: std-cot\n")
    sample(project / "c.yaml", project / "run")
    moved = tmp_path / "deeper" / "project"
    moved.parent.mkdir()
    shutil.move(project, moved)
    assert curate(moved / "c.yaml", moved / "run") == 4
    assert curate(moved / "run" / "config.yaml", moved / "run") == 4


def test_a_run_directory_may_move_alone(project: Path, tmp_path: Path) -> None:
    sample(project / "c.yaml", project / "run")
    shutil.move(project / "run", tmp_path / "run")
    assert curate(project / "c.yaml", tmp_path / "run") == 4
    assert curate(tmp_path / "run" / "config.yaml", tmp_path / "run") == 4


def test_another_file_of_the_same_name_is_another_configuration(project: Path) -> None:
    sample(project / "c.yaml", project / "run")
    write_rows(project / "more" / "q.jsonl")
    other = project / "other.yaml"
    other.write_text((project / "c.yaml").read_text().replace("data/q.jsonl", "more/q.jsonl"))
    with pytest.raises(RunDirectoryError, match=r"another configuration \(different: `task\.path`\)"):
        sample(other, project / "run")


def test_a_path_meant_from_another_working_directory_is_named(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "conf").mkdir()
    shutil.move(project / "c.yaml", project / "conf" / "c.yaml")
    monkeypatch.chdir(project)
    sample(Path("conf/c.yaml"), Path("run"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        RunDirectoryError, match=r"There is no project/conf/data/q\.jsonl \(`task\.path`\).*use project"
    ):
        sample(Path("project/conf/c.yaml"), Path("project/run"))
    assert curate(Path("project/run/config.yaml"), Path("project/run")) == 4


def test_an_override_says_what_it_says_in_a_moved_run_too(project: Path, tmp_path: Path) -> None:
    sample(project / "c.yaml", project / "run")
    shutil.copytree(project, tmp_path / "copy")
    there = str(project / "data" / "q.jsonl")
    config = load_config(tmp_path / "copy" / "run" / "config.yaml", [f"task.path={there}"])
    assert config.task.path == Path(there)


def test_two_folders_with_files_of_one_name_are_two_runs(tmp_path: Path) -> None:
    keys = set()
    for name in ("sums", "laws"):
        write_rows(tmp_path / name / "q.jsonl")
        (tmp_path / f"{name}.yaml").write_text(
            f"task: {{path: {name}/q.jsonl}}\nteacher: {{model: dataset}}\nmethod: std-cot\n"
        )
        keys.add(identity_key(load_config(tmp_path / f"{name}.yaml"), tmp_path / "runs" / name))
    assert len(keys) == 2


def test_a_link_to_the_project_is_the_project(project: Path, tmp_path: Path) -> None:
    sample(project / "c.yaml", project / "run")
    (tmp_path / "link").symlink_to(project)
    assert curate(tmp_path / "link" / "c.yaml", tmp_path / "link" / "run") == 4


def test_the_command_that_repeats_a_run_names_everything_in_full(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    run = project / "my run"
    assert RunDirectory(Path("my run")).command == f"symdistill run '{run}/config.yaml' --run-dir '{run}'"


def test_only_the_program_writes_where_a_run_was(project: Path) -> None:
    sample(project / "c.yaml", project / "run")
    written = yaml.safe_load((project / "run" / "config.yaml").read_text())
    assert written["resolved_in"] == str(project / "run")
    assert "resolved_in" not in load_config(project / "c.yaml").to_yaml()


PLACES = """\
task: {path: a.jsonl, eval_path: b.jsonl}
teacher: {model: "TEACHER", demonstrations: d.jsonl}
curation: {embedding_model: embedder}
methods: [std-cot, {name: scotd, curation: {embedding_model: embedder}}]
student: {model: STUDENT}
store: shared.sqlite
"""


@pytest.mark.parametrize("teacher", ["recorded:t.jsonl", "llama_cpp:m.gguf", "transformers:model"])
@pytest.mark.parametrize("student", ["m.gguf", "model"])
def test_every_path_is_found_beside_the_configuration(tmp_path: Path, teacher: str, student: str) -> None:
    for name in ("a.jsonl", "b.jsonl", "d.jsonl", "t.jsonl", "m.gguf", "shared.sqlite"):
        (tmp_path / name).write_text("")
    for name in ("model", "embedder"):
        (tmp_path / name).mkdir()
    file = tmp_path / "c.yaml"
    file.write_text(PLACES.replace("TEACHER", teacher).replace("STUDENT", student))
    config = load_config(file)
    backend, _, name = teacher.partition(":")
    assert config.teacher.model == f"{backend}:{tmp_path / name}"
    assert config.student.model == str(tmp_path / student)
    assert (config.task.path, config.task.eval_path) == (tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert config.teacher.demonstrations == tmp_path / "d.jsonl"
    assert config.curation.embedding_model == tmp_path / "embedder"
    assert config.curation_for(config.build_methods()[1]).embedding_model == tmp_path / "embedder"
    assert config.store == tmp_path / "shared.sqlite"


def load(folder: Path, text: str, *overrides: str) -> RunConfig:
    folder.mkdir(exist_ok=True)
    (folder / "c.yaml").write_text(text)
    return load_config(folder / "c.yaml", overrides)


def test_a_store_that_is_not_there_yet_is_made_beside_the_configuration(tmp_path: Path) -> None:
    assert load(tmp_path / "conf", "store: shared.sqlite\n").store == tmp_path / "conf" / "shared.sqlite"


def test_names_on_the_hub_stay_names(tmp_path: Path) -> None:
    config = load(tmp_path, "student: {model: Qwen/Qwen2.5-0.5B}\nteacher: {model: 'transformers:Qwen/Qwen2.5-7B'}\n")
    assert (config.student.model, config.teacher.model) == ("Qwen/Qwen2.5-0.5B", "transformers:Qwen/Qwen2.5-7B")
    (tmp_path / "smollm2-135m").mkdir()
    assert load(tmp_path, "student: {model: smollm2-135m}\n").student.model == "smollm2-135m"


def test_the_file_speaks_of_its_own_folder_and_an_override_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, conf = tmp_path / "here", tmp_path / "conf"
    for folder in (here, conf):
        write_rows(folder / "q.jsonl")
    (here / "only-here.jsonl").write_text("")
    (conf / "only-there.jsonl").write_text("")
    monkeypatch.chdir(here)
    text = "task: {path: q.jsonl}\n"
    assert load(conf, text).task.path == conf / "q.jsonl"
    assert load(conf, text, "task.path=q.jsonl").task.path == Path("q.jsonl")
    assert load(conf, "task: {path: only-here.jsonl}\n").task.path == Path("only-here.jsonl")
    assert load(conf, text, "task.path=only-there.jsonl").task.path == conf / "only-there.jsonl"


@pytest.mark.parametrize("config", ["c.yaml", "conf/c.yaml"])
def test_a_path_that_is_nowhere_is_named_as_written_with_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path(config).parent
    write_rows(folder / "questions.jsonl")
    Path(config).write_text("task: {path: qestions.jsonl}\nteacher: {model: dataset}\nmethod: std-cot\n")
    with pytest.raises(DataError) as caught:
        sample(Path(config), Path("run"))
    meant = f"Did you mean {folder / 'questions.jsonl'}?"
    assert str(caught.value) == f"There is no file {folder / 'qestions.jsonl'} (`task.path`). {meant}"


def test_a_path_of_which_not_even_the_folder_is_there_is_looked_for_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("conf").mkdir()
    text = "task: {path: data/q.jsonl}\nstudent: {model: some/student}\n"
    found = load(tmp_path / "conf", text)
    assert found.task.path == tmp_path / "conf" / "data" / "q.jsonl"
    assert found.student.model == "some/student", "what may be a name on the hub stays one"
    assert load(tmp_path / "conf", text, "task.path=data/q.jsonl").task.path == Path("data/q.jsonl")


def test_a_home_directory_may_be_written_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_rows(tmp_path / "q.jsonl")
    assert load(tmp_path / "conf", "task: {path: ~/q.jsonl}\n").task.path == tmp_path / "q.jsonl"
