"""PDFs and pictures, made by a real Chromium."""

import re
import struct
import time

import pytest

from pipelines import chromium, prints
from pipelines.pages import files
from store.errors import PrintError


@pytest.fixture(scope="module")
def printed(good_run):
    return prints.prints(good_run)


def test_the_pdf_has_pages_text_and_tags(printed):
    content = printed.pdf.read_bytes()
    assert content.startswith(b"%PDF-")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 12
    assert b"/StructTreeRoot" in content
    assert b"/Outlines" in content


def test_each_chart_is_a_picture_with_what_it_shows(printed):
    assert [one.name for one in printed.pictures] == [f"figure-{nr}" for nr in (1, 2, 3, 4)]
    for one in printed.pictures:
        content = one.file.read_bytes()
        width, height = struct.unpack(">II", content[16:24])
        assert width == prints.SCALE * 56 * 16  # as wide as a chart of the page gets
        assert height > 600
        assert len(content) > 10_000
    assert printed.pictures[0].alt.startswith("Line chart of the position over time")


def test_what_is_there_is_not_made_again(good_run, printed, monkeypatch):
    monkeypatch.setattr(chromium, "PROGRAMS", ())
    assert prints.prints(good_run) == printed


def test_without_chromium_it_says_what_to_install(good_run, printed, monkeypatch):
    folder = printed.pdf.parent
    printed.pdf.rename(folder / "kept")
    try:
        monkeypatch.setattr(chromium, "PROGRAMS", ("no-such-browser",))
        with pytest.raises(PrintError, match="apt-get install chromium"):
            prints.prints(good_run)
    finally:
        (folder / "kept").rename(printed.pdf)


def test_a_browser_that_does_not_start_is_told(monkeypatch, tmp_path):
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\necho no usable sandbox >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(PrintError, match=r"Chromium ended before .*no usable sandbox"), chromium.browser():
        pass


def test_a_browser_that_hangs_is_given_up(monkeypatch, tmp_path):
    hung = tmp_path / "chromium"
    hung.write_text("#!/bin/sh\nexec sleep 60\n")
    hung.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(chromium, "LIMIT_S", 0.5)
    begun = time.monotonic()
    with pytest.raises(PrintError, match=r"did not answer within 0\.5 s"), chromium.browser():
        pass
    assert time.monotonic() - begun < 10


def test_a_page_that_is_not_here(good_run, tmp_path):
    from dataclasses import replace

    with pytest.raises(PrintError, match="there is no page"):
        prints.prints(replace(good_run, output=str(tmp_path / "walk.html")))
    assert not (tmp_path / files(good_run)).exists()
