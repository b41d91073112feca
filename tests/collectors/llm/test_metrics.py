from datetime import UTC, datetime
from decimal import Decimal

import pytest

from collectors.llm.metrics import MOST_VALUES, BudgetLeft, Metrics
from collectors.llm.record import Request

AT = datetime(2026, 1, 1, tzinfo=UTC)
WHO = {"provider": "openai", "model": "gpt-4o", "team": "t", "project": "p"}


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
    assert value(metrics, "llm_time_to_first_token_seconds_sum", provider="openai", model="gpt-4o") == 0.2
    assert value(metrics, "llm_request_duration_seconds_sum", provider="openai", model="gpt-4o") == 1.5


def test_who_does_not_tell_tokens_is_counted(metrics):
    metrics.observe(request(usage_source="missing"))
    for told in (
        {"usage_source": "reported"},
        {"usage_source": "estimated"},
        {"status": "error"},
        {"status": "cancelled"},
    ):
        metrics.observe(request(**{"usage_source": "missing", **told}))
    assert value(metrics, "llm_unmetered_requests_total", **WHO) == 1
    assert value(metrics, "llm_requests_total", **WHO, status="ok") == 3


def test_an_error_counts_and_its_latency_does_not(metrics):
    metrics.observe(request(status="error", error_type="rate_limit", duration_s=0.01, ttft_s=0.01))
    assert value(metrics, "llm_errors_total", **WHO, error_type="rate_limit") == 1
    assert value(metrics, "llm_requests_total", **WHO, status="error") == 1
    assert value(metrics, "llm_request_duration_seconds_count", provider="openai", model="gpt-4o") is None
    assert value(metrics, "llm_time_to_first_token_seconds_count", provider="openai", model="gpt-4o") is None


def test_a_stream_has_a_time_per_token(metrics):
    metrics.observe(request(output_tokens_per_s=50.0))
    metrics.observe(request(output_tokens_per_s=100.0, status="cancelled"))
    metrics.observe(request(output_tokens_per_s=1.0, status="error"))
    found = [
        value(metrics, f"llm_time_per_output_token_seconds_{part}", provider="openai", model="gpt-4o")
        for part in ("count", "sum")
    ]
    assert found == [2, pytest.approx(0.03)]


def labels(metrics, name, label):
    return {s.labels[label] for m in metrics.registry.collect() if m.name == name for s in m.samples}


def test_junk_is_no_label(metrics):
    for number in range(500):
        metrics.observe(request(model=f"junk-{number}", status="error", error_type="model_not_found"))
        metrics.observe(request(model=f"gpt-4o-junk-{number}"))
    assert labels(metrics, "llm_requests", "model") <= {"other", "gpt-4o"}
    assert value(metrics, "llm_requests_total", **{**WHO, "model": "other"}, status="error") == 500


def test_the_model_that_answered_is_named_where_the_one_asked_for_is_not_known(metrics):
    metrics.observe(request(provider="azure", model="our-deployment", response_model="gpt-4o-2024-08-06"))
    assert value(metrics, "llm_requests_total", **{**WHO, "provider": "azure"}, status="ok") == 1


@pytest.mark.parametrize("label", ["provider", "team", "project", "error_type"])
def test_labels_are_bounded(metrics, label):
    for number in range(MOST_VALUES + 50):
        metrics.observe(request(**{"status": "error", label: f"junk-{number}"}))
    name = "llm_errors" if label == "error_type" else "llm_requests"
    assert len(labels(metrics, name, label)) == MOST_VALUES + 1


def test_budgets_are_asked_for_at_each_scrape(metrics):
    left = [BudgetLeft("search", Decimal(100), Decimal("12.5"))]
    metrics.watch_budgets(lambda: left)
    assert value(metrics, "llm_budget_limit_usd", budget="search") == 100
    assert value(metrics, "llm_budget_left_usd", budget="search") == 12.5
    left[:] = [BudgetLeft("search", Decimal(100), Decimal("-0.5"))]
    assert value(metrics, "llm_budget_left_usd", budget="search") == -0.5


def test_a_ledger_that_is_down_leaves_the_other_metrics_be(metrics):
    def down():
        raise OSError("no ledger")

    metrics.watch_budgets(down)
    metrics.observe(request())
    assert value(metrics, "llm_budget_left_usd", budget="search") is None
    assert value(metrics, "llm_requests_total", **WHO, status="ok") == 1
