"""What the schema does it has to do on every back end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from store.settings import Settings
from tests.fix_postgres import BACK_ENDS, migrated


@pytest.fixture(params=BACK_ENDS)
def any_store(request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Settings of a fresh, migrated database on every back end in turn."""
    with migrated(request, request.param) as settings:
        yield settings
