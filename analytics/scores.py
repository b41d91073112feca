"""Causal scores of one series: how improbable each point is, given only what came before it."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from analytics.frames import Floats

CYCLES = 5  # past seasons that an expectation looks at
MEMORY = 1000  # residuals that calibrate a score
FEWEST = 60  # residuals without which there is no score
BLOCK = 24  # points that share one calibration, made from what lies before the block
THRESHOLD = 0.95  # quantile where the tail begins
SHIFT = 5  # points whose median is the channel for lasting shifts
UNUSUAL = 0.5  # score of a point from which a shift may be reported
CHANNELS = 1.5  # chances to be wrong: one by the points, about half a one by the shifts that are let through


def tail_scores(series: Floats, seasons: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Score every point of a series by the points before it.

    Two channels, single points and the median of the last five residuals, each mapped to a tail probability by an
    exponential tail above the 95 % quantile of its own past (Pickands, Annals of Statistics 3, 1975, with shape zero);
    the smaller probability counts, raised because there are two.

    Args:
        series: values on a grid, NaN where missing.
        seasons: season lengths in steps that may be tried; which is used is decided from the past alone.

    Returns:
        (expected, score): the value expected, and -log10 of the tail probability; NaN where too little came before.

    >>> noise = np.random.default_rng(0).normal(size=500)
    >>> noise[400] = 9.0
    >>> expected, score = tail_scores(noise, ())
    >>> int(np.nanargmax(score)), bool(score[400] > 4)
    (400, True)
    """
    steady = _steadied(series)
    tried = [_expected(steady, season) for season in (1, *seasons)]
    expected, residual = _best(steady, tried)
    scores = [_calibrated(residual), _calibrated(_recent_median(residual))]
    # A shift is reported only while the point itself is unusual: else the alarm would outlast its cause.
    scores[1] = np.where(scores[0] < UNUSUAL, 0.0, scores[1])
    score = np.maximum(
        np.fmax(*scores) - np.log10(CHANNELS), 0.0
    )  # fmax: the channel without a score leaves the other to speak
    score[~np.isfinite(series)] = np.nan
    return _unsteadied(expected, series), score


def _steadied(series: Floats) -> Floats:
    """Square roots of what is never negative: counts and costs scatter more where they are high."""
    return np.sqrt(series) if np.nanmin(series) >= 0 else series


def _unsteadied(expected: Floats, series: Floats) -> Floats:
    return np.maximum(expected, 0) ** 2 if np.nanmin(series) >= 0 else expected


def _expected(series: Floats, season: int) -> Floats:
    """Median over the last cycles of the value at the same place, each moved by how the level changed since.

    Season 1: the median of the last points. The level is the median of one season.
    """
    if season == 1:
        return _trailing_median(series, 2 * CYCLES + 1)
    level = _trailing_median(series, season)
    guesses = np.full((CYCLES, len(series)), np.nan)
    for k in range(1, CYCLES + 1):
        back = k * season
        if back < len(series):
            guesses[k - 1, back:] = series[:-back] + level[back:] - level[:-back]
    return _median(guesses)


def _best(series: Floats, tried: list[Floats]) -> tuple[Floats, Floats]:
    """In each block the expectation that erred least before it, and the residuals in units of their own past scale."""
    errors = np.stack([series - one for one in tried])
    expected, scale = np.full(len(series), np.nan), np.full(len(series), np.nan)
    for start in range(0, len(series), BLOCK):
        seen = errors[:, max(0, start - MEMORY) : start]
        known = np.isfinite(seen).sum(axis=1)
        if known.max(initial=0) < FEWEST // 2:
            continue
        # A season must have been tried as often as the rest before it may win.
        fair = known >= min(FEWEST, known.max()) // 2
        spread = np.array([_scale(one) if ok else np.inf for one, ok in zip(seen, fair, strict=True)])
        winner = int(np.argmin(spread))
        block = slice(start, start + BLOCK)
        expected[block] = tried[winner][block]
        scale[block] = spread[winner]
    with np.errstate(divide="ignore", invalid="ignore"):
        # Where nothing ever deviated, any deviation is infinitely many scales away.
        return expected, np.where(series == expected, 0.0, (series - expected) / scale)


def _scale(errors: Floats) -> float:
    """1.4826 MAD; where more than half are equal the mean deviation, lest any other value score infinity."""
    known = errors[np.isfinite(errors)]
    middle = np.median(known)
    deviation = np.abs(known - middle)
    mad = 1.4826 * float(np.median(deviation))
    return mad if mad > 0 else float(deviation.mean())


def _calibrated(residual: Floats) -> Floats:
    """-log10 of the tail probability of each |residual| under those before its block."""
    size = np.abs(residual)
    score = np.full(len(size), np.nan)
    for start in range(0, len(size), BLOCK):
        past = size[max(0, start - MEMORY) : start]
        past = np.sort(past[np.isfinite(past)])
        if len(past) < FEWEST:
            continue
        now = size[start : start + BLOCK]
        if past[-1] == 0:
            # Nothing like it in so many points: Jeffreys' estimate of its rate.
            seen = int(np.isfinite(size[:start]).sum())
            score[start : start + BLOCK] = np.where(now > 0, np.log10(2 * (seen + 1)), np.where(now == 0, 0.0, np.nan))
            continue
        edge = float(np.quantile(past, THRESHOLD))
        excess = past[past > edge] - edge
        # By the median: past incidents are in the tail and must not hide the next one.
        slope = float(np.median(excess)) / np.log(2) if len(excess) else 0.0
        slope = max(slope, 1e-9 * (1 + edge))
        rank = np.searchsorted(past, now) / (len(past) + 1)
        body = -np.log10(np.maximum(1 - rank, 1 - THRESHOLD))
        # The predictive tail of an exponential whose scale is an estimate; a median weighs half of its sample.
        weight = max(1.0, len(excess) / 2)
        tail = -np.log10(1 - THRESHOLD) + weight * np.log10(1 + np.maximum(now - edge, 0) / (slope * weight))
        score[start : start + BLOCK] = np.where(np.isnan(now), np.nan, np.where(now > edge, tail, body))
    return score


def _recent_median(values: Floats) -> Floats:
    """Median of the last few values, this one included; NaN until there are as many, or where one is missing."""
    out = np.full(len(values), np.nan)
    if len(values) >= SHIFT:
        out[SHIFT - 1 :] = np.median(sliding_window_view(values, SHIFT), axis=1)
    return out


def _trailing_median(series: Floats, width: int) -> Floats:
    """Median of the `width` points before each point, missing ones left out; NaN before half of them are there."""
    padded = np.concatenate([np.full(width, np.nan), series])[:-1]
    windows = sliding_window_view(padded, width)
    out = np.full(len(series), np.nan)
    enough = np.isfinite(windows).sum(axis=1) * 2 >= width
    chunk = max(1, 4_000_000 // width)
    for low in range(0, len(series), chunk):
        part = slice(low, low + chunk)
        out[part] = np.where(enough[part], _median(windows[part].T), np.nan)
    return out


def _median(stacked: Floats) -> Floats:
    """Median over the first axis of what is known, NaN where nothing is."""
    ordered = np.sort(stacked, axis=0)  # NaN last
    known = np.isfinite(ordered).sum(axis=0)
    low, high = np.maximum(known - 1, 0) // 2, known // 2
    high = np.minimum(high, np.maximum(known - 1, 0))
    columns = np.arange(stacked.shape[1])
    middle = (ordered[low, columns] + ordered[high, columns]) / 2
    return np.asarray(np.where(known > 0, middle, np.nan))
