"""A critic: a small classifier that says how probably a text is good, and a threshold from which it passes.

Logistic regression on the features of `critic_features`, as strongly held back (L2) as does best on parts of the
training labels; its scores become probabilities by Platt's method on the validation labels, with his targets, which
keep few labels from making it sure of itself (Platt, 1999; Lin, Lu and Weng, Machine Learning 68, 2007). The threshold
is the one that a wanted share of the good validation labels passes (West et al., arXiv 2110.07178). No held-out label
is looked at here.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from symdistill.content import content_key
from symdistill.curation.words import squeezed
from symdistill.errors import DataError, PrerequisiteError
from symdistill.students.loading import BUILT_IN
from symdistill.students.settings import StudentSettings
from symdistill.training.critic_features import (
    OF_STUDENTS,
    WIDTH,
    Features,
    Numbers,
    Rows,
    SparseRows,
    Text,
    open_features,
)
from symdistill.training.critic_labels import Labelled, split_labels
from symdistill.training.settings import CriticSettings

CARD, WEIGHTS, LEARNED = "critic.json", "weights.npz", "learned.json"
FORM = "critic/1"
L2 = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""What is tried where nothing says how strongly weights are held back."""

_FOLDS = 5
_AGAIN = "Train it again with `symdistill triples critic`."
_INSTALL = "pip install 'symdistill[critic]'"


