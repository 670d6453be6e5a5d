"""Norms of gradients, and clipping."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.creation import tensor, there
from tinydl.devices import on_host
from tinydl.kernels import lookup
from tinydl.kernels.optim.table import COLUMNS, DTYPE, GRAD, NUMEL
from tinydl.tensor import Tensor


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    params = [parameters] if isinstance(parameters, Tensor) else parameters
    return [param.grad for param in params if param.grad is not None]


def _tables(gradients: list[Tensor]) -> list[tuple[list[Tensor], NDArray[np.int64], NDArray[Any]]]:
    """The gradients by dtype and device: the tensors, the kernels' table of them, and an empty array of the kind."""
    tables = []
    for scalar, kind in dict.fromkeys((g.array.dtype.type, type(g.array)) for g in gradients):
        chosen = [g for g in gradients if g.array.dtype.type is scalar and type(g.array) is kind]
        like = there(chosen[0].device).empty(0, scalar)
        table = np.zeros((len(chosen), COLUMNS), np.int64)
        table[:, GRAD] = [id(gradient.array) for gradient in chosen]
        table[:, NUMEL] = [gradient.array.size for gradient in chosen]
        table[:, DTYPE] = like.dtype.num
        tables.append((chosen, table, like))
    return tables


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all elements of all tensors together, ``(sum |x|^p)^(1/p)``; nothing is recorded.

    Args:
        tensors: one or several, gradients for instance.
        norm_type: p of the p-norm; ``math.inf`` for the largest absolute value.
        error_if_nonfinite: raise RuntimeError when the norm is infinite or NaN.
        foreach: PyTorch's; of no effect.

    Returns the norm, 0-d, in the widest dtype of the tensors (float32 when there are none). Sums run in float64 in a
    fixed order: the number of threads does not change the result.
    """
    given = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    total, dtype = _total_norm(given, _tables(given), float(norm_type), error_if_nonfinite)
    with np.errstate(over="ignore"):  # a norm beyond the dtype is inf
        return tensor(np.array(total).astype(dtype), device=given[0].device if given else None)


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients, in place, so that their common norm is at most ``max_norm``; returns the norm before.

    With ``n = ||(g_1, ..., g_R)||`` over all elements of all gradients, each becomes
    ``g * min(1, max_norm / (n + 1e-6))``. Pascanu, Mikolov and Bengio, ICML 2013.

    Args:
        parameters: one tensor or several; those without gradient are skipped.
        max_norm: the bound.
        norm_type, error_if_nonfinite, foreach: as for :func:`get_total_norm`. Without the error, gradients of a norm
            that is not finite become 0 or NaN.
    """
    gradients = _gradients(parameters)
    tables = _tables(gradients)
    total, dtype = _total_norm(gradients, tables, float(norm_type), error_if_nonfinite)
    _scale(tables, float(max_norm) / (total + 1e-6))
    with np.errstate(over="ignore"):
        return tensor(np.array(total).astype(dtype), device=gradients[0].device if gradients else None)


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scale all gradients, in place, by ``min(1, max_norm / (total_norm + 1e-6))``: :func:`clip_grad_norm_` with a norm
    that :func:`get_total_norm` has given, and computed in its dtype."""
    norm = np.asarray(on_host(total_norm.array) if isinstance(total_norm, Tensor) else total_norm)
    with np.errstate(all="ignore"):
        _scale(_tables(_gradients(parameters)), float(float(max_norm) / (norm + 1e-6)))


def _total_norm(
    tensors: list[Tensor],
    tables: list[tuple[list[Tensor], NDArray[np.int64], NDArray[Any]]],
    norm_type: float,
    error_if_nonfinite: bool,
) -> tuple[float, np.dtype[Any]]:
    if norm_type == 2.0:
        total = math.sqrt(sum(_squared_norm(*table) for table in tables))
    else:
        total = _p_norm([t.array for t in tensors], norm_type)
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    return total, np.result_type(np.float32, *{t.array.dtype for t in tensors})


def _scale(tables: list[tuple[list[Tensor], NDArray[np.int64], NDArray[Any]]], coefficient: float) -> None:
    if not coefficient >= 1.0:  # a NaN is written through, as in PyTorch
        for chosen, table, like in tables:
            scale = lookup("scale_gradients_", device="cpu", dtype=like.dtype)
            if scale(table, like, coefficient) >= 0:  # not all plain: one at a time
                for gradient in chosen:
                    gradient.array *= like.dtype.type(coefficient)
            for gradient in chosen:
                gradient.bump()


def _squared_norm(chosen: list[Tensor], table: NDArray[np.int64], like: NDArray[Any]) -> float:
    kernel = lookup("squared_norm", device="cpu", dtype=like.dtype)
    irregular, total = kernel(table, like)
    if irregular >= 0:
        copies = [there(g.device).array(g.array, like.dtype, order="C") for g in chosen]
        table = table.copy()
        table[:, GRAD] = [id(copy) for copy in copies]
        irregular, total = kernel(table, like)
    return float(total)


def _p_norm(arrays: list[NDArray[Any]], p: float) -> float:
    magnitudes = [np.abs(array.astype(np.float64)) for array in arrays if array.size]
    if p == math.inf:
        return float(max((np.max(magnitude) for magnitude in magnitudes), default=0.0))
    return float(sum(float(np.sum(magnitude**p)) for magnitude in magnitudes) ** (1.0 / p))


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Clamp every element of every gradient to [-clip_value, clip_value], in place. ``foreach`` has no effect."""
    bound = float(clip_value)
    for gradient in _gradients(parameters):
        np.clip(gradient.array, -bound, bound, out=gradient.array)
        gradient.bump()
