"""Joint sample paths: errors drawn so that their quantiles are those of points and their sums those of sums."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np

from analytics.frames import Floats
from analytics.intervals import Rolling, bands, sum_bands

LEVELS = (*range(2, 100, 2), 99.0, 99.5, 99.9)  # per cent, where the quantile functions are tabulated
CORRELATIONS = tuple(np.linspace(0.0, 0.995, 200))  # of neighbouring steps, that may be chosen
CELLS = 4_000_000  # numbers drawn at once


def errors(rolling: Rolling, horizon: int, n: int, keys: Sequence[object], seed: int) -> Floats:
    """Draw `n` joint paths of errors for each series of a batch: (series, n, horizon).

    Normal ranks that hang together from step to step as strongly as sums ask for, and across series as the errors of
    one origin did, are mapped to each step's own quantiles (a Gaussian copula: Sklar, 1959); then each path is moved by
    a little so that sums have the quantiles of sums. Every series draws from its own stream, named by its key: leaving
    one out does not change the rest.
    """
    out = np.empty((len(keys), n, horizon))
    common = np.random.default_rng([seed, 0]).standard_normal((n, horizon))
    together = _together(rolling.errors)
    chunk = max(1, CELLS // (n * horizon))
    for low in range(0, len(keys), chunk):
        part = slice(low, low + chunk)
        own = np.stack([_stream(seed, key).standard_normal((n, horizon)) for key in keys[part]])
        shock = np.sqrt(together) * common + np.sqrt(1 - together) * own
        out[part] = _mapped(rolling, part, horizon, shock)
    return out


def uniform(together: float, n: int, keys: Sequence[object], seed: int) -> Floats:
    """One number between 0 and 1 for each path of each series, (series, n), correlated across series."""
    from scipy.special import ndtr

    common = np.random.default_rng([seed, 0]).standard_normal(n)
    own = np.stack([_stream(seed, key).standard_normal(n) for key in keys])
    return np.asarray(ndtr(np.sqrt(together) * common + np.sqrt(1 - together) * own))


def _mapped(rolling: Rolling, part: slice, horizon: int, shock: Floats) -> Floats:
    from scipy.special import ndtr

    table = bands(rolling, horizon, LEVELS)[part]
    sums = sum_bands(rolling, horizon, LEVELS)[part]
    scale = np.where(np.isfinite(table[:, :, 0]), table[:, :, LEVELS.index(68)], 0.0)
    rms = np.nan_to_num(sums[:, LEVELS.index(68)])
    ranks = _autoregressive(shock, _correlation(scale, rms))
    size = 2 * ndtr(np.abs(ranks)) - 1
    drawn = np.empty_like(ranks)
    known = np.concatenate([[0.0], np.array(LEVELS) / 100])
    for s, series in enumerate(np.nan_to_num(table)):
        # All steps of a series have one shape of the error, each its own scale.
        top = series.max(axis=0)
        shape = np.interp(size[s], known, np.concatenate([[0.0], top]))
        drawn[s] = np.sign(ranks[s]) * shape * (series[:, -1] / top[-1] if top[-1] > 0 else 0.0)
    return _summed(drawn, scale, np.nan_to_num(sums), known)


def _summed(drawn: Floats, scale: Floats, sums: Floats, known: Floats) -> Floats:
    """The paths with their sums moved, in the order they have, to the quantiles that sums have."""
    count = drawn.shape[1]
    places = (np.arange(count) + 0.5) / count * 2 - 1
    power = scale**2
    weight = power / np.where(power.sum(axis=1) > 0, power.sum(axis=1), 1.0)[:, None]
    for s in range(len(drawn)):
        order = np.argsort(drawn[s].sum(axis=1), kind="stable")
        wanted = np.sign(places) * np.interp(np.abs(places), known, np.concatenate([[0.0], sums[s]]))
        drawn[s, order] += (wanted - drawn[s, order].sum(axis=1))[:, None] * weight[s]
    return np.asarray(drawn)


def _autoregressive(shock: Floats, correlation: Floats) -> Floats:
    out = shock.copy()
    fresh = np.sqrt(1 - correlation**2)[:, None]
    for step in range(1, shock.shape[2]):
        out[:, :, step] = correlation[:, None] * out[:, :, step - 1] + fresh * shock[:, :, step]
    return np.asarray(out)


def _correlation(scale: Floats, rms: Floats) -> Floats:
    """The correlation of neighbouring steps with which errors of this scale have sums of this scale."""
    steps = scale.shape[1]
    # What each distance between two steps adds to the variance of the sum, by the transform of the autocorrelation.
    lagged = np.fft.irfft(np.abs(np.fft.rfft(scale, 2 * steps)) ** 2, 2 * steps)[:, :steps]
    lagged[:, 1:] *= 2
    variance = np.power.outer(np.array(CORRELATIONS), np.arange(steps)) @ lagged.T
    return np.asarray(np.array(CORRELATIONS)[np.abs(variance - rms**2).argmin(axis=0)])


def _together(past: Floats) -> float:
    """Correlation of the errors that different series make at the same time, at least 0."""
    power = np.nanmean(past**2, axis=(1, 2), keepdims=True) if np.isfinite(past).any() else np.zeros((len(past), 1, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        units = np.where(power > 0, past / np.sqrt(power), np.nan)
    units = units[np.isfinite(units).all(axis=(1, 2))]
    if len(units) < 2:
        return 0.0
    shared = float((units.mean(axis=0) ** 2).mean())
    return min(0.99, max(0.0, (shared * len(units) - 1) / (len(units) - 1)))


def _stream(seed: int, key: object) -> np.random.Generator:
    return np.random.default_rng([seed, 1 + crc32(repr(key).encode())])
