"""Gateways: servers that count LLM usage themselves and show it on /metrics. They name no single requests."""
