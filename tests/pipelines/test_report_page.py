import json
import re

import polars as pl
import pytest

from pipelines.figures import figure, json_in_script
from pipelines.index import write_index
from pipelines.publish import Wanted, make_reports
from tests.pipelines.reports import NOTEBOOKS, charts_in

WIDE, PHONE = 1280, 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_every_chart_is_drawn_and_nothing_leaves_the_folder(walk, browser, scheme, width):
    assert charts_in(walk.notebook) == 4
    visit = browser.visit(walk.html, scheme=scheme, width=width)
    assert visit.plots == 4
    assert visit.failed == []
    assert visit.outside == []
    assert visit.console == []
    assert visit.scroll_width <= visit.width == width
    assert browser("return document.querySelectorAll('.plot .trace, .plot .hm').length") >= 4
    assert browser("return window.hurt") is None


def test_charts_follow_the_colour_scheme(walk, browser):
    def ink(scheme):
        browser.visit(walk.html, scheme=scheme)
        return browser("return getComputedStyle(document.querySelector('.xtick text')).fill"), browser(
            "return getComputedStyle(document.body).color"
        )

    light, dark = ink("light"), ink("dark")
    assert light[0] == light[1]
    assert dark[0] == dark[1]
    assert light != dark


def test_charts_change_when_the_scheme_changes_under_them(walk, browser):
    browser.visit(walk.html, scheme="light")
    browser.scheme("dark")
    browser.wait("return [...document.querySelectorAll('.plot')].every(p => p.dataset.drawn === 'dark')")


def test_every_chart_says_what_it_shows(walk, browser):
    browser.visit(walk.html)
    said = browser("return [...document.querySelectorAll('.plot')].map(p => [p.getAttribute('role'), p.ariaLabel])")
    assert said[0] == ["img", "Line chart of the position over time: it wanders between -40 and 40 metres."]
    assert said[1][1].startswith(
        "Bar chart: Hourly steps by weekday. median, 90th percentile, largest. x from Monday to "
    )
    assert said[2][1].startswith("Heat map: Metres walked by weekday and hour. hour (UTC) from 0 to 23; y from ")
    assert "<script>" in said[3][1]


def test_code_is_hidden_until_it_is_asked_for(walk, browser):
    browser.visit(walk.html)
    assert "default_rng" not in browser("return document.body.innerText")
    browser("document.getElementById('code').click()")
    assert "default_rng" in browser("return document.body.innerText")
    assert browser("return document.getElementById('code').ariaPressed") == "true"
    browser("document.getElementById('code').click()")
    assert "default_rng" not in browser("return document.body.innerText")


def test_prompts_and_stderr_are_left_out_and_text_is_escaped(walk, browser):
    page = re.sub(r'<div class="[^"]*highlight.*?</div>', "", walk.html.read_text(), flags=re.DOTALL)
    assert "default_rng" not in page
    assert "nobody should read" not in page
    assert "nobody should read" in walk.notebook.read_text()
    assert "&lt;b&gt;a&amp;b&lt;/b&gt;" in page
    browser.visit(walk.html)
    assert "team\n<b>a&b</b>" in browser("return document.querySelector('.facts').innerText")
    assert browser("return document.title") == "A random walk, seen four ways"
    assert browser("return document.querySelectorAll('h1').length") == 1


def test_no_address_of_another_host_is_loaded(walk):
    page = walk.html.read_text()
    markup = re.sub(r'<script type="application/json".*?</script>', "", page, flags=re.DOTALL)
    assert not re.search(r"""(?:src|srcset|href)\s*=\s*["']?\s*(?:https?:)?//""", markup)
    assert not re.search(r"@import|url\(", markup)
    assert len(page) < 1_000_000


def test_tables_align_numbers_and_drop_what_polars_adds(walk, browser):
    browser.visit(walk.html)
    last = browser("return [...document.querySelectorAll('table')].at(-1).innerText.split(/\\s+/)")
    assert last == ["queue", "messages", "age_s", "orders", "1200", "17.25", "mails", "3", "–"]
    right = "return [...document.querySelectorAll('table')].at(-1).querySelectorAll('td.num').length"
    assert browser(right) == 4


def test_tables_are_sorted_by_a_press_of_a_key(walk, browser):
    browser.visit(walk.html)
    browser("window.table = document.querySelectorAll('main table')[1]; window.press = table.querySelectorAll('.sort')")
    column = "return [...table.tBodies[0].rows].map(row => row.cells[{}].innerText)"
    before = browser(column.format(0))
    assert before[0] == "Monday"
    for nr, key in ((0, str), (2, float)):
        for direction in ("ascending", "descending"):
            browser(f"press[{nr}].focus()")
            browser.press_enter()
            shown = browser(column.format(nr))
            assert shown == sorted(shown, key=key, reverse=direction == "descending")
            assert browser(f"return table.tHead.rows[0].cells[{nr}].getAttribute('aria-sort')") == direction
    assert browser("return table.querySelectorAll('[aria-sort]').length") == 1
    # What is not known stays below, whichever way.
    browser("window.last = [...document.querySelectorAll('main table')].at(-1)")
    for _ in range(2):
        browser("last.querySelectorAll('.sort')[2].click()")
        assert browser("return last.tBodies[0].rows[1].cells[2].innerText") == "–"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12.6 M", 12.6e6), ("11.5 k", 11500), ("541", 541), ("$1,266.50", 1266.5), ("-$3.20", -3.2), ("\u22124.6 %", -4.6),
        ("+4.6 %", 4.6), ("1.5 min", 90), ("13 ms", 0.013), ("2 days", 172800), ("gpt-4o", None), ("4 of 9", None), ("", None),
    ],
)  # fmt: skip
def test_what_people_read_is_sorted_by_what_it_means(walk, browser, text, number):
    if not browser.driver.current_url.endswith("/walk.html"):
        browser.visit(walk.html)
    found = browser(f"return worth({json.dumps(text)})")
    assert found == (number if number is None else pytest.approx(number))


