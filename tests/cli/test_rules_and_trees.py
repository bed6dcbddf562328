"""`symdistill rules` and `symdistill trees` as a user meets them, with a teacher on the loopback interface."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from feature_teacher import reply_to, write_reviews
from loopback import LoopbackServer
from rule_cases import QUESTIONS, reviews
from symdistill.cli.main import main
from symdistill.knowledge.rules.files import read_rules
from symdistill.knowledge.rules.observations import Observation, write_table
from symdistill.knowledge.trees.features import write_features


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Run a command in this process; exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as stopped:
        main(list(map(str, words)))
    out, err = capsys.readouterr()
    code = stopped.value.code
    return (code if isinstance(code, int) else 1), out, err


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    with LoopbackServer(reply=reply_to) as server:
        path = tmp_path / "reviews.yaml"
        settings = {
            "task": {"path": str(write_reviews(tmp_path / "reviews.jsonl"))},
            "teacher": {"model": "openai:loopback", "base_url": server.base_url},
        }
        path.write_text(yaml.safe_dump(settings))
        yield path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table with its questions beside it, as `trees annotate` leaves them."""
    write_table(tmp_path / "table.jsonl", reviews(300, flipped=0.05))
    write_features(tmp_path / "questions.yaml", QUESTIONS)
    return tmp_path / "table.jsonl"


