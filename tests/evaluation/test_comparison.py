"""Runs against each other on the same questions, from memory and from run directories."""

from __future__ import annotations

import json

import pytest

from symdistill.errors import DataError
from symdistill.evaluation.comparison import compare
from symdistill.evaluation.evidence import RunEvidence, evidence, prediction_dict, read_run
from symdistill.evaluation.scoring import score
from symdistill.records import Completion, Example


def run(method: str, right: str, *, decoding="greedy", samples=1, run="r", golds=None, first=0) -> RunEvidence:
    """Evidence with verdicts written as "1101": question i was answered right."""
    verdicts = {f"q{first + i:03}": c == "1" for i, c in enumerate(right)}
    return RunEvidence(run, method, decoding, samples, verdicts, golds or dict.fromkeys(verdicts, "5"))


LABEL, COT, VOTE = "1100" * 30, "1110" * 30, "1111" * 30


def test_the_baseline_is_label_only_wherever_it_stands():
    comparison = compare([run("std-cot", COT), run("label-only", LABEL)])
    assert comparison.baseline == "label-only, greedy"
    (pairing,) = comparison.against_baseline
    assert (pairing.first, pairing.second, pairing.n) == ("std-cot, greedy", "label-only, greedy", 120)
    assert pairing.difference == pytest.approx(0.25)
    assert (pairing.only_first, pairing.only_second) == (30, 0)
    assert pairing.p == pytest.approx(2 / 2**30)
    assert pairing.low < 0.25 < pairing.high


def test_without_label_only_the_first_is_the_baseline():
    assert compare([run("scotd", COT), run("std-cot", LABEL)]).baseline == "scotd, greedy"


def test_the_teacher_is_no_baseline_unless_wanted():
    runs = [run("teacher", VOTE), run("scotd", COT), run("std-cot", LABEL)]
    assert compare(runs).baseline == "scotd, greedy"
    assert compare(runs, baseline="teacher").baseline == "teacher, greedy"


@pytest.mark.parametrize("wanted", ["std-cot", "std-cot, greedy"])
def test_the_baseline_can_be_chosen(wanted):
    comparison = compare([run("label-only", LABEL), run("std-cot", COT)], baseline=wanted)
    assert comparison.baseline == "std-cot, greedy"
    assert comparison.against_baseline[0].difference == pytest.approx(-0.25)


def test_an_unknown_baseline_names_those_there_are():
    with pytest.raises(DataError, match="label-only, greedy"):
        compare([run("label-only", LABEL)], baseline="kard")


def test_greedy_is_the_baseline_where_a_method_was_also_voted():
    both = [run("label-only", VOTE, decoding="vote", samples=8), run("label-only", LABEL)]
    assert compare(both).baseline == "label-only, greedy"


def test_p_values_are_corrected_within_each_list():
    runs = [run("label-only", LABEL), run("std-cot", COT), run("scotd", VOTE), run("mt-cot", "1101" * 30)]
    comparison = compare(runs)
    assert len(comparison.against_baseline) == 3
    assert len(comparison.pairs) == 6
    against, pairs = (
        {frozenset((p.first, p.second)): p for p in part} for part in (comparison.against_baseline, comparison.pairs)
    )
    for names, pairing in against.items():
        assert pairing.p == pairs[names].p
        assert pairing.p <= pairing.p_holm <= pairs[names].p_holm


def test_accuracy_has_wilson_intervals_and_counts():
    standing = compare([run("scotd", "1" * 81 + "0" * 182)]).standings[0]
    assert (standing.correct, standing.n, standing.questions) == (81, 263, 263)
    assert (round(standing.low, 4), round(standing.high, 4)) == (0.2553, 0.3662)


def test_runs_on_other_questions_are_compared_where_they_meet():
    comparison = compare([run("a", "1111", run="x"), run("b", "1010", run="y", first=2)])
    assert comparison.n == 2
    assert "a, greedy: 4; b, greedy: 4" in comparison.notes[0]
    assert "2 common" in comparison.notes[0]
    assert [(s.correct, s.n, s.questions) for s in comparison.standings] == [(2, 2, 4), (1, 2, 4)]


def test_the_same_id_with_another_gold_answer_is_another_question():
    other = run("b", "111", golds={"q000": "5", "q001": "6", "q002": "5"})
    comparison = compare([run("a", "111"), other])
    assert comparison.n == 2
    assert "1 questions have the same id but not the same gold answer" in comparison.notes[0]


@pytest.mark.parametrize(
    "runs",
    [
        [],
        [run("a", "11"), run("b", "11", first=5)],
        [run("a", "1"), run("b", "1", golds={"q000": "6"})],
        [run("a", "11"), run("a", "11")],
    ],
    ids=["nothing", "nothing shared", "nothing equal", "twice"],
)
def test_what_cannot_be_compared_is_refused(runs):
    with pytest.raises(DataError):
        compare(runs)


