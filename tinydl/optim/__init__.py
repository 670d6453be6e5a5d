"""Optimizers, schedules of rates and batch sizes, averages of weights, with PyTorch's names and ``state_dict``."""

from tinydl.errors import say_absent
from tinydl.optim import batch_scheduler, lr_scheduler, swa_utils
from tinydl.optim.adadelta import Adadelta
from tinydl.optim.adagrad import Adagrad
from tinydl.optim.adam import Adam, AdamW
from tinydl.optim.adamax import Adamax
from tinydl.optim.asgd import ASGD
from tinydl.optim.eve import Eve
from tinydl.optim.lbfgs import LBFGS
from tinydl.optim.nadam import NAdam
from tinydl.optim.optimistic import OMD, OptimisticAdam
from tinydl.optim.optimizer import Optimizer
from tinydl.optim.radam import RAdam
from tinydl.optim.rmsprop import RMSprop
from tinydl.optim.rprop import Rprop
from tinydl.optim.sgd import SGD
from tinydl.places import places

say_absent(__name__)

places(__name__, {"adamw": "optim.adam"})

__all__ = [
    "ASGD",
    "LBFGS",
    "OMD",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Eve",
    "NAdam",
    "OptimisticAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "batch_scheduler",
    "lr_scheduler",
    "swa_utils",
]
