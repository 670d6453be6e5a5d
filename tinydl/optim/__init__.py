"""Optimizers and learning-rate schedules, with PyTorch's names, signatures, defaults and ``state_dict``."""

from tinydl.optim import lr_scheduler
from tinydl.optim.adam import Adam, AdamW
from tinydl.optim.optimizer import Optimizer
from tinydl.optim.rmsprop import RMSprop
from tinydl.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]
