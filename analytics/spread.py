"""How far a forecast may be off: quantiles of points, quantiles of sums and joint paths, all of one distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from analytics import paths
from analytics.analogues import analogues
from analytics.frames import Floats
from analytics.intervals import Rolling, bands, sum_bands


class Spread(Protocol):
    """The distribution of a batch of forecasts, in the unit of the values; NaN where it is not known."""

    def points(self, level: Sequence[float]) -> Floats:
        """Bounds (2, series, step, level) of intervals of single points, `level` in per cent."""
        ...

    def sums(self, level: Sequence[float]) -> Floats:
        """Bounds (2, series, level) of intervals of the sum over all steps."""
        ...

    def draw(self, n: int, keys: Sequence[object], seed: int) -> Floats:
        """Joint paths (series, n, step)."""
        ...


def spread(point: Floats, rolling: Rolling) -> Spread:
    """The distribution that the errors at rolling origins tell: of analogues where they may be, else of scaled errors.

    >>> errors = np.array([[[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]]])
    >>> spread(np.ones((1, 2)), Rolling(errors, (2, 4, 6))).points((80,)).shape
    (2, 1, 2, 1)
    """
    drawn = analogues(point, rolling)
    return Scaled(point, rolling) if drawn is None else Analogous(_lengthened(drawn, point))


@dataclass(frozen=True)
class Scaled:
    """Symmetric errors: each step its scale, all steps one shape; sums a scale and a shape of their own."""

    point: Floats
    rolling: Rolling

    def points(self, level: Sequence[float]) -> Floats:
        """Bounds of points."""
        half = bands(self.rolling, self.point.shape[1], level)
        return np.stack([self.point[:, :, None] - half, self.point[:, :, None] + half])

    def sums(self, level: Sequence[float]) -> Floats:
        """Bounds of sums."""
        half, middle = sum_bands(self.rolling, self.point.shape[1], level), self.point.sum(axis=1)[:, None]
        return np.stack([middle - half, middle + half])

    def draw(self, n: int, keys: Sequence[object], seed: int) -> Floats:
        """Joint paths."""
        return self.point[:, None, :] + paths.errors(self.rolling, self.point.shape[1], n, keys, seed)


@dataclass(frozen=True)
class Analogous:
    """Equally likely paths (series, analogue, step)."""

    samples: Floats

    def points(self, level: Sequence[float]) -> Floats:
        """Bounds of points."""
        return (
            np.quantile(self.samples, _tails(level), axis=1)
            .reshape(2, len(level), *self.samples.shape[::2])
            .transpose(0, 2, 3, 1)
        )

    def sums(self, level: Sequence[float]) -> Floats:
        """Bounds of sums."""
        found = np.quantile(self._sums, _tails(level), axis=1)
        return np.asarray(found.reshape(2, len(level), -1).transpose(0, 2, 1))

    def draw(self, n: int, keys: Sequence[object], seed: int) -> Floats:
        """Joint paths: each is one of the samples, taken by the rank of its sum."""
        count = self.samples.shape[1]
        order = np.argsort(self._sums, axis=1, kind="stable")
        picked = np.minimum((paths.uniform(self._together, n, keys, seed) * count).astype(np.int64), count - 1)
        return np.asarray(self.samples[np.arange(len(keys))[:, None], np.take_along_axis(order, picked, axis=1)])

    @cached_property
    def _sums(self) -> Floats:
        return np.asarray(self.samples.sum(axis=2))

    @property
    def _together(self) -> float:
        # Bursts of one series say little of those of the next.
        return 0.0


def _tails(level: Sequence[float]) -> Floats:
    share = np.asarray(level) / 100
    return np.concatenate([(1 - share) / 2, (1 + share) / 2])


def _lengthened(drawn: Floats, point: Floats) -> Floats:
    """Analogues as long as the horizon: beyond the steps that were backtested other analogues follow."""
    steps, horizon = drawn.shape[2], point.shape[1]
    parts = [np.roll(drawn, 17 * turn, axis=1) for turn in range(-(-horizon // steps))]
    return np.concatenate(parts, axis=2)[:, :, :horizon]
