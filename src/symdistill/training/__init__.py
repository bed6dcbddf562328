"""Training a student on examples; `train` is imported on use, as it brings torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symdistill.training.supervised import TrainingResult, train

__all__ = ["TrainingResult", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from symdistill.training import supervised

    return getattr(supervised, name)
