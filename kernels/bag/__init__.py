"""Sums, means and maxima of bags of rows."""
