"""Convolution and its two gradients."""
