"""Rows with elements added at their ends."""
