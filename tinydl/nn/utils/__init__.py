"""Helpers on parameters, gradients and sequences."""

from tinydl.errors import say_absent
from tinydl.nn.utils import parametrizations, parametrize, rnn, stateless
from tinydl.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from tinydl.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters
from tinydl.nn.utils.spectral_norm import remove_spectral_norm, spectral_norm
from tinydl.nn.utils.weight_norm import remove_weight_norm, weight_norm

say_absent(__name__)

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "parameters_to_vector",
    "rnn",
    "vector_to_parameters",
    "parametrizations",
    "parametrize",
    "remove_spectral_norm",
    "remove_weight_norm",
    "spectral_norm",
    "stateless",
    "weight_norm",
]
