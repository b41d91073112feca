"""An IPython with the magics loaded, on a store with two weeks in it."""

import sys

import pytest
from IPython.core.interactiveshell import InteractiveShell

from analytics.jupyter import catalogue


@pytest.fixture(scope="module")
def kernel():
    main = sys.modules["__main__"]
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "gaugebook")
    yield shell
    shell.run_line_magic("unload_ext", "gaugebook")
    InteractiveShell.clear_instance()
    sys.modules["__main__"] = main


@pytest.fixture
def lab(kernel, busy_store, monkeypatch):
    monkeypatch.setenv("GAUGEBOOK_DSN", busy_store.dsn.get_secret_value())
    catalogue.forget()
    kernel.reset(new_session=False)
    return kernel
