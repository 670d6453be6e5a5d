"""Attention over a sequence, block by block of queries."""
