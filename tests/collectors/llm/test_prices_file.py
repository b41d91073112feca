"""The user's own price file: what wins, what it says when it is wrong, and that nothing written is repriced."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from collectors.llm import prices
from collectors.llm.prices import UNKNOWN, label, price, worst_case
from collectors.llm.record import COLUMNS, TABLE, Request
from collectors.llm.usage import Usage
from store.connect import connect
from store.errors import SettingsError
from store.rollup import refresh
from store.write import write

TODAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
M = 1_000_000
FILE = """
[[price]]
name = "house llama"
provider = "vllm"
model = "llama-3*"
from = 2026-01-01
to = 2026-12-01
usd_per_million = { input = 0.2, cached = 0.02, output = 0.6, input_audio = 1, cached_audio = 0.5 }
usd_per_request = 0.0001
usd_per_search = 0.01
[price.batch.usd_per_million]
input = 0.1
output = 0.3
[price.tier.turbo]
usd_per_million = { output = 6 }

[[price]]
provider = "openai"
model = "gpt-4o-mini"
usd_per_million = { input = 1, output = 1 }
discount = 0.1

[[price]]
name = "contract"
provider = "openai"
model = "*"
from = 2026-01-01
discount = 0.15

[[price]]
name = "embeddings"
model = "bge-*"
usd_per_million = { input = 0.01 }
"""


@pytest.fixture
def use(tmp_path):
    """Uses a price file with this text; afterwards the catalogue alone."""

    def use(text, name="prices.toml"):
        path = tmp_path / name
        path.write_text(text)
        prices.use(path)
        return f"{name} {hashlib.sha256(text.encode()).hexdigest()[:8]}"

    yield use
    prices.use(None)


def cost(provider, model, usage=None, ts=TODAY, **how):
    given = price(provider=provider, model=model, ts=ts, usage=usage or Usage(M, output_tokens=M), **how)
    return given.cost_usd, given.version


def test_rates_of_the_file(use):
    file = use(FILE)
    assert cost("vllm", "llama-3.1-8b") == (Decimal("0.8001"), f"{file}, house llama")
    assert cost("VLLM", "Llama-3.1-8B")[0] == Decimal("0.8001")
    usage = Usage(1000, 400, None, 0, input_audio_tokens=300, cached_audio_tokens=100, web_searches=2)
    by_hand = (400 * 0.2 + 300 * 0.02 + 200 * 1 + 100 * 0.5) / M + 0.0001 + 2 * 0.01
    assert float(cost("vllm", "llama-3", usage)[0]) == pytest.approx(by_hand, abs=1e-12)
    assert cost("other", "bge-m3", Usage(M)) == (Decimal("0.01"), f"{file}, embeddings")
    assert cost("openai", "bge-m3", Usage(M)) == (None, None)  # the first that fits is a discount on nothing


def test_tiers_and_batches_of_the_file(use):
    file = use(FILE)
    assert cost("vllm", "llama-3", batch=True) == (Decimal("0.4001"), f"{file}, house llama")
    assert cost("vllm", "llama-3", service_tier="turbo") == (Decimal("6.2001"), f"{file}, house llama")
    assert cost("vllm", "llama-3", service_tier="flex") == (Decimal("0.8001"), f"{file}, house llama, standard rate")


def test_from_and_to_are_half_open_days_in_utc(use):
    use(FILE)
    days = [datetime(2025, 12, 31, 23, 59), datetime(2026, 1, 1), datetime(2026, 11, 30, 23, 59), datetime(2026, 12, 1)]
    assert [cost("vllm", "llama-3", ts=day)[0] for day in days] == [None, Decimal("0.8001"), Decimal("0.8001"), None]


def test_it_wins_over_the_catalogue_and_a_discount_is_on_either(use):
    catalogued = cost("openai", "gpt-4o")
    tiered = cost("openai", "gpt-5", service_tier="flex")
    file = use(FILE)
    assert cost("openai", "gpt-4o-mini") == (Decimal("1.8"), f"{file}, entry 2")
    assert cost("openai", "gpt-4o") == (catalogued[0] * Decimal("0.85"), f"{file}, contract, {catalogued[1]}")
    assert cost("openai", "gpt-5", service_tier="flex")[0] == tiered[0] * Decimal("0.85")
    assert cost("openai", "gpt-4o", service_tier="flex")[1] == f"{file}, contract, {catalogued[1]}, standard rate"
    assert cost("openai", "gpt-4o", ts=datetime(2025, 12, 31))[1] == catalogued[1]
    assert cost("openai", "no-such-model") == (None, None)
    assert cost("anthropic", "claude-haiku-4-5")[1] == catalogued[1]


def test_a_kind_without_a_rate_is_not_known(use):
    use(FILE)
    for part in ("output_audio_tokens", "cache_write_1h_tokens"):
        usage = Usage(1000, output_tokens=1000, cache_write_tokens=10, **{part: 5})
        assert price(provider="vllm", model="llama-3", ts=TODAY, usage=usage) == UNKNOWN


def test_worst_case_and_labels_know_the_file(use):
    use(FILE)
    size = {"ts": TODAY, "input_tokens": 1000, "max_output_tokens": 1000}
    assert worst_case(provider="vllm", model="llama-3", **size) == Decimal("0.0017")  # audio, and the request
    assert worst_case(provider="openai", model="gpt-4o", **size) == Decimal("0.0125") * Decimal("0.85")
    assert label("vllm", "llama-3.1-8b") == label("vllm", "llama-3-junk") == "llama-3*"
    assert (label("openai", "gpt-4o-2024-08-06"), label("openai", "junk")) == ("gpt-4o", None)


def test_without_a_file_the_catalogue_is_used_again(use):
    use(FILE)
    prices.use(None)
    assert cost("vllm", "llama-3") == (None, None)


WRONG = [
    ("", "has no [[price]] entry"),
    ("price = 3", "has no [[price]] entry"),
    ("[[prices]]\nmodel = 'm'", "key 'prices': it holds [[price]] entries alone"),
    ("[[price]\n", "is not TOML: "),
    ("[[price]]\nusd_per_million = {input = 1}", "entry 1, key 'model': is missing"),
    ("[[price]]\nmodel = 'm'\nname = 'mine'\ndiscuont = 0.1", "entry 1 (mine), key 'discuont': is not a key; did you mean 'discount'?"),
    ("[[price]]\nmodel = 'm'\nusd_per_million = {inptu = 1}", "key 'usd_per_million.inptu': is not a key; did you mean 'input'?"),
    ("[[price]]\nmodel = 'm'\nusd_per_million = {input = -1}", "key 'usd_per_million.input': Input should be greater than"),
    ("[[price]]\nmodel = 'm'\nusd_per_million = {input = nan}", "key 'usd_per_million.input': Input should be a finite number"),
    ("[[price]]\nmodel = 'm'\nusd_per_million = {input = '1'}", "key 'usd_per_million.input': Input should be"),
    ("[[price]]\nmodel = 'm'\nusd_per_million = {input = true}", "key 'usd_per_million.input': "),
    ("[[price]]\nmodel = 3\ndiscount = 0.1", "key 'model': Input should be a valid string"),
    ("[[price]]\nmodel = 'm'\ndiscount = 15", "key 'discount': Input should be less than 1"),
    ("[[price]]\nmodel = 'm'\ndiscount = 0.1\nfrom = 2026-01-01T10:00:00Z", "key 'from': should be a date such as"),
    ("[[price]]\nmodel = 'm'\ndiscount = 0.1\nfrom = '2026-01-01'", "key 'from': should be a date such as"),
    ("[[price]]\nmodel = 'm'\ndiscount = 0.1\nfrom = 2026-02-01\nto = 2026-02-01", "key 'to': 2026-02-01 is not after"),
    ("[[price]]\nmodel = 'm'", "key 'usd_per_million': is missing, and so is a discount"),
    ("[[price]]\nmodel = 'm'\nusd_per_million = {cached = 1}", "key 'usd_per_million': needs input or output"),
    ("[[price]]\nmodel = 'm'\nusd_per_million = {output = 1, cached = 1}", "'usd_per_million.cached': needs a rate for input"),
    ("[[price]]\nmodel = 'm'\nusd_per_million = {input = 1, cached = 1, input_audio = 1}", "needs a rate for cached_audio"),
    ("[[price]]\nmodel = 'm'\ndiscount = 0.1\n[price.batch]\nusd_per_request = 1", "key 'batch': needs the standard rates"),
    (
        "[[price]]\nmodel = 'm'\nusd_per_million = {input = 1}\n[price.tier.flex]\nusd_per_million = {output = 1}",
        "key 'tier.flex': has a rate for output, and the entry itself has none",
    ),
    ("[[price]]\nmodel = 'm'\nusd_per_million = {input = 1}\n[price.tier.flex]\nusd_per_serach = 1", "did you mean 'usd_per_search'?"),
    ("[[price]]\nmodel='m'\nname='a'\ndiscount=0.1\n[[price]]\nmodel='m'\nname='a'\ndiscount=0.1", "two entries have the name 'a'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "says"), WRONG)
def test_a_wrong_file_names_the_file_the_entry_and_the_key(use, text, says):
    use(FILE)
    with pytest.raises(SettingsError) as caught:
        use(text, "wrong.toml")
    line = str(caught.value)
    assert says in line
    assert line.startswith("setting 'llm_prices' (")
    assert "wrong.toml" in line
    assert "\n" not in line
    assert cost("vllm", "llama-3")[0] == Decimal("0.8001"), "what was used before stays"


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SettingsError, match=r"'llm_prices' \(.*none.toml\): cannot be read: No such file"):
        prices.use(tmp_path / "none.toml")


def stored(settings):
    with connect(settings) as connection:
        return [
            connection.execute(query).fetchall()
            for query in (
                "SELECT request_id, cost_usd, price_version FROM metrics.llm_requests ORDER BY request_id",
                "SELECT bucket, model, requests, priced, cost_usd FROM metrics.llm_requests_hourly ORDER BY 1, 2",
                "SELECT bucket, model, requests, priced, cost_usd FROM metrics.llm_requests_daily ORDER BY 1, 2",
            )
        ]


def rows(names, ts):
    for name in names:
        usage = Usage(M, output_tokens=M)
        given = price(provider="vllm", model="llama-3", ts=ts, usage=usage)
        yield Request(
            ts=ts, request_id=name, provider="vllm", model="llama-3", source="tap", input_tokens=M, output_tokens=M,
            usage_source="reported", cost_usd=given.cost_usd, price_version=given.version,
        )  # fmt: skip


def test_a_day_that_is_written_keeps_its_sums_when_the_price_changes(any_store, use):
    ts = datetime(2026, 11, 2, 10, 30, tzinfo=UTC)
    before = use(FILE)
    with connect(any_store) as connection:
        write(connection, TABLE, COLUMNS, [row.values() for row in rows(("a", "b"), ts)])
    refresh(any_store)
    first = stored(any_store)
    assert first[0] == [(name, Decimal("0.8001"), f"{before}, house llama") for name in "ab"]
    assert [row[-1] for row in (*first[1], *first[2])] == [Decimal("1.6002")] * 2

    after = use(FILE.replace("output = 0.6", "output = 60"))
    refresh(any_store)
    assert stored(any_store) == first

    with connect(any_store) as connection:  # the same day once more: what is there stays, what is new has the new price
        again = write(connection, TABLE, COLUMNS, [row.values() for row in rows(("a", "b", "c"), ts)])
    assert (again.written, again.duplicate) == (1, 2)
    refresh(any_store)
    second = stored(any_store)
    assert second[0] == [*first[0], ("c", Decimal("60.2001"), f"{after}, house llama")]
    assert [row[-1] for row in (*second[1], *second[2])] == [Decimal("61.8003")] * 2
