"""A server with a /metrics page that a test writes; it can go away and come back on the same port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class MetricsServer:
    """Serves `page` with `status`; wants `token` as a bearer token where it is set."""

    def __init__(self) -> None:
        self.page, self.status, self.token = "", 200, ""
        self.port = 0
        self._server: ThreadingHTTPServer | None = None
        self._thread: Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                refused = outer.token and self.headers.get("authorization") != f"Bearer {outer.token}"
                body = outer.page.encode()
                self.send_response(401 if refused else 404 if self.path != "/metrics" else outer.status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None


@contextmanager
def metrics_server() -> Iterator[MetricsServer]:
    server = MetricsServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def vllm(prompt: int, made: int, done: int, *, cached: int = 0, started: float = 1.79e9, model: str = "llama") -> str:
    """The page of a vLLM server with two engines."""
    labels = f'engine="0",model_name="{model}"'
    return f"""# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.
# TYPE process_start_time_seconds gauge
process_start_time_seconds {started}
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{{labels}}} 6.0
vllm:num_requests_running{{engine="1",model_name="{model}"}} 1.0
vllm:num_requests_waiting{{{labels}}} 2.0
vllm:kv_cache_usage_perc{{{labels}}} 0.42
vllm:kv_cache_usage_perc{{engine="1",model_name="{model}"}} 0.5
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{{{labels}}} {prompt}.0
vllm:prompt_tokens_total{{engine="1",model_name="{model}"}} 0.0
vllm:prompt_tokens_cached_total{{{labels}}} {cached}.0
vllm:prefix_cache_hits_total{{{labels}}} 999999.0
vllm:generation_tokens_total{{{labels}}} {made}.0
vllm:generation_tokens_created{{{labels}}} 1.79e+09
vllm:request_success_total{{engine="0",finished_reason="stop",model_name="{model}"}} {done}.0
vllm:request_success_total{{engine="0",finished_reason="length",model_name="{model}"}} 1.0
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{{{labels},le="0.5"}} 3.0
vllm:time_to_first_token_seconds_bucket{{{labels},le="1.0"}} 4.0
vllm:time_to_first_token_seconds_bucket{{{labels},le="+Inf"}} 5.0
vllm:time_to_first_token_seconds_count{{{labels}}} 5.0
vllm:time_to_first_token_seconds_sum{{{labels}}} 2.25
vllm:inter_token_latency_seconds_bucket{{{labels},le="+Inf"}} 7.0
vllm:inter_token_latency_seconds_sum{{{labels}}} 0.7
"""


def litellm(spend: float, given: int, made: int, calls: int, *, model: str = "gpt-4o", team: str = "search") -> str:
    """The page of a LiteLLM proxy: only the spend names the provider."""
    who = f'api_key_alias="ci",end_user="None",hashed_api_key="ab32",model="{model}",team="t-1",team_alias="{team}"'
    return f"""# TYPE litellm_spend_metric_total counter
litellm_spend_metric_total{{{who},api_provider="openai"}} {spend}
litellm_input_tokens_metric_total{{{who},requested_model="{model}"}} {given}
litellm_output_tokens_metric_total{{{who},requested_model="{model}"}} {made}
litellm_input_cached_tokens_metric_total{{{who}}} 40
litellm_output_reasoning_tokens_metric_total{{{who}}} 4
litellm_request_total_latency_metric_bucket{{{who},requested_model="{model}",le="+Inf"}} {calls}
litellm_request_total_latency_metric_count{{{who},requested_model="{model}"}} {calls}
litellm_request_total_latency_metric_sum{{{who},requested_model="{model}"}} 12.5
litellm_llm_api_time_to_first_token_metric_bucket{{model="{model}",le="+Inf"}} 2
litellm_llm_api_time_to_first_token_metric_sum{{model="{model}"}} 0.2
"""


def bifrost(spend: float, given: int, made: int, calls: int) -> str:
    """The page of a Bifrost gateway: one call succeeded at the second attempt."""
    who = 'provider="anthropic",model="claude-sonnet-4-5",team_name="",team_id="t-9",virtual_key_name="ci",method="chat_completion"'
    return f"""# TYPE bifrost_cost_total counter
bifrost_upstream_requests_total{{{who}}} {calls + 1}
bifrost_success_requests_total{{{who}}} {calls}
bifrost_input_tokens_total{{{who}}} {given}
bifrost_output_tokens_total{{{who}}} {made}
bifrost_cost_total{{{who}}} {spend}
bifrost_stream_first_token_latency_seconds_bucket{{{who},le="+Inf"}} 1
bifrost_stream_first_token_latency_seconds_sum{{{who}}} 0.1
"""
