"""Helpers on parameters and gradients."""

from tinydl.nn.utils import parametrizations, parametrize
from tinydl.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_
from tinydl.nn.utils.spectral_norm import remove_spectral_norm, spectral_norm
from tinydl.nn.utils.weight_norm import remove_weight_norm, weight_norm

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "parametrizations",
    "parametrize",
    "remove_spectral_norm",
    "remove_weight_norm",
    "spectral_norm",
    "weight_norm",
]
