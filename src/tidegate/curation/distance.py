# SPDX-License-Identifier: Apache-2.0
"""Distances between many points, a block of rows at a time: memory stays bounded however many there are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

ENTRIES = 1 << 26
"""Distances that are in memory at a time, in three arrays or so of 256 MB; fewer make the products slow."""


def squared(points: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared distances (N, M) of (N, D) and (M, D)."""
    found = points @ others.T
    found *= -2
    found += np.einsum("ij,ij->i", points, points)[:, None]
    found += np.einsum("ij,ij->i", others, others)[None]
    return np.asarray(np.maximum(found, 0, out=found), np.float32)


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Pieces of ``rows`` so small that a block of ``columns`` distances each fits."""
    size = max(1, ENTRIES // max(1, columns))
    for first in range(0, rows, size):
        yield slice(first, min(rows, first + size))


def nearest(points: NDArray[np.float32], others: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Index (N,) of the nearest of ``others`` (M, D), M > 0, to each of ``points`` (N, D), and its distance (N,)."""
    index, far = np.zeros(len(points), np.int64), np.zeros(len(points), np.float32)
    for rows in blocks(len(points), len(others)):
        apart = squared(points[rows], others)
        index[rows] = apart.argmin(axis=1)
        far[rows] = np.sqrt(apart.min(axis=1))
    return index, far
