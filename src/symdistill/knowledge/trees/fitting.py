"""A shallow decision tree from a table of answers, by scikit-learn's CART (Breiman et al. 1984).

How deep it may be is chosen by cross-validation on the training inputs: the shallowest depth whose accuracy is within
one standard error of the best (the one-standard-error rule of the same book), since it is to be read.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import fmean
from typing import Any

from symdistill.errors import DataError, PrerequisiteError
from symdistill.knowledge.rules.logic import TARGET
from symdistill.knowledge.rules.observations import Observation, require_labels
from symdistill.knowledge.trees.settings import FitSettings
from symdistill.knowledge.trees.tree import Leaf, Node, Split, Tree

_LEAST_LEAF = 5


@dataclass(frozen=True, slots=True)
class Fitted:
    """A tree, and the accuracy of each depth that was tried: its mean over the folds and the standard error of that.

    `by_depth` is empty where there was nothing to choose.
    """

    tree: Tree
    by_depth: Mapping[int, tuple[float, float]]


def fit_tree(
    observations: Sequence[Observation],
    features: Sequence[str],
    questions: Mapping[str, str] | None = None,
    settings: FitSettings | None = None,
    *,
    target: str = TARGET,
    seed: int = 0,
) -> Fitted:
    """A tree from the labelled ones of `observations`, all of which are taken for training inputs.

    Raises:
        PrerequisiteError: scikit-learn is not installed.
        DataError: there is no feature, or there are not two labels.
    """
    require_scikit_learn()
    limits = settings or FitSettings()
    rows = [one for one in observations if one.label is not None]
    labels = require_labels(rows, "The training part of the table")
    if not features:
        raise DataError("No feature is left to fit a tree on.", "Ask for other questions, or screen less strictly.")
    depth, by_depth = limits.max_depth, {}
    least = limits.min_leaf or max(_LEAST_LEAF, len(rows) // 100)
    if limits.folds >= 2 and len(rows) >= 4 * limits.folds:
        by_depth = _by_depth(rows, features, labels, limits, least, seed)
        depth = _shallowest(by_depth)
    root = _merged(_grown(rows, features, labels, depth, least, seed))
    asked = {name: (questions or {})[name] for name in features if name in (questions or {})}
    return Fitted(Tree(root, asked, target), by_depth)


def require_scikit_learn() -> None:
    """Raises PrerequisiteError where scikit-learn is not installed."""
    if find_spec("sklearn") is None:
        raise PrerequisiteError(
            "Trees are fitted by scikit-learn, which is not installed.", "pip install 'symdistill[trees]'"
        )


def _by_depth(
    rows: Sequence[Observation],
    features: Sequence[str],
    labels: Sequence[str],
    limits: FitSettings,
    least: int,
    seed: int,
) -> dict[int, tuple[float, float]]:
    parts = _folds(rows, limits.folds, seed)
    found = {}
    for depth in range(1, limits.max_depth + 1):
        scores = []
        for part in parts:
            apart = set(part)
            grown = _grown(
                [one for place, one in enumerate(rows) if place not in apart],
                features,
                labels,
                depth,
                least,
                seed,
            )
            tree = Tree(grown)
            scores.append(fmean(tree.decide(rows[place].answers) == rows[place].label for place in part))
        mean = fmean(scores)
        spread = math.sqrt(sum((score - mean) ** 2 for score in scores) / (len(scores) - 1))
        found[depth] = (mean, spread / math.sqrt(len(scores)))
    return found


def _shallowest(by_depth: Mapping[int, tuple[float, float]]) -> int:
    best, error = max(by_depth.values(), key=lambda pair: pair[0])
    return min(depth for depth, (mean, _) in by_depth.items() if mean >= best - error)


def _folds(rows: Sequence[Observation], count: int, seed: int) -> list[list[int]]:
    """Places of the rows in `count` parts, each label spread evenly over them."""
    order = random.Random(f"{seed}/folds").sample(range(len(rows)), len(rows))
    order.sort(key=lambda place: str(rows[place].label))  # stable, so that a label's rows stay shuffled
    return [order[start::count] for start in range(count)]


def _grown(
    rows: Sequence[Observation],
    features: Sequence[str],
    labels: Sequence[str],
    depth: int,
    min_leaf: int,
    seed: int,
) -> Node:
    import numpy as np
    from sklearn.tree import DecisionTreeClassifier

    answers = np.array([[bool(one.answers.get(name)) for name in features] for one in rows], dtype=np.float32)
    model = DecisionTreeClassifier(max_depth=depth, min_samples_leaf=min_leaf, random_state=seed)
    model.fit(answers, [labels.index(str(one.label)) for one in rows])
    return _taken_over(model.tree_, 0, rows, features, labels)


def _taken_over(
    fitted: Any, place: int, rows: Sequence[Observation], features: Sequence[str], labels: Sequence[str]
) -> Node:
    """The node of scikit-learn's arrays at `place`; `rows` are the training inputs that come to it."""
    if fitted.children_left[place] < 0:
        counts = Counter(str(one.label) for one in rows)
        # Of labels that are equally frequent here the one that is commoner everywhere.
        label = max(labels, key=lambda name: (counts[name], -labels.index(name)))
        return Leaf(label, {name: counts[name] for name in labels if counts[name]})
    name = features[int(fitted.feature[place])]
    sides: dict[bool, list[Observation]] = {False: [], True: []}
    for one in rows:
        sides[bool(one.answers.get(name))].append(one)
    return Split(
        name,
        _taken_over(fitted, int(fitted.children_left[place]), sides[False], features, labels),
        _taken_over(fitted, int(fitted.children_right[place]), sides[True], features, labels),
    )


def _merged(node: Node) -> Node:
    """The same decisions without questions whose answer does not matter."""
    if isinstance(node, Leaf):
        return node
    no, yes = _merged(node.no), _merged(node.yes)
    if isinstance(no, Leaf) and isinstance(yes, Leaf) and no.label == yes.label:
        return Leaf(no.label, dict(Counter(no.counts) + Counter(yes.counts)))
    return Split(node.feature, no, yes)
