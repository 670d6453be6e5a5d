"""Activations: one pass over the elements, or over the rows of a softmax."""
