"""Pages and their index as those meet them who do not see or use no mouse: axe-core finds nothing serious."""

import pytest


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.drill)])
@pytest.mark.parametrize("page", ["walk.html", "index.html"])
def test_axe_finds_nothing_serious(walk, browser, page, scheme):
    visit = browser.visit(walk.html.with_name(page), scheme=scheme)
    assert (visit.failed, visit.outside, visit.console) == ([], [], [])
    browser(
        "document.querySelectorAll('details').forEach(one => one.open = true); document.getElementById('code')?.click()"
    )
    assert browser.serious() == []
    reached = "return [...document.querySelectorAll('button:not([hidden]), a[href], .scroll')].every(one => one.tabIndex >= 0)"
    assert browser(reached)


def test_axe_would_find_something(walk, browser):
    browser.visit(walk.html)
    browser("document.querySelector('.plot').removeAttribute('aria-label'); document.documentElement.lang = ''")
    assert {fault.split(":")[0] for fault in browser.serious()} == {"role-img-alt", "html-has-lang"}
