"""The report: one offline page, whatever the texts in it say."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import replace
from datetime import date

import pytest

from gate_cases import a_dev_split
from pages import Page
from symdistill.errors import RunDirectoryError
from symdistill.evaluation.calibration import calibrate
from symdistill.evaluation.comparison import compare
from symdistill.evaluation.evidence import evidence
from symdistill.evaluation.report import MAX_BYTES, render_report, write_report
from symdistill.evaluation.report_data import (
    CalibrationSummary,
    CurationSummary,
    ItemUse,
    KnowledgeSummary,
    MethodAnswers,
    NotesCost,
    ReportData,
    TaskSummary,
    TeacherSummary,
    TrainingHistory,
    TurnedQuestion,
)
from symdistill.evaluation.scoring import score
from symdistill.knowledge.items import KnowledgeItem, Provenance
from symdistill.knowledge.utility import lift_of
from symdistill.records import Completion, Example


def a_run(word: str = "", questions: int = 24, **changes) -> ReportData:
    """A run with every section filled; `word` is put into every text field there is."""
    examples = [
        Example(
            id=f"{word}q{i}",
            question=f"{word} What is {i} + {i}?",
            answer=str(2 * i),
            answer_type="number",
            choices={"A": word} if word else None,
            task=f"{word}{'sums' if i % 2 else 'doubles'}",
            contrast_of=f"{word}q{i - 1}" if i % 6 == 1 else None,
        )
        for i in range(questions)
    ]
    rows, answers, found = [], [], []
    for method, modulus, samples in (("label-only", 2, 1), ("std-cot", 3, 1), ("scotd", 4, 5)):
        replies = [
            [
                Completion(
                    key="k",
                    text=f"{word} Steps. Therefore, the answer is {2 * i + (i % modulus == 0 and k < 3)}.",
                    prompt_tokens=40,
                    completion_tokens=12,
                )
                for k in range(samples)
            ]
            for i in range(questions)
        ]
        shape = _Shape(modulus * 1_000_000)
        scored = score(examples, replies, word + method, seconds=4.0, shape=shape, model=word)
        rows += scored.rows
        answers.append(MethodAnswers(scored.row.method, scored.row.decoding, samples, scored.predictions))
        found.append(evidence(scored.predictions, scored.row))
    steps = [
        {"step": s, "loss": 2.0 / s, "learning_rate": 1e-4, "tokens": 90 * s, "seconds": 0.5 * s} for s in range(1, 40)
    ]
    values = {
        "title": f"{word}Sums",
        "command": f"symdistill run {word}sums.yaml",
        "config": f"task: {word}\nseed: 0\n",
        "student": f"{word}tiny",
        "created": date(2026, 1, 5),
        "tasks": [TaskSummary(f"{word}sums", 40, 12, 3, 1, f"{word}What is 1 + 1?", f"{word}2")],
        "teacher": TeacherSummary(
            f"{word}wise", f"{word}T=0.7", 160, 158, 10, {f"{word}timeout": 2}, 0.5, 9000, 4000, 61
        ),
        "curation": [
            CurationSummary([f"{word}std-cot"], 90, {f"{word}wrong": 60, "cut": 8}, {f"{word}sums": [0, 0.25, 0.5, 1]})
        ],
        "histories": [TrainingHistory(f"{word}std-cot", steps, 90)],
        "rows": rows,
        "comparison": compare(found),
        "answers": answers,
        "examples": {e.id: e for e in examples},
        "teacher_rationales": {e.id: f"{word}The wise say {e.answer}." for e in examples[::2]},
        "knowledge": some_knowledge(word),
        "calibrations": [CalibrationSummary(f"{word}nesycd", calibrate(a_dev_split(60)))],
        "provenance": {f"{word}seed": f"{word}0"},
        "notes": [f"{word}Three were removed."],
    }
    return ReportData(**(values | changes))


def some_knowledge(word: str = "", **changes) -> KnowledgeSummary:
    """Twelve items, item i used 20 - i times and measured unless i is 3; six questions turned right, two wrong."""
    items = [
        ItemUse(
            KnowledgeItem(
                id=f"k_{i}",
                kind="summary",
                title=f"{word}Title {i}",
                text=f"{word}1. Rule number {i}.",
                task=f"{word}sums",
                status="retired" if i == 2 else "active",
                provenance=(Provenance(f"{word}e{i}", f"{word}sums", f"{word}?"),) if i else (),
            ),
            uses=20 - i,
            lift=lift_of(5, 1, 12) if i != 3 else None,
        )
        for i in range(12)
    ]
    turned = [
        TurnedQuestion(
            f"{word}d{i}",
            f"{word}sums",
            f"{word}What is {i} + 1?",
            f"{word}{i + 1}",
            [f"{word}Title {i}"],
            f"{word}Without it: {i}",
            f"{word}With it: {i + 1}",
        )
        for i in range(8)
    ]
    values = {
        "path": f"{word}knowledge.sqlite",
        "student": f"{word}nesycd",
        "statuses": {f"{word}active": 11, "retired": 1},
        "kinds": {f"{word}summary": 12},
        "errors": 14,
        "analysed": 13,
        "items": items,
        "asked": 60,
        "turned_right": turned[:6],
        "turned_wrong": turned[6:],
    }
    return KnowledgeSummary(**(values | changes))


class _Shape:
    def __init__(self, parameters: int) -> None:
        self.non_embedding_parameters = self.linear_parameters = parameters
        self.head_parameters, self.layers, self.attention_width = 1000, 2, 8


def test_the_page_tells_the_whole_story():
    page = Page(render_report(a_run()))
    for said in (
        "held-out questions correctly (95% interval",
        "What was asked",
        "Results on 24 held-out questions",
        "Contrast sets",
        "Accuracy against what an answer costs",
        "158 of 160 replies came, 10 of them new in this run",
        "timeout 2",
        "90 of 158 replies (57%) were kept",
        "Did the hard questions survive? 1 of 4 training questions (25%) kept no reply",
        "Learning curves",
        "How the votes fall",
        "Where the student fails",
        "The wise say",
        "What the knowledge did",
        "When it asks for knowledge",
        "Right answer:",
        "symdistill run sums.yaml",
        "task: seed: 0",
        "Three were removed.",
    ):
        assert said in page.text
    assert sum(tag == "svg" for tag, _ in page.tags) == 8
    headings = [tag for tag, _ in page.tags if tag in ("h1", "h2")]
    assert headings.count("h1") == 1
    # Every plot says in words what it shows.
    assert all(attributes["aria-label"] for tag, attributes in page.tags if tag == "svg")


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'></svg></pre></style>{{ 7*7 }}"


def test_nothing_in_any_text_becomes_markup():
    page = Page(render_report(a_run(HOSTILE)))
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "img", "iframe", "object", "embed", "link", "form", "base", "a"}
    attributes = [(name, value or "") for _, found in page.tags for name, value in found.items()]
    assert not [name for name, _ in attributes if name.startswith("on") or name in ("src", "href", "xlink:href")]
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7*7 }}" in page.text
    assert "49" not in page.text.split("Full configuration")[1]


def test_the_page_needs_nothing_but_itself():
    html = render_report(a_run())
    assert not re.findall(r"https?:|//|url\(|@import|@font-face", html)
    policy = [a["content"] for tag, a in Page(html).tags if tag == "meta" and "http-equiv" in a]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]


@pytest.mark.parametrize("word", ["\x00\x1b[2J\x85", "\u202e\u2066", "\ud800\udfff", "￿\ufdd0", "🙂é中"])
def test_odd_characters_do_not_stop_it(word, tmp_path):
    write_report(a_run(word), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


def test_long_texts_are_cut_with_a_note_and_the_page_stays_small():
    data = a_run(questions=60)
    answers = [
        replace(a, predictions=[replace(p, samples=("blah " * 40_000,) * a.samples) for p in a.predictions])
        for a in data.answers
    ]
    html = render_report(replace(data, answers=answers))
    assert len(html.encode("utf-8")) < MAX_BYTES
    assert "more characters]" in html


def test_a_page_of_nothing_but_long_texts_still_fits():
    steps = [{"step": s, "loss": 1.0, "learning_rate": 1e-4, "tokens": s, "seconds": s} for s in range(1, 20_001)]
    data = a_run(
        word="&<ö" * 3_000,
        questions=18,
        histories=[TrainingHistory("m" * 10_000, steps)] * 30,
        notes=["n" * 10_000] * 300,
        provenance={f"{i}" * 900: "v" * 10_000 for i in range(300)},
        config="&" * 2_000_000,
    )
    assert len(render_report(data).encode("utf-8")) < MAX_BYTES


def test_an_almost_empty_run_has_a_report_too():
    page = Page(render_report(ReportData(title="Empty", command="symdistill run x.yaml", config="seed: 0")))
    assert "No method was evaluated" in page.text
    assert "symdistill run x.yaml" in page.text
    assert not [tag for tag, _ in page.tags if tag == "svg"]


def test_failures_show_the_best_student_beside_the_teacher_and_the_others():
    page = Page(render_report(a_run())).text
    section = page.split("Where the student fails")[1]
    # scotd is wrong wherever i is a multiple of 4, by a vote of 3 to 2.
    assert "scotd, vote of 5 answers 6 of 24 questions wrongly (another answer: 6)" in section
    assert "doubles : 6 of 12 wrong" in section
    assert "Votes: 1 ×3, 0 ×2." in section
    assert "Right answer: 8 . Student: 9 ." in section
    assert "The wise say 8." in section
    assert "label-only, greedy: 9 (wrong); std-cot, greedy: 8 (right)" in section


def test_failures_are_the_students_even_where_the_teacher_is_better():
    data = a_run()
    (best, *_) = [a for a in data.answers if a.method == "scotd"]
    teacher = MethodAnswers("teacher", "greedy", 1, [replace(p, correct=True) for p in best.predictions])
    section = Page(render_report(replace(data, answers=[teacher, *data.answers]))).text.split("Where the student")[1]
    assert "scotd, vote of 5 answers 6 of 24 questions wrongly" in section


def test_failures_without_a_teacher_say_so():
    page = Page(render_report(a_run(teacher_rationales={}))).text
    assert "The teacher was not asked the held-out questions" in page


def test_votes_tell_what_a_better_vote_could_reach():
    section = Page(render_report(a_run())).text.split("How the votes fall")[1]
    assert "where more than half of the samples agree, 75% of 24 answers are right" in section
    assert "For 100.0% of the questions at least one sample was right" in section
    assert "the vote reaches 75.0%" in section


def test_the_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "report.html"
    write_report(a_run(), path)
    before = path.read_bytes()
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(RunDirectoryError, match="No space left"):
        write_report(a_run("new"), path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunDirectoryError, match="file"):
        write_report(a_run(), tmp_path / "file" / "report.html")


def test_the_same_run_gives_the_same_page():
    assert render_report(a_run()) == render_report(a_run())


def test_knowledge_shows_the_most_used_items_with_their_lift():
    page = Page(render_report(a_run())).text
    section = page.split("What the knowledge did")[1].split("When it asks for knowledge")[0]
    assert "holds 12 items (11 active, 1 retired): 12 summary." in section
    assert "written about 13 of 14 training questions" in section
    # Helped 5, hurt 1 of 12: (5 - 1) / (12 + 10).
    assert re.search(
        r"Title 0 k_0 · summary · sums · written by hand 20 12 5 1 \+0\.18 \[−?\+?0\.\d\d, \+0\.\d\d\]", section
    )
    assert "Title 2 k_2 · summary · sums · from 1 question · retired 18 12 5 1" in section
    assert "Title 3 k_3 · summary · sums · from 1 question 17 – – – –" in section
    table = section.split("Used: held-out questions that nesycd saw")[0]
    assert [int(n) for n in re.findall(r"Title (\d+) k_", table)] == list(range(10))
    assert "10 of 12 items in use are shown" in section
    assert "1. Rule number 9." in section
    assert "Rule number 10" not in section


def test_knowledge_shows_what_it_turned_either_way():
    section = Page(render_report(a_run())).text.split("Questions it turned")[1].split("When it asks")[0]
    # Six against two: 2·(1 + 8 + 28)/256.
    assert (
        "60 dev questions with knowledge and without: 6 went from wrong to right and 2 from right to wrong" in section
    )
    assert "(McNemar p=.289)" in section
    assert "From wrong to right : 6, 5 shown" in section
    assert "From right to wrong : 2" in section
    assert [int(n) for n in re.findall(r"Question d(\d)", section)] == [0, 1, 2, 3, 4, 6, 7]
    assert "Without knowledge Without it: 0 With “ Title 0 ” With it: 1 Right answer: 1 ." in section


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        ({"items": []}, "No item was put before nesycd for a held-out question", "The most used items"),
        ({"asked": 0, "turned_right": (), "turned_wrong": ()}, "Title 0", "Questions it turned"),
        (
            {"turned_right": (), "turned_wrong": ()},
            "0 went from wrong to right and 0 from right to wrong.",
            "McNemar p",
        ),
        ({"errors": None, "analysed": None}, "holds 12 items", "written about"),
        ({"statuses": {}, "kinds": {}, "path": ""}, "The knowledge base holds 0 items.", "()"),
    ],
)
def test_a_base_that_did_little_is_described_too(changes, said, unsaid):
    page = Page(render_report(a_run(knowledge=some_knowledge(**changes), comparison=None))).text
    section = page.split("What the knowledge did")[1].split("When it asks")[0]
    assert said in section
    assert unsaid not in section


def test_calibration_says_what_was_chosen_and_whether_confidence_can_be_trusted():
    cases = a_dev_split(60)
    found = calibrate(cases)
    section = Page(render_report(a_run())).text.split("When it asks for knowledge")[1].split("How to repeat it")[0]
    direct, known = (sum(getattr(c, f"correct_{how}") for c in cases) / 60 for how in ("direct", "known"))
    assert "On 60 dev questions, cut from the training questions and kept from this student's training" in section
    assert f"answers {100 * direct:.1f}% correctly when it never asks for knowledge and {100 * known:.1f}%" in section
    assert f"The threshold {found.threshold:.1f}, chosen for the highest accuracy" in section
    assert f"The calibration error (ECE) is {found.ece:.3f} over 6 bins" in section
    assert f"The Brier score is {found.brier:.3f}" in section
    for gate in ("margin (in use) .", "sequence probability .", "entropy .", "agreement of samples .", "at random .50"):
        assert gate in section
    assert f"chosen: {found.threshold:.1f}" in section


def test_a_threshold_that_was_set_is_told_from_the_chosen_one():
    found = calibrate(a_dev_split(60))
    point = found.at(90)

    def section(in_use):
        html = render_report(a_run(calibrations=[CalibrationSummary("m", found, in_use)]))
        return Page(html).text.split("When it asks for knowledge")[1].split("How to repeat it")[0]

    assert "This is not the threshold in use: the configuration sets 90.0, which asks" in section(90.0)
    assert f"answers {100 * point.accuracy:.1f}% correctly and reads {point.prompt_tokens:,.0f} prompt" in section(90.0)
    assert f"chosen: {found.threshold:.1f} · in use: 90.0" in section(90.0)
    assert "in use:" not in section(found.threshold)
    assert "not the threshold in use" not in section(found.threshold)


@pytest.mark.parametrize(("n", "said"), [(29, True), (30, False)])
def test_a_threshold_from_few_questions_is_called_a_guess(n, said):
    html = render_report(a_run(calibrations=[CalibrationSummary("m", calibrate(a_dev_split(n)))]))
    assert ("little better than a guess at a threshold" in html) is said


def test_the_notes_of_a_base_are_among_the_costs():
    page = Page(render_report(a_run(noted=[NotesCost("nesycd", 21, 34_000, 1.25)]))).text
    costs = page.split("What it cost")[1]
    assert "21 replies of the teacher for the notes of nesycd 34,000 – $1.25" in costs
    together = re.search(r"together \S+ .*?(\$[\d.]+)", costs)
    assert together is not None
    assert together[1] == "$1.75", "with the half dollar of the rationales"


def test_a_run_without_knowledge_or_gate_has_neither_section():
    html = render_report(a_run(knowledge=None, calibrations=()))
    page = Page(html).text
    assert "What the knowledge did" not in page
    assert "When it asks" not in page


@pytest.mark.parametrize(
    ("direct", "known", "said"),
    [
        (True, True, "The rule (the highest accuracy) chooses never to ask."),
        (False, True, "The rule (the highest accuracy) chooses always to ask."),
        (False, False, "All direct replies are wrong, so no score can tell them apart."),
        (True, False, "All direct replies are right, so no score can tell them apart."),
    ],
)
@pytest.mark.parametrize("n", [1, 2, 30])
def test_one_sided_calibrations_read_well(n, direct, known, said):
    cases = [replace(c, correct_direct=direct, correct_known=known) for c in a_dev_split(n)]
    html = render_report(a_run(calibrations=[CalibrationSummary("m", calibrate(cases))]))
    section = Page(html).text.split("When it asks for knowledge")[1]
    assert said in section
    assert f"On {n} dev question{'' if n == 1 else 's'}, cut" in section
    assert "nan" not in html.split("When it asks for knowledge")[1].split("How to repeat it")[0]
