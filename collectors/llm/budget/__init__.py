"""Budgets: a call is reserved at its worst case before it is sent, and settled at what it cost."""

from __future__ import annotations

from collectors.llm.budget.call import Ask, Lease, Refusal
from collectors.llm.budget.guard import Budgets

__all__ = ["Ask", "Budgets", "Lease", "Refusal"]
