"""Overlap area and Kullback-Leibler divergence of distances within and between sets of pieces.

Yang and Lerch, "On the evaluation of generative models in music" (Neural Computing and Applications 2020):
for one feature, the distances between all pairs inside the reference set, and between the reference and the
other set, each as a kernel density. Their code evaluates the two densities on different grids, cuts the tails
and fails on zero variance; here both stand on one grid that holds their tails, and a set without variance has
the bandwidth of the other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .measure import Measure, nothing

GRID_POINTS = 500
FLOOR = 1e-12  # density below which the logarithm is not taken


class Distances(NamedTuple):
    """Overlap area, 0 to 1 (1: the sets cannot be told apart by this feature), and KL divergence in nats of
    intra from inter.
    """

    overlap: Measure
    divergence: Measure


def density(samples: np.ndarray, grid: np.ndarray, bandwidth: float) -> np.ndarray:
    """Gaussian kernel density of the samples on the grid, shape `(len(grid),)`, normalised on it."""
    kinds, counts = np.unique(samples, return_counts=True)
    z = (grid[:, None] - kinds) / bandwidth  # (grid, kinds)
    values = np.exp(-0.5 * z**2) @ counts
    return values / np.trapezoid(values, grid)


def _bandwidth(samples: np.ndarray) -> float:
    """Scott's rule."""
    return float(samples.std(ddof=1)) * len(samples) ** -0.2 if len(samples) > 1 else 0.0


def distances(reference: np.ndarray, other: np.ndarray) -> Distances:
    """Compare two sets by one feature.

    Args:
        reference, other (arrays of shape `(n,)`): the feature of each piece, without NaN.
    """
    if len(reference) < 3 or len(other) < 1:
        none = nothing(
            f"too few pieces have the feature ({len(reference)} in the reference, {len(other)} in the set)"
        )
        return Distances(none, none)
    rows, columns = np.triu_indices(len(reference), k=1)
    intra = np.abs(reference[rows] - reference[columns])
    inter = np.abs(np.subtract.outer(reference, other)).ravel()
    widths = [_bandwidth(intra), _bandwidth(inter)]
    widest = max(widths)
    if widest == 0:  # both sets have one value each
        same = bool(np.isclose(intra[0], inter[0]))
        return Distances(
            Measure(float(same)),
            Measure(0.0) if same else nothing("two different constants: the divergence is infinite"),
        )
    grid = np.linspace(
        min(intra.min(), inter.min()) - 4 * widest, max(intra.max(), inter.max()) + 4 * widest, GRID_POINTS
    )
    # A kernel narrower than the grid would fall between its points and leave no density at all.
    widths = [max(w, 0.05 * widest, 2 * float(grid[1] - grid[0])) for w in widths]
    p, q = density(intra, grid, widths[0]), density(inter, grid, widths[1])
    overlap = float(np.trapezoid(np.minimum(p, q), grid))
    divergence = float(np.trapezoid(p * np.log((p + FLOOR) / (q + FLOOR)), grid))
    return Distances(Measure(min(1.0, overlap)), Measure(max(0.0, divergence)))
