"""Measurements behind docs/performance.md; all rivals of a table run in turns."""
