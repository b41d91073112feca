"""kill -9 of the writer, of the server and of both, at random moments under load."""

from __future__ import annotations

import pytest

from store.embedded import EmbeddedServer
from store.settings import load
from tests.servers import open_folder
from tests.store.faults import kill_often

pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(1800),
]

ROUNDS = 20


@pytest.mark.parametrize("fsync", ["each", "interval"])
@pytest.mark.parametrize(("writer", "server"), [(True, False), (False, True), (True, True)])
def test_kill_9(writer, server, fsync):
    with open_folder() as home:
        try:
            kill_often(load(home=home, dsn=None, spool_fsync=fsync), writer=writer, server=server, rounds=ROUNDS)
        finally:
            EmbeddedServer(home).stop()
