"""Whole runs that read: passages built once, a reranker trained and measured, students that read what it chose."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from symdistill.errors import ConfigError, DataError, SymdistillError
from symdistill.progress import Silent
from symdistill.runs.apart import set_apart
from symdistill.runs.api import FinishedRun
from symdistill.runs.commons import Commons
from symdistill.runs.config import parse_config
from symdistill.runs.grid_directory import read_together
from symdistill.runs.learning import material_for
from symdistill.runs.pipeline import price, run_all
from symdistill.runs.reranking import parts_of
from symdistill.runs.teaching import pool
from symdistill.runs.workspace import workspace

pytest.importorskip("torch")

from tiny import save_tiny
from tiny_encoder import save_encoder

ANIMALS = ["whale", "bat", "salmon", "bee", "cow", "owl", "frog", "ant"]
KARD = {"name": "kard", "passage_words": 12, "passages": 2, "candidates": 10}
FEW = {"num_epochs": 1, "width": 8, "held_out": 0.25, "lexical": 0.1}


class Notes(Silent):
    """A progress that keeps what is noted."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student")


def write_corpus(path: Path) -> Path:
    rows = [
        {
            "id": f"{animal}{i}",
            "title": animal,
            "text": f"The {animal} number {i} lives near rock {i} as a {animal}.",
        }
        for animal in ANIMALS
        for i in range(2)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_questions(path: Path) -> Path:
    rows = [
        {
            "id": f"q{i}",
            "question": f"Where does number {i // 8} of the {animal} live?",
            "answer": f"rock {i // 8}",
            "split": "test" if i % 4 == 3 else "train",
            "rationales": [f"A {animal} lives by a rock. Therefore, the answer is rock {i // 8}."],
        }
        for i, animal in enumerate(ANIMALS * 2)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def settings(place: Path, tiny: Path, **changes: Any) -> dict[str, Any]:
    place.mkdir(parents=True, exist_ok=True)
    corpus = str(write_corpus(place / "corpus.jsonl"))
    return {
        "task": {"path": str(write_questions(place / "q.jsonl")), "decontaminate": False},
        "teacher": {"model": "dataset"},
        "method": {**KARD, "corpus": corpus, "reranking": FEW},
        "student": {"model": str(tiny), "batch_size": 8},
        "training": {"max_steps": 2, "per_device_train_batch_size": 8, "bf16": False},
        "evaluation": {"max_new_tokens": 6},
        **changes,
    }


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> FinishedRun:
    """std-cot, and KARD with each reranker, in one run."""
    place = tmp_path_factory.mktemp("arms")
    kard = settings(place, tiny)["method"]
    kinds = ("none", "late-interaction", "bi-encoder")
    methods = ["std-cot", *({**kard, "label": kind, "reranker": kind} for kind in kinds)]
    return run_all(parse_config(settings(place, tiny, method=None, methods=methods)), place / "run")


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_passages_are_built_once_and_one_student_reads_what_each_reranker_chose(arms: FinishedRun) -> None:
    run = arms.directory
    [place] = (run.path / "passages").iterdir()
    assert json.loads((place / "passages.json").read_text())["passages"] == 16
    students = [run.student(label, alone=False) / "model.safetensors" for label in ("none", "bi-encoder")]
    assert students[0].stat().st_ino == students[1].stat().st_ino, "what reranks changes no training example"
    assert sorted(p.name for p in (run.path / "rerankers").iterdir()) == ["bi-encoder", "late-interaction"]
    assert not list(run.path.rglob("*.bin"))
    assert not list(run.path.rglob("*.pkl"))


def test_rows_show_the_longer_prompt_and_predictions_what_stood_in_it(arms: FinishedRun) -> None:
    rows = {row["method"]: row for row in arms.metrics}
    assert rows["none"]["retrieval_rate"] == 1
    assert "retrieval_rate" not in rows["std-cot"]
    added = rows["none"]["prompt_tokens"] - rows["std-cot"]["prompt_tokens"]
    assert added > 2 * 40, "two passages of twelve words, a token a byte"
    ratio = rows["none"]["prompt_flops_paper"] / rows["std-cot"]["prompt_flops_paper"]
    assert ratio == pytest.approx(rows["none"]["prompt_tokens"] / rows["std-cot"]["prompt_tokens"])
    predictions = [row for row in rows_of(arms.directory.predictions) if row["method"] == "bi-encoder"]
    assert all(len(row["knowledge"]) == 2 and row["knowledge"][0].startswith("p_") for row in predictions)


def test_recall_is_measured_on_questions_the_reranker_has_not_learned_from(arms: FinishedRun) -> None:
    told = json.loads(arms.directory.retrieval("bi-encoder").read_text())
    assert [row["k"] for row in told["recall"]] == [1, 2, 10]
    assert (told["learned_from"], told["chosen_on"]) == (6, 3)
    assert [row["n"] for row in told["recall"]] == [len(told["questions"])] * 3 == [3] * 3
    for row in told["recall"]:
        assert row["gain"]["value"] == pytest.approx(row["after"]["value"] - row["before"]["value"])
        assert row["before"]["value"] <= row["reachable"]
    assert told["reranker"]["cases"] == 6
    bare = json.loads(arms.directory.retrieval("none").read_text())
    assert [row["after"] for row in bare["recall"]] == [None] * 3
    assert [row["before"] for row in bare["recall"]] == [row["before"] for row in told["recall"]]


def test_the_report_shows_what_it_reads(arms: FinishedRun) -> None:
    page = arms.report.read_text()
    assert "What it reads" in page
    assert "recall@2" in page


def test_a_finished_student_reads_too(arms: FinishedRun) -> None:
    answer = arms.student("late-interaction").answer("Where does number 1 of the whale live?")
    assert len(answer.passages) == 2
    assert answer.text


def test_running_again_computes_nothing_again(arms: FinishedRun) -> None:
    run = arms.directory
    names = [p for p in run.path.rglob("*") if p.suffix in (".safetensors", ".npy") or p.name.startswith("retrieval-")]
    before = {p: p.stat().st_mtime_ns for p in names}
    metrics = run.metrics.read_text()
    run_all(arms.config, run.path)
    assert {p: p.stat().st_mtime_ns for p in names} == before
    assert run.metrics.read_text() == metrics


def test_another_reranker_needs_no_other_student(tmp_path: Path, tiny: Path) -> None:
    config = settings(tmp_path, tiny)
    run_all(parse_config(config), tmp_path / "run")
    weights = tmp_path / "run" / "student" / "model.safetensors"
    stamp = weights.stat().st_mtime_ns
    config["method"] |= {"reranker": "bi-encoder", "candidates": 4}
    finished = run_all(parse_config(config), tmp_path / "run")
    assert weights.stat().st_mtime_ns == stamp
    told = json.loads(finished.directory.retrieval("kard").read_text())
    assert (told["reranker"]["interaction"], told["candidates"]) == ("bi-encoder", 4)
    assert [row["k"] for row in told["recall"]] == [1, 2], "no more than the candidates can be reranked"


def test_what_a_reranker_learned_is_one_thing_and_its_mix_with_bm25_another(tmp_path: Path, tiny: Path) -> None:
    """Two methods that mix otherwise share what was learned; a mix that is changed later asks for no training."""
    config = settings(tmp_path, tiny)
    kard = config.pop("method")
    config["methods"] = [{**kard, "label": "a"}, {**kard, "label": "b", "reranking": {**FEW, "lexical": 0}}]
    run = run_all(parse_config(config), tmp_path / "run").directory
    weights = [next(run.reranker(label).glob("*.safetensors")).stat() for label in "ab"]
    assert weights[0].st_ino == weights[1].st_ino
    config["methods"][1]["reranking"] = {**FEW, "lexical": 0.5}
    run_all(parse_config(config), tmp_path / "run")
    assert next(run.reranker("b").glob("*.safetensors")).stat().st_mtime_ns == weights[0].st_mtime_ns
    cards = [json.loads((run.reranker(label) / "reranker.json").read_text()) for label in "ab"]
    assert [card["lexical"] for card in cards] == [0.1, 0.5]
    assert cards[0]["fingerprint"] == cards[1]["fingerprint"]
    assert json.loads(run.retrieval("b").read_text())["reranker"]["lexical"] == 0.5, "recall is measured anew"


def test_the_cells_of_a_grid_share_a_reranker(tmp_path: Path, tiny: Path) -> None:
    commons = Commons(tmp_path, "account")
    config = settings(tmp_path, tiny)
    for name, label in (("a", "kard"), ("b", "other")):
        config["method"]["label"] = label
        run_all(parse_config(config), tmp_path / "cells" / name, commons=commons)
    places = [tmp_path / "cells" / "a" / "rerankers" / "kard", tmp_path / "cells" / "b" / "rerankers" / "other"]
    assert len({next(place.glob("*.safetensors")).stat().st_ino for place in places}) == 1


def test_a_changed_corpus_is_read_anew_and_trains_anew(tmp_path: Path, tiny: Path) -> None:
    config = settings(tmp_path, tiny)
    config["method"]["reranker"] = "none"
    finished = run_all(parse_config(config), tmp_path / "run")
    card = finished.directory.path / "student" / "symdistill.json"
    first = json.loads(card.read_text())["fingerprint"]
    with (tmp_path / "corpus.jsonl").open("a") as file:
        file.write('{"text": "A whale lives by a rock, says the sea."}\n')
    run_all(parse_config(config), tmp_path / "run")
    assert json.loads(card.read_text())["fingerprint"] != first
    assert len(list((tmp_path / "run" / "passages").iterdir())) == 2


def test_where_no_order_is_better_bm25_keeps_its_own_and_the_run_says_so(tmp_path: Path, tiny: Path) -> None:
    config = settings(tmp_path, tiny)
    config["method"]["reranking"] = {**FEW, "lexical": "chosen"}
    finished = run_all(parse_config(config), tmp_path / "run")
    told = json.loads(finished.directory.retrieval("kard").read_text())
    assert told["reranker"]["lexical"] is None, "three questions are no evidence"
    assert all(row["after"] == row["before"] for row in told["recall"])
    assert "no other was clearly better on 3 other training questions" in finished.report.read_text()


def test_an_encoder_may_stand_under_the_reranker(tmp_path: Path, tiny: Path) -> None:
    config = settings(tmp_path, tiny)
    config["method"] |= {"reranker_model": str(save_encoder(tmp_path / "encoder")), "reranker": "bi-encoder"}
    finished = run_all(parse_config(config), tmp_path / "run")
    assert json.loads(finished.directory.retrieval("kard").read_text())["reranker"]["base"] == "encoder"
    assert finished.student().answer("Where does the bee live?").passages


def test_what_reranking_takes_is_in_the_row_the_report_and_the_time_of_training(arms: FinishedRun) -> None:
    rows = {row["method"]: row for row in arms.metrics}
    assert "search_flops" not in rows["none"]
    for label in ("late-interaction", "bi-encoder"):
        assert rows[label]["search_flops"] > 0
        own = rows[label]["flops"] - rows[label]["search_flops"]
        assert own == pytest.approx(rows["none"]["flops"], rel=0.2), "the student's part is that of as many passages"
    page = arms.report.read_text()
    assert "FLOPs/q hold what it computes" in page
    assert "training the reranker of bi-encoder" in page


def test_the_training_of_a_grid_holds_that_of_the_reranker(tmp_path: Path, tiny: Path) -> None:
    finished = run_all(parse_config(settings(tmp_path, tiny)), tmp_path / "run")
    cards = [finished.directory.path / "student" / "symdistill.json"]
    cards.append(finished.directory.reranker("kard") / "reranker.json")
    seconds = [json.loads(card.read_text())["seconds"] for card in cards]
    _, [cell] = read_together([finished.directory.path])
    assert all(seconds)
    assert cell.train_seconds == pytest.approx(sum(seconds))


def test_a_reranker_does_not_learn_from_the_questions_that_decide_early_stopping(tmp_path: Path, tiny: Path) -> None:
    training = {"num_train_epochs": 1, "per_device_train_batch_size": 8, "bf16": False}
    training |= {"early_stopping_patience": 1, "dev_fraction": 0.25}
    config = parse_config(settings(tmp_path, tiny, training=training))
    finished = run_all(config, tmp_path / "run")
    told = json.loads(finished.directory.retrieval("kard").read_text())
    assert (told["learned_from"], told["chosen_on"], len(told["questions"])) == (5, 2, 2), "of nine, three are apart"
    [method] = config.build_methods()
    with workspace(config, tmp_path / "run") as work:
        material = material_for(work, method, pool(work))
        apart = set_apart(work, method, material)
        parts = parts_of(material, method, 0, apart)
    assert len(apart) == 3
    assert apart.isdisjoint(parts.learned | parts.chosen_on | parts.measured)
    assert (len(parts.learned), {q["id"] for q in told["questions"]}) == (5, set(parts.measured))


def test_a_student_whose_context_is_short_reads_fewer_passages_and_the_row_counts_them(tmp_path: Path) -> None:
    small = save_tiny(tmp_path / "small", max_position_embeddings=220)
    notes = Notes()
    config = settings(tmp_path, small)
    config["method"] |= {"reranker": "none"}
    finished = run_all(parse_config(config), tmp_path / "run", notes)
    [row] = finished.metrics
    assert row["shortened"] == row["n"]
    assert "unanswered" not in row
    assert [len(p["knowledge"]) for p in rows_of(finished.directory.predictions)] == [1] * row["n"]
    assert any("read with fewer passages than were found" in said for said in notes.said)
    assert "fewer passages" in finished.report.read_text()


def test_with_too_few_questions_nothing_is_held_out_and_the_run_goes_on(tmp_path: Path, tiny: Path) -> None:
    config = settings(tmp_path, tiny)
    rows = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().splitlines()][2:4]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    finished = run_all(parse_config(config), tmp_path / "run")
    assert json.loads(finished.directory.retrieval("kard").read_text())["recall"] == []
    assert "too few questions" in finished.report.read_text()


def change(config: dict[str, Any], place: Path, name: str) -> None:
    """Spoil a configuration in one way."""
    corpus = place / "corpus.jsonl"
    if name == "missing":
        corpus.unlink()
    elif name == "empty":
        corpus.write_text("")
    elif name == "html":
        corpus.write_text("<!doctype html><p>")
    elif name == "binary":
        corpus.write_bytes(b"\x00\x01")
    elif name == "latin":
        corpus.write_bytes(b'{"text": "\xe9"}\n')
    elif name == "no text":
        corpus.write_text('{"title": "x"}\n')
    elif name == "folder":
        (place / "nothing").mkdir()
        config["method"]["corpus"] = str(place / "nothing")
    elif name == "no encoder":
        config["method"]["reranker_model"] = str(place)


@pytest.mark.parametrize(
    "name, kind, says",
    [
        ("missing", DataError, "There is no corpus at"),
        ("empty", DataError, "holds no text"),
        ("html", DataError, "HTML"),
        ("binary", DataError, "binary"),
        ("latin", DataError, "not UTF-8"),
        ("no text", DataError, "has no text; its fields: title"),
        ("folder", DataError, "holds no document"),
        ("no encoder", ConfigError, "reranker_model"),
    ],
)
def test_a_corpus_that_cannot_be_used_stops_the_run_before_anything_is_spent(
    tmp_path: Path, tiny: Path, name: str, kind: type[SymdistillError], says: str
) -> None:
    config = settings(tmp_path, tiny)
    change(config, tmp_path, name)
    for start in (price, run_all):
        with pytest.raises(kind, match=says) as raised:
            start(parse_config(config), tmp_path / "run")
        assert "`method." in raised.value.message
    assert not (tmp_path / "run" / "store.sqlite").exists()


def test_pricing_reads_the_corpus_and_leaves_no_trace(tmp_path: Path, tiny: Path) -> None:
    assert price(parse_config(settings(tmp_path, tiny)), tmp_path / "run") is not None
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_killed_while_the_reranker_learns_it_goes_on_and_ends_the_same(tmp_path: Path, tiny: Path) -> None:
    """kill -9 after an epoch; the run that follows trains the epochs that are left."""
    config = settings(tmp_path, tiny)
    config["method"]["reranking"] = {**FEW, "num_epochs": 120, "batch_size": 1}
    config["teacher"]["samples"] = 1
    file = tmp_path / "c.yaml"
    file.write_text(json.dumps(config))
    command = [sys.executable, "-m", "symdistill", "run", str(file), "--run-dir", str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    checkpoints = tmp_path / "run" / "checkpoints"
    deadline = time.monotonic() + 240
    while process.poll() is None and time.monotonic() < deadline and not list(checkpoints.glob("kard-reranker-*")):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert list(checkpoints.glob("kard-reranker-*.safetensors"))
    assert not (tmp_path / "run" / "rerankers" / "kard").exists()
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    card = json.loads((tmp_path / "run" / "rerankers" / "kard" / "reranker.json").read_text())
    assert len(card["loss"]) == 120
    fresh = run_all(parse_config(config), tmp_path / "fresh")
    told = json.loads((fresh.directory.reranker("kard") / "reranker.json").read_text())
    assert told["loss"] == pytest.approx(card["loss"], rel=1e-3)


@pytest.mark.parametrize("reranker", ["none", "bi-encoder"])
def test_a_corpus_in_another_language_is_told_before_a_teacher_is_asked(
    tmp_path: Path, tiny: Path, reranker: str
) -> None:
    given = settings(tmp_path, tiny)
    (tmp_path / "corpus.jsonl").write_text(json.dumps({"id": "a", "text": "Киты живут в море у скал."}) + "\n")
    given["method"]["reranker"] = reranker
    with pytest.raises(
        DataError, match=r"`method\.corpus`\) shares a word with any of the first 12 training questions"
    ):
        run_all(parse_config(given), tmp_path / "run")
    assert not list((tmp_path / "run").rglob("rationales.jsonl"))