def test_the_same_method_in_two_runs_is_told_apart_by_the_run():
    comparison = compare([run("scotd", COT, run="runs/a"), run("scotd", VOTE, run="runs/b")])
    assert [s.label for s in comparison.standings] == ["scotd, greedy (runs/a)", "scotd, greedy (runs/b)"]


def test_comparing_twice_gives_the_same():
    runs = [run("label-only", LABEL), run("std-cot", COT)]
    assert compare(runs) == compare(runs)
    assert compare(runs) == compare([run("label-only", LABEL), run("std-cot", COT)])


def write_run(directory, methods):
    examples = [Example(f"q{i}", f"{i}+{i}?", str(2 * i), "number") for i in range(6)]
    asked = {e.id: e for e in examples}
    lines, rows = [], []
    for method, wrong, samples in methods:
        texts = [[f"It has \u2028 a separator. The answer is {2 * i + (i in wrong)}."] * samples for i in range(6)]
        replies = [[Completion(key="k", text=t, completion_tokens=3) for t in row] for row in texts]
        scored = score(examples, replies, method)
        rows += [r.as_dict() for r in scored.rows]
        lines += [prediction_dict(p, scored.row.decoding, asked[p.example_id]) for p in scored.predictions]
    directory.mkdir()
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (directory / "predictions.jsonl").write_text(text, encoding="utf-8")
    (directory / "metrics.json").write_text(json.dumps(rows), encoding="utf-8")
    return lines


def test_a_run_directory_is_read_back(tmp_path):
    lines = write_run(tmp_path / "run", [("label-only", {0, 1}, 1), ("scotd", {2}, 1), ("scotd", set(), 4)])
    assert {"id", "method", "gold", "samples", "answers", "answer", "correct"} <= set(lines[0])
    found = read_run(tmp_path / "run")
    assert [e.label for e in found] == ["label-only, greedy", "scotd, greedy", "scotd, vote of 4"]
    assert [sum(e.verdicts.values()) for e in found] == [4, 5, 6]
    assert all(e.row is not None and e.row.accuracy == sum(e.verdicts.values()) / 6 for e in found)
    assert compare(found).n == 6


def test_predictions_without_a_decoding_are_told_by_their_samples(tmp_path):
    lines = write_run(tmp_path / "run", [("scotd", {2}, 1), ("scotd", set(), 4)])
    promised = ("id", "method", "gold", "samples", "answers", "answer", "correct")
    bare = "".join(json.dumps({k: line[k] for k in promised}) + "\n" for line in lines)
    (tmp_path / "run" / "predictions.jsonl").write_text(bare, encoding="utf-8")
    assert [(e.decoding, e.samples) for e in read_run(tmp_path / "run")] == [("greedy", 1), ("vote", 4)]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("predictions.jsonl", "", "holds no prediction"),
        ("predictions.jsonl", '{"id": "q0"', "line 1: not valid JSON"),
        ("predictions.jsonl", "\n[]\n", "line 2 is not an object"),
        ("predictions.jsonl", '{"id": "q0", "method": "m", "correct": 1, "samples": []}', "no proper `correct`"),
        ("predictions.jsonl", '{"id": "q0", "method": "m", "correct": true, "samples": ["x"]}\n' * 2, "twice"),
        ("predictions.jsonl", None, "There is no predictions.jsonl"),
        ("metrics.json", None, "There is no metrics.json"),
        ("metrics.json", "{", "not valid JSON"),
        ("metrics.json", '{"a": 1}', "not a list of rows"),
        ("metrics.json", '[{"method": "m"}]', "row 1 has no `split`"),
    ],
)
def test_a_damaged_run_says_where(tmp_path, name, text, said):
    write_run(tmp_path / "run", [("m", set(), 1)])
    path = tmp_path / "run" / name
    path.unlink() if text is None else path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        read_run(tmp_path / "run")


def test_evidence_from_memory_is_the_evidence_on_disk(tmp_path):
    write_run(tmp_path / "run", [("m", {1}, 1)])
    examples = [Example(f"q{i}", f"{i}+{i}?", str(2 * i), "number") for i in range(6)]
    scored = score(
        examples, [[Completion(key="k", text=f"{2 * i + (i == 1)}", completion_tokens=3)] for i in range(6)], "m"
    )
    assert read_run(tmp_path / "run") == [evidence(scored.predictions, scored.row, str(tmp_path / "run"), examples)]


def test_students_that_different_engines_answered_for_are_pointed_out():
    def answered(method, engine):
        example = Example("q000", "2+2?", "4", "number")
        reply = Completion(key="k", text="The answer is 4.", completion_tokens=3)
        scored = score([example], [[reply]], method, engine=engine)
        return evidence(scored.predictions, scored.row)

    mixed = compare([answered("std-cot", "torch bfloat16"), answered("scotd", "ctranslate2 int8")])
    assert mixed.notes == (
        "Not one engine answered for all students (ctranslate2 int8, torch bfloat16): a small difference may be its "
        "doing.",
    )
    alike = compare([answered("std-cot", "torch bfloat16"), answered("teacher", None)])
    assert alike.notes == ()
