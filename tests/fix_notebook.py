"""An IPython shell in this process, as a notebook's kernel has one."""

import sys
from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    """A new shell. It puts a `__main__` of its own in place, which is taken back: others start processes from theirs."""
    main = sys.modules["__main__"]
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()
    sys.modules["__main__"] = main
