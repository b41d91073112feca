"""Prices: what genai-prices itself answers, what the providers publish, and what has no price."""

from __future__ import annotations

import decimal
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices import calc_price
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelPrice, TieredPrices
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collectors.llm import prices
from collectors.llm.prices import UNKNOWN, label, price, worst_case
from collectors.llm.pricing.catalogue import PRICE_KEYS
from collectors.llm.providers import provider
from collectors.llm.usage import Usage

DAY = datetime(2025, 7, 1, tzinfo=UTC)
TODAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
MODELS = [(owner.id, model) for owner in get_snapshot().providers for model in owner.models]
COUNTS = st.integers(0, 2_000_000)
THEIRS = {
    "input_tokens": "input_tokens",
    "cache_read_tokens": "cached_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "input_audio_tokens": "input_audio_tokens",
    "cache_audio_read_tokens": "cached_audio_tokens",
    "output_tokens": "output_tokens",
    "output_reasoning_tokens": "reasoning_tokens",
    "output_audio_tokens": "output_audio_tokens",
    "web_searches": "web_searches",
}
# What the catalogue prices and no usage counts: other tools, time, characters, pages, messages, and these tokens.
HIDDEN = {
    *("input_image_mtok", "cache_image_read_mtok", "output_image_mtok", "input_video_mtok", "output_video_mtok"),
    "output_citation_mtok",
}
UNSEEN = {
    *("storage_searches_kcount", "audio_hours", "input_audio_hours", "input_mchars", "input_text_messages_kcount"),
    *("input_document_kpages", "input_annotated_document_kpages"),
}
NEEDS = {
    "cache_write_1h_tokens": "cache_write_1h_mtok",
    "input_audio_tokens": "input_audio_mtok",
    "output_audio_tokens": "output_audio_mtok",
    "web_searches": "web_searches_kcount",
}


def entries(model):
    return [model.prices] if isinstance(model.prices, ModelPrice) else [entry.prices for entry in model.prices]


def offered(model):
    """The contexts that the catalogue has variants for."""
    return [variant.when for variant in model.price_variants or ()]


TIERED = [
    (owner, model)
    for owner, model in MODELS
    if any(isinstance(v, TieredPrices) for e in entries(model) for v in e.__dict__.values())
]
VARIED = [(owner, model) for owner, model in MODELS if model.price_variants]
RICH = [(owner, model) for owner, model in MODELS if any(set(NEEDS.values()) & set(e.__dict__) for e in entries(model))]
USAGES = st.builds(
    lambda read, written, cached, write, hour, audio, heard, said, thought, searches: Usage(
        input_tokens=read,
        cached_tokens=int(read * cached),
        cache_write_tokens=int(read * (1 - cached) * write),
        cache_write_1h_tokens=int(int(read * (1 - cached) * write) * hour),
        input_audio_tokens=int(read * (1 - cached) * (1 - write) * audio) + int(read * cached * heard),
        cached_audio_tokens=int(read * cached * heard),
        output_tokens=written,
        output_audio_tokens=int(written * said),
        reasoning_tokens=int(written * (1 - said) * thought),
        web_searches=searches,
    ),
    COUNTS,
    COUNTS,
    *[st.floats(0, 1) | st.just(0.0)] * 2,
    *[st.just(0.0) | st.floats(0, 1)] * 4,
    st.floats(0, 1),
    st.just(0) | st.integers(0, 20),
)


def theirs(provider, model, ts, usage, context):
    """genai-prices' own answer; None where it raises, and where we say that a price would be wrong."""
    counts = {name: getattr(usage, ours) for name, ours in THEIRS.items()}
    given = TheirUsage(**{name: count for name, count in counts.items() if count is not None})
    try:
        answer = calc_price(given, model, provider_id=provider, genai_request_timestamp=ts, price_context=context)
    except (LookupError, ValueError):
        return None
    priced = {key for key, value in answer.model_price.__dict__.items() if value is not None}
    if not priced & {"input_mtok", "output_mtok", "requests_kcount"} or priced & HIDDEN:
        return None
    if any(counts[name] and key not in priced for name, key in NEEDS.items()):
        return None
    return answer.total_price


