"""Losses: forward and gradient in one pass over the logits."""
