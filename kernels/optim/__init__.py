"""Whole optimizer steps, gradient norms: one kernel for all parameters, through a table of array objects."""
