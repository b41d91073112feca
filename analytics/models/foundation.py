"""Models that were trained on other people's series, with weights that the user has: Chronos and TimesFM.

Nothing is downloaded: the weights are a folder, `engine="chronos:/models/chronos-bolt-small"`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.engines import Draft, Engine
from analytics.models.refitting import history, refitted
from analytics.packages import optional
from store.errors import FileUnusable, ParameterInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analytics.frames import Floats

CONTEXT = 2_048  # points of the past that a model is shown
BATCH = 64  # series at once

Predict = Callable[[list["Floats"], int], "Floats"]


def chronos(weights: str = "") -> Engine:
    """Chronos or Chronos-Bolt, its median as the point; intervals are those of rolling origins.

    Ansari et al., "Chronos: Learning the Language of Time Series", 2024.

    Raises:
        PackageMissing: chronos-forecasting is not installed.
        ParameterInvalid, FileUnusable: no folder of weights was named, or it holds none.
    """
    return _engine("chronos", weights, _chronos)


def timesfm(weights: str = "") -> Engine:
    """TimesFM 2.5, its mean forecast as the point; intervals are those of rolling origins.

    Das, Kong, Sen and Zhou, "A decoder-only foundation model for time-series forecasting", ICML 2024.

    Raises:
        PackageMissing: timesfm or torch is not installed.
        ParameterInvalid, FileUnusable: no folder of weights was named, or it holds none.
    """
    return _engine("timesfm", weights, _timesfm)


def _engine(name: str, weights: str, load: Callable[[str], Predict]) -> Engine:
    _package(name)
    if not weights:
        raise ParameterInvalid("engine", f"{name!r} needs weights that you have; write '{name}:/folder/of/weights'")
    if not Path(weights).is_dir():
        raise FileUnusable(weights, f"is no folder with weights of {name}; they are not downloaded")
    predict = load(str(Path(weights).resolve()))

    def run(past: Floats, actual: Floats, horizon: int, seasons: tuple[int, ...]) -> Draft:
        def solve(rows: Floats, steps: int) -> Floats:
            series = [history(row)[-CONTEXT:] for row in rows]
            parts = [predict(series[low : low + BATCH], steps) for low in range(0, len(series), BATCH)]
            return np.concatenate(parts).astype(float)

        return refitted(past, actual, horizon, seasons, solve, f"{name} with weights of {Path(weights).name}")

    return run


def _package(name: str) -> Any:
    module = {"chronos": "chronos", "timesfm": "timesfm"}[name]
    with _offline():
        return optional(module, f"engine {name!r}", name)


@lru_cache(maxsize=2)
def _chronos(folder: str) -> Predict:
    package, torch = _package("chronos"), optional("torch", "engine 'chronos'", "chronos")
    with _loading(folder, "chronos"):
        pipeline = package.BaseChronosPipeline.from_pretrained(folder, device_map="cpu", dtype=torch.float32)

    def predict(series: list[Floats], steps: int) -> Floats:
        context = [torch.tensor(one, dtype=torch.float32) for one in series]
        torch.manual_seed(0)  # the first Chronos draws samples
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quantiles, _ = pipeline.predict_quantiles(context, prediction_length=steps, quantile_levels=[0.5])
        stacked = torch.stack(list(quantiles)) if isinstance(quantiles, list) else quantiles
        return np.asarray(stacked.reshape(len(series), steps).float().numpy())

    return predict


@lru_cache(maxsize=2)
def _timesfm(folder: str) -> Predict:
    package = _package("timesfm")
    optional("torch", "engine 'timesfm'", "timesfm")
    with _loading(folder, "timesfm"):
        model = package.TimesFM_2p5_200M_torch.from_pretrained(folder, torch_compile=False)

    def predict(series: list[Floats], steps: int) -> Floats:
        options = {"max_context": CONTEXT, "max_horizon": -(-steps // 128) * 128, "normalize_inputs": True}
        model.compile(package.ForecastConfig(per_core_batch_size=len(series), **options))
        points, _ = model.forecast(horizon=steps, inputs=[one.astype(np.float32) for one in series])
        return np.asarray(points)[:, :steps]

    return predict


@contextmanager
def _loading(folder: str, name: str) -> Iterator[None]:
    """What a package raises over weights, as one line."""
    try:
        with _offline(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # each package, and each version of it, has errors of its own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FileUnusable(folder, f"holds no weights that {name} can load: {reason}") from error


@contextmanager
def _offline() -> Iterator[None]:
    """The hub's client looks for weights in the network unless it is told not to."""
    before = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = before
