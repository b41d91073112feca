import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelPrice, TieredPrices
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collectors.llm.prices import UNKNOWN, price
from collectors.llm.providers import provider

DAY = datetime(2025, 7, 1, tzinfo=UTC)
MODELS = [(owner.id, model) for owner in get_snapshot().providers for model in owner.models]
COUNTS = st.integers(0, 2_000_000)


def entries(model):
    return [model.prices] if isinstance(model.prices, ModelPrice) else [entry.prices for entry in model.prices]


TIERED = [
    (owner, model)
    for owner, model in MODELS
    if any(isinstance(v, TieredPrices) for e in entries(model) for v in e.__dict__.values())
]


def theirs(provider, model, ts, counts, tier):
    """genai-prices' own answer; None where it raises or has no price for any kind of token."""
    read, written, cached, cache_write = counts
    usage = Usage(input_tokens=read, output_tokens=written, cache_read_tokens=cached, cache_write_tokens=cache_write)
    context = {"service_tier": tier} if tier else None
    try:
        answer = calc_price(usage, model, provider_id=provider, genai_request_timestamp=ts, price_context=context)
    except (LookupError, ValueError):
        return None
    kinds = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "requests_kcount")
    return answer.total_price if any(getattr(answer.model_price, kind) is not None for kind in kinds) else None


def check(provider, model, ts, counts, tier=None):
    read, written, cached, cache_write = counts
    ours = price(
        provider=provider,
        model=model,
        ts=ts,
        input_tokens=read,
        output_tokens=written,
        cached_tokens=cached,
        cache_write_tokens=cache_write,
        service_tier=tier,
    )
    assert ours.cost_usd == theirs(provider, model, ts, counts, tier)
    assert (ours.version is None) == (ours.cost_usd is None)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(MODELS) | st.sampled_from(TIERED),
    st.datetimes(
        datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC) | st.just(timezone(timedelta(hours=9)))
    ),
    st.tuples(COUNTS, COUNTS, st.floats(0, 1), st.floats(0, 1)),
    st.sampled_from([None, None, "default", "flex", "priority", "nonsense"]),
)
def test_the_same_as_genai_prices(chosen, ts, counts, tier):
    owner, model = chosen
    read, written, cached, cache_write = counts
    check(owner, model.id, ts, (read, written, int(read * cached), int(read * (1 - cached) * cache_write)), tier)


@pytest.mark.parametrize(("owner", "model"), TIERED, ids=lambda value: getattr(value, "id", value))
def test_at_the_edges_of_every_tier(owner, model):
    starts = {
        t.start for e in entries(model) for v in e.__dict__.values() if isinstance(v, TieredPrices) for t in v.tiers
    }
    for read in sorted(starts | {start + 1 for start in starts} | {0}):
        check(owner, model.id, DAY, (read, 10, read // 3, read // 5))


@given(st.integers(0, 23), st.integers(0, 59))
@example(0, 29)
@example(0, 30)
@example(16, 29)
@example(16, 30)
def test_prices_that_depend_on_the_time_of_day(hour, minute):
    for model in ("deepseek-chat", "deepseek-v4-pro"):
        check("deepseek", model, DAY.replace(hour=hour, minute=minute), (1000, 1000, 10, 0))


def cost(**changed):
    asked = {"provider": "openai", "model": "o3", "ts": DAY, "input_tokens": 10**6, "output_tokens": 10**6, **changed}
    return price(**asked).cost_usd


def test_the_price_of_the_day():
    assert cost(ts=datetime(2025, 5, 1, tzinfo=UTC)) == 50
    assert cost(ts=datetime(2025, 7, 1, tzinfo=UTC)) == 10
    assert price(provider="openai", model="o3", ts=DAY, input_tokens=1, output_tokens=1).version.startswith(
        "genai-prices "
    )


def test_input_includes_the_cache():
    assert cost(input_tokens=1000, output_tokens=0, cached_tokens=1000) == Decimal("0.0005")
    assert cost(input_tokens=1000, output_tokens=0, cached_tokens=0) == Decimal("0.002")


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "no-such-model"},
        {"model": ""},
        {"provider": "no-such-provider"},
        {"provider": "other", "model": "gpt-4o"},
        {"cached_tokens": 2 * 10**6},
        {"input_tokens": -1},
        {"input_tokens": None},
        {"model": None},
        {"ts": None},
    ],
)
def test_what_is_not_known_has_no_price_and_no_exception(changed):
    asked = {
        "provider": "openai",
        "model": "gpt-4o",
        "ts": DAY,
        "input_tokens": 10**6,
        "output_tokens": 10**6,
        **changed,
    }
    assert price(**asked) == UNKNOWN


def test_the_catalogue_is_imported_only_when_it_is_asked():
    program = (
        "import sys, collectors.llm.prices as p; assert 'genai_prices' not in sys.modules; import datetime as d;"
        "p.price(provider='openai', model='o3', ts=d.datetime.now(d.UTC), input_tokens=1, output_tokens=1); assert 'genai_prices' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.openai.com/v1/chat/completions", "openai"),
        ("https://eu.api.openai.com/v1/chat/completions", "openai"),
        ("https://my-team.openai.azure.com/openai/deployments/d/chat/completions", "azure"),
        ("https://api.groq.com/openai/v1/chat/completions", "groq"),
        ("https://api.deepseek.com/chat/completions", "deepseek"),
        ("https://openrouter.ai/api/v1/chat/completions", "openrouter"),
        ("https://api.mistral.ai/v1/chat/completions", "mistral"),
        ("https://api.together.xyz/v1/chat/completions", "together"),
        ("http://127.0.0.1:8000/v1/chat/completions", "mine"),
        ("http://gateway:4000/v1/chat/completions", "litellm"),
        ("http://127.0.0.1:8001/v1/chat/completions", "other"),
        ("http://[::1]:8001/v1/chat/completions", "six"),
    ],
)
def test_providers(url, name):
    overrides = {"127.0.0.1:8000": "mine", "gateway": "litellm", "[::1]": "six"}
    assert provider(url, url.split("/")[2], overrides) == name
