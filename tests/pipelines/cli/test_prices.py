"""`gaugebook prices`, as its user meets it."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

import pytest

from collectors.llm.record import COLUMNS, TABLE, Request
from pipelines.cli import main
from store.connect import connect
from store.rollup import refresh
from store.settings import Settings
from store.write import write

AT = datetime(2026, 10, 3, 10, tzinfo=UTC)
FILE = """
[[price]]
name = "house llama"
provider = "vllm"
model = "llama-3*"
from = 2026-01-01
usd_per_million = { input = 0.2, output = 0.6 }
[price.tier.night]
usd_per_million = { output = 0.3 }

[[price]]
name = "contract"
provider = "openai"
model = "gpt-*"
discount = 0.15
"""


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def gaugebook(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs the command."""

    def run(*words: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["gaugebook", "prices", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Answer(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def price_file(tmp_path, monkeypatch):
    path = tmp_path / "prices.toml"
    path.write_text(FILE)
    monkeypatch.setenv("GAUGEBOOK_LLM_PRICES", str(path))
    return path


def request(number, **changed):
    known = {"provider": "openai", "model": "gpt-4o", "team": "search", "cost_usd": Decimal(1), "price_version": "old"}
    return Request(
        **{
            "ts": AT.replace(minute=number), "request_id": f"r{number}", "source": "tap", "input_tokens": 1_000_000,
            "output_tokens": 100_000, "usage_source": "reported", **known, **changed,
        }
    )  # fmt: skip


@pytest.fixture
def filled(store: Settings, monkeypatch):
    monkeypatch.setenv("GAUGEBOOK_DSN", store.dsn.get_secret_value())
    unknown = {"cost_usd": None, "price_version": None}
    rows = [
        request(0),
        request(1, team="ads"),
        request(2, **unknown, model='a "odd" [model]*'),
        request(3, **unknown, provider="mine", model="llama", cached_tokens=10),
        request(4, **unknown, provider="mine", model="llama", ts=AT.replace(day=5)),
        request(5, **unknown, model="gpt-4o-audio-preview"),
        request(6, **unknown, model="junk", status="error", input_tokens=None, output_tokens=None),
        request(7, **unknown, input_tokens=None, output_tokens=None, usage_source="missing"),
    ]
    with connect(store) as connection:
        write(connection, TABLE, COLUMNS, [row.values() for row in rows])
    refresh(store)
    return store


def cells(text, first):
    """The cells of the table row that begins with `first`."""
    return [line.split() for line in text.splitlines() if line.split()[: len(first)] == list(first)]


def test_show_lists_every_rate_with_its_validity(gaugebook):
    code, out, err = gaugebook("show", "o3")
    assert (code, err) == (0, "")
    assert cells(out, ["-", "2025-06-10"]) == [["-", "2025-06-10", "standard", "10", "0.5", "40", "10"]]
    assert cells(out, ["2025-06-10", "-"]) == [["2025-06-10", "-", "standard", "2", "0.5", "8", "10"]]
    assert cells(out, ["2026-10-12", "-", "flex"]) == [["2026-10-12", "-", "flex", "1", "0.25", "4"]]
    assert out.startswith("o3 of openai, genai-prices ")
    assert "also served by azure" in out


def test_show_on_a_day_and_of_a_provider(gaugebook):
    out = gaugebook("show", "o3", "--at", "2025-06-09").out
    assert "2025-06-10  standard" in out
    assert "flex" not in out
    assert gaugebook("show", "gpt-5", "--provider", "azure").out.startswith("gpt-5 of azure")
    assert "00:30-16:30" in gaugebook("show", "deepseek-chat").out
    assert cells(gaugebook("show", "claude-sonnet-4-5").out, ["-", "-", "standard", "200,000"])[0][4:6] == ["6", "0.6"]


def test_show_puts_the_price_file_first(gaugebook, price_file):
    out = gaugebook("show", "llama-3.1-8b").out
    assert out.startswith("llama-3* of vllm, prices.toml ")
    assert cells(out, ["2026-01-01", "-", "standard"]) == [["2026-01-01", "-", "standard", "0.2", "0.6"]]
    out = gaugebook("show", "gpt-4o").out
    assert out.index("contract") < out.index("genai-prices")
    assert "the catalogue's, -15 %" in out


@pytest.mark.parametrize("command", ["show", "what-if"])
def test_a_model_without_a_price(gaugebook, command):
    code, out, err = gaugebook(command, "gpt-40")
    assert (code, out) == (2, "")
    assert "'gpt-40' has no price; did you mean gpt-4" in err
    assert err.count("\n") == 1
    assert "price file" in gaugebook(command, "zzzzzz").err
    assert "of azure has no price" in gaugebook(command, "zzz", "--provider", "azure").err


def test_a_wrong_price_file_is_one_line(gaugebook, price_file):
    price_file.write_text(FILE.replace("discount", "discuont"))
    code, _, err = gaugebook("show", "o3")
    assert code == 2
    assert "entry 2 (contract), key 'discuont': is not a key; did you mean 'discount'?" in err
    assert err.count("\n") == 1


def test_missing_names_the_models_and_what_to_write(gaugebook, filled):
    code, out, err = gaugebook("missing")
    assert (code, err) == (0, "")
    row = cells(out, ["mine", "llama"])[0]
    assert row[2:7] == ["2", "2,000,000", "200,000", "2026-10-03", "2026-10-05"]
    assert "has no such provider" in out
    assert "gpt-4o-audio-preview" in out
    assert "junk" not in out, "an error has no price because it has no tokens"
    table, _, toml = out.partition("question marks:")
    assert "gpt-4o " not in table, "what told no usage lacks no price"
    entries = tomllib.loads(toml.replace("?", "0.5"))["price"]
    assert entries[0]["model"] == "llama"
    assert entries[0]["usd_per_million"].keys() == {"input", "cached", "output"}


def test_what_is_pasted_into_the_file_gives_the_next_ones_a_price(gaugebook, filled, price_file):
    from collectors.llm import prices
    from collectors.llm.usage import Usage

    toml = gaugebook("missing").out.partition("question marks:")[2]
    price_file.write_text(toml.replace("= ?", "= 0.5"))
    prices.use(price_file)
    try:
        for provider, model in (("mine", "llama"), ("openai", 'a "odd" [model]*')):
            given = prices.price(provider=provider, model=model, ts=AT, usage=Usage(1_000_000, output_tokens=0))
            assert given.cost_usd == Decimal("0.5"), model
    finally:
        prices.use(None)
    assert "newer than the rows" in gaugebook("missing").out


def test_nothing_is_missing(gaugebook, filled):
    assert gaugebook("missing", "--since", "2026-11-01").out == "every request that told its usage has a price\n"


def test_what_if(gaugebook, filled):
    code, out, err = gaugebook("what-if", "gpt-5", "--since", "2026-10-01", "--until", "2026-11-01")
    assert (code, err) == (0, "")
    row = cells(out, ["openai", "gpt-4o"])[0]
    assert row[2:] == ["2", "2,000,000", "200,000", "$2.00", "$4.50"]
    assert cells(out, ["mine", "llama"])[0][5:] == ["unknown", "$4.50"]
    assert "did cost: 2 of 6 requests have a price" in out
    assert "left out: 1 requests that told no usage" in out
    assert "prices: genai-prices" in out


def test_what_if_of_some_and_in_a_tier(gaugebook, filled):
    span = ("--since", "2026-10-01", "--until", "2026-11-01")
    out = gaugebook("what-if", "gpt-5", *span, "--team", "ads").out
    assert cells(out, ["openai", "gpt-4o"])[0][2] == "1"
    out = gaugebook("what-if", "gpt-5", *span, "--batch", "--of", "gpt-4o").out
    assert "nobody has a price for this tier" in out
    out = gaugebook("what-if", "gpt-5", *span, "--batch", "--at", "2026-11-01", "--of", "gpt-4o").out
    assert cells(out, ["openai", "gpt-4o"])[0][-1] == "$2.25"
    assert "nobody has a price" not in out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ("--since", "2026-01-01", "--until", "2026-01-02"),
            "LLM usage from 2026-01-01 to 2026-01-02 (UTC) has no rows",
        ),
        (("--since", "yesterday"), "'yesterday' is not a day such as 2026-10-01"),
        (("--since", "2026-10-02", "--until", "2026-10-02"), "2026-10-02 is not after 2026-10-02"),
    ],
)
def test_what_if_of_nothing(gaugebook, filled, options, says):
    code, out, err = gaugebook("what-if", "gpt-5", *options)
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1
