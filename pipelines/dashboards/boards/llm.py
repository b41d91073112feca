"""What the dashboards of LLM traffic share: their variables, and how the counters of the tap are asked."""

from __future__ import annotations

from pipelines.dashboards.board import Variable, of_prometheus

# The tap's series have no label `gateway`; what gateways count may be the same calls, and is never added to it.
CALLS = 'gateway="", provider=~"$provider", model=~"$model", team=~"$team"'
TIMED = 'gateway="", provider=~"$provider", model=~"$model"'
OF_MODEL = 'provider=~"$provider", model=~"$model"'


def variables() -> list[Variable]:
    """Provider, model and team, of the calls that the tap has metered."""
    of = 'label_values(llm_requests_total{gateway=""%s}, %s)'
    return [
        of_prometheus("provider", "Provider", of % ("", "provider")),
        of_prometheus("model", "Model", of % (', provider=~"$provider"', "model")),
        of_prometheus("team", "Team", of % (', provider=~"$provider", model=~"$model"', "team")),
    ]


def a_second(counter: str, by: str, *more: str, of: str = CALLS) -> str:
    """A second, summed by some labels."""
    return f"sum by ({by}) (rate({counter}{{{', '.join([of, *more])}}}[$__rate_interval]))"


def quantile(share: float, histogram: str, by: str, of: str = TIMED) -> str:
    """A percentile of a histogram of seconds; none where nothing was timed."""
    buckets = f"rate({histogram}_bucket{{{of}}}[$__rate_interval])"
    labels = ", ".join(label for label in (by, "le") if label)
    return f"histogram_quantile({share:g}, sum by ({labels}) ({buckets})) >= 0"


def ratio(part: str, whole: str) -> str:
    """A share; nothing where there was nothing, and 0 where there was no part of it."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"
