"""Answer-set programmes: models, the best one, and bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from symdistill.errors import DataError
from symdistill.knowledge.asp import asp_string, solve, solve_each
from symdistill.knowledge.bounded import Bounds

PIGEONS = "1 { in(P,H) : H = 1..14 } 1 :- P = 1..15. :- in(P,H), in(Q,H), P < Q. #show in/2."  # 15 pigeons in 14 holes


def test_models_have_their_shown_atoms() -> None:
    solved = solve('p(1,"a b",f(x,2)). { q }. #show p/3. #show q/0.', arguments=["0"])
    assert solved.finished
    assert solved.satisfiable
    assert {frozenset(model.atoms) for model in solved.models} == {
        frozenset({("p", (1, "a b", "f(x,2)"))}),
        frozenset({("p", (1, "a b", "f(x,2)")), ("q", ())}),
    }


def test_the_last_model_is_the_best() -> None:
    solved = solve("{ p(1..4) }. :- p(1), p(2). #maximize { X,X : p(X) }. #show p/1.")
    assert sorted(solved.models[-1].atoms) == [("p", (2,)), ("p", (3,)), ("p", (4,))]
    assert solved.models[-1].cost == (-9,)


def test_a_programme_without_a_model() -> None:
    solved = solve("p. :- p.")
    assert (solved.satisfiable, solved.finished, solved.models) == (False, True, ())


def test_a_programme_that_explodes_is_ended_and_what_was_found_before_stays() -> None:
    easy, hard, never = solve_each(["p(1).", PIGEONS, "p(2)."], bounds=Bounds(seconds=1))
    assert easy.finished
    assert easy.models[0].atoms == (("p", (1,)),)
    for outcome in (hard, never):
        assert not outcome.finished
        assert outcome.models == ()
        assert "ran for more than 1 seconds" in str(outcome.limit)


def test_grounding_that_explodes_is_ended() -> None:
    solved = solve("n(1..2000). p(A,B,C,D) :- n(A), n(B), n(C), n(D).", bounds=Bounds(seconds=60, megabytes=200))
    assert not solved.finished
    assert "memory" in str(solved.limit)


@pytest.mark.parametrize(
    "program", ["p(", "p(X).", 'p("a).', "#include <incmode>.", "#script (python) #end.", "# script(lua)#end."]
)
def test_what_is_no_programme_or_reaches_out_is_refused(program: str) -> None:
    with pytest.raises(DataError):
        solve(program)


@pytest.mark.parametrize(
    "program",
    [
        '%* " *% #include "FILE". %* " *%',
        '%* %* *% " *% #include "FILE". %* " *%',
        '% "\n#include "FILE". % "',
        '#! %*\n#include "FILE". %* *%',
        'p("a\\\\"). #include "FILE". q("b").',
    ],
)
def test_no_quotation_mark_hides_what_reaches_out(tmp_path: Path, program: str) -> None:
    (tmp_path / "other.lp").write_text("secret.")
    with pytest.raises(DataError, match="uses #script or #include"):
        solve(program.replace("FILE", str(tmp_path / "other.lp")))


def test_words_in_strings_and_comments_reach_nowhere() -> None:
    (model,) = solve('% "\np("%* #include", "% #script"). q("#include").').models
    assert model.atoms == (("p", ("%* #include", "% #script")), ("q", ("#include",)))


@pytest.mark.parametrize(
    "text", ['"', "\\", 'a"b\\n', "line\nbreak", "% no comment", "#script(python)", "", "日本 \u2028", "a\\"]
)
def test_strings_keep_their_text(text: str) -> None:
    (model,) = solve(f"p({asp_string(text)}).").models
    assert model.atoms == (("p", (text,)),)
