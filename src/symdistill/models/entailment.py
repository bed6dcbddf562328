"""Whether one text follows from another, by a sequence classifier in a directory (MNLI and its like)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symdistill.errors import UnusableModel
from symdistill.models.weights import check_directory, quiet, readable_errors, require_transformers

_BATCH = 16
_LONGEST = 512
"""Tokens of both texts where nothing says how many the model reads."""


class EntailmentModel:
    """A loaded classifier with a label "entailment"."""

    def __init__(self, model: Any, tokenizer: Any, label: int) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._label = label

    @classmethod
    def load(cls, directory: Path) -> EntailmentModel:
        """Load the classifier in `directory`, in float32, on the GPU where there is one.

        Raises:
            PrerequisiteError: torch or transformers is missing.
            UnusableModel: there is no directory, it holds no model, or none of its labels is "entailment".
        """
        require_transformers()
        if not directory.is_dir():
            raise UnusableModel(f"{directory} is not a directory.", "Name the directory of an NLI model.")
        check_directory(directory)
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        with quiet(), readable_errors(directory):
            tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
            model = AutoModelForSequenceClassification.from_pretrained(
                directory, local_files_only=True, dtype=torch.float32
            )
        labels = {str(name).lower(): int(number) for number, name in model.config.id2label.items()}
        label = next((n for name, n in labels.items() if name in ("entailment", "entail", "entailed")), None)
        if label is None:
            raise UnusableModel(
                f"The model in {directory} has the labels {', '.join(labels)}, and none is `entailment`.",
                "Name the directory of an NLI model.",
            )
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(model.eval().to(device), tokenizer, label)

    def probabilities(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """For each (premise, hypothesis) the probability that the second follows from the first."""
        import torch

        found = np.zeros(len(pairs))
        order = sorted(range(len(pairs)), key=lambda place: sum(map(len, pairs[place])))  # little padding in a batch
        readable = int(getattr(self._model.config, "max_position_embeddings", _LONGEST))
        longest = min(int(self._tokenizer.model_max_length), readable, _LONGEST)
        for start in range(0, len(order), _BATCH):
            places = order[start : start + _BATCH]
            batch = self._tokenizer(
                [pairs[place][0] for place in places],
                [pairs[place][1] for place in places],
                padding=True,
                truncation=True,
                max_length=longest,
                return_tensors="pt",
            ).to(self._model.device)
            with torch.inference_mode():
                logits = self._model(**batch).logits.float()
            found[places] = torch.softmax(logits, dim=-1)[:, self._label].cpu().numpy()
        return found
