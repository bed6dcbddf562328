"""Inputs cut into rounds, texts drawn to be shown, and files that cannot be used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symdistill.curation.pairs import Pair
from symdistill.errors import ConfigError, DataError
from symdistill.methods.multilevel import Input, MultilevelSettings
from symdistill.runs.multilevel_inputs import (
    Sources,
    audited_inputs,
    inputs_of_round,
    read_inputs,
    read_labels,
    read_pairs,
    read_sources,
)


def write(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def section(**keys: Any) -> MultilevelSettings:
    return MultilevelSettings.model_validate(keys)


def test_rounds_are_disjoint_and_the_same_each_time(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", [{"id": f"s{n}", "text": f"Sentence {n}."} for n in range(20)])
    wanted = section(inputs=path, rounds=3)
    sources = read_sources(wanted, 7)
    assert [len(some) for some in sources.rounds] == [5, 5, 5, 5]
    assert len({one.id for some in sources.rounds for one in some}) == 20
    assert read_sources(wanted, 7) == sources
    assert read_sources(wanted, 8).rounds != sources.rounds
    assert sources.line == "20 inputs in 4 rounds"
    earlier: list[Input] = []
    for number in range(4):
        inputs = inputs_of_round(wanted, sources, number, [], earlier, 7)
        assert tuple(inputs) == sources.rounds[number]
        earlier += inputs


def test_repeated_texts_and_those_of_round_0_are_left_out(tmp_path: Path) -> None:
    texts = ["One.", "two.", "ONE.", "three.", "four.", "five."]
    inputs = write(tmp_path / "in.jsonl", [{"text": text} for text in texts])
    seeds = write(tmp_path / "seeds.jsonl", [{"input": "Two.", "output": "2"}])
    sources = read_sources(section(inputs=inputs, seeds=seeds, rounds=1), 0)
    assert sorted(one.text for one in sources.rounds[0]) == ["One.", "five.", "four.", "three."]
    assert sources.line == "4 inputs in 1 rounds   1 pairs to begin with   2 inputs left out that stood there before"


def test_a_text_file_has_one_input_a_line(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("one\n\n two \n")
    assert read_inputs(path) == [Input("line 1", "one"), Input("line 3", "two")]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": "a"}], "there is no `text`"),
        ([{"text": " "}], "there is no `text`"),
        ([{"id": "a", "text": "x"}, {"id": "a", "text": "y"}], "line 2: the id a stands at"),
    ],
)
def test_rows_that_are_no_inputs(tmp_path: Path, rows: list[Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_inputs(write(tmp_path / "in.jsonl", rows))


@pytest.mark.parametrize(("rows", "said"), [([{"input": "x"}], "line 1: there is no"), ([], "holds no pair")])
def test_rows_that_are_no_pairs(tmp_path: Path, rows: list[Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_pairs(write(tmp_path / "pairs.jsonl", rows))


@pytest.mark.parametrize("key", ["inputs", "seeds", "demonstrations", "invent"])
@pytest.mark.parametrize("ending", ["jsonl", "txt"])
def test_a_missing_file_is_told_with_its_key(tmp_path: Path, key: str, ending: str) -> None:
    (tmp_path / "openai.yaml").write_text("")
    missing = tmp_path / f"nope.{ending}"
    keys: dict[str, Any] = {"inputs": write(tmp_path / "in.jsonl", [{"text": f"Sentence {n}."} for n in range(9)])}
    keys = {"invent": {"seeds": missing}, "per_round": 3} if key == "invent" else {**keys, key: missing}
    with pytest.raises(DataError) as caught:
        read_sources(section(**keys, rounds=1), 0)
    told = "multilevel.invent.seeds" if key == "invent" else f"multilevel.{key}"
    assert str(caught.value) == f"There is no file {missing} (`{told}`). Check the path."


def test_what_the_teacher_is_shown_is_no_input(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", [{"text": f"Sentence {n}."} for n in range(7)])
    shown = write(tmp_path / "shown.jsonl", [{"input": "sentence  3.", "output": "Three."}])
    found = read_sources(section(inputs=path, demonstrations=shown, rounds=1), 0)
    assert "Sentence 3." not in {one.text for some in found.rounds for one in some}
    assert found.repeated == 1


@pytest.mark.parametrize(("texts", "per_round"), [(5, 2), (3, None)])
def test_too_few_inputs_are_said_before_anything_is_asked(tmp_path: Path, texts: int, per_round: int | None) -> None:
    path = write(tmp_path / "in.jsonl", [{"text": f"Sentence {n}."} for n in range(texts)])
    with pytest.raises(DataError, match=f"holds {texts} different inputs for the rounds, and 3 rounds of 2 need 6"):
        read_sources(section(inputs=path, rounds=2, per_round=per_round), 0)


def test_labels_by_input_and_output(tmp_path: Path) -> None:
    rows = [
        {"input": "A", "output": "b", "label": "accept"},
        {"input": "A", "output": "c", "label": 0},
        {"input": "A", "output": "d", "label": None},
    ]
    assert read_labels(write(tmp_path / "l.jsonl", rows)) == {("a", "b"): True, ("a", "c"): False}
    for bad, said in (
        ({"input": "a", "output": "B", "label": False}, "says the opposite"),
        ({"input": "a", "output": "x", "label": "maybe"}, "`label` is 'maybe'"),
        ({"input": "a", "label": True}, "no `output`"),
    ):
        with pytest.raises(DataError, match=said):
            read_labels(write(tmp_path / "bad.jsonl", [*rows, bad]))


@given(st.integers(2, 60), st.floats(0.01, 0.99), st.integers(0, 5))
@settings(max_examples=60)
def test_the_audited_slice_is_never_empty_and_never_all(count: int, fraction: float, seed: int) -> None:
    inputs = [Input(f"i{n}", f"text {n}") for n in range(count)]
    chosen = audited_inputs(inputs, fraction, seed)
    assert 1 <= len(chosen) < count
    assert chosen == audited_inputs(list(reversed(inputs)), fraction, seed)


def invention(path: Path, **keys: Any) -> MultilevelSettings:
    return section(invent={"seeds": path, "shown": 3, "own": 1, **keys}, per_round=8, rounds=2)


def test_what_is_shown_is_new_each_time_and_says_where_it_is_from(tmp_path: Path) -> None:
    path = write(tmp_path / "seeds.jsonl", [{"id": f"seed{n}", "text": f"Do thing {n}."} for n in range(6)])
    wanted = invention(path)
    sources = read_sources(wanted, 0)
    assert sources.line == "6 texts to begin with"
    first = inputs_of_round(wanted, sources, 0, [], [], 0)
    assert len({frozenset(one.shown) for one in first}) == 8
    assert {len(one.shown) for one in first} == {3}
    kept = [Pair(f"0-{n}", 0, f"draw 0-{n}", "", f"Do new thing {n}.") for n in range(3)]
    second = inputs_of_round(wanted, sources, 1, kept, first, 0)
    own = {pair.id for pair in kept}
    assert all(len(own & set(one.shown)) == 1 for one in second)
    assert "Do new thing" in second[0].text
    assert second[0].text.startswith("1. ")
    assert inputs_of_round(wanted, sources, 1, kept, first, 0) == second


def test_draws_that_run_out_are_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "seeds.jsonl", [{"text": f"Do thing {n}."} for n in range(3)])
    wanted = invention(path, own=0)
    with pytest.raises(DataError, match="no new one is found"):
        inputs_of_round(wanted, read_sources(wanted, 0), 0, [], [], 0)


def test_seeds_that_cannot_be_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "seeds.jsonl", [{"text": "Do it."}])
    with pytest.raises(DataError, match="holds 1 different texts"):
        read_sources(invention(path), 0)
    with pytest.raises(ConfigError, match="own` is 3"):
        read_sources(invention(path, own=3), 0)


def test_a_round_with_inputs_of_another_is_refused() -> None:
    one = (Input("a", "One."),)
    with pytest.raises(DataError, match="earlier round"):
        inputs_of_round(section(inputs="x", rounds=1), Sources(rounds=(one, one)), 1, [], list(one), 0)


def test_inputs_for_every_student_are_in_no_round_and_half_of_them_decides(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", [{"id": f"s{n}", "text": f"Sentence {n}."} for n in range(50)])
    wanted = section(inputs=path, rounds=1, audit={"by": "model", "question": "?", "fixed": 0.2})
    sources = read_sources(wanted, 7)
    assert len(sources.fixed) == 10
    assert len(sources.deciding) == 5
    assert sources.deciding < {one.id for one in sources.fixed}
    assert not {one.id for one in sources.fixed} & {one.id for some in sources.rounds for one in some}
    assert [len(some) for some in sources.rounds] == [20, 20]
    assert "10 for every student" in sources.line
    other = section(inputs=path, rounds=2, samples=3, audit={"by": "gold", "fixed": 0.2})
    assert read_sources(other, 7).fixed == sources.fixed, "the same whatever the rounds are"
    assert read_sources(section(inputs=path), 7).fixed == ()


def test_what_every_student_is_shown_is_drawn_once_and_not_again(tmp_path: Path) -> None:
    seeds = write(tmp_path / "in.jsonl", [{"id": f"s{n}", "text": f"Task {n}."} for n in range(6)])
    audit = {"by": "model", "question": "?", "fixed": 0.25}
    wanted = section(invent={"seeds": seeds, "shown": 3, "own": 0}, per_round=8, rounds=1, audit=audit)
    sources = read_sources(wanted, 0)
    assert len(sources.fixed) == 4
    drawn = {frozenset(one.shown) for one in inputs_of_round(wanted, sources, 0, [], [], 0)}
    assert len(drawn) == 8
    assert not drawn & {frozenset(one.shown) for one in sources.fixed}
