"""Forecasters beside the default one, each behind the Protocol of `analytics.engines` and loaded when it is named."""
