"""The traces of a Plotly figure as rows of a table, and in a sentence for those who cannot see them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

# Plotly packs arrays of numbers as base64 of these.
DTYPES = {
    "i1": "int8", "u1": "uint8", "i2": "int16", "u2": "uint16", "i4": "int32", "u4": "uint32",
    "i8": "int64", "u8": "uint64", "f4": "float32", "f8": "float64",
}  # fmt: skip
COLUMNS = ("x", "y", "z", "labels", "values", "lat", "lon", "r", "theta", "open", "high", "low", "close")
KINDS = {"scatter": "Line chart", "bar": "Bar chart", "heatmap": "Heat map", "pie": "Pie chart", "box": "Box plot"}
NAMED = 6  # series that a sentence names


def rows(traces: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[object]]]:
    """All traces in one table, as their names and values: the names of its columns, and its rows.

    >>> rows([{"name": "a", "x": [1, 2], "y": [3, 4]}])
    (['series', 'x', 'y'], [['a', 1, 3], ['a', 2, 4]])
    """
    made: list[dict[str, object]] = []
    for nr, trace in enumerate(traces, 1):
        name = trace.get("name") or f"series {nr}"
        made += [{"series": name, **row} for row in _rows(trace)]
    names = ["series", *(name for name in COLUMNS if any(name in row for row in made))]
    return names, [[row.get(name) for name in names] for row in made]


def sentence(title: str, traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]) -> str:
    """What a chart shows, for a screen reader: its kind, title, series, and the span of its axes.

    >>> sentence("Cost", [{"type": "bar", "name": "a", "x": ["ads", "search"], "y": [1.5, 3]}], {})
    'Bar chart: Cost. x from ads to search; y from 1.5 to 3.'
    """
    # A drawn line without markers is what almost every scatter is; one with markers alone is not.
    kinds = {str(trace.get("type") or "scatter").removesuffix("gl") for trace in traces}
    dots = bool(traces) and all(trace.get("mode") == "markers" for trace in traces)
    kind = "Scatter plot" if dots else KINDS.get(kinds.pop(), "Chart") if len(kinds) == 1 else "Chart"
    said = [f"{kind}: {title.rstrip('.')}." if title else f"{kind}."]
    names = list(dict.fromkeys(str(trace["name"]) for trace in traces if trace.get("name")))
    if len(names) > 1:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        said.append(f"{', '.join(names[:NAMED])}{more}.")
    spans = [_span(axis, traces, layout) for axis in "xyz"]
    if any(spans):
        said.append("; ".join(filter(None, spans)) + ".")
    return " ".join(said)


def array(value: object) -> list[Any]:
    """A list, or an array that Plotly has packed, as a list; of what is neither, nothing.

    >>> array({"dtype": "i2", "bdata": "AQACAA=="}), array([1, None])
    ([1, 2], [1, None])
    """
    if isinstance(value, Mapping) and "bdata" in value and str(value.get("dtype")) in DTYPES:
        import numpy as np

        flat = np.frombuffer(base64.b64decode(str(value["bdata"])), dtype=DTYPES[str(value["dtype"])])
        shape = [int(side) for side in str(value.get("shape") or "").split(",") if side.strip()]
        return list((flat.reshape(shape) if shape else flat).tolist())
    return list(value) if isinstance(value, list | tuple) else []


def _rows(trace: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    columns = {name: array(trace.get(name)) for name in COLUMNS}
    columns = {name: values for name, values in columns.items() if values}
    grid = columns.get("z")
    if grid and isinstance(grid[0], list):
        across, down = columns.get("x") or range(len(grid[0])), columns.get("y") or range(len(grid))
        for y, line in zip(down, grid, strict=False):
            for x, z in zip(across, line, strict=False):
                yield {"x": x, "y": y, "z": z}
        return
    for values in zip_longest(*columns.values()):
        yield dict(zip(columns, values, strict=True))


def _span(axis: str, traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]) -> str:
    found: list[Any] = []
    for trace in traces:
        for value in array(trace.get(axis)):
            found += value if isinstance(value, list) else [value]
    known = [value for value in found if value is not None and value == value]  # noqa: PLR0124  # NaN is not itself
    if not known:
        return ""
    heading = (layout.get(f"{axis}axis") or {}).get("title") or axis
    name = (heading.get("text") or axis) if isinstance(heading, Mapping) else heading
    try:
        low, high = (min(known), max(known)) if not isinstance(known[0], str) else _ends(known)
    except TypeError:
        return ""
    return f"{name} from {_text(low)} to {_text(high)}"


def _ends(texts: list[Any]) -> tuple[Any, Any]:
    """The earliest and the latest of times; of names the first and the last, as they stand."""
    return (min(texts), max(texts)) if all(str(text)[:4].isdigit() for text in texts) else (texts[0], texts[-1])


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).replace("T", " ")[:16] if str(value)[:4].isdigit() and "-" in str(value) else str(value)
