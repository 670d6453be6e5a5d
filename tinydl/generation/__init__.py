"""New music from a trained model, and what it says of given music."""

from tinydl.generation.generate import generate
from tinydl.generation.sampling import bernoulli_frame, draw, token_probabilities
from tinydl.generation.surprise import Surprise, surprise

__all__ = ["Surprise", "bernoulli_frame", "draw", "generate", "surprise", "token_probabilities"]
