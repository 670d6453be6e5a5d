"""Training: one loop for all models, one-file checkpoints, evaluation. It knows no model."""

from tinydl.training.checkpoint import Card, load_model, read_config
from tinydl.training.evaluation import evaluate, log_likelihoods
from tinydl.training.loop import Interrupted, Result, fit
from tinydl.training.progress import Progress, Silent, progress_for
from tinydl.training.recipe import Batch, ElementDensity, GenerativeModel, Recipe, Score, collate
from tinydl.training.trainer import Diverged, Trainer

__all__ = [
    "Batch",
    "Card",
    "Diverged",
    "ElementDensity",
    "GenerativeModel",
    "Interrupted",
    "Progress",
    "Recipe",
    "Result",
    "Score",
    "Silent",
    "Trainer",
    "collate",
    "evaluate",
    "fit",
    "load_model",
    "log_likelihoods",
    "progress_for",
    "read_config",
]
