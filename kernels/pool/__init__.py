"""Pooling, resampling, and reading and writing at given positions."""
