"""New music from a trained model, and what it says of given music."""

from tinydl.generation.generate import generate, primer_beats
from tinydl.generation.sampling import bernoulli_frame, draw, token_probabilities
from tinydl.generation.surprise import Surprise, surprise

__all__ = [
    "Surprise",
    "bernoulli_frame",
    "draw",
    "generate",
    "primer_beats",
    "surprise",
    "token_probabilities",
]
