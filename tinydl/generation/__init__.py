"""New music from a trained model, and what it says of given music."""

from tinydl.generation.around import harmonise, infill
from tinydl.generation.generate import generate, primer_beats
from tinydl.generation.images import generate_images
from tinydl.generation.interpolation import interpolate, slerp
from tinydl.generation.sampling import bernoulli_frame, draw, token_probabilities
from tinydl.generation.steering import Fixed
from tinydl.generation.surprise import Surprise, surprise

__all__ = [
    "Fixed",
    "Surprise",
    "bernoulli_frame",
    "draw",
    "generate",
    "generate_images",
    "harmonise",
    "infill",
    "interpolate",
    "primer_beats",
    "slerp",
    "surprise",
    "token_probabilities",
]
