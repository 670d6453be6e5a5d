"""How a tensor is printed: PyTorch's layout, to the character (but for ``tinydl.`` where it says ``torch.``).

One format for all numbers of a tensor: integers without a fraction when all are whole, fixed point with ``precision``
digits, or scientific notation when the largest is over 1000 times the smallest (both not 0), above 1e8 or below 1e-4.
A tensor of more than ``threshold`` elements shows ``edgeitems`` at each end of every dimension.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinydl import dtypes


@dataclass(frozen=True)
class _Options:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": _Options(),
    "short": _Options(precision=2, edgeitems=2),
    "full": _Options(threshold=math.inf),
}
_options = _Options()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed; what is not named stays, but for ``sci_mode``, whose None means "by the numbers".

    precision, threshold, edgeitems, linewidth
        Digits after the point; elements from which on only the edges are shown, and how many of those; characters a
        line.
    profile
        "default", "short" or "full" (everything is shown), before the others are applied. Raises ValueError for
        another.
    """
    global _options
    if profile is not None and profile not in _PROFILES:
        raise ValueError(f"set_printoptions has no profile {profile!r}; use one of {', '.join(_PROFILES)}")
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    base = _options if profile is None else _PROFILES[profile]
    _options = replace(base, **{k: v for k, v in given.items() if v is not None}, sci_mode=sci_mode)  # type: ignore[arg-type]


class _Format:
    """The one format of all numbers of an array, and the width it needs."""

    def __init__(self, array: Any) -> None:
        self.floating = array.dtype.kind == "f"
        self.width = 1
        numbers = array.reshape(-1)
        if not self.floating:
            self.width = max((len(str(v)) for v in numbers.tolist()), default=1)
            return
        self.whole = self.scientific = False
        finite = numbers[np.isfinite(numbers) & (numbers != 0)].astype(np.float64)
        self.whole = bool((finite == np.ceil(finite)).all())
        if finite.size:
            size = np.abs(finite)
            low, high = float(size.min()), float(size.max())
            with np.errstate(over="ignore"):
                wide = np.float64(high) / low > 1000.0
            self.scientific = bool(wide or high > 1e8 or (not self.whole and low < 1e-4))
        if _options.sci_mode is not None:
            self.scientific = _options.sci_mode
        if finite.size:
            self.width = max(len(self.text(v)) for v in finite.tolist())

    def text(self, value: Any) -> str:
        """The number without padding."""
        if not self.floating:
            return str(value)
        if self.scientific:
            return f"{value:.{_options.precision}e}"
        if self.whole:
            return f"{value:.0f}" + ("." if math.isfinite(value) else "")
        return f"{value:.{_options.precision}f}"

    def __call__(self, value: Any) -> str:
        return self.text(value).rjust(self.width)


def _edges(array: Any) -> Any:
    """The part of an array that is shown when it is summarised."""
    n = _options.edgeitems
    for axis, size in enumerate(array.shape):
        if size > 2 * n:
            array = np.take(array, [*range(n), *range(size - n, size)], axis=axis)
    return array


def _body(array: Any, indent: int, summarise: bool, form: _Format) -> Any:
    n = _options.edgeitems
    cut = summarise and array.ndim > 0 and array.shape[0] > 2 * n
    if array.ndim == 0:
        return form(array.item())
    if array.ndim == 1:
        if cut:
            words = [form(v) for v in array[:n].tolist()] + [" ..."] + [form(v) for v in array[-n:].tolist() if n]
        else:
            words = [form(v) for v in array.tolist()]
        a_line = max(1, (_options.linewidth - indent) // (form.width + 2))
        lines = [", ".join(words[i : i + a_line]) for i in range(0, len(words), a_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    rows = [*array[:n], None, *array[array.shape[0] - n :]] if cut else list(array)
    parts = ["..." if row is None else _body(row, indent + 1, summarise, form) for row in rows]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def tensor_text(array: Any, history: str) -> str:
    """``tensor(...)`` around the numbers; ``history`` is ``"grad_fn=<...>"``, ``"requires_grad=True"`` or empty."""
    prefix = "tensor("
    indent = len(prefix)
    suffixes = []
    dtype = f"dtype=tinydl.{array.dtype.name}"
    if not array.size:
        body = "[]"
        if array.ndim != 1:
            suffixes.append(f"size={tuple(array.shape)}")
        if array.dtype != dtypes.get_default_dtype():
            suffixes.append(dtype)
    else:
        if array.dtype not in (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool):
            suffixes.append(dtype)
        shown = array.astype(np.float32) if array.dtype == np.float16 else array
        summarise = shown.size > _options.threshold
        body = _body(shown, indent, summarise, _Format(_edges(shown) if summarise else shown))
    text = prefix + body
    for suffix in itertools.chain(suffixes, [history] if history else []):
        last = len(text) - text.rfind("\n") - 1
        if last + len(suffix) + 3 > _options.linewidth:
            text += ",\n" + " " * indent + suffix
        else:
            text += ", " + suffix
    return text + ")"
