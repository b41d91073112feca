"""The disk full: under the spool, and under the server."""

from __future__ import annotations

import pytest

from store.embedded import EmbeddedServer
from store.settings import load
from tests.servers import open_folder
from tests.store.faults import the_disk_under_the_server_fills_up, the_disk_under_the_spool_fills_up, tiny_disk
from tests.store.tallies import Told

pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(900),
]


@pytest.mark.parametrize("megabytes", [1, 3, 8])
def test_under_the_spool(store, tmp_path, megabytes):
    with tiny_disk(tmp_path / "tiny", megabytes) as folder:
        if folder is None:
            pytest.skip("no file system can be mounted here")
        the_disk_under_the_spool_fills_up(store, folder, Told())


def test_under_the_server():
    with open_folder() as parent, tiny_disk(parent / "tiny", 300) as folder:
        if folder is None:
            pytest.skip("no file system can be mounted here")
        server = EmbeddedServer(folder)
        try:
            the_disk_under_the_server_fills_up(load(home=folder, dsn=None), folder)
        finally:
            server.stop()
