"""A batch without the effect of its events, and the way back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from analytics.engines import Draft
from analytics.events import MOST, Events, effects
from analytics.frames import Floats, Ints, Panel


@dataclass(frozen=True)
class Adjusted:
    """`past` and `actual` without events; `ahead` (series, step) is added, or multiplied by where `relative`."""

    past: Floats
    actual: Floats
    ahead: Floats
    names: tuple[str, ...]
    effect: Floats
    relative: bool

    def restored(self, draft: Draft) -> Draft:
        """The draft with the effect of the events to come; errors are as large as the values are."""
        if not self.relative:
            return replace(draft, point=draft.point + self.ahead)
        rolling = draft.rolling
        if rolling is not None:
            grown = self.ahead[:, None, : rolling.errors.shape[2]]
            made = None if rolling.made is None else rolling.made * grown
            rolling = replace(rolling, errors=rolling.errors * grown, made=made)
        return replace(draft, point=draft.point * self.ahead, rolling=rolling)

    def table(self, name: str, ids: pl.Series) -> pl.DataFrame:
        """One row per series and event: the id, `event`, `effect`, `relative`."""
        shown = np.expm1(self.effect) if self.relative else self.effect
        columns = {
            name: ids.gather(np.repeat(np.arange(len(ids)), len(self.names))),
            "event": list(self.names) * len(ids),
            "effect": shown.ravel(),
        }
        return pl.DataFrame(columns).with_columns(pl.lit(self.relative).alias("relative"))


def adjust(
    known: Events,
    data: Panel,
    rows: Ints,
    past: Floats,
    actual: Floats,
    horizon: int,
    seasons: tuple[int, ...],
    *,
    positive: bool,
) -> Adjusted:
    """Take the effect of events out of a batch: on logarithms where every value is positive, else on the values."""
    width = past.shape[1]
    window = known.window(rows, data.ends, width, horizon)
    season = next((m for m in reversed(seasons) if 3 * m <= width), 1)
    values = np.log(past) if positive else past
    effect = effects(values, actual, window[:, :width], season)
    effect = np.clip(effect, -MOST, MOST) if positive else effect
    share = np.einsum("stc,sc->st", window, effect)
    if positive:
        factor = np.exp(share)
        return Adjusted(
            past / factor[:, :width], actual / factor[:, :width], factor[:, width:], known.names, effect, relative=True
        )
    taken = share[:, :width]
    lowest = np.where(np.nanmin(past, axis=1) >= 0, 0.0, -np.inf)[:, None]  # what is never negative stays so
    before, measured = np.maximum(past - taken, lowest), np.maximum(actual - taken, lowest)
    return Adjusted(before, measured, share[:, width:], known.names, effect, relative=False)
