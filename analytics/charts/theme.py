"""The one theme of every figure: colours that colour-blind eyes tell apart, on light ground and on dark."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Okabe and Ito's set without black and yellow: told apart by colour-blind eyes, on white and on black.
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
BLUE, ORANGE, GREEN, PINK, SKY, RED = PALETTE
GREY = "#767676"  # 4.5 : 1 against white and against black
GRID = "rgba(128,128,128,0.25)"
BAND = "rgba(86,180,233,0.28)"  # an interval; two of them one over the other still let the line through
NAME = 40  # characters of a name that a legend shows
TITLE = 90  # of a title
MOST = 6  # series in one chart


def template() -> Any:
    """The template of every figure: transparent ground, quiet grid.

    >>> template().layout.paper_bgcolor
    'rgba(0,0,0,0)'
    """
    from plotly import graph_objects as go

    axis = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": GRID, "automargin": True}
    return go.layout.Template(
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"color": GREY, "family": "system-ui, sans-serif", "size": 13},
            "colorway": list(PALETTE),
            "xaxis": axis,
            "yaxis": axis,
            "margin": {"l": 60, "r": 20, "t": 60, "b": 80},
            # At the foot of the picture, however tall it is.
            "legend": {"orientation": "h", "yref": "container", "y": 0.02, "yanchor": "bottom"},
            "hovermode": "x unified",
        }
    )


def panels(names: list[Any], *, always: bool = False) -> Figure:
    """One panel a series, one above the other on a common clock; a single one needs no title, unless `always`."""
    from plotly.subplots import make_subplots

    titles = [name_of(str(name), TITLE) for name in names] if always or len(names) > 1 else None
    spacing = 0.25 / max(2, len(names))
    return make_subplots(rows=len(names), shared_xaxes=True, vertical_spacing=spacing, subplot_titles=titles)


def trace(figure: Figure, row: int, label: str, x: list[Any], y: list[Any], **style: Any) -> None:
    """A trace of one panel; the legend names it once for all of them."""
    shown = {"showlegend": row == 1, **style}
    figure.add_scatter(x=x, y=y, name=label, legendgroup=label, row=row, col=1, **shown)


def dressed(figure: Figure, title: str, unit: str, alt: str) -> Figure:
    """The figure with theme, title, unit of its values, and the sentence that stands for it where it is not seen."""
    figure.update_layout(template=template(), title=name_of(title, TITLE), meta={"alt": alt})
    return figure.update_yaxes(title_text=name_of(unit)) if unit else figure


def name_of(text: str, most: int = NAME) -> str:
    """A name as plotly may draw it: it reads tags in texts, and a queue may be called `<b>`.

    >>> name_of("<b>"), name_of("abcdef", 4)
    ('&lt;b&gt;', 'abc…')
    """
    return escape(text if len(text) <= most else f"{text[: most - 1]}…", quote=False)
