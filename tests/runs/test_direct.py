"""A whole run of `direct`: a scripted teacher on a loopback server, labels by rule, and a tiny student."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from symdistill.cli.main import main
from symdistill.errors import ConfigError, DataError, TrainingError
from symdistill.evaluation.report_direct import write_direct_report
from symdistill.evaluation.statistics import holm
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.triples import load_schema, read_triples
from symdistill.knowledge.triples.splits import side_of
from symdistill.knowledge.triples.store import TripleStore
from symdistill.methods.direct import arm, question
from symdistill.models.chat import prompt_format
from symdistill.records import Completion, Example, Request, Sampling
from symdistill.runs.api import FinishedRun
from symdistill.runs.config import parse_config
from symdistill.runs.directory import RunDirectory
from symdistill.runs.families import price_family
from symdistill.runs.judging import AddedKnowledge, with_base
from symdistill.runs.pipeline import run_all
from symdistill.runs.workspace import Workspace
from symdistill.sampling.store import ResponseStore

pytest.importorskip("torch")

from labelled import BAD, GOOD, heads, rows, write_rows
from loopback import LoopbackServer
from tiny import save_tiny, tiny_tokenizer

HEADS = 40
RELATIONS = ("xWant", "xNeed")


def teacher(prompt: str, seed: int) -> str:
    """Four tails, about half of which are nonsense; the same for the same question."""
    rng = random.Random(zlib.crc32(prompt.encode()) + seed)
    tails = rng.sample(GOOD, 2) + rng.sample(BAD, 2)
    return "\n".join(f"{n}. {tail}" for n, tail in enumerate(tails, 1))


def configuration(place: Path, tiny: Path, base_url: str, **direct: Any) -> dict[str, Any]:
    (place / "heads.txt").write_text("\n".join(heads(HEADS)))
    write_rows(place / "labels.jsonl", rows(60, noise=0.05))
    write_rows(
        place / "reference.jsonl",
        [{"head": head, "relation": "xWant", "tail": GOOD[n % 5]} for n, head in enumerate(heads(70))],
    )
    section = {
        "heads": str(place / "heads.txt"),
        "relations": list(RELATIONS),
        "tails": 4,
        "labels": str(place / "labels.jsonl"),
        "reference": str(place / "reference.jsonl"),
        "sizes": [20, 100_000],
        "judge": {"share": 0.4},
    }
    return {
        "teacher": {"model": "openai:teacher", "base_url": base_url},
        "student": {"model": str(tiny)},
        "training": {"max_steps": 2},
        "evaluation": {"max_new_tokens": 8, "limit": 12},
        "direct": section | direct,
    }


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student")


@pytest.fixture(scope="module", autouse=True)
def key() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "sk-test")
        yield


@pytest.fixture(scope="module")
def server() -> Any:
    with LoopbackServer(reply=teacher) as running:
        yield running


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Path, server: LoopbackServer) -> FinishedRun:
    place = tmp_path_factory.mktemp("direct")
    return run_all(parse_config(configuration(place, tiny, server.base_url)), place / "run")


def card(run: FinishedRun, label: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.directory.path / "students" / label / "symdistill.json").read_text())
    return found


def learned(head: str) -> bool:
    return side_of(head, {"train": 0.8, "test": 0.2}, purpose="student") == "train"


def test_the_critic_keeps_what_is_good_and_the_report_says_so(finished: FinishedRun) -> None:
    metrics = finished.metrics
    graph = metrics["graph"]
    assert graph["written"] == HEADS * len(RELATIONS) * 4
    assert graph["written"] == graph["triples"] + sum(graph["lost"].values())
    accepted = read_triples(finished.directory.path / "direct" / "accepted.jsonl").triples
    assert graph["accepted"] == len(accepted) > 0
    assert all(t.tail in GOOD for t in accepted), "at recall 0.5 no nonsense passes"
    assert metrics["critic"]["held_out"]["chosen"]["raises_precision"]
    assert metrics["judged_by"] == "judge"
    assert metrics["circular"]
    assert [note for note in metrics["notes"] if "the same features (`words`)" in note and "circular" in note]
    known = {(row["head"], row["tail"]) for row in rows(60, noise=0.05)}
    triples = read_triples(finished.directory.path / "direct" / "graph.jsonl").triples
    assert metrics["agreement"]["n"] == sum((t.head, t.tail) not in known or t.relation != "xWant" for t in triples)
    written = list(TripleStore(finished.directory.path / "graph", create=False).triples())
    facts = {(t.head, t.tail) for t in written if t.relation == "xWant"}
    assert [n for n in metrics["notes"] if f"Of 240 labels only {len(known & facts)} are about triples that the" in n]
    assert metrics["reviewed"] is None
    assert any("Nobody has judged triples of the graph that were drawn at random" in note for note in metrics["notes"])
    page = finished.report.read_text()
    assert "the critic raises the share of good triples" in page
    paid = json.loads(finished.directory.manifest.read_text())["teacher"]
    assert metrics["paid"] == paid
    assert f"Paid for: {paid['replies']} replies" in page
    assert "<script" not in page
    assert finished.metric_rows == []
    assert finished.comparison is None


def test_the_arms_differ_in_their_triples_alone(finished: FinishedRun) -> None:
    arms = {arm["label"]: arm for arm in finished.metrics["arms"]}
    assert list(arms) == ["filtered", "all", "random", "filtered-20"], "100,000 are more than there are"
    assert arms["filtered"]["examples"] == arms["random"]["examples"] < arms["all"]["examples"]
    assert arms["filtered-20"]["examples"] == 20
    assert {arm["steps"] for arm in arms.values()} == {2}
    assert any("All students took the same number of steps" in note for note in finished.metrics["notes"])
    assert len({arm["weights_sha256"] for arm in arms.values()}) == 4
    triples = read_triples(finished.directory.path / "direct" / "graph.jsonl").triples
    everything = [t for t in triples if learned(t.head)]
    assert arms["all"]["examples"] == len(everything) < len(triples)


def test_students_are_asked_about_heads_they_did_not_learn_about(finished: FinishedRun) -> None:
    told = [json.loads(line) for line in finished.directory.predictions.read_text().splitlines()]
    known = set(heads(HEADS))
    assert {row["method"] for row in told} == {"teacher", "filtered", "all", "random", "filtered-20"}
    assert not [row for row in told if row["head"] in known and learned(row["head"])]
    pairs = {label: [(r["head"], r["relation"]) for r in told if r["method"] == label] for label in ("all", "random")}
    assert pairs["all"] == pairs["random"]
    assert len(pairs["all"]) == 12 == finished.metrics["held_out"]["pairs"]
    assert all(set(row["accepted"]) == {"critic", "judge"} for row in told)


def test_reference_tails_are_of_heads_nobody_learned(finished: FinishedRun) -> None:
    expected = sum(1 for head in heads(70) if head not in set(heads(HEADS)) or not learned(head))
    assert finished.metrics["reference"]["triples"] == expected
    losses = json.loads((finished.directory.path / "direct" / "losses-all.json").read_text())["losses"]
    assert len(losses) == expected
    assert finished.metrics["arms"][1]["loss"]["value"] == pytest.approx(sum(losses) / len(losses))
    measures = {(d["measure"], d["first"], d["second"]) for d in finished.metrics["differences"]}
    assert ("loss on the reference", "filtered", "random") in measures
    assert ("accepted by the judge", "filtered", "all") in measures
    adjusted = [d["adjusted"] for d in finished.metrics["differences"] if d["p"] is not None]
    assert adjusted == holm([d["p"] for d in finished.metrics["differences"] if d["p"] is not None])


def test_judge_and_critic_share_no_label(finished: FinishedRun) -> None:
    sides = [finished.metrics[name]["sides"] for name in ("critic", "judge")]
    labels = [sum(side["good"] + side["bad"] for side in one.values()) for one in sides]
    assert sum(labels) == 60 * 4
    assert sum(side["heads"] for one in sides for side in one.values()) == 60


def test_relations_and_labels_may_be_skewed(finished: FinishedRun) -> None:
    skew = finished.metrics["skew"]
    assert {row["relation"] for row in skew["relations"]} == set(RELATIONS)
    for name in ("teacher", "graph"):
        assert sum(row[f"share_{name}"] for row in skew["relations"]) == pytest.approx(1)
    known = [row for row in skew["relations"] if row["good_graph"] is not None]
    assert known
    assert all(row["good_teacher"] <= row["good_graph"] for row in known)
    assert 0 <= skew["teacher_to_graph"] <= 1


def test_skew_is_of_heads_and_relations_that_the_teacher_wrote_about(finished: FinishedRun) -> None:
    told = [json.loads(line) for line in finished.directory.predictions.read_text().splitlines()]
    asked = {(r["head"], r["relation"]) for r in told if r["method"] == "teacher" and r["tail"]}
    skew = finished.metrics["skew"]
    assert 0 < skew["pairs"] == len(asked) == finished.metrics["teacher"]["pairs"] < 12
    for name, label in (("teacher", "teacher"), ("student", skew["student"])):
        mine = [r for r in told if r["method"] == label and (r["head"], r["relation"]) in asked]
        assert len(mine) == len(asked), "one tail each"
        for row in skew["relations"]:
            said = [r["accepted"]["judge"] for r in mine if r["relation"] == row["relation"]]
            assert row[f"good_{name}"] == pytest.approx(sum(said) / len(said))
    assert f"teacher ({len(asked)} of 12 pairs)" in finished.report.read_text()


def test_the_same_command_buys_and_trains_nothing(finished: FinishedRun, server: LoopbackServer) -> None:
    served = server.served
    students = finished.directory.path / "students"
    before = {path: path.stat().st_mtime_ns for path in students.rglob("*.safetensors")}
    metrics = finished.metrics
    again = run_all(finished.config, finished.directory.path)
    assert server.served == served
    assert {path: path.stat().st_mtime_ns for path in students.rglob("*.safetensors")} == before
    assert again.metrics == metrics


def test_what_passed_can_be_looked_up_by_a_gate(finished: FinishedRun, tmp_path: Path) -> None:
    """As `symdistill evaluate --knowledge RUN` has it, gate and all."""
    accepted = read_triples(finished.directory.path / "direct" / "accepted.jsonl").triples
    with KnowledgeBase(finished.directory.knowledge, create=False) as base:
        items = base.items(kind="triple")
    assert len(items) == len({t.fact for t in accepted}) == finished.metrics["graph"]["knowledge_items"]
    config = parse_config({"knowledge": {"retrieval": {"kinds": ["triple"]}}, "methods": ["std-cot"]})
    work = Workspace(config, RunDirectory(tmp_path))
    added = AddedKnowledge(finished.directory.knowledge, "always")
    gated = with_base(work, work.methods[0], added, None)
    asked = Example("q", f"{accepted[0].head}. What does PersonX want?", task="t")
    requests: list[Request] = []

    def ask(batch: Any) -> dict[str, Completion]:
        requests.extend(batch)
        return {request.key: Completion(request.key, "to rest") for request in batch}

    [reply] = gated.answer(ask, "student", [asked], Sampling())
    assert reply.knowledge[0].title == accepted[0].head
    assert reply.knowledge[0].text in requests[0].messages[-1].content
    plain = Workspace(parse_config({"methods": ["std-cot"]}), RunDirectory(tmp_path))
    [again] = with_base(plain, work.methods[0], added, None).answer(ask, "student", [asked], Sampling())
    assert again.knowledge == reply.knowledge, "a base of triples alone is one to look triples up in"


@pytest.mark.parametrize("threshold, asked", [("0", False), ("100", True)])
def test_another_run_evaluates_with_it_where_its_student_is_unsure(
    threshold: str, asked: bool, finished: FinishedRun, tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accepted = read_triples(finished.directory.path / "direct" / "accepted.jsonl").triples
    questions = [
        {"id": f"q{n}", "question": f"{t.head}, {n} times?", "answer": n, "split": "test" if n < 3 else "train"}
        for n, t in enumerate(accepted[:8])
    ]
    settings = {
        "task": {"path": str(write_rows(tmp_path / "q.jsonl", questions))},
        "teacher": {"model": "dataset"},
        "method": {"name": "label-only"},
        "student": {"model": str(tiny)},
        "training": {"max_steps": 1, "bf16": False},
        "evaluation": {"max_new_tokens": 4},
    }
    run_all(parse_config(settings), tmp_path / "run")
    words = ["evaluate", str(tmp_path / "run" / "config.yaml"), "--run-dir", str(tmp_path / "run")]
    words += ["--knowledge", str(finished.directory.path), "--threshold", threshold]
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 0, capsys.readouterr()
    told = [json.loads(line) for line in (tmp_path / "run" / "predictions.jsonl").read_text().splitlines()]
    added = [row for row in told if row["method"] != "label-only"]
    assert len(added) == 3
    assert {bool(row.get("knowledge")) for row in added} == {asked}


def test_a_command_line_run_shows_what_came_of_it(
    finished: FinishedRun, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(finished.directory.config), "--run-dir", str(finished.directory.path)])
    out = capsys.readouterr().out
    assert stopped.value.code == 0
    assert "p (Holm)" in out
    assert "Paid for: 80 replies" in out
    assert f"Report  {finished.directory.report}" in out
    with pytest.raises(SystemExit):
        main(["run", str(finished.directory.config), "--run-dir", str(finished.directory.path), "--dry-run"])
    assert "To buy: 0 of 80 replies (80 are stored" in capsys.readouterr().out


def test_what_models_write_cannot_break_the_page(finished: FinishedRun, tmp_path: Path) -> None:
    hostile = "</td><script>alert(1)</script>\x1b[2J\u202e{{ 7 * 7 }}"
    case = {
        "head": hostile,
        "relation": "xWant",
        "references": [hostile],
        "tails": [("all", hostile, {"critic": True})],
    }
    write_direct_report(
        tmp_path / "page.html",
        finished.metrics,
        title=hostile,
        created="2026-01-01",
        command=hostile,
        config=hostile,
        provenance={"graph": hostile},
        cases=[case],
    )
    page = (tmp_path / "page.html").read_text()
    assert "<script" not in page
    assert not set(page) & set("\x1b\u202e")
    assert page.count("{{ 7 * 7 }}") >= 5


@pytest.mark.parametrize(
    "direct, said",
    [
        ({"labels": "texts.jsonl"}, "line 1 is a text, and the critic of a graph reads triples"),
        ({"judge": {"labels": "texts.jsonl"}}, "line 1 is a text, and the critic of a graph reads triples"),
        ({"heads": "learned.txt", "reference": None}, "None of the 34 heads is held out"),
        ({"heads": "held-out.txt"}, "None of the 6 heads is one that students learn about"),
        ({"labels": "one-class.jsonl"}, "one-class.jsonl say `good`"),
        ({"labels": "missing.jsonl"}, "missing.jsonl (`direct.labels`). Check the path."),
        ({"judge": {"labels": "missing.jsonl"}}, "missing.jsonl (`direct.judge.labels`). Check the path."),
        ({"heads": "held-ot.txt"}, "held-ot.txt (`direct.heads`). Did you mean "),
        ({"relations": ["xWnat"]}, "has no relation `xWnat`"),
        ({"heads": None}, "There is no head to ask about"),
        ({"reference": "learned.jsonl"}, "has no triple in a wanted relation about a head that students do not"),
        ({"judge": {"share": 0.01}}, "labels, and a judge needs 20"),
        (
            {"critic": {"features": "/nowhere"}},
            "`direct.critic.features` must be `words`, `student`, `likelihood` or a",
        ),
        ({"critic": {"features": "word"}}, "word is not a directory. Did you mean `words`?"),
        ({"judge": {"features": "likelyhood"}}, "likelyhood is not a directory. Did you mean `likelihood`?"),
        ({"judge": {"features": "."}}, "`direct.judge.features`: "),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_bought(
    direct: dict[str, Any], said: str, tmp_path: Path, tiny: Path, server: LoopbackServer
) -> None:
    write_rows(tmp_path / "one-class.jsonl", [{**row, "label": True} for row in rows(60)])
    known = [head for head in heads(HEADS) if learned(head)]
    write_rows(tmp_path / "learned.jsonl", [{"head": head, "relation": "xWant", "tail": "to rest"} for head in known])
    (tmp_path / "learned.txt").write_text("\n".join(known))
    (tmp_path / "held-out.txt").write_text("\n".join(head for head in heads(HEADS) if head not in known))
    texts = [{"text": f"{row['head']}: {row['tail']}", "label": row["label"]} for row in rows(60)]
    write_rows(tmp_path / "texts.jsonl", texts)

    def placed(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: placed(inner) for name, inner in value.items()}
        return str(tmp_path / value) if isinstance(value, str) and value.endswith((".jsonl", ".txt")) else value

    named = placed(direct)
    served = server.served
    with pytest.raises(Exception) as problem:
        run_all(parse_config(configuration(tmp_path, tiny, server.base_url, **named)), tmp_path / "run")
    assert said in str(problem.value)
    assert server.served == served
    assert not (tmp_path / "run" / "store.sqlite").exists()


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"teacher": {"samples": 2}}, "Set `direct.samples`"),
        ({"evaluation": {"self_consistency": 4}}, "`evaluation.self_consistency` has no meaning"),
        ({"training": {"early_stopping_patience": 1}}, "needs right answers"),
    ],
)
def test_keys_without_a_meaning_are_named(changes: dict[str, Any], said: str, tmp_path: Path, tiny: Path) -> None:
    config = configuration(tmp_path, tiny, "http://127.0.0.1:9")
    for section, values in changes.items():
        config[section] = {**config[section], **values}
    with pytest.raises(ConfigError, match=said):
        run_all(parse_config(config), tmp_path / "run")


@pytest.mark.parametrize(
    "config, said",
    [
        ({"direct": {}, "methods": ["rl"]}, "`methods` in the configuration has no meaning in a run of `direct`"),
        ({"direct": {}, "task": {"name": "t"}}, "`task` in the configuration has no meaning"),
        ({"direct": {"headz": "x"}}, "Did you mean `direct.heads`"),
        ({"direct": {"critic": {"recall": 1.5}}}, "must be a number above 0 and at most 1"),
        ({"direct": {"arms": ["filtered", "filtered"]}}, "each once"),
        ({"direct": {"critic": {"validation": 0.6, "held_out": 0.5}}}, "leave no label to learn from"),
    ],
)
def test_sections_are_checked_as_those_of_any_run(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as problem:
        parse_config(config)
    assert said in str(problem.value)


def test_other_verbs_say_what_a_family_is_run_with() -> None:
    with pytest.raises(ConfigError, match="symdistill run"):
        parse_config({"direct": {"new_heads": 3}}).build_methods()


def shortest(*asked: str) -> int:
    """Tokens of the shortest question that a student learns to answer."""
    method, schema, form = arm("any", "Answer the question."), load_schema("atomic"), prompt_format(tiny_tokenizer())
    prompts = [method.prompt(question(head, name, schema)) for head in asked for name in RELATIONS]
    return min(len(form.encode_prompt(prompt)) for prompt in prompts)


@pytest.mark.parametrize("new_heads", [0, 3])
def test_a_limit_that_no_question_fits_into_is_found_before_anything_is_bought(
    new_heads: int, tmp_path: Path, tiny: Path, server: LoopbackServer
) -> None:
    known = [head for head in heads(HEADS) if learned(head)]
    least = shortest(*known, *["a"] * bool(new_heads))
    config = configuration(tmp_path, tiny, server.base_url, new_heads=new_heads)
    served = server.served
    for dry in (True, False):
        config["training"] = {"max_length": least + 1}
        with pytest.raises(ConfigError) as problem:
            (price_family if dry else run_all)(parse_config(config), tmp_path / "run")
        assert f"`training.max_length`, {least + 1} tokens: the shortest takes {least} before" in problem.value.message
    assert server.served == served
    assert not (tmp_path / "run" / "store.sqlite").exists()
    config["training"] = {"max_length": least + 2}
    assert price_family(parse_config(config), tmp_path / "run") is not None


def test_a_limit_found_too_small_late_is_raised_in_the_same_directory(
    tmp_path: Path, tiny: Path, server: LoopbackServer
) -> None:
    small = {"arms": ["filtered"], "sizes": [], "judge": None, "reference": None}
    config = configuration(tmp_path, tiny, server.base_url, **small)
    least = shortest(*(head for head in heads(HEADS) if learned(head)))
    with pytest.raises(TrainingError) as problem:  # no tail is one letter long
        run_all(parse_config({**config, "training": {"max_steps": 2, "max_length": least + 2}}), tmp_path / "run")
    assert f"longer than {least + 2} tokens (the shortest has " in problem.value.message
    assert problem.value.fix == "Raise `training.max_length`."
    served = server.served
    run = run_all(parse_config(config), tmp_path / "run")
    assert server.served == served, "nothing is bought twice"
    assert [one["label"] for one in run.metrics["arms"]] == ["filtered"]
    assert json.loads(run.directory.manifest.read_text())["teacher"]["replies"] == HEADS * len(RELATIONS)


def test_without_a_label_file_reviewers_decide(tmp_path: Path, tiny: Path, server: LoopbackServer) -> None:
    config = parse_config(configuration(tmp_path, tiny, server.base_url, labels=None, judge=None, sizes=[]))
    with pytest.raises(DataError) as problem:
        run_all(config, tmp_path / "run")
    assert "nobody has reviewed the graph" in problem.value.message
    assert "symdistill triples review" in problem.value.fix
    graph = tmp_path / "run" / "graph"
    from symdistill.knowledge.triples.review import Decision
    from symdistill.knowledge.triples.store import TripleStore

    store = TripleStore(graph, create=False)
    store.decide([Decision(t.id, "accept" if t.tail in GOOD else "reject", "ann") for t in store.triples()])
    served = server.served
    run = run_all(config, tmp_path / "run")
    assert server.served == served
    assert run.metrics["judged_by"] == "critic"
    assert any("flatters" in note for note in run.metrics["notes"])


@pytest.mark.slow
def test_a_killed_run_goes_on_and_pays_for_nothing_twice(tmp_path: Path, tiny: Path) -> None:
    with LoopbackServer(reply=teacher, plan="slow=0.02*1000") as server:
        config = tmp_path / "c.json"
        config.write_text(json.dumps(configuration(tmp_path, tiny, server.base_url)))
        command = [sys.executable, "-m", "symdistill", "run", str(config), "--run-dir", str(tmp_path / "run")]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while server.served < 20 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        before = len(server.calls)
        with ResponseStore(tmp_path / "run" / "store.sqlite") as store:
            kept = {request.messages[-1].content for request, reply in store.entries() if isinstance(reply, Completion)}
        assert kept, "replies are stored as they come"
        done = subprocess.run(command, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
        again = [call.prompt for call in server.calls[before:]]
        assert not kept & set(again), "a stored reply was asked for again"
        assert len(again) == 80 - len(kept)
        assert FinishedRun(tmp_path / "run").metrics["graph"]["written"] == HEADS * 8
