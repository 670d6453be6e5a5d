"""Helpers on parameters, gradients and sequences."""

from tinydl.nn.utils import rnn
from tinydl.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_

__all__ = ["clip_grad_norm_", "clip_grad_value_", "rnn"]
