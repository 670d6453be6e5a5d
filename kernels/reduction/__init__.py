"""Reductions that NumPy needs several passes for."""
