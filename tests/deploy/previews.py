"""Draws all dashboards of a small company, with pictures: `python -m tests.deploy.previews FOLDER`. It takes two minutes."""

from __future__ import annotations

import copy
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from pipelines.dashboards.ask import Asker
from pipelines.dashboards.build import load
from pipelines.dashboards.preview import preview
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.settings import load as settings_of
from tests.deploy.living import fill
from tests.deploy.replay import Past, replay
from tests.deploy.test_dashboards import CLUSTERS, FOLDER, pages_of
from tests.fix_browser import chromium
from tests.fix_postgres import QUICK
from tests.servers import open_folder

SPAN_H = 3


def main(folder: Path) -> None:
    """Start a store and a Prometheus with a past, draw every dashboard of them, and take a picture of each."""
    boards = copy.deepcopy(load(FOLDER))
    for board in boards:
        if board["time"]["from"] in ("now-6h", "now-24h"):  # there is no more of a past
            board["time"]["from"] = f"now-{SPAN_H}h"
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = EmbeddedServer(stack.enter_context(open_folder()), configuration=QUICK)
        server.start()
        stack.callback(server.stop)
        settings = settings_of(dsn=server.conninfo(), spool=place / "spool")
        migrate(settings)
        hour = fill(settings, clusters=CLUSTERS.values())
        past, scraped = Past(hour, span_s=SPAN_H * 3600), place / "prometheus"
        scraped.mkdir()
        watching = stack.enter_context(replay(scraped, pages_of(settings), past, json.dumps(boards)))
        asker = Asker(prometheus=watching.url, store=settings)
        pages = preview(boards, asker, folder, now=hour)
        asker.close()
        browser = stack.enter_context(chromium(place / "chromium"))
        for page in pages:
            browser.visit(page, width=1600)
            browser.picture(page.with_suffix(".png"))
            print(page)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
