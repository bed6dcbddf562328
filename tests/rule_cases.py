"""Rules and facts for tests: random ones, of every shape the language has, and a small table with a known truth."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from symdistill.errors import DataError
from symdistill.knowledge.rules.logic import SUBJECT, Fact, Literal, Rule, RuleSet, Variable
from symdistill.knowledge.rules.observations import Observation

FEATURES = ("a", "b", "c", "query")
LABELS = ("yes", 'n"o\\', "50%\n", "{x}")
INPUTS = ("e1", "e 2", "É'3", "-")

_features = st.sampled_from(FEATURES).map(lambda name: Literal(name))
_labels = st.sampled_from(LABELS)


@st.composite
def _negatable(draw: st.DrawFn) -> Literal:
    literal = draw(_features)
    return literal.opposite if draw(st.booleans()) else literal


@st.composite
def _input_rule(draw: st.DrawFn) -> Rule:
    body = tuple(draw(st.lists(_negatable(), max_size=3)))
    exceptions = tuple(
        tuple(each) for each in draw(st.lists(st.lists(_negatable(), min_size=1, max_size=2), max_size=2))
    )
    between = draw(st.booleans())
    head = Literal("between") if between else Literal("label", (SUBJECT, draw(_labels)))
    if not between and draw(st.booleans()):
        body = (*body, Literal("between", (SUBJECT,), draw(st.booleans())))
    support = draw(st.integers(0, 4))
    return Rule(head, body, exceptions, support, draw(st.integers(0, support)))


X, Y, Z = Variable("X"), Variable("Y"), Variable("Z")
_related = st.sampled_from(
    [
        Literal("r", (X, Y)),
        Literal("r", (Y, Z)),
        Literal("s", (X, Z)),
        Literal("s", (Y, Z)),
        Literal("r", (X, "e1")),
        Literal("s", ("-", X)),
        Literal("a"),
    ]
)
_heads = st.sampled_from(
    [Literal("s", (X, Y)), Literal("s", (X, Z)), Literal("t", (X,)), Literal("label", (X, "yes")), Literal("t", (Y,))]
)


@st.composite
def _relational_rule(draw: st.DrawFn) -> Rule | None:
    positive = draw(st.lists(_related, min_size=1, max_size=3))
    negative = [literal.opposite for literal in draw(st.lists(_related, max_size=1))]
    exceptions = tuple(tuple(each) for each in draw(st.lists(st.lists(_related, min_size=1, max_size=2), max_size=1)))
    try:
        return Rule(draw(_heads), (*positive, *negative), exceptions)
    except ValueError:
        return None


@st.composite
def rule_sets(draw: st.DrawFn) -> RuleSet:
    """Rules about inputs and rules about relations, in any mixture that makes sense."""
    rules = draw(st.lists(_input_rule(), max_size=4)) + [
        rule for rule in draw(st.lists(_relational_rule(), max_size=3)) if rule is not None
    ]
    default = draw(st.none() | _labels)
    while True:
        try:
            return RuleSet(tuple(rules), "label", default)
        except DataError:  # it depends on its own negation
            rules.pop()


@st.composite
def fact_sets(draw: st.DrawFn) -> list[Fact]:
    """Facts about a few inputs and constants; all inputs are inputs, and so may be what is none."""
    names = st.sampled_from(INPUTS)
    facts: list[Fact] = [("input", (name,)) for name in INPUTS[: draw(st.integers(0, len(INPUTS)))]]
    facts += [(name, (one,)) for name, one in draw(st.lists(st.tuples(st.sampled_from(FEATURES), names), max_size=8))]
    pairs = st.tuples(st.sampled_from(("r", "s")), st.tuples(names, names))
    return list(dict.fromkeys([*facts, *draw(st.lists(pairs, max_size=8))]))


def reviews(count: int = 300, seed: int = 0, flipped: float = 0.0) -> list[Observation]:
    """A table whose label is positive where the acting is praised and it is not boring, or where it is moving; `noise`
    has nothing to do with it. `flipped` is the share of wrong labels."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        answers = {name: chance.random() < 0.5 for name in ("acting", "boring", "noise")}
        answers["moving"] = chance.random() < 0.2
        positive = (answers["acting"] and not answers["boring"]) or answers["moving"]
        if chance.random() < flipped:
            positive = not positive
        split = "train" if number % 3 else "test"
        rows.append(
            Observation(f"e{number}", answers, "positive" if positive else "negative", split, f"Review {number}")
        )
    return rows


QUESTIONS = {
    "acting": "Does the review praise the acting?",
    "boring": "Does the writer call the film boring?",
    "noise": "Is the title longer than three words?",
    "moving": "Does the writer say that the film is moving?",
}
