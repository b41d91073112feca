"""Billing: what providers report of usage and cost, and how it compares with what was metered."""
