"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from tinydl.ops.shaping import cat
from tinydl.tensor import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all parameters in order: [sum of their sizes]. Gradients flow through."""
    return cat([param.reshape(-1) for param in parameters])  # type: ignore[no-any-return]


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy the elements of ``vec`` into the parameters, in order and unrecorded.

    Raises RuntimeError, and changes nothing, unless ``vec`` has as many elements as the parameters together. (PyTorch's
    parameters become views of ``vec``.)
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected tinydl.Tensor, but got: {type(vec).__name__}")
    params = list(parameters)
    total = sum(param.numel() for param in params)
    if tuple(vec.shape) != (total,):
        raise RuntimeError(f"a vector of shape {tuple(vec.shape)} does not fit parameters of {total} elements together")
    start = 0
    for param in params:
        param.array[...] = vec.array[start : start + param.numel()].reshape(param.shape)
        param.bump()
        start += param.numel()
