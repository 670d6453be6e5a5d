"""Measures of generated music against a corpus, and a plagiarism meter. They see scores, so every model has them all.

- :mod:`~tinydl.measures.texture`: what sounds when; the view of a piece that the rest shares.
- :mod:`~tinydl.measures.music`: the measures of one piece.
- :mod:`~tinydl.measures.compare`: the distance of a set of pieces from a corpus, with its interval.
- :mod:`~tinydl.measures.baselines`: a Markov model and noise, to set beside a model.
- :mod:`~tinydl.measures.copying`: what a piece shares with the training data.
- :mod:`~tinydl.measures.report`: all of it for a model.
"""

from tinydl.measures.compare import Distance, Reference
from tinydl.measures.copying import CopyIndex, Copying
from tinydl.measures.music import MEASURES, Measure, features
from tinydl.measures.report import copying_report, draw_samples, measure_report
from tinydl.measures.texture import Texture, texture

__all__ = [
    "MEASURES",
    "CopyIndex",
    "Copying",
    "Distance",
    "Measure",
    "Reference",
    "Texture",
    "copying_report",
    "draw_samples",
    "features",
    "measure_report",
    "texture",
]
