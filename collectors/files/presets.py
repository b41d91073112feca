"""What is known of the files of some public sources."""

from __future__ import annotations

from collectors.files import values
from collectors.files.columns import REQUESTS, USAGE, Clock, Preset, Row, Table
from collectors.files.helicone import HELICONE
from collectors.files.langfuse import LANGFUSE
from collectors.files.litellm import LITELLM_SPEND
from store.errors import ParameterInvalid, UnknownName

HTTP = range(100, 600)


def _azure(row: Row) -> None:
    """Every request of the trace was served."""
    row["usage_source"] = "reported"


def _llmperf(row: Row) -> None:
    """A refused request is written down as 0 s and 1 token: it has neither. Speed is worked out here.

    The file's `inter_token_s` is wrong for failed requests; its `out_tok_per_s` counts the wait for the first token.
    """
    code, message = row.pop("error_code"), row.pop("error_msg")
    ttft_s, duration_s, output = row["ttft_s"], row["duration_s"], row["output_tokens"]
    row["usage_source"] = "reported"
    if code is None:
        if isinstance(ttft_s, float) and isinstance(duration_s, float) and isinstance(output, int):
            row["output_tokens_per_s"] = (
                (output - 1) / (duration_s - ttft_s) if output > 1 and duration_s > ttft_s else None
            )
        return
    row["status"], row["error_type"] = "error", str(code)
    row["http_status"] = code if code in HTTP else None
    row["attrs"] = {"error_msg": message} if message else None
    if not duration_s:
        row.update(ttft_s=None, duration_s=None, input_tokens=None, output_tokens=None, usage_source="missing")


def _servegen(row: Row) -> None:
    """Token sums are requests x mean, and the means cover a part of the requests: they are estimates."""
    requests = row["requests"]
    row["attrs"] = {
        name: value for name in ("token_coverage", "active_clients") if (value := row.pop(name, None)) is not None
    }
    row["usage_source"] = "estimated"
    for name in ("input_tokens", "output_tokens"):
        mean = row.pop(f"mean_{name}")
        if not requests:
            row[name] = 0
        elif isinstance(requests, int) and isinstance(mean, float):
            row[name] = round(requests * mean)
        else:
            row[name], row["usage_source"] = None, "missing"
    client = row.pop("client", None)
    if client is not None:
        row.setdefault("project", f"client-{client}")


PRESETS = {
    preset.name: preset
    for preset in (
        LITELLM_SPEND,
        LANGFUSE,
        HELICONE,
        Preset(
            "azure-llm-2023",
            REQUESTS,
            {"ts": "TIMESTAMP", "input_tokens": "ContextTokens", "output_tokens": "GeneratedTokens"},
            _azure,
            {"provider": "azure", "source": "azure-llm-2023"},
        ),
        Preset(
            "llmperf",
            REQUESTS,
            {
                "provider": "provider",
                "model": "model",
                "ttft_s": "ttft_s",
                "duration_s": "e2e_s",
                "input_tokens": "input_tokens",
                "output_tokens": "output_tokens",
                "error_code": "error_code",
                "error_msg": "error_msg",
            },
            _llmperf,
            {"source": "llmperf", "streamed": True},
            extra={"error_code": values.whole, "error_msg": values.text},
            clock=Clock.NONE,
        ),
        Preset(
            "servegen",
            USAGE,
            {
                "ts": "t_s",
                "model": "model",
                "requests": "requests",
                "mean_input_tokens": "mean_input_tokens",
                "mean_output_tokens": "mean_output_tokens",
                "token_coverage": "token_coverage",
                "active_clients": "active_clients",
                "client": "client",
            },
            _servegen,
            {"provider": "alibaba", "source": "servegen", "width_s": 600},
            optional=frozenset({"token_coverage", "active_clients", "client"}),
            extra={
                "mean_input_tokens": values.mean,
                "mean_output_tokens": values.mean,
                "token_coverage": values.mean,
                "active_clients": values.count,
                "client": values.key,
            },
            clock=Clock.SECONDS,
        ),
    )
}


def find(name: str | None, table: Table) -> Preset | None:
    """The preset `name` for `table`.

    Raises:
        UnknownName: there is no such preset.
        ParameterInvalid: it is for the other table.
    """
    if name is None:
        return None
    preset = PRESETS.get(name)
    if preset is None:
        raise UnknownName("preset", name, PRESETS)
    if preset.table is not table:
        raise ParameterInvalid("preset", f"{name!r} is for `gaugebook import {preset.table.kind}`")
    return preset