@dataclass(frozen=True)
class Critic:
    """A fitted critic. `weights` and `bias` give a score, which `slope` and `offset` turn into a probability.

    `dtype` is what the features were computed in, and are from now on, whatever the machine; `l2` is what held the
    weights back; `labels` counts what it learned from and what calibrated it, and `learned` has
    a digest of each of these texts (`digest_of`): what a critic knows cannot tell how good it is.
    """

    features: str
    layers: Literal["last", "mean"]
    threshold: float
    weights: NDArray[np.float64]
    bias: float
    slope: float
    offset: float
    l2: float
    labels: int
    identity: str
    student: str
    seen: Features
    dtype: Numbers = "float32"
    learned: frozenset[str] = frozenset()

    def probabilities(self, texts: Sequence[Text]) -> NDArray[np.float64]:
        """How probably each text is good: [len(texts)], between 0 and 1.

        Raises:
            DataError: a text is empty, or there is not one weight for each feature. UnusableModel: the model behind the
                features cannot be loaded.
        """
        if not len(texts):
            return np.zeros(0)
        rows = self.seen.rows(texts)
        width = WIDTH if isinstance(rows, SparseRows) else rows.shape[1]
        if len(self.weights) != width:
            raise DataError(f"The critic has {len(self.weights):,} weights for {width:,} features.", _AGAIN)
        return _probabilities(rows @ self.weights + self.bias, self.slope, self.offset)

    def accepts(self, texts: Sequence[Text]) -> NDArray[np.bool_]:
        """Whether each text passes: its probability is the threshold or more."""
        return np.asarray(self.probabilities(texts) >= self.threshold)

    def save(self, directory: Path) -> None:
        """Write `critic.json`, `weights.npz` and `learned.json`, whole or not at all. Raises DataError."""
        card = {
            "form": FORM,
            **{name: getattr(self, name) for name in ("features", "layers", "threshold", "bias", "slope", "offset")},
            **{name: getattr(self, name) for name in ("l2", "labels", "identity", "student", "dtype")},
        }
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
            try:
                np.savez_compressed(scratch / WEIGHTS, weights=self.weights)
                (scratch / LEARNED).write_text(json.dumps(sorted(self.learned)) + "\n", encoding="utf-8")
                (scratch / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
                directory.mkdir(exist_ok=True)
                (directory / CARD).unlink(missing_ok=True)  # without a card there is no critic
                for name in (WEIGHTS, LEARNED, CARD):
                    os.replace(scratch / name, directory / name)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
        except OSError as error:
            raise DataError(f"Cannot write {directory}: {error.strerror or error}.", "Choose another place.") from error

    @classmethod
    def load(cls, directory: Path, *, trust_remote_code: bool = False) -> Critic:
        """The critic in a directory. `trust_remote_code`: run the Python code that comes with the model behind it.

        Raises:
            DataError: there is none, it is damaged, or the model behind its features has changed.
            PrerequisiteError, UnusableModel: that model is not there.
        """
        card, weights = _read(directory)
        student = None
        if card["student"]:
            student = StudentSettings(model=card["student"], dtype=card["dtype"], trust_remote_code=trust_remote_code)
        seen = open_features(card["features"], layers=card["layers"], student=student)
        if seen.identity != card["identity"]:
            raise DataError(f"The model that the critic in {directory} was trained with has changed.", _AGAIN)
        return cls(**card, weights=weights, seen=seen, learned=learned_by(directory))


def fit_critic(
    labelled: Sequence[Labelled],
    settings: CriticSettings,
    *,
    student: StudentSettings | None = None,
    seed: int = 0,
) -> tuple[Critic, dict[str, list[Labelled]]]:
    """A critic that learned from some of the labels, and the labels as they were divided (`split_labels`).

    Raises:
        DataError: there are too few labels, or of one kind only. PrerequisiteError: a package or model is missing.
    """
    sides = split_labels(labelled, settings, seed=seed)
    seen = open_features(settings.features, layers=settings.layers, student=student)
    train, validation = sides["train"], sides["validation"]
    rows, good = seen.rows([one.text for one in train]), _verdicts(train)
    l2 = settings.l2 or _chosen_l2(rows, good, [one.group for one in train])
    weights, bias = _fit(rows, good, l2)
    scores = seen.rows([one.text for one in validation]) @ weights + bias
    slope, offset = platt(scores, _verdicts(validation))
    probabilities = _probabilities(scores, slope, offset)
    threshold = settings.threshold
    if threshold is None:
        threshold = threshold_for(probabilities, _verdicts(validation), settings.recall)
    critic = Critic(
        features=seen.name,
        layers=settings.layers,
        threshold=threshold,
        weights=weights,
        bias=bias,
        slope=slope,
        offset=offset,
        l2=l2,
        labels=len(train) + len(validation),
        identity=seen.identity,
        student=_lasting((student or StudentSettings()).model) if settings.features in OF_STUDENTS else "",
        seen=seen,
        dtype=seen.dtype,
        learned=frozenset(digest_of(one.text) for one in (*train, *validation)),
    )
    return critic, sides


def digest_of(text: Text) -> str:
    """What names a text, or a pair, whatever its case and white space."""
    return content_key("k1", [squeezed(part) for part in ((text,) if isinstance(text, str) else text)])


def learned_by(directory: Path) -> frozenset[str]:
    """The digests of the texts whose labels a saved critic learned from; none where it does not say. Raises
    DataError."""
    path = directory / LEARNED
    if not path.exists():
        return frozenset()
    try:
        return frozenset(map(str, json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}).", _AGAIN) from None


def same_critic(first: Path, second: Path) -> bool:
    """Whether two directories hold one critic, whatever their thresholds. Raises DataError."""
    (card, weights), (other_card, other_weights) = _read(first), _read(second)
    free = {"threshold", "student"}
    alike = all(card[name] == other_card[name] for name in card.keys() - free)
    return alike and np.array_equal(weights, other_weights)


def check_installed() -> None:
    """Raises PrerequisiteError where what fits a critic is not installed."""
    if importlib.util.find_spec("sklearn") is None:
        raise PrerequisiteError("Training a critic needs scikit-learn.", _INSTALL)


def threshold_for(probabilities: NDArray[np.float64], good: NDArray[np.bool_], recall: float) -> float:
    """The highest threshold that lets `recall` of the good ones pass, those with just this probability included.

    Raises:
        ValueError: none is good, or the recall is not above 0 and at most 1.
    """
    if not 0 < recall <= 1:
        raise ValueError(f"a recall of {recall} is not above 0 and at most 1")
    found = np.sort(probabilities[good])[::-1]
    if not len(found):
        raise ValueError("a recall needs good ones")
    return float(found[min(len(found), int(np.ceil(recall * len(found) - 1e-9))) - 1])


def platt(scores: NDArray[np.float64], good: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset of the sigmoid that turns scores into probabilities.

    The slope is never below 0: scores that foretell the contrary on the calibrating labels say nothing, and every text
    then has the share of good ones as its probability.
    """
    positive, negative = int(good.sum()), int((~good).sum())
    targets = np.where(good, (positive + 1) / (positive + 2), 1 / (negative + 2))
    slope, offset = _sigmoid_through(scores, targets)
    if slope > 0:
        return slope, offset
    share = targets.mean()
    return 0.0, float(np.log(share / (1 - share)))


def _sigmoid_through(scores: NDArray[np.float64], targets: NDArray[np.float64]) -> tuple[float, float]:
    """The sigmoid of least log loss, by Newton's method with halved steps. Scores are scaled first."""
    scale = float(np.abs(scores).max()) or 1.0
    design = np.column_stack([scores / scale, np.ones(len(scores))])

    def loss(at: NDArray[np.float64]) -> float:
        said = design @ at
        return float(np.mean(np.logaddexp(0, said) - targets * said))

    place = np.array([0.0, float(np.log(targets.mean() / (1 - targets.mean())))])
    for _ in range(100):
        said = _sigmoid(design @ place)
        gradient = design.T @ (said - targets) / len(scores)
        curvature = (design.T * (said * (1 - said))) @ design / len(scores) + 1e-10 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        before = loss(place)
        while loss(place - step) > before and np.abs(step).max() > 1e-12:
            step = step / 2
        place = place - step
        if np.abs(step).max() < 1e-10:
            break
    return float(place[0]) / scale, float(place[1])


def _probabilities(scores: NDArray[np.float64], slope: float, offset: float) -> NDArray[np.float64]:
    """Rounded, so that a text passes in any company: what it is computed with moves the last digits."""
    return np.asarray(np.round(_sigmoid(slope * scores + offset), 9))


def _sigmoid(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-np.logaddexp(0, -scores)))


def _lasting(model: str) -> str:
    """A model's name that holds from every working directory."""
    path = Path(model).expanduser()
    return str(path.resolve()) if path.exists() and model != BUILT_IN else model


def _verdicts(labelled: Sequence[Labelled]) -> NDArray[np.bool_]:
    return np.array([one.good for one in labelled], dtype=bool)


def _chosen_l2(rows: Rows, good: NDArray[np.bool_], groups: Sequence[str]) -> float:
    """The one of `L2` with the least log loss on parts of the labels that were not learned from, heads kept together.

    Of equals the strongest; where no part can be left out, 1.
    """
    names = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    fold = np.array([names[group] % _FOLDS for group in groups])
    losses = np.zeros(len(L2))
    for part in range(_FOLDS):
        inside, outside = fold != part, fold == part
        if not outside.any() or good[inside].all() or not good[inside].any():
            continue
        there, rest = _take(rows, inside), _take(rows, outside)
        for number, l2 in enumerate(L2):
            weights, bias = _fit(there, good[inside], l2)
            scores = rest @ weights + bias
            losses[number] += float(np.sum(np.logaddexp(0, scores) - good[outside] * scores))
    if not losses.any():
        return 1.0
    return max(l2 for l2, loss in zip(L2, losses, strict=True) if loss <= losses.min() + 1e-9)


def _take(rows: Rows, chosen: NDArray[np.bool_]) -> Rows:
    if not isinstance(rows, SparseRows):
        return rows[chosen]
    lengths = np.diff(rows.starts)
    kept = np.repeat(chosen, lengths)
    starts = np.concatenate([[0], np.cumsum(lengths[chosen])])
    return SparseRows(starts, rows.columns[kept], rows.values[kept])


def _fit(rows: Rows, good: NDArray[np.bool_], l2: float) -> tuple[NDArray[np.float64], float]:
    """Weights and bias of a logistic regression; dense columns count alike, whatever their size."""
    check_installed()
    from sklearn.linear_model import LogisticRegression

    matrix, back = _design(rows)
    model = LogisticRegression(C=1 / l2, max_iter=5000)
    model.fit(matrix, good)
    return back(np.asarray(model.coef_[0], dtype=np.float64), float(model.intercept_[0]))


def _design(rows: Rows) -> tuple[Any, Callable[[NDArray[np.float64], float], tuple[NDArray[np.float64], float]]]:
    """What is fitted to, and what makes weights for the rows themselves of those that were fitted."""
    if isinstance(rows, SparseRows):
        from scipy.sparse import csr_matrix  # comes with scikit-learn

        used, columns = np.unique(rows.columns, return_inverse=True)
        matrix = csr_matrix((rows.values, columns, rows.starts), shape=(len(rows.starts) - 1, len(used)))

        def spread(weights: NDArray[np.float64], bias: float) -> tuple[NDArray[np.float64], float]:
            whole = np.zeros(WIDTH)
            whole[used] = weights
            return whole, bias

        return matrix, spread
    mean = rows.mean(axis=0)
    scale = np.sqrt(rows.shape[1]) * np.maximum(rows.std(axis=0), 1e-6)

    def unscaled(weights: NDArray[np.float64], bias: float) -> tuple[NDArray[np.float64], float]:
        return weights / scale, bias - float(mean @ (weights / scale))

    return (rows - mean) / scale, unscaled


def _read(directory: Path) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """The card of a critic without its form, and its weights. Raises DataError."""
    path = directory / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        with np.load(directory / WEIGHTS, allow_pickle=False) as file:
            weights = np.asarray(file["weights"], dtype=np.float64)
    except FileNotFoundError:
        raise DataError(
            f"There is no critic in {directory}.", "Train one with `symdistill triples critic GRAPH --labels FILE`."
        ) from None
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(f"The critic in {directory} is damaged ({error}).", _AGAIN) from None
    names = Critic.__dataclass_fields__.keys() - {"weights", "seen", "learned"}
    if isinstance(card, dict):
        card.setdefault("dtype", "float32")  # younger than some critics
    if not isinstance(card, dict) or card.pop("form", None) != FORM or card.keys() != names:
        raise DataError(f"{path} is no card of a critic, or one of another version.", _AGAIN)
    numbers = [card[name] for name in ("threshold", "bias", "slope", "offset", "l2")]
    texts = [card[name] for name in ("features", "layers", "identity", "student", "dtype")]
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in numbers):
        raise DataError(f"{path} has a number that is none.", _AGAIN)
    known = card["layers"] in ("last", "mean") and card["dtype"] in ("float32", "bfloat16")
    if not all(isinstance(text, str) for text in texts) or not known:
        raise DataError(f"{path} has a value of the wrong kind.", _AGAIN)
    if weights.ndim != 1 or not np.isfinite(weights).all():
        raise DataError(f"{directory / WEIGHTS} holds no row of weights.", _AGAIN)
    return card, weights
