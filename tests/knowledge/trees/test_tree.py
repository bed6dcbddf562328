"""Trees: fitted from a table, they decide, explain, become rules, and are read back."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rule_cases import QUESTIONS, reviews
from symdistill.errors import DataError
from symdistill.knowledge.rules.decisions import decide
from symdistill.knowledge.rules.observations import Observation, facts_of, names_of
from symdistill.knowledge.trees.fitting import fit_tree
from symdistill.knowledge.trees.settings import FitSettings
from symdistill.knowledge.trees.tree import Leaf, Node, Split, Tree, read_tree, write_tree

TREE = Tree(
    Split(
        "moving",
        Split("acting", Leaf("negative", {"negative": 30, "positive": 2}), Leaf("positive", {"positive": 8})),
        Leaf("positive", {"positive": 12, "negative": 1}),
    ),
    QUESTIONS,
)
nodes: st.SearchStrategy[Node] = st.recursive(
    st.builds(Leaf, st.sampled_from("xyz"), st.dictionaries(st.sampled_from("xyz"), st.integers(1, 5), min_size=1)),
    lambda below: st.builds(Split, st.sampled_from("abc"), below, below),
    max_leaves=6,
)


@given(nodes)
def test_the_rules_of_a_tree_decide_as_it_does(root: Node) -> None:
    tree = Tree(root)
    rules = tree.rules()
    for values in itertools.product((True, False, None), repeat=3):
        answers = dict(zip("abc", values, strict=True))
        (decision,) = decide(rules, facts_of([Observation("e", answers)]), ["e"])
        assert decision.covered
        assert decision.label == tree.decide(answers)


@given(nodes)
def test_a_tree_is_read_back(root: Node) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tree.json"
        write_tree(path, Tree(root, {"a": "Is it?\n☃"}), seed=3)
        assert read_tree(path) == Tree(root, {"a": "Is it?\n☃"})
        assert json.loads(path.read_text())["seed"] == 3


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"tree": 1, "target": "label", "questions": {}, "root": {"feature": "Not a name", "no": 1, "yes": 2}}',
        '{"tree": 1, "target": "label", "questions": {}, "root": {"label": "a", "counts": {"a": "many"}}}',
        '{"tree": 1, "target": "label", "questions": {}, "root": {"label": "a", "counts": {"a": 1e999}}}',
        '{"tree": 1, "target": "label", "questions": {}, "root": {"label": "a", "counts": {"a": ' + "1" * 5000 + "}}}",
        '{"tree": 1, "target": "label", "questions": {}, "root": {"label": "a", "counts": {"a": NaN}}}',
        '{"tree": 1, "target": "label", "questions": {}, "root": ' + '{"feature": "a", "no": ' * 40,
    ],
)
def test_what_is_no_tree(tmp_path: Path, content: str) -> None:
    (tmp_path / "tree.json").write_text(content)
    with pytest.raises(DataError, match="holds no tree"):
        read_tree(tmp_path / "tree.json")


def test_a_tree_of_a_later_version(tmp_path: Path) -> None:
    (tmp_path / "tree.json").write_text('{"tree": 2}')
    with pytest.raises(DataError, match="version 2 of trees"):
        read_tree(tmp_path / "tree.json")


def test_a_decision_is_explained_with_what_would_change_it() -> None:
    assert TREE.explain({"moving": False, "acting": True}) == (
        "The decision is positive, because: Does the writer say that the film is moving? no; "
        "Does the review praise the acting? yes. Of 8 training inputs with these answers 8 were positive. "
        "Had the answer to “Does the review praise the acting?” been no, it would be negative."
    )
    unknown = TREE.explain({})
    assert "not known, which counts as no" in unknown
    assert unknown.startswith("The decision is negative")
    assert Tree(Leaf("a", {"a": 3})).explain({}) == "The decision is a. Of 3 training inputs 3 were a."


def test_its_measures() -> None:
    assert TREE.depth == 2
    assert TREE.features == ["moving", "acting"]
    assert [rule.correct for rule in TREE.rules().rules] == [30, 8, 12]
    assert TREE.rules().rules[0].support == 32


def test_the_tree_behind_a_noisy_table_is_found() -> None:
    pytest.importorskip("sklearn")
    train, test = reviews(600, flipped=0.05), reviews(300, seed=1)
    fitted = fit_tree(train, names_of(train), QUESTIONS)
    tree = fitted.tree
    assert sum(tree.decide(one.answers) == one.label for one in test) / len(test) > 0.97
    assert set(tree.features) == {"acting", "boring", "moving"}
    assert tree.depth == 3
    assert fitted.by_depth[1][0] < fitted.by_depth[3][0]
    assert sum(sum(leaf.counts.values()) for leaf, _ in tree.leaves()) == 600
    assert fit_tree(train, names_of(train), QUESTIONS) == fitted


def test_a_question_whose_answer_does_not_matter_is_left_out() -> None:
    pytest.importorskip("sklearn")
    rows = [Observation(f"a{n}", {"f": True, "g": n % 3 == 0}, "yes") for n in range(30)]
    rows += [Observation(f"b{n}", {"f": False, "g": n % 2 == 0}, "no" if n % 10 else "yes") for n in range(60)]
    tree = fit_tree(rows, ["f", "g"], settings=FitSettings(max_depth=3, folds=0)).tree
    leaves = [leaf.label for leaf, _ in tree.leaves()]
    assert leaves == ["no", "yes"]
    assert tree.features == ["f"]


@pytest.mark.parametrize(
    "labels, features, problem",
    [(["a", "a"], ["f"], "only the label 'a'"), ([None], ["f"], "no label"), (["a", "b"], [], "No feature is left")],
)
def test_nothing_to_fit(labels: list[str | None], features: list[str], problem: str) -> None:
    pytest.importorskip("sklearn")
    rows = [Observation(str(place), {"f": True}, label) for place, label in enumerate(labels)]
    with pytest.raises(DataError, match=problem):
        fit_tree(rows, features)


def test_features_that_tell_nothing_give_a_single_leaf() -> None:
    pytest.importorskip("sklearn")
    rows = [Observation(str(n), {"f": True}, "a" if n % 3 else "b") for n in range(30)]
    tree = fit_tree(rows, ["f"]).tree
    assert tree.root == Leaf("a", {"a": 20, "b": 10})
    assert tree.depth == 0