def test_from_a_teacher_to_a_tree_and_rules(capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    code, out, _ = call(capsys, "trees", "questions", config, "--run-dir", run, "--dry-run")
    assert code == 0
    assert "To buy: 4 of 4 replies" in out
    code, out, _ = call(capsys, "trees", "questions", config, "--run-dir", run)
    assert code == 0
    assert " boring: Does the writer call the film boring?\n" in out
    assert "asks for the answer" in out
    code, out, _ = call(capsys, "trees", "annotate", config, "--run-dir", run, "--again", 30)
    assert code == 0
    assert "60 inputs with 2 of 3 features" in out
    assert "dropped, noisy: asked again about 30 inputs" in out
    code, out, _ = call(capsys, "trees", "fit", run, "--folds", 0, "--min-leaf", 2)
    assert code == 0
    assert "Does the review praise the acting?\n" in out
    assert "accuracy      100.0" in out
    assert ET.parse(run / "trees" / "tree.svg").getroot().tag.endswith("svg")
    assert json.loads((run / "trees" / "measures.json").read_text())["test"]["completeness"]["value"] == 1.0
    code, out, _ = call(capsys, "trees", "explain", run / "trees" / "tree.json", run, "r3")
    assert "Film 3: wooden faces and brisk.\nThe decision is negative, because: " in out
    code, out, _ = call(capsys, "rules", "propose", config, "--run-dir", run, "-o", tmp_path / "p.jsonl")
    assert code == 0
    assert "IF boring THEN label = negative  # right in" in out
    code, out, _ = call(capsys, "rules", "evaluate", tmp_path / "p.jsonl", run)
    assert code == 0
    assert "accuracy      100.0" in out


def test_a_student_in_a_directory_answers_the_questions(
    capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path
) -> None:
    """A random one: that it is asked and that nothing of it can be read is all there is to see."""
    pytest.importorskip("torch")
    from tiny import save_tiny

    run, student = tmp_path / "run", f"transformers:{save_tiny(tmp_path / 'student')}"
    write_features(run / "trees" / "questions.yaml", {"boring": "Is it boring?"})
    words = ("trees", "annotate", config, "teacher.max_tokens=4", "--run-dir", run, "--limit", 3, "--again", 0)
    code, out, _ = call(capsys, *words, "--by", student, "--dry-run")
    assert code == 0
    assert "To buy: 6 of 6 replies" in out
    assert "$0" in out
    code, _, err = call(capsys, *words, "--by", student)
    assert code == 2
    assert "No question is answered well enough" in err
    code, out, _ = call(capsys, *words, "--by", student, "--dry-run")
    assert "To buy: 0 of 6 replies" in out
    code, out, _ = call(capsys, *words, "--dry-run")
    assert "To buy: 6 of 6 replies" in out, "what the student said is not the teacher's"
    code, _, err = call(capsys, *words, "--by", "transformers:no/such/student")
    assert code != 0
    assert "no/such/student" in err


def test_learned_rules_are_shown_evaluated_explained_and_exported(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.jsonl"
    code, out, _ = call(capsys, "rules", "learn", table, "-o", rules)
    assert code == 0
    assert "measured on 200 training inputs" in out
    assert call(capsys, "rules", "show", rules)[1] == out.rpartition("\n")[0].rpartition("\n")[0] + "\n"
    answers = [
        call(capsys, "rules", "evaluate", rules, table, "--engine", engine)[1] for engine in ("python", "clingo")
    ]
    assert answers[0] == answers[1]
    assert "control       agreement" in answers[0]
    code, out, _ = call(capsys, "rules", "explain", rules, table, "e1")
    assert out.startswith("Review 1\ne1: ")
    for name, part in (("r.txt", "IF "), ("r.lp", "decided_(X, L)"), ("r.pl", "query(label(_, _))")):
        code, out, _ = call(capsys, "rules", "export", rules, tmp_path / name)
        assert code == 0
        assert part in (tmp_path / name).read_text()
    code, _, _ = call(capsys, "rules", "export", rules, tmp_path / "facts.lp", "--table", table)
    assert 'input("e1").\n' in (tmp_path / "facts.lp").read_text()
    assert [rule.id for rule in read_rules(tmp_path / "r.txt").rules] == [
        read_rules(rules).rules[place].id for place in read_rules(rules).precedence
    ]


def test_rules_by_hand_are_simplified(capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.rules"
    own.write_text(
        "IF acting AND acting AND NOT boring THEN label = positive\n"
        "IF acting AND NOT boring AND noise THEN label = positive\n"
        "IF moving THEN label = positive\n"
        "OTHERWISE label = negative\n"
    )
    code, out, _ = call(capsys, "rules", "simplify", own, "-o", tmp_path / "s.txt")
    assert code == 0
    assert "4 rules became" not in out
    assert "3 rules became 2" in out
    code, out, _ = call(capsys, "rules", "simplify", own, "-o", tmp_path / "s.jsonl", "--table", table)
    assert "3 rules became 2" in out
    assert all(rule.support for rule in read_rules(tmp_path / "s.jsonl").rules)


def test_a_tree_can_explain_a_model_instead_of_the_labels(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    said = tmp_path / "predictions.jsonl"
    rows = [{"id": row.example_id, "method": "m", "answer": "a" if row.answers["noise"] else "b"} for row in reviews()]
    rows += [{"id": "e0", "method": "other", "answer": "b"}]
    said.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, _, err = call(capsys, "trees", "fit", table, "--labels", said)
    assert code == 2
    assert "answers of several methods. Name one with --method: m, other." in err
    code, out, _ = call(capsys, "trees", "fit", table, "--labels", said, "--method", "m", "-o", tmp_path / "model")
    assert code == 0
    assert "fidelity      100.0" in out
    assert "accuracy      0.0" in out
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        *("measures.json", "report.html", "rules.jsonl", "tree.json", "tree.svg")
    ]
    tree = tmp_path / "model" / "tree.json"
    assert "Is the title longer than three words?" in call(capsys, "trees", "show", tree)[1]
    assert call(capsys, "trees", "draw", tree, tmp_path / "t.svg", "--title", "A model")[0] == 0
    assert "<title>A model</title>" in (tmp_path / "t.svg").read_text()
    code, _, err = call(capsys, "trees", "draw", tree, tmp_path / "t.png")
    assert (code, "Name a file that ends in .svg." in err) == (2, True)
    assert not (tmp_path / "t.png").exists()


def test_an_edit_and_what_a_student_makes_of_it(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    own, new = tmp_path / "own.jsonl", tmp_path / "new.jsonl"
    (tmp_path / "own.txt").write_text("IF moving THEN label = positive\nIF boring THEN label = negative\n")
    call(capsys, "rules", "export", tmp_path / "own.txt", own)
    rule = read_rules(own).rules[0]
    code, out, _ = call(capsys, "rules", "edit", own, rule.id, "negative", "-o", new)
    assert (code, out.splitlines()[0]) == (0, "IF moving THEN label = negative")
    for name, label in (("before", "positive"), ("after", "negative")):
        rows = [{"id": row.example_id, "label": label if row.answers["moving"] else "positive"} for row in reviews()]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["--before", tmp_path / "before.jsonl", "--after", tmp_path / "after.jsonl"]
    code, out, _ = call(capsys, "rules", "response", own, table, rule.id, "negative", *words)
    assert code == 0
    moved, wanted, elsewhere = out.splitlines()
    assert "100.0" in moved
    assert "100.0" in wanted
    assert "0.0 [0.0," in elsewhere
    assert read_rules(new).rules[0].support == 0, "what the rule was right in, it was while it said something else"
    code, _, err = call(capsys, "rules", "edit", own, rule.id, "negtive", "-o", new)
    assert (code, "No other rule concludes negtive" in err, "Did you mean negative?" in err) == (0, True, True)
    assert call(capsys, "rules", "edit", own, rule.id, "negative", "-o", new)[2] == ""
    code, _, err = call(capsys, "rules", "edit", own, "r_none", "negative", "-o", new)
    assert code == 2
    assert "has no rule 'r_none' that decides." in err


@pytest.mark.parametrize("engine", ["python", "clingo"])
def test_rules_about_relations_are_measured_on_a_graph(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, engine: str
) -> None:
    if engine == "clingo":
        pytest.importorskip("clingo")
    (tmp_path / "own.rules").write_text("IF xNeed(X, Y) AND xWant(Y, Z) THEN xWant(X, Z)\n")
    rows = [("go", "xNeed", "money"), ("buy", "xNeed", "money"), ("money", "xWant", "work"), ("go", "xWant", "work")]
    (tmp_path / "kg.tsv").write_text("".join("\t".join(row) + "\n" for row in [("head", "relation", "tail"), *rows]))
    words = ("rules", "measure", tmp_path / "own.rules", tmp_path / "kg.tsv", "--engine", engine)
    code, out, _ = call(capsys, *words, "--seconds", 60, "-o", tmp_path / "m.jsonl")
    assert code == 0
    assert out.splitlines() == [
        "IF xNeed(X, Y) AND xWant(Y, Z) THEN xWant(X, Z)  # right in 1 of 2",
        "Measured on 4 facts.",
    ]
    assert read_rules(tmp_path / "m.jsonl").rules[0].support == 2


def test_rules_become_items_of_a_knowledge_base(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("IF moving THEN label = positive\n")
    words = ("rules", "export", tmp_path / "own.txt", tmp_path / "k.sqlite", "--task", "reviews")
    assert "1 of 1 rules are new" in call(capsys, *words)[1]
    assert "0 of 1 rules are new" in call(capsys, *words)[1]
    assert "IF moving THEN label = positive" in call(capsys, "knowledge", "list", tmp_path / "k.sqlite")[1]


@pytest.mark.parametrize(
    "words, problem",
    [
        (["rules", "show", "none.jsonl"], "There is no file none.jsonl."),
        (
            ["rules", "evaluate", "{rules}", "{table}", "--split", "dev"],
            "has no inputs of the split 'dev'. It has: test, train",
        ),
        (["rules", "explain", "{rules}", "{table}", "nobody"], "has no input 'nobody'."),
        (["rules", "export", "{rules}", "x.xml"], "`.xml` is no form of rules."),
        (["rules", "export", "{rules}", "x.txt", "--table", "{table}"], "holds rules alone."),
        (["rules", "learn", "{folder}/one.jsonl", "-o", "x.jsonl"], "has only the label 'positive'"),
        (["trees", "fit", "{folder}/one.jsonl"], "has only the label 'positive'"),
        (["trees", "fit", "{folder}/empty"], "holds no table.jsonl. Run `symdistill trees annotate CONFIG` first."),
        (["trees", "show", "{rules}"], "holds no tree"),
        (["trees", "fit", "{table}", "--labels", "{rules}"], "`id` and `label` (or `answer`) are texts."),
    ],
)
def test_mistakes_are_one_line(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path, words: list[str], problem: str
) -> None:
    rules = tmp_path / "own.rules"
    rules.write_text("IF acting THEN label = positive\n")
    write_table(tmp_path / "one.jsonl", [Observation(str(n), {"acting": True}, "positive") for n in range(9)])
    (tmp_path / "empty").mkdir()
    filled = [word.format(rules=rules, table=table, folder=tmp_path) for word in words]
    if "--labels" in words:
        rules.write_text('{"id": 3}\n')
    code, _, err = call(capsys, *filled)
    assert code == 2
    assert problem in err
    assert err.count("\n") == 1


def test_hostile_text_reaches_no_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rules = tmp_path / "own.rules"
    rules.write_text('IF acting THEN label = "\\u001b[2Jbad"\n')
    write_table(tmp_path / "t.jsonl", [Observation("e", {"acting": True}, "x", text="\x1b]0;title\x07")])
    for words in (["rules", "show", rules], ["rules", "explain", rules, tmp_path / "t.jsonl", "e"]):
        code, out, _ = call(capsys, *words)
        assert code == 0
        assert "\x1b" not in out
        assert "bad" in out
