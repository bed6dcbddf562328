"""Rules and tables in files: nothing is lost on the way, and a mistake is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from rule_cases import QUESTIONS, reviews, rule_sets
from symdistill.errors import DataError
from symdistill.knowledge.rules.files import read_rules, write_rules
from symdistill.knowledge.rules.logic import RuleSet, Source
from symdistill.knowledge.rules.observations import Observation, read_table, write_table
from symdistill.knowledge.rules.text import parse_text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rule_sets())
def test_json_lines_keep_everything(tmp_path: Path, rules: RuleSet) -> None:
    path = tmp_path / "rules.jsonl"
    write_rules(path, rules)
    assert read_rules(path) == rules


def test_questions_sources_and_stated_confidence_are_kept(tmp_path: Path) -> None:
    (rule,) = parse_text("IF acting THEN label = positive").rules
    source = Source("teacher", "", "openai:m", "r1_0", "rule-proposals/1")
    rule = type(rule)(rule.head, rule.body, stated=0.75, sources=(source, Source("person", "Ann")))
    rules = RuleSet((rule,), "label", "negative", QUESTIONS)
    write_rules(tmp_path / "rules.jsonl", rules)
    assert read_rules(tmp_path / "rules.jsonl") == rules


def test_text_is_for_people(tmp_path: Path) -> None:
    rules = RuleSet(parse_text("IF acting AND NOT boring THEN label = positive").rules, "label", "negative", QUESTIONS)
    write_rules(tmp_path / "my.rules", rules)
    assert (tmp_path / "my.rules").read_text() == (
        "IF acting AND NOT boring THEN label = positive\n"
        "OTHERWISE label = negative\n"
        "# acting: Does the review praise the acting?\n"
        "# boring: Does the writer call the film boring?\n"
    )
    assert read_rules(tmp_path / "my.rules").rules == rules.rules


@pytest.mark.parametrize(
    "content, problem",
    [
        ('{"rules": 1}\nnonsense', "line 2: not valid JSON"),
        ("[1]", "line 1: not a JSON object"),
        ('{"if": ["a"]}', "line 1: no rule: `then` is missing"),
        ('{"then": "b", "if": "a"}', "line 1: no rule: `if` is a list"),
        ('{"then": "b", "if": ["A"]}', "line 1: no rule: 'A' stands where"),
        ('{"then": "b", "if": ["a"], "support": 1, "correct": 2}', "line 1: no rule: 2 of 1"),
        ('{"then": "b", "if": ["a"], "stated": 3}', "not between 0 and 1"),
        ('{"then": "b", "if": ["a"], "sources": [{"kind": "oracle"}]}', "unknown source 'oracle'"),
        ('{"then": "b", "if": ["a"], "support": 1e999}', "line 1: no rule: cannot convert float infinity"),
        ('{"then": "b", "if": ["a"], "correct": -Infinity}', "line 1: no rule: cannot convert float infinity"),
        ('{"then": "b", "if": ["a"], "stated": 1e999}', "not between 0 and 1"),
        ('{"then": "b", "if": ["a"], "stated": 1' + "0" * 400 + "}", "line 1: no rule: int too large"),
        ('{"then": "b", "if": ["a"], "support": ' + "1" * 5000 + "}", "line 1: not valid JSON"),
        ('{"then": "b", "if": ["a"], "support": "' + "1" * 5000 + '"}', "line 1: no rule: "),
        ('{"rules": 2}', "version 2 of rules is not known"),
        ('{"rules": 1, "target": 3}', "`target` is a text"),
        ('{"rules": 1, "questions": {"a": 1}}', "`questions` has a text"),
        ('{"then": "b", "if": ["NOT b"]}', "depends on its own negation"),
        ('{"then": "b", "if": [' * 2000, "not valid JSON"),
    ],
)
def test_a_mistake_in_rules(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "rules.jsonl"
    path.write_text(content)
    with pytest.raises(DataError) as raised:
        read_rules(path)
    assert raised.value.message.startswith(str(path))
    assert problem in raised.value.message
    assert raised.value.fix


def test_a_file_that_is_not_there_and_one_that_is_not_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no"):
        read_rules(tmp_path / "rules.jsonl")
    (tmp_path / "x.rules").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not UTF-8"):
        read_rules(tmp_path / "x.rules")


def test_a_place_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "folder.rules").mkdir()
    with pytest.raises(DataError, match="Cannot write"):
        write_rules(tmp_path / "folder.rules", RuleSet())
    assert [path.name for path in tmp_path.iterdir()] == ["folder.rules"]


def test_a_table_is_read_back(tmp_path: Path) -> None:
    rows = [*reviews(5), Observation("odd \u2028\ud800", {"acting": None}, None, "dev", "a\nb")]
    assert write_table(tmp_path / "t.jsonl", rows) == 6
    back = read_table(tmp_path / "t.jsonl")
    assert back == rows
    assert [one.text for one in back] == [one.text for one in rows]


@pytest.mark.parametrize(
    "row, problem",
    [
        ('{"answers": {}}', "`id`, `split` and `text` are texts"),
        ('{"id": "a"}', "`answers` is missing"),
        ('{"id": "a", "answers": {"acting": "yes"}}', "the answer to `acting` is true, false or null"),
        ('{"id": "a", "answers": {"Acting!": true}}', "'Acting!' is no name"),
        ('{"id": "a", "label": 1, "answers": {}}', "`label` is a text or null, not 1"),
        ('{"id": "a", "answers": {}}\n{"id": "a", "answers": {}}', "line 2: the id 'a' stands at"),
        ("", "holds no inputs"),
    ],
)
def test_a_mistake_in_a_table(tmp_path: Path, row: str, problem: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(row)
    with pytest.raises(DataError, match=problem.replace("(", r"\(")):
        read_table(path)