def check(provider, model, ts, usage, tier=None, *, batch=False, context=None):
    ours = price(provider=provider, model=model, ts=ts, usage=usage, service_tier=tier, batch=batch)
    assert ours.cost_usd == theirs(provider, model, ts, usage, context)
    assert (ours.version is None) == (ours.cost_usd is None)
    return ours


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(MODELS) | st.sampled_from(TIERED) | st.sampled_from(VARIED) | st.sampled_from(RICH),
    st.datetimes(
        datetime(2024, 1, 1), datetime(2027, 2, 1), timezones=st.just(UTC) | st.just(timezone(timedelta(hours=9)))
    ),
    USAGES,
    st.sampled_from([None, None, "default", "flex", "priority", "fast", "nonsense"]),
    st.booleans(),
)
def test_the_same_as_genai_prices(chosen, ts, usage, tier, batch):
    owner, model = chosen
    context = {"processing": "batch"} if batch else {}
    if tier:
        context |= {"speed": tier} if {"speed": tier} in offered(model) else {"service_tier": tier}
    check(owner, model.id, ts, usage, tier, batch=batch, context=context or None)


@pytest.mark.parametrize(("owner", "model"), TIERED, ids=lambda value: getattr(value, "id", value))
def test_at_the_edges_of_every_tier(owner, model):
    starts = {
        t.start for e in entries(model) for v in e.__dict__.values() if isinstance(v, TieredPrices) for t in v.tiers
    }
    for read in sorted(starts | {start + 1 for start in starts} | {0}):
        check(owner, model.id, TODAY, Usage(read, read // 3, read // 5, 10))


@pytest.mark.parametrize(("owner", "model"), VARIED, ids=lambda value: getattr(value, "id", value))
def test_every_tier_and_batch_of_the_catalogue(owner, model):
    usage = Usage(100_000, 10_000, 20_000, 30_000)
    for when in offered(model):
        (name, value), *_ = when.items()
        if name in ("processing", "service_tier", "speed"):
            ours = check(
                owner,
                model.id,
                TODAY,
                usage,
                None if name == "processing" else value,
                batch=value == "batch",
                context=when,
            )
            active = [
                v for v in model.price_variants if v.when == when and (not v.constraint or v.constraint.active(TODAY))
            ]
            assert ours.cost_usd is None or ours.version.endswith("standard rate") == (not active)


@given(st.integers(0, 23), st.integers(0, 59))
@example(0, 29)
@example(0, 30)
@example(16, 29)
@example(16, 30)
def test_prices_that_depend_on_the_time_of_day(hour, minute):
    for model in ("deepseek-chat", "deepseek-v4-pro"):
        check("deepseek", model, DAY.replace(hour=hour, minute=minute), Usage(1000, 10, 0, 1000))


def test_every_kind_of_price_in_the_catalogue_is_known_here():
    """A new release with a new one must not be read as if it were free."""
    variants = [variant.prices for _, model in VARIED for variant in model.price_variants]
    keys = {key for prices in (*(e for _, m in MODELS for e in entries(m)), *variants) for key in prices.__dict__}
    assert keys == PRICE_KEYS.keys() | HIDDEN | UNSEEN
    names = {name for _, model in VARIED for when in offered(model) for name in when}
    assert names == {"processing", "service_tier", "speed", "route", "search_type"}  # the last two are no tiers


M = 1_000_000
# Published prices, by hand: what a million tokens of each kind cost, in USD.
PUBLISHED = [
    ("openai", "o3", "2025-06-09", {}, Usage(M, output_tokens=M), "50"),
    ("openai", "o3", "2025-06-10", {}, Usage(M, output_tokens=M), "10"),
    ("openai", "gpt-4o-2024-08-06", "2025-07-01", {}, Usage(M, M, None, 0), "1.25"),
    ("openai", "gpt-4o-2024-08-06", "2025-07-01", {}, Usage(1, 0, None, 0), "0.0000025"),
    ("openai", "gpt-5", "2026-11-01", {"batch": True}, Usage(M, output_tokens=M), "5.625"),
    ("openai", "gpt-5", "2026-11-01", {"service_tier": "flex"}, Usage(M, output_tokens=M), "5.625"),
    ("openai", "gpt-5", "2026-11-01", {"service_tier": "priority"}, Usage(M, output_tokens=M), "22.5"),
    ("openai", "gpt-5", "2026-11-01", {}, Usage(1000, output_tokens=0, web_searches=3), "0.03125"),
    (
        "openai",
        "gpt-4o-realtime-preview",
        "2025-07-01",
        {},
        Usage(3000, output_tokens=0, input_audio_tokens=1000),
        "0.05",
    ),
    ("openai", "text-embedding-3-small", "2025-07-01", {}, Usage(M), "0.02"),
    ("anthropic", "claude-sonnet-4-5", "2025-11-01", {}, Usage(4, 1, 2, 3, cache_write_1h_tokens=1), "0.00005805"),
    ("anthropic", "claude-sonnet-4-5", "2025-11-01", {}, Usage(200_000, output_tokens=1000), "0.615"),
    ("anthropic", "claude-sonnet-4-5", "2025-11-01", {}, Usage(200_001, output_tokens=1000), "1.222506"),
    ("anthropic", "claude-haiku-4-5", "2026-11-01", {"service_tier": "batch"}, Usage(M, output_tokens=M), "3"),
    ("google", "gemini-2.5-flash", "2026-11-01", {}, Usage(M, output_tokens=0, input_audio_tokens=M // 2), "0.65"),
    ("perplexity", "sonar", "2025-07-01", {}, Usage(0, output_tokens=0), "0.012"),
]


@pytest.mark.parametrize(("owner", "model", "day", "how", "usage", "usd"), PUBLISHED)
def test_published_prices(owner, model, day, how, usage, usd):
    ts = datetime.fromisoformat(day).replace(tzinfo=UTC)
    assert price(provider=owner, model=model, ts=ts, usage=usage, **how).cost_usd == Decimal(usd)


def test_a_day_begins_at_midnight_utc():
    usage, before, after = Usage(M, output_tokens=M), datetime(2025, 6, 9, 23, 59, 59), datetime(2025, 6, 10)
    assert [price(provider="openai", model="o3", ts=ts, usage=usage).cost_usd for ts in (before, after)] == [50, 10]
    berlin = timezone(timedelta(hours=2))
    assert price(provider="openai", model="o3", ts=after.replace(tzinfo=berlin), usage=usage).cost_usd == 50


@pytest.mark.parametrize(
    ("model", "ts", "how", "marked"),
    [
        ("gpt-5", TODAY, {}, False),
        ("gpt-5", TODAY, {"service_tier": "default"}, False),
        ("gpt-5", TODAY, {"service_tier": "flex"}, False),
        ("gpt-5", TODAY, {"service_tier": "FLEX"}, False),
        ("gpt-5", TODAY, {"batch": True}, False),
        ("gpt-5", TODAY, {"service_tier": "scale"}, True),
        ("gpt-5", DAY.replace(month=9), {"service_tier": "flex"}, True),  # the catalogue begins in October 2026
        ("gpt-4o", TODAY, {"service_tier": "flex"}, True),
    ],
)
def test_a_tier_without_a_price_gets_the_standard_one_and_says_so(model, ts, how, marked):
    usage = Usage(1000, output_tokens=1000)
    given = price(provider="openai", model=model, ts=ts, usage=usage, **how)
    assert (
        given.version
        == f"{prices._book.find('openai', 'o3', TODAY, prices.Tier()).version}{', standard rate' * marked}"
    )
    if marked:
        assert given.cost_usd == price(provider="openai", model=model, ts=ts, usage=usage).cost_usd


@pytest.mark.parametrize(("model", "known"), [("openai/gpt-4o", True), ("gpt-4o", True), ("x/gpt-4o", False)])
def test_a_gateway_names_the_provider_in_front_of_the_model(model, known):
    check("litellm", model, DAY, Usage(1000, output_tokens=1000))
    assert (label("litellm", model) == "gpt-4o") == known


def test_azure_does_not_sell_the_tiers_of_openai():
    given = price(provider="azure", model="gpt-5", ts=TODAY, usage=Usage(1, output_tokens=1), service_tier="flex")
    assert given.version.endswith(", standard rate")


@pytest.mark.parametrize(
    ("owner", "model", "changed"),
    [
        ("openai", "no-such-model", {}),
        ("openai", "", {}),
        ("no-such-provider", "gpt-4o", {}),
        ("other", "gpt-4o", {}),
        ("openai", "whisper-1", {}),  # by the minute
        ("openai", None, {}),
        (None, "gpt-4o", {}),
        ("openai", "gpt-4o", {"cached_tokens": 2 * M}),
        ("openai", "gpt-4o", {"input_tokens": -1}),
        ("openai", "gpt-4o", {"input_tokens": None}),
        ("openai", "gpt-4o", {"output_tokens": None}),
        ("openai", "gpt-4o", {"output_tokens": 1.5}),
        ("openai", "gpt-4o", {"input_audio_tokens": 1}),
        ("openai", "gpt-4o", {"output_audio_tokens": 1}),
        ("openai", "gpt-4o-audio-preview", {"output_audio_tokens": 1}),
        ("anthropic", "claude-3-haiku-20240307", {"web_searches": 1}),
        ("aws", "anthropic.claude-3-sonnet-20240229-v1:0", {"cache_write_tokens": 2, "cache_write_1h_tokens": 1}),
        ("google", "gemini-2.5-flash", {"cached_tokens": 1, "input_audio_tokens": 1}),  # how much of it was cached?
        ("google", "gemini-2.5-flash-image", {}),  # text or an image: twelve times the price
    ],
)
def test_what_is_not_known_has_no_price_and_no_exception(owner, model, changed):
    usage = Usage(**{"input_tokens": M, "output_tokens": M, **changed})
    assert price(provider=owner, model=model, ts=DAY, usage=usage) == UNKNOWN


def test_a_time_that_is_none_has_no_price():
    assert price(provider="openai", model="gpt-4o", ts=None, usage=Usage(1, output_tokens=1)) == UNKNOWN


def test_no_context_of_the_application_rounds_a_cost():
    with decimal.localcontext(prec=3) as context:
        context.traps[decimal.Inexact] = True
        exact = price(provider="openai", model="gpt-4o", ts=DAY, usage=Usage(123_457, output_tokens=7)).cost_usd
    assert exact == Decimal("0.3087125")


@pytest.mark.parametrize(
    ("owner", "model", "tier", "usd"),
    [
        ("openai", "gpt-4o", None, "0.0125"),
        ("openai", "gpt-5", "priority", "0.0225"),
        ("openai", "gpt-5", "default", "0.01125"),
        ("anthropic", "claude-haiku-4-5", None, "0.007"),  # 1 h cache writes
        ("google", "gemini-2.5-flash-image", None, "0.0303"),  # an image
        ("perplexity", "sonar", None, "0.014"),  # and the request
        ("openai", "no-such-model", None, None),
        ("openai", "whisper-1", None, None),
    ],
)
def test_worst_case(owner, model, tier, usd):
    asked = {"provider": owner, "model": model, "ts": TODAY, "service_tier": tier}
    worst = worst_case(**asked, input_tokens=1000, max_output_tokens=1000)
    assert worst == (None if usd is None else Decimal(usd))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(MODELS) | st.sampled_from(TIERED), USAGES)
def test_no_request_costs_more_than_its_worst_case(chosen, usage):
    owner, model = chosen
    real = price(provider=owner, model=model.id, ts=TODAY, usage=usage).cost_usd
    if real is not None and not usage.web_searches:
        size = {"input_tokens": usage.input_tokens, "max_output_tokens": usage.output_tokens}
        assert real <= worst_case(provider=owner, model=model.id, ts=TODAY, **size)


def test_labels_are_names_of_the_catalogue_whatever_was_asked_for():
    assert label("openai", "gpt-4o-2024-08-06") == "gpt-4o"
    assert label("azure", "our-deployment", "gpt-4o") == "gpt-4o"
    assert {label("openai", f"gpt-4o-{junk}") for junk in range(50)} <= {"gpt-4o", None}
    assert label("openai", None, "junk") is None
    assert label("no-such-provider", "gpt-4o") is None


def test_junk_is_not_kept():
    """Neither here nor in the caches of genai-prices."""
    from collectors.llm.pricing import catalogue

    snapshot = get_snapshot()
    before = len(snapshot._lookup_cache) + len(snapshot._provider_cache) + len(snapshot._provider_misses)
    for number in range(100):
        price(provider="openai", model=f"junk-{number}", ts=DAY, usage=Usage(1, output_tokens=1))
        price(provider=f"junk-{number}", model="gpt-4o", ts=DAY, usage=Usage(1, output_tokens=1))
        price(provider="litellm", model=f"openai/junk-{number}", ts=DAY, usage=Usage(1, output_tokens=1))
        prices.provider_of(f"https://junk-{number}.example/v1")
    after = len(snapshot._lookup_cache) + len(snapshot._provider_cache) + len(snapshot._provider_misses)
    assert after == before
    assert len(catalogue._found) <= catalogue._REMEMBERED


def test_the_catalogue_is_imported_only_when_it_is_asked():
    program = (
        "import sys, collectors.llm.prices as p; assert 'genai_prices' not in sys.modules; import datetime as d;"
        "p.price(provider='openai', model='o3', ts=d.datetime.now(d.UTC), usage=p.Usage(1, output_tokens=1));"
        "assert 'genai_prices' in sys.modules"
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
