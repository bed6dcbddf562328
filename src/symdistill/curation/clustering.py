"""Hierarchical clustering of a handful of points, small enough to need no dependency."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ward_clusters(points: NDArray[np.float64], count: int) -> list[list[int]]:
    """`count` clusters of the rows of `points` ([n, d]): agglomerative, Ward's criterion (Ward 1963).

    At every step the two clusters whose union adds least to the within-cluster sum of squares are joined; distances
    to the union follow the Lance-Williams formula; of equal pairs the first is taken. Clusters and their members are
    in the order of the rows. Meant for the samples of one question: n² memory and n³ time.
    """
    total = len(points)
    clusters: dict[int, list[int]] = {row: [row] for row in range(total)}
    squares = np.sum(points**2, axis=1)
    distance = np.maximum(squares[:, None] + squares[None, :] - 2 * (points @ points.T), 0.0)
    # Rounding keeps the choice among equal distances the same whatever order a BLAS sums in.
    distance = np.round(distance, 12)
    np.fill_diagonal(distance, np.inf)
    sizes = np.ones(total)
    while len(clusters) > max(count, 1):
        left, right = divmod(int(np.argmin(distance)), total)
        others = [row for row in clusters if row not in (left, right)]
        joined = (
            (sizes[left] + sizes[others]) * distance[left, others]
            + (sizes[right] + sizes[others]) * distance[right, others]
            - sizes[others] * distance[left, right]
        ) / (sizes[left] + sizes[right] + sizes[others])
        distance[left, others] = distance[others, left] = np.round(joined, 12)
        distance[right, :] = distance[:, right] = np.inf
        sizes[left] += sizes[right]
        clusters[left] = sorted(clusters[left] + clusters.pop(right))
    return list(clusters.values())


def central_row(points: NDArray[np.float64], rows: list[int]) -> int:
    """The one of `rows` nearest to their mean; of equals the first."""
    members = points[rows]
    distance = np.sum((members - members.mean(axis=0)) ** 2, axis=1)
    return rows[int(np.argmin(np.round(distance, 12)))]
