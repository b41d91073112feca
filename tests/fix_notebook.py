"""An IPython shell in this process, as a notebook's kernel has one."""

import sys
from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    """A new shell. It puts a `__main__` of its own in place, which is taken back: others start processes from theirs."""
    main = sys.modules["__main__"]
    made = InteractiveShell.instance()
    # A kernel shows all that an object has; a terminal, which may have been in this process before, only its text.
    made.display_formatter.active_types = made.display_formatter.format_types
    yield made
    InteractiveShell.clear_instance()
    sys.modules["__main__"] = main
