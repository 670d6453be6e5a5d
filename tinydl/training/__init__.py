"""Training: one loop for all models, one-file checkpoints, evaluation. It knows no model."""

from tinydl.training.checkpoint import Card, load_model, read_config
from tinydl.training.evaluation import evaluate, log_likelihoods, reconstruction, score_name, validation_loss
from tinydl.training.loop import Interrupted, Result, fit
from tinydl.training.progress import Progress, Silent, progress_for
from tinydl.training.ramp import Ramp, ramp
from tinydl.training.recipe import (
    Batch,
    Criterion,
    Demanding,
    ElementDensity,
    Figures,
    Game,
    GenerativeModel,
    LatentModel,
    Player,
    Recipe,
    Score,
    collate,
)
from tinydl.training.trainer import Diverged, Trainer

__all__ = [
    "Batch",
    "Card",
    "Criterion",
    "Demanding",
    "Diverged",
    "ElementDensity",
    "Figures",
    "Game",
    "GenerativeModel",
    "Interrupted",
    "LatentModel",
    "Player",
    "Progress",
    "Ramp",
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
    "ramp",
    "read_config",
    "reconstruction",
    "score_name",
    "validation_loss",
]
