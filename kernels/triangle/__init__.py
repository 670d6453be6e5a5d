"""Triangular systems."""
