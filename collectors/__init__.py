"""Collectors: sources of metrics, one a folder, and the sink they write to."""
