from datetime import UTC, datetime
from decimal import Decimal

import pytest

from collectors.llm.metrics import MOST_VALUES, Metrics
from collectors.llm.record import Request

AT = datetime(2026, 1, 1, tzinfo=UTC)
WHO = {"provider": "openai", "model": "m", "team": "t", "project": "p"}


def request(**changed):
    return Request(**{"ts": AT, "request_id": "r", "source": "tap", **WHO, **changed})


@pytest.fixture
def metrics():
    return Metrics()


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


def test_a_request_that_ended_well(metrics):
    metrics.observe(
        request(input_tokens=10, cached_tokens=4, output_tokens=3, cost_usd=Decimal("0.5"), ttft_s=0.2, duration_s=1.5)
    )
    assert value(metrics, "llm_requests_total", **WHO, status="ok") == 1
    assert [
        value(metrics, "llm_tokens_total", **WHO, kind=kind) for kind in ("input", "cached", "output", "reasoning")
    ] == [10, 4, 3, None]
    assert value(metrics, "llm_cost_usd_total", **WHO) == 0.5
    assert value(metrics, "llm_unpriced_requests_total", **WHO) is None
    assert value(metrics, "llm_time_to_first_token_seconds_sum", provider="openai", model="m") == 0.2
    assert value(metrics, "llm_request_duration_seconds_sum", provider="openai", model="m") == 1.5


def test_an_error_counts_and_its_latency_does_not(metrics):
    metrics.observe(request(status="error", error_type="rate_limit", duration_s=0.01, ttft_s=0.01))
    assert value(metrics, "llm_errors_total", **WHO, error_type="rate_limit") == 1
    assert value(metrics, "llm_requests_total", **WHO, status="error") == 1
    assert value(metrics, "llm_request_duration_seconds_count", provider="openai", model="m") is None
    assert value(metrics, "llm_time_to_first_token_seconds_count", provider="openai", model="m") is None


def test_labels_are_bounded(metrics):
    for number in range(MOST_VALUES + 50):
        metrics.observe(request(model=f"junk-{number}"))
    models = {s.labels["model"] for m in metrics.registry.collect() if m.name == "llm_requests" for s in m.samples}
    assert len(models) == MOST_VALUES + 1
    assert value(metrics, "llm_requests_total", **{**WHO, "model": "other"}, status="ok") == 50
