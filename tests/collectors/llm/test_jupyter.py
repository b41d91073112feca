import sys
from datetime import UTC, datetime

import pytest
from IPython.testing.globalipapp import start_ipython

from collectors import llm
from collectors.llm.jupyter import MOST_LINES, Metered
from collectors.llm.record import Request
from collectors.llm.tap import installed
from pipelines.local_llm import Reply
from tests.collectors.llm.test_tap import ASK, client


@pytest.fixture(scope="module")
def shell():
    main = sys.modules["__main__"]
    yield start_ipython()
    sys.modules["__main__"] = main  # IPython puts its own there


@pytest.fixture
def kernel(shell, store, monkeypatch):
    monkeypatch.setenv("GAUGEBOOK_DSN", store.dsn.get_secret_value())
    yield shell
    shell.run_line_magic("unload_ext", "gaugebook")
    llm.uninstall()


def test_a_notebook_meters_with_one_line_and_shows_what(kernel, local_llm, capsys):
    kernel.run_line_magic("load_ext", "gaugebook")
    assert "no LLM call has been metered" in repr(kernel.run_line_magic("gaugebook", ""))
    local_llm.plan = lambda request, number: Reply(status=500) if number == 2 else Reply()
    with client(local_llm, max_retries=0) as api:
        for _ in range(2):
            api.chat.completions.create(**ASK)
        with pytest.raises(Exception, match="simulated"):
            api.chat.completions.create(**ASK)
    shown = kernel.run_line_magic("gaugebook", "")
    lines = repr(shown).splitlines()
    assert lines[0].split() == ["provider", "model", "calls", "errors", "input", "tokens", "output", "tokens", "USD"]
    assert lines[1].split()[1:] == ["gpt-4o-mini", "3", "1", "200", "16", "no", "price"]
    assert shown._repr_html_().count("<td>") == 7
    assert "hi" not in repr(shown).split()


def test_reloading_starts_anew_and_unloading_ends_it(kernel, capsys):
    kernel.run_line_magic("load_ext", "gaugebook")
    first = installed()
    kernel.run_line_magic("reload_ext", "gaugebook")
    assert installed() not in {None, first}
    kernel.run_line_magic("unload_ext", "gaugebook")
    assert installed() is None
    assert "gaugebook" not in kernel.magics_manager.magics["line"]


def test_names_are_shown_as_text_and_there_are_not_too_many():
    metered = Metered()
    for number in range(MOST_LINES + 5):
        metered.observe(Request(ts=datetime.now(UTC), request_id="r", source="tap", model=f"<b>{number}"))
    assert "<b>" not in metered._repr_html_()
    assert "&lt;b&gt;0" in metered._repr_html_()
    assert len(repr(metered).splitlines()) == 1 + MOST_LINES + 1