def test_the_numbers_behind_charts_and_tables_are_files(walk):
    folder = walk.notebook.with_suffix("")
    names = sorted(path.name for path in folder.glob("*.csv"))
    assert names[0] == "chart-1-position-by-the-hour.csv"
    assert len(names) == 4 + 3
    page = walk.html.read_text()
    for name in names:
        assert f'href="history/{folder.name}/{name}"' in page
    position = (folder / names[0]).read_text().splitlines()
    assert position[0] == "series,x,y"
    assert len(position) == 1 + 24 * 40
    heat = next(folder.glob("chart-3-*.csv")).read_text().splitlines()
    assert heat[0] == "series,x,y,z"
    assert len(heat) == 1 + 7 * 24
    queues = next(folder.glob("table-3-*.csv")).read_text().splitlines()
    assert queues == ["queue,messages,age_s", "orders,1200,17.25", "mails,3,"]


def test_they_are_parquet_too_where_they_are_known_as_they_are(walk):
    folder = walk.notebook.with_suffix("")
    page = walk.html.read_text()
    kept = sorted(path.name for path in folder.glob("*.parquet"))
    assert [name.split("-")[:2] for name in kept] == [["chart", nr] for nr in "1234"] + [["table", "3"]]
    assert all(f'href="history/{folder.name}/{name}"' in page for name in kept)
    position, *_, queues = (pl.read_parquet(folder / name) for name in kept)
    assert position.schema == {"series": pl.String, "x": pl.Datetime("us", "UTC"), "y": pl.Float64}
    assert queues.rows() == [("orders", 1200, 17.25), ("mails", 3, None)]


def test_paper_gets_light_charts_that_fit(walk, browser):
    browser.visit(walk.html, scheme="dark")
    browser("window.dispatchEvent(new Event('beforeprint'))")
    browser.wait("return [...document.querySelectorAll('.plot')].every(p => p.dataset.drawn === 'light')")
    assert browser("return Math.max(...[...document.querySelectorAll('.main-svg')].map(s => s.clientWidth))") <= 640
    over = "return [...document.querySelectorAll('.plot')].some(p => p.scrollHeight > p.clientHeight + 1)"
    assert not browser(over)
    browser("window.dispatchEvent(new Event('afterprint'))")
    browser.wait("return [...document.querySelectorAll('.plot')].every(p => p.dataset.drawn === 'dark')")
    assert browser("return document.querySelector('.main-svg').clientWidth") > 640


def test_without_plotly_each_chart_says_what_is_missing(walk, browser, tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/report.js").write_bytes((walk.html.parent / "assets/report.js").read_bytes())
    (tmp_path / "walk.html").write_bytes(walk.html.read_bytes())
    browser.visit(tmp_path / "walk.html")
    said = browser("return [...document.querySelectorAll('.plot')].map(p => p.innerText)")
    assert len(said) == 4
    assert all("plotly.min.js is not beside this page" in text for text in said)


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_the_index_lists_the_report(walk, browser, width):
    visit = browser.visit(walk.html.with_name("index.html"), width=width)
    assert (visit.failed, visit.outside, visit.console) == ([], [], [])
    assert visit.scroll_width <= width
    # The reports of other tests may stand there, too.
    card = "[...document.querySelectorAll('.card')].find(one => one.querySelector('h2 a').href.endsWith('/walk.html'))"
    assert browser(f"return {card}.querySelector('h2 a').href") == walk.html.as_uri()
    assert browser(f"return {card}.querySelector('.badge').innerText") == "ok"
    assert browser(f"return {card}.querySelector('a[download]').href") == walk.notebook.as_uri()


def test_an_index_of_nothing_says_so(store, tmp_path):
    assert "No report has been made here yet" in write_index(store, tmp_path / "new").read_text()


def test_two_reports_at_once(store, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.notebooks.folder", lambda: NOTEBOOKS)
    made = make_reports(store, [Wanted("walk", {"days": 3}), Wanted("breaks")], output=tmp_path)
    assert [one.report for one in made] == ["walk", "breaks"]
    assert all(one.html.is_file() for one in made)


def test_a_figure_without_anything():
    bare = figure(3, {})
    assert (bare.title, bare.alt, json.loads(bare.spec)) == ("", "Chart.", {"data": [], "layout": {}})


@pytest.mark.parametrize("text", ["</script>", "<!--", "<script", "\u2028", "&lt;"])
def test_json_in_a_script_cannot_end_it(text):
    safe = json_in_script({"text": text})
    assert json.loads(safe) == {"text": text}
    assert not set(safe) & set("<>&\u2028\u2029")
