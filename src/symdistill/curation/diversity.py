"""The diversity selection: one rationale from each of `budget` clusters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from symdistill.curation.clustering import central_row, ward_clusters
from symdistill.curation.embeddings import sentence_embeddings, tfidf
from symdistill.records import Rationale


def most_diverse(embedding_model: Path | None) -> Callable[[Sequence[Rationale], int], list[int]]:
    """A function of one question's rationales and a budget that gives the positions to keep.

    Raises:
        ConfigError, PrerequisiteError: as `embeddings.sentence_embeddings`.
    """
    embed = sentence_embeddings(embedding_model) if embedding_model else tfidf

    def pick(candidates: Sequence[Rationale], budget: int) -> list[int]:
        points = embed([r.text for r in candidates])
        return [central_row(points, cluster) for cluster in ward_clusters(points, budget)]

    return pick
