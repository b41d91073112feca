"""A headless Chromium that keeps an account of every request and every console message."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.servers import need

DRAWN_WITHIN_S = 60
FLAGS = [
    "--headless=new",
    "--no-sandbox",  # root and containers have none, and the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
]


@dataclass
class Visit:
    """What one page did: the addresses it asked for, those that failed, what it wrote on the console, its plots."""

    requests: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    plots: int = 0
    width: int = 0
    scroll_width: int = 0

    @property
    def outside(self) -> list[str]:
        """The requests that left the page's own folder."""
        return [url for url in self.requests if not url.startswith(("file://", "data:", "blob:"))]


class Browser:
    """One Chromium for a test session."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def visit(self, page: Path, *, scheme: str = "light", width: int = 1280, height: int = 900) -> Visit:
        """Open a file at this width in CSS pixels, wait until its charts are drawn, and say what happened."""
        return self.open(page.as_uri(), scheme=scheme, width=width, height=height)

    def open(self, url: str, *, scheme: str = "light", width: int = 1280, height: int = 900) -> Visit:
        """The same with an address."""
        driver = self.driver
        driver.get("about:blank")
        driver.get_log("performance")
        driver.get_log("browser")
        driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        phone = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
        driver.get(url)
        wait = WebDriverWait(driver, DRAWN_WITHIN_S, poll_frequency=0.1)
        wait.until(
            lambda _: self(
                "return [...document.querySelectorAll('.plot')].every(p => p.dataset.drawn || p.matches('.notice'))"
            )
        )
        visit = Visit(
            plots=self("return document.querySelectorAll('.js-plotly-plot .main-svg:first-child').length"),
            width=self("return window.innerWidth"),
            scroll_width=self("return document.documentElement.scrollWidth"),
        )
        for entry in driver.get_log("performance"):
            _account(visit, json.loads(entry["message"])["message"])
        visit.console = [entry["message"] for entry in driver.get_log("browser")]
        return visit

    def scheme(self, scheme: str) -> None:
        """Prefer light or dark from now on."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def wait(self, script: str) -> None:
        """Wait until a script returns true."""
        WebDriverWait(self.driver, DRAWN_WITHIN_S, poll_frequency=0.1).until(lambda _: self(script))

    def __call__(self, script: str) -> Any:
        """Run JavaScript in the page that is open and return its result."""
        return self.driver.execute_script(script)

    def press_enter(self) -> None:
        """Press the Enter key on what has the focus."""
        self.driver.switch_to.active_element.send_keys(Keys.ENTER)

    def serious(self, *, but: str = "") -> list[str]:
        """The accessibility faults of the page that axe-core calls serious or critical, each with where it is.

        What the selector `but` names is not looked at.
        """
        self.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": _axe()})
        found = self.driver.execute_async_script(
            "const [but, done] = arguments; axe.run(but ? {exclude: [[but]]} : document, {resultTypes: ['violations']})"
            ".then(done, error => done({error: String(error)}))",
            but,
        )
        assert "error" not in found, found
        assert len(found["passes"]) > 10  # it has looked
        return [
            f"{fault['id']}: {node['html'][:120]} {node.get('failureSummary')}"
            for fault in found["violations"]
            for node in fault["nodes"]
            if fault["impact"] in ("serious", "critical")
        ]

    def picture(self, file: Path) -> None:
        """Save the whole page, however long, as a PNG."""
        size = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        file.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """Start Debian's Chromium with an empty profile in `profile`, and stop it."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(need("chromium", package="chromium"))
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(need("chromedriver", package="chromium-driver"))))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@cache
def _axe() -> str:
    """axe-core, the program; the package wraps it for a driver of its own, which is not asked for."""
    found = find_spec("axe_core_python")
    assert found is not None
    assert found.submodule_search_locations
    return (Path(found.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8")


def _account(visit: Visit, message: dict[str, Any]) -> None:
    params = message["params"]
    if message["method"] == "Network.requestWillBeSent":
        visit.requests.append(params["request"]["url"])
    elif message["method"] == "Network.loadingFailed":
        visit.failed.append(f"{params.get('errorText')} {params.get('blockedReason', '')}")
    elif message["method"] == "Network.responseReceived" and params["response"]["status"] >= 400:
        visit.failed.append(f"{params['response']['status']} {params['response']['url']}")
