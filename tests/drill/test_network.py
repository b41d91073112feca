"""The network cut for a minute, again and again."""

from __future__ import annotations

import pytest

from tests.store.faults import the_network_is_cut

pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(900),
]


@pytest.mark.parametrize("for_s", [60.0, 1.0, 7.0])
def test_the_network_is_cut(store, for_s):
    the_network_is_cut(store, for_s=for_s)
