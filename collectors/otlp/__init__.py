"""Takes OTLP over HTTP: the GenAI spans and events of other programs become rows of `metrics.llm_requests`."""
