"""The documents tell the truth: links lead somewhere, settings and commands are those there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from pipelines.cli import app
from store.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "deploy").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert "://" in target or (page.parent / target).exists(), target


def test_every_setting_is_explained():
    page = (ROOT / "docs/getting-started.md").read_text()
    explained = {
        name for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert explained == set(Settings.model_fields)


def commands(command, path=()):
    """Every command with the words that call it."""
    for name, sub in getattr(command, "commands", {}).items():
        if hasattr(sub, "commands"):
            yield from commands(sub, (*path, name))
        else:
            yield (*path, name), sub


ALL = dict(commands(get_command(app)))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_help_with_an_example(words):
    text = ALL[words].help or ""
    assert re.search(rf"Examples?:[\s\S]*gaugebook {' '.join(words)}", text), text
    for parameter in ALL[words].params:
        assert getattr(parameter, "help", None), f"{words}: {parameter.name} has no help"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_in_the_documents_exists(page):
    for line in re.findall(r"gaugebook ((?:[a-z][a-z-]* ?)+)", page.read_text()):
        said = tuple(line.split())
        assert any(said[: len(words)] == words or words[: len(said)] == said for words in ALL), f"gaugebook {line}"
