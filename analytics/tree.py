"""A tree of sums: who adds up to whom, and the least-squares answer where forecasts of all nodes disagree.

On a tree, weighted least squares needs no matrix. Upwards, every node weighs its own forecast against the sum of its
children's; downwards, the difference is shared out by their variances (Rauch, Tung and Striebel, AIAA Journal 3, 1965,
on a tree instead of a line). It takes two passes over the nodes, whatever their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analytics.frames import Floats, Ints

Bools = NDArray[np.bool_]

TOP = "total"
MOST = 200  # pivots of the non-negative solver, of which it seldom needs ten
TRIES = 3  # pivots of all that offend without progress, before one at a time
ROUND = 1e-9  # of a sum's terms: less is rounding


@dataclass(frozen=True)
class Tree:
    """Nodes from the top down, level by level, siblings side by side; the last level are the leaves.

    `paths` has one row a node: a column for each dimension, null where it is added up over. `starts[d]` holds for each
    node of level d the place of its first child in level d + 1.
    """

    paths: pl.DataFrame
    sizes: tuple[int, ...]
    starts: tuple[Ints, ...]

    @property
    def by(self) -> tuple[str, ...]:
        """The dimensions, from the top down."""
        return tuple(self.paths.columns)

    @property
    def leaves(self) -> slice:
        """Where the leaves lie."""
        return slice(sum(self.sizes[:-1]), sum(self.sizes))

    def level(self, depth: int) -> slice:
        """Where the nodes of a level lie; 0 is the top."""
        return slice(sum(self.sizes[:depth]), sum(self.sizes[: depth + 1]))

    def names(self) -> pl.Series:
        """A name for each node: "total", "search", "search/chat", ...; two that are the same spell it out."""
        joined = self.paths.select(pl.concat_str(pl.all(), separator="/", ignore_nulls=True)).to_series()
        plain = pl.Series("unique_id", [TOP, *joined[1:].to_list()])
        twice = plain.is_duplicated()
        if not twice.any():
            return plain
        told = zip(plain, twice, self.paths.iter_rows(named=True), strict=True)
        return pl.Series("unique_id", [_spelled(path) or name if again else name for name, again, path in told])

    def sums(self, leaves: Floats) -> Floats:
        """Values (nodes, ...) of all nodes from those (leaves, ...) of the leaves.

        >>> made = tree(pl.DataFrame({"team": ["a", "a", "b"], "model": ["x", "y", "x"]}))
        >>> made.sums(np.array([1.0, 2.0, 4.0])).tolist()
        [7.0, 3.0, 4.0, 1.0, 2.0, 4.0]
        """
        found = [np.asarray(leaves, dtype=float)]
        for starts in reversed(self.starts):
            found.append(np.add.reduceat(found[-1], starts, axis=0))
        return np.concatenate(found[::-1])

    def incoherence(self, values: Floats) -> float:
        """By how much parents and sums of their children differ at most, in parts of a parent over 1."""
        worst = 0.0
        for depth, starts in enumerate(self.starts):
            parents = values[self.level(depth)]
            apart = np.abs(parents - np.add.reduceat(values[self.level(depth + 1)], starts, axis=0))
            worst = max(worst, float((apart / np.maximum(1.0, np.abs(parents))).max(initial=0.0)))
        return worst

    def down(self, parents: Floats, depth: int) -> Floats:
        """The value of its parent for each node of level `depth` + 1."""
        counts = np.diff(np.append(self.starts[depth], self.sizes[depth + 1]))
        return np.repeat(parents, counts, axis=0)

    def _climb(self) -> Iterator[tuple[int, Ints]]:
        yield from zip(range(len(self.starts) - 1, -1, -1), reversed(self.starts), strict=True)


def tree(paths: pl.DataFrame) -> Tree:
    """The tree over leaves given by their dimensions, from the top down; repeated ones count once.

    >>> made = tree(pl.DataFrame({"team": ["b", "a", "b"], "model": ["x", "y", "z"]}))
    >>> made.names().to_list()
    ['total', 'a', 'b', 'a/y', 'b/x', 'b/z']
    """
    by = paths.columns
    leaves = paths.select(pl.all().cast(pl.String).fill_null("none")).unique().sort(by)
    levels = [leaves.select(by[:depth]).unique(maintain_order=True) for depth in range(1, len(by) + 1)]
    top = pl.DataFrame({name: [None] for name in by}, schema=dict.fromkeys(by, pl.String))
    below = (_runs(levels[depth], by[:depth]) for depth in range(1, len(by)))
    starts: tuple[Ints, ...] = (np.zeros(1, dtype=np.int64), *below)
    whole = pl.concat([top, *levels], how="diagonal").select(by)
    return Tree(whole, (1, *(len(level) for level in levels)), starts)


def _spelled(path: dict[str, str | None]) -> str:
    return ", ".join(f"{name}={value}" for name, value in path.items() if value is not None)


def _runs(level: pl.DataFrame, above: Sequence[str]) -> Ints:
    """Where each run of equal values of the dimensions `above` begins."""
    fresh = level.select(pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in above)).to_series()
    return np.flatnonzero(fresh.fill_null(value=True).to_numpy()).astype(np.int64)


def least_squares(made: Tree, base: Floats, variance: Floats, free: Bools | None = None) -> Floats:
    """The coherent values nearest to `base`, each node's distance in parts of its variance: (nodes, columns).

    Wickramasuriya, Athanasopoulos and Hyndman, "Optimal forecast reconciliation", JASA 114, 2019, with a diagonal
    covariance.

    Args:
        made: the tree.
        base: (nodes, columns), forecasts that need not add up.
        variance: (nodes,), positive, of their errors.
        free: (leaves, columns); a leaf that is not stays 0. Default: all are.

    >>> two = tree(pl.DataFrame({"team": ["a", "b"]}))
    >>> least_squares(two, np.array([[12.0], [5.0], [4.0]]), np.array([1.0, 1.0, 1.0])).round(6).ravel().tolist()
    [11.0, 6.0, 5.0]
    """
    spread = variance[made.leaves, None]
    guess, left = base[made.leaves], np.broadcast_to(spread, (spread.shape[0], 1))
    if free is not None:
        guess, left = np.where(free, guess, 0.0), np.where(free, spread, 0.0)
    guesses, lefts, sums, rests = [guess], [left], [], []
    for depth, starts in made._climb():
        total, rest = np.add.reduceat(guesses[-1], starts, axis=0), np.add.reduceat(lefts[-1], starts, axis=0)
        own = variance[made.level(depth), None]
        gain = rest / (rest + own)
        sums.append(total)
        rests.append(rest)
        guesses.append(total + gain * (base[made.level(depth)] - total))
        lefts.append(gain * own)
    found = [guesses[-1]]
    for depth in range(len(made.starts)):
        rest = rests[-1 - depth]
        share = (found[-1] - sums[-1 - depth]) / np.where(rest > 0, rest, 1.0)
        found.append(guesses[-2 - depth] + lefts[-2 - depth] * made.down(share, depth))
    return made.sums(found[-1])


def non_negative(made: Tree, base: Floats, variance: Floats) -> Floats | None:
    """`least_squares` among values that are nowhere negative; None where the solver found no end.

    Block principal pivoting (Portugal, Júdice and Vicente, Mathematics of Computation 63, 1994): leaves below zero are
    held there, those held against their gradient are let go, all columns side by side. What it returns satisfies the
    Karush-Kuhn-Tucker conditions, so nothing coherent and non-negative is nearer.

    >>> two = tree(pl.DataFrame({"team": ["a", "b"]}))
    >>> made = non_negative(two, np.array([[1.0], [4.0], [-1.0]]), np.ones(3))
    >>> made.round(6).ravel().tolist()
    [2.5, 2.5, 0.0]
    """
    leaves = made.sizes[-1]
    columns = np.arange(base.shape[1])
    free = np.ones((leaves, len(columns)), dtype=bool)
    out = np.empty_like(base)
    fewest, tries = np.full(len(columns), leaves + 1), np.full(len(columns), TRIES)
    for _ in range(MOST):
        found = least_squares(made, base[:, columns], variance, free[:, columns])
        slope, size = _slopes(made, found - base[:, columns], variance)
        held = ~free[:, columns]
        offends = np.where(held, slope < -ROUND * size, found[made.leaves] < 0)
        count = offends.sum(axis=0)
        done = count == 0
        out[:, columns[done]] = found[:, done]
        if done.all():
            return made.sums(np.maximum(out[made.leaves], 0.0))
        columns, offends, count = columns[~done], offends[:, ~done], count[~done]
        better = count < fewest[columns]
        tries[columns] = np.where(better, TRIES, tries[columns] - 1)
        fewest[columns] = np.minimum(fewest[columns], count)
        one = np.flatnonzero(tries[columns] < 0)
        last = leaves - 1 - offends[::-1, one].argmax(axis=0)
        offends[:, one] = False
        offends[last, one] = True
        free[:, columns] ^= offends
    return None


def _slopes(made: Tree, moved: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """How the distance changes as a leaf grows, and the size of the terms of which that is the sum."""
    term = moved / variance[:, None]
    slope, size = term[:1], np.abs(term[:1])
    for depth in range(len(made.starts)):
        own = term[made.level(depth + 1)]
        slope, size = made.down(slope, depth) + own, made.down(size, depth) + np.abs(own)
    return slope, size
