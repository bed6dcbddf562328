"""The training questions that early stopping is decided on, and what else must not have seen them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symdistill.errors import DataError
from symdistill.methods import Material, Method
from symdistill.records import Example, TrainingExample
from symdistill.tasks.splitting import draw, with_twins

if TYPE_CHECKING:
    from symdistill.runs.workspace import Workspace


def dev_cut(material: Material, fraction: float, seed: int) -> list[Example]:
    """The labelled questions early stopping is decided on; none where there are too few."""
    labelled = [e for e in material.examples if e.answer is not None]
    count = max(1, round(fraction * len(labelled)))
    return draw(labelled, count, seed, "dev")[0] if count < len(labelled) else []


def set_apart(work: Workspace, method: Method, material: Material) -> set[str]:
    """The ids of the questions that early stopping of this method is decided on, twins included; none without it."""
    settings = work.config.training_for(method)
    if not settings.early_stopping_patience:
        return set()
    return with_twins(material.examples, dev_cut(material, settings.dev_fraction, work.training_seed(method)))


def cut_dev(
    material: Material, examples: list[TrainingExample], fraction: float, seed: int
) -> tuple[list[Example], list[TrainingExample]]:
    """Cut labelled dev questions from the training questions; they are not trained on."""
    dev = dev_cut(material, fraction, seed)
    apart = with_twins(material.examples, dev)
    left = [e for e in examples if e.example_id not in apart]
    if not dev or not left:
        raise DataError(
            "Early stopping needs labelled dev questions, and too few training questions have an answer.",
            "Leave `training.early_stopping_patience` out, or add answers.",
        )
    return dev, left
