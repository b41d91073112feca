"""The ways to make forecasts of a tree add up: MinT-shrink, least squares by variance or structure, bottom up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytics.frames import Floats
from analytics.tree import Tree, least_squares, non_negative

EXACT = 300  # leaves up to which the package's dense non-negative solver is asked
CELLS = 4_000_000  # numbers of errors that are mapped at once
NONE_NEGATIVE = "None is negative."


@dataclass(frozen=True)
class Solution:
    """Coherent `points` (node, step), and the linear map from forecasts of all nodes that they come from.

    Non-negative points may differ from what the map gives; `method` is what was used in the end, `note` says it.
    """

    points: Floats
    linear: Callable[[Floats], Floats]
    method: str
    note: str

    def errors(self, errors: Floats) -> Floats:
        """What the reconciled forecasts would have got wrong: (node, origin, step), NaN where a node's own is unknown.

        Actual values add up already, so a linear map of the forecasts is the same map of their errors.
        """
        nodes = len(errors)
        flat = errors.reshape(nodes, -1)
        out = np.empty_like(flat)
        width = max(1, CELLS // nodes)
        for low in range(0, flat.shape[1], width):
            part = flat[:, low : low + width]
            out[:, low : low + width] = np.where(np.isfinite(part), self.linear(np.nan_to_num(part)), np.nan)
        return out.reshape(errors.shape)


def solve(made: Tree, base: Floats, errors: Floats, method: str, *, floor: bool) -> Solution:
    """Reconcile `base` by the method of this name: mint_shrink, wls, structural or bottom_up.

    Args:
        made: the tree.
        base: (node, step), forecasts that need not add up.
        errors: (node, origin, step), what the forecasters got wrong before; NaN unknown.
        method: which; a solver that fails gives way to bottom_up, and one that needs errors where there are none to
            structural.
        floor: whether no leaf may be negative.
    """
    if method == "bottom_up":
        return bottom_up(made, base, "The leaves were forecast and added up.", floor=floor)
    if method == "structural" or not np.isfinite(errors).any():
        return by_variance(made, base, made.sums(np.ones(made.sizes[-1])), floor=floor, method="structural")
    if method == "wls":
        return by_variance(made, base, variances(base, errors), floor=floor, method="wls")
    try:
        return mint_shrink(made, base, errors, floor=floor)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # noqa: BLE001  # the package raises bare Exceptions, and its solvers their own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return bottom_up(made, base, f"MinT-shrink failed: {reason} The leaves were added up instead.", floor=floor)


def bottom_up(made: Tree, base: Floats, note: str, *, floor: bool) -> Solution:
    """Add the leaves up."""

    def linear(values: Floats) -> Floats:
        return made.sums(values[made.leaves])

    leaves = base[made.leaves]
    return Solution(made.sums(np.maximum(leaves, 0.0) if floor else leaves), linear, "bottom_up", note)


def by_variance(made: Tree, base: Floats, variance: Floats, *, floor: bool, method: str) -> Solution:
    """Least squares on the tree, each node in parts of its `variance`."""

    def linear(values: Floats) -> Floats:
        return least_squares(made, values, variance)

    weights = "the variances of their errors" if method == "wls" else "numbers of leaves"
    note = f"{made.sizes[-1]:,} leaves reconciled by least squares with {weights}."
    points = linear(base)
    if not (floor and points[made.leaves].min() < 0):
        return Solution(points, linear, method, note)
    found = non_negative(made, base, variance)
    if found is None:
        reason = "The non-negative solver found no end. The leaves were added up instead."
        return bottom_up(made, base, reason, floor=floor)
    return Solution(found, linear, method, f"{note} {NONE_NEGATIVE}")


def mint_shrink(made: Tree, base: Floats, errors: Floats, *, floor: bool) -> Solution:
    """MinT with a covariance shrunk to its diagonal, by hierarchicalforecast.

    Wickramasuriya, Athanasopoulos and Hyndman, JASA 114, 2019; Schäfer and Strimmer, 2005. Values come in parts of
    their mean size, since its solvers have absolute tolerances. Up to 300 leaves its dense solver finds the
    non-negative answer, above that the nearest on the tree to the unconstrained one is taken.
    """
    import warnings

    from hierarchicalforecast.methods import MinTrace

    unit = float(np.abs(base).mean()) or 1.0
    seen = np.nan_to_num(errors).reshape(len(errors), -1) / unit
    data: dict[str, Any] = {"S": made.sums(np.eye(made.sizes[-1])), "y_hat": base / unit}
    data |= {"y_insample": seen, "y_hat_insample": np.zeros_like(seen)}
    weights = np.asarray(MinTrace("mint_shrink").fit(**data).P)

    def linear(values: Floats) -> Floats:
        return made.sums(weights @ values)

    note = f"{made.sizes[-1]:,} leaves reconciled by MinT-shrink over {seen.shape[1]:,} errors of each node."
    points: Floats | None = linear(base)
    assert points is not None
    if floor and points[made.leaves].min() < 0:
        note = f"{note} {NONE_NEGATIVE}"
        if made.sizes[-1] <= EXACT:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it tells of negative forecasts, which is why it is asked
                solved = MinTrace("mint_shrink", nonnegative=True).fit(**data)
            points = made.sums(np.maximum(np.asarray(solved.y_hat, dtype=float)[made.leaves], 0.0) * unit)
        else:
            points = non_negative(made, points, variances(base, errors))
    if points is None or not np.isfinite(points).all():
        raise ArithmeticError("no finite answer was found.")
    return Solution(points, linear, "mint_shrink", note)


def variances(base: Floats, errors: Floats) -> Floats:
    """The mean squared error of each node, above zero: what never erred moves least."""
    known = np.isfinite(errors)
    count = known.sum(axis=(1, 2))
    mean = (np.where(known, errors, 0.0) ** 2).sum(axis=(1, 2)) / np.maximum(count, 1)
    return positive(np.where(count > 0, mean, np.nan), base)


def positive(variance: Floats, base: Floats) -> Floats:
    """Variances above zero by a hair of the smallest one and of the node's own size."""
    known = variance[np.isfinite(variance) & (variance > 0)]
    least = 1e-9 * float(known.min()) if len(known) else 1.0
    return np.asarray(np.maximum(np.nan_to_num(variance), (1e-6 * np.abs(base).mean(axis=1)) ** 2 + least))
