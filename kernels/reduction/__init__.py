"""Reductions and scans that NumPy needs several passes for."""
