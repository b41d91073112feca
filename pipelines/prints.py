"""The PDF of a run's page and a picture of each of its charts, made by Chromium from the page itself."""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines import chromium
from pipelines.ledger import Run
from pipelines.pages import files, replace
from store.errors import PrintError

PDF = "report.pdf"
WIDTH = 1000  # CSS pixels of the page that pictures are taken of
SCALE = 2
_DRAWN = "[...document.querySelectorAll('.plot')].every(p => p.matches('.notice') || p.dataset.drawn)"
_PLACES = """[...document.querySelectorAll('figure.chart')].map(figure => {
  const link = figure.querySelector('.csv');
  if (link) link.remove();
  const box = figure.getBoundingClientRect();
  const plot = figure.querySelector('.plot');
  return {key: plot.dataset.figure, alt: plot.getAttribute('aria-label'), drawn: !plot.matches('.notice'),
          x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height};
})"""
_FOOTER = (
    '<span style="width: 100%; padding: 0 16mm; text-align: right; font: 8px sans-serif; color: #5f5d57">'
    '<span class="pageNumber"></span> / <span class="totalPages"></span></span>'
)
_TURN = threading.Lock()  # a browser takes some hundred megabytes


@dataclass(frozen=True)
class Picture:
    """A chart as PNG, and what it shows in words."""

    name: str
    alt: str
    file: Path


@dataclass(frozen=True)
class Prints:
    """The PDF of a run, and its charts in their order."""

    pdf: Path
    pictures: tuple[Picture, ...]


def prints(run: Run) -> Prints:
    """The prints of a good run, in the folder of its files; made if they are not there.

    Raises:
        PrintError: Chromium is not there or fails, a chart is not drawn, or the page is not here.
        OSError: the folder cannot be written to.
    """
    root = Path(run.output).parent
    page, folder = root / run.page, root / files(run)
    if not page.is_file():
        raise PrintError(f"there is no page {page} to print")
    with _TURN:
        if not (folder / PDF).is_file():
            folder.mkdir(exist_ok=True)
            _print(page, folder)
    return Prints(folder / PDF, _pictures(page, folder))


def _print(page: Path, folder: Path) -> None:
    with chromium.browser() as browser:
        light = {"name": "prefers-color-scheme", "value": "light"}
        browser.ask("Emulation.setEmulatedMedia", features=[light])
        size = {"width": WIDTH, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        browser.ask("Emulation.setDeviceMetricsOverride", **size)
        browser.ask("Page.navigate", url=page.resolve().as_uri())
        browser.run(_until("location.protocol === 'file:' && document.readyState === 'complete'"))
        browser.run(_until(_DRAWN))
        for place in browser.run(_PLACES):
            if not place["drawn"]:
                raise PrintError(f"the chart {place['key']} of {page} is not drawn")
            replace(folder / f"{place['key']}.png", _shot(browser, place))
        replace(folder / PDF, _pdf(browser))  # the last of them: where it is, all are


def _pdf(browser: chromium.Browser) -> bytes:
    # Chromium does not wait for what a page does before it is printed, and charts take a moment.
    browser.run("window.dispatchEvent(new Event('beforeprint'))")
    browser.run(_until("[...document.querySelectorAll('.plot')].every(p => p.matches('.notice') || p.dataset.paper)"))
    made = browser.ask(
        "Page.printToPDF",
        printBackground=True,
        preferCSSPageSize=True,
        generateTaggedPDF=True,
        generateDocumentOutline=True,
        displayHeaderFooter=True,
        headerTemplate="<span></span>",
        footerTemplate=_FOOTER,
    )
    return base64.b64decode(made["data"])


def _shot(browser: chromium.Browser, place: dict[str, Any]) -> bytes:
    clip = {side: place[side] for side in ("x", "y", "width", "height")} | {"scale": SCALE}
    made = browser.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
    return base64.b64decode(made["data"])


def _until(condition: str) -> str:
    """A promise that is kept once a condition is."""
    return f"new Promise(done => {{ const look = () => ({condition}) ? done() : setTimeout(look, 50); look(); }})"


def _pictures(page: Path, folder: Path) -> tuple[Picture, ...]:
    from bs4 import BeautifulSoup

    plots = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").select(".plot[data-figure]")
    return tuple(
        Picture(str(plot["data-figure"]), str(plot["aria-label"]), folder / f"{plot['data-figure']}.png")
        for plot in plots
    )
