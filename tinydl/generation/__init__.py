"""New music from a trained model."""

from tinydl.generation.generate import generate
from tinydl.generation.sampling import bernoulli_frame, draw, token_probabilities

__all__ = ["bernoulli_frame", "draw", "generate", "token_probabilities"]
