"""Turn an executed notebook into a page that reads like an article."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.coverage import Coverage
from pipelines.figures import MIME, Figure, figure
from pipelines.jupyter import quick_import
from pipelines.notebooks import first_sentence
from pipelines.numbers import CALLED

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).resolve().parent / "templates"
DROPPED = {"application/javascript", "application/vnd.jupyter.widget-view+json", "text/vnd.mermaid"}


@dataclass(frozen=True)
class Heading:
    """What stands above a report: `facts` are label and text, in order."""

    report: str
    title: str
    started_at: datetime
    seconds: float
    facts: Sequence[tuple[str, str]] = field(default_factory=tuple)
    run_id: str = ""
    root: str = ""  # the way from the page to the folder of reports
    slot: datetime | None = None  # that of a run on a schedule
    coverage: Coverage = field(default_factory=Coverage)
    files: str = ""  # the folder of the run's other files, within that of reports


@dataclass(frozen=True)
class Page:
    """The page of a run, and the files of numbers that it links to, by name."""

    html: str
    files: Mapping[str, bytes]


def render(notebook: Path, heading: Heading) -> Page:
    """The page of an executed notebook, and the numbers behind its charts and tables.

    Prompts, scripts and stderr are left out, code is there and hidden, every Plotly chart is in. The page takes its
    script and Plotly from `assets/` beside it and asks no other host; a Content-Security-Policy holds it to that.
    """
    with quick_import():
        import nbformat
        from bs4 import BeautifulSoup
        from nbconvert.exporters.html import HTMLExporter
        from traitlets.config import Config

    from markupsafe import Markup

    from pipelines.clean import caption_images, defuse, dress_tables

    read: Any = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    figures, frames = _taken(read)
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        template_name="gaugebook",
        extra_template_basedirs=[str(TEMPLATES)],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
        config=Config({"NbConvertBase": {"display_data_priority": PRIORITY}}),
    )
    soup = BeautifulSoup(exporter.from_notebook_node(read)[0], "html.parser")
    defuse(soup)
    tables = dress_tables(soup, frames)
    caption_images(soup)
    first = soup.find("h1")
    title = heading.title or (first.get_text() if first else heading.report)
    if first:
        first.decompose()
    charts = {chart.key: chart for chart in figures}
    chart_template = environment().get_template("chart.html.j2")
    for place in soup.select("[data-chart]"):
        chart = charts[str(place["data-chart"])]
        place.replace_with(BeautifulSoup(chart_template.render(chart=chart, heading=heading), "html.parser"))
    table_template = environment().get_template("numbers.html.j2")
    for table in tables:
        link = table_template.render(numbers=table.numbers, title=table.title, cut=table.cut, heading=heading)
        table.place.insert_after(BeautifulSoup(link, "html.parser"))
    sections = [(str(h2.get("id", "")), h2.get_text()) for h2 in soup.find_all("h2") if h2.get("id")]
    paragraph = soup.select_one("p:not(.csv)")
    summary = first_sentence(" ".join(paragraph.get_text().split())) if paragraph else ""
    page = environment().get_template("report.html.j2")
    body = Markup(str(soup))  # noqa: S704  # this is the HTML that was made fit above
    html = page.render(heading=heading, title=title, summary=summary, body=body, figures=figures, sections=sections)
    numbers = [chart.numbers for chart in figures] + [table.numbers for table in tables]
    return Page(html, {name: content for one in numbers for name, content in one.files().items()})


PRIORITY = ["text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg", "text/latex", "text/plain"]


def environment() -> Environment:
    """The templates' environment; everything is escaped unless marked."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["moment"] = moment
    made.filters["duration"] = duration
    made.filters["called"] = CALLED.__getitem__
    return made


def moment(at: datetime) -> str:
    """A time for people; it is UTC already.

    >>> from datetime import UTC
    >>> moment(datetime(2026, 11, 2, 9, 5, tzinfo=UTC))
    '2 November 2026, 09:05 UTC'
    """
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def duration(seconds: float) -> str:
    """Seconds for people.

    >>> duration(4.21), duration(75)
    ('4.2 s', '1 min 15 s')
    """
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _taken(notebook: Any) -> tuple[list[Figure], dict[str, list[bytes]]]:
    """Put places for its charts into a notebook, and drop what a reader has no use for.

    The charts, and the frames behind the tables of an output by the name that its HTML then has.
    """
    from analytics.jupyter import frames

    figures: list[Figure] = []
    carried: dict[str, list[bytes]] = {}
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        kept = []
        for output in cell.outputs:
            if output.output_type == "error" or output.get("name") == "stderr":
                continue
            data = output.get("data", {})
            if MIME in data:
                figures.append(figure(len(figures) + 1, data[MIME]))
                output.data = {"text/html": f'<div data-chart="{figures[-1].key}"></div>'}
            else:
                if frames.MIME in data and "text/html" in data:
                    name = str(len(carried))
                    carried[name] = frames.unpacked(data[frames.MIME])
                    data["text/html"] = f'<div data-frames="{name}">{data["text/html"]}</div>'
                for kind in DROPPED & set(data):
                    del data[kind]
            kept.append(output)
        cell.outputs = kept
    return figures, carried
