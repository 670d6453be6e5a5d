"""What a script sets before it begins: threads, the default device, determinism, precision."""

from __future__ import annotations

import operator
import warnings
from typing import Any

from tinydl import devices
from tinydl.dtypes import set_default_dtype


def get_num_threads() -> int:
    """How many threads the kernels called from this thread use."""
    from tinydl.kernels import threads

    return threads.get_num_threads()


def set_num_threads(num: int) -> None:
    """Use ``num`` threads for the kernels called from this thread, and for NumPy's BLAS.

    The pool has as many as this process may use cores (``NUMBA_NUM_THREADS``); a greater ``num`` means all of them.
    Raises RuntimeError unless ``num`` is a positive integer.
    """
    from threadpoolctl import threadpool_limits

    from tinydl.kernels import threads

    try:
        count = operator.index(num)
    except TypeError:
        raise RuntimeError(f"set_num_threads expects an int, but got {type(num).__name__}") from None
    if count < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, but got {count}")
    count = min(count, threads.max_threads())
    threads.set_num_threads(count)
    threadpool_limits(count, user_api="blas")


def set_default_device(device: Any) -> None:
    """Nothing for the CPU (or None), where every tensor is made that is given no device. Raises RuntimeError for
    another one."""
    if device is not None and devices.device(device).type != "cpu":
        from tinydl.elsewhere import of

        of(device)  # raises for one that is not there
        raise RuntimeError(f"set_default_device: tensors are made on the CPU; write device={str(device)!r}, or .to()")


def set_default_tensor_type(t: Any) -> None:
    """:func:`tinydl.set_default_dtype` by an older name of a dtype: ``"torch.DoubleTensor"``, or the type itself.

    Raises TypeError for what is no such name, for integers, and for the types of a GPU.
    """
    from tinydl.typed import TYPED, Typed

    library, _, name = t.rpartition(".") if isinstance(t, str) else ("", "", "")
    found = t if isinstance(t, Typed) else TYPED.get(name) if library in ("torch", "tinydl") else None
    if found is None:
        raise TypeError(f"invalid type object, or no type of this CPU: {t!r}; one is 'torch.FloatTensor'")
    set_default_dtype(found.dtype)


def compile(
    model: Any = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: Any = "inductor",
    mode: str | None = None,
    options: Any = None,
    disable: bool = False,
) -> Any:
    """``model`` (a module or a function) itself: there is no compiler, and operations are as fast as they are.

    Also a decorator, with or without options. Raises RuntimeError for a ``mode`` and ``options`` together.
    """
    if mode is not None and options is not None:
        raise RuntimeError("Either mode or options can be specified, but both can't be specified at the same time.")
    return (lambda function: function) if model is None else model


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Nothing: every operation gives the same bits each time, on any number of threads, whatever is asked for."""


def set_float32_matmul_precision(precision: str) -> None:
    """Nothing: products of float32 are computed in float32, which is ``"highest"``; ``"high"`` and ``"medium"`` allow
    less and need not get it. Warns of any other word, as PyTorch does."""
    if precision not in ("highest", "high", "medium"):
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; set_float32_matmul_precision has no effect",
            stacklevel=2,
        )
