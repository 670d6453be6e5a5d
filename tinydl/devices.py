"""Devices and layouts: where a tensor lives, and how.

Tensors are on the CPU, or on a GPU that CuPy reaches (:mod:`tinydl.elsewhere`). A device that is not there is refused
in one sentence.
"""

from __future__ import annotations

from typing import Any

#: Array types of devices that are in use -> what tensors know of the device (:mod:`tinydl.elsewhere`). Empty while
#: everything is on the CPU.
ELSEWHERE: dict[type, Any] = {}

KINDS = ("cpu", "cuda", "mps", "xpu")  # the first is there; scripts compare with the others


def beside(array: Any, like: Any) -> Any:
    """A host array on the device of the array ``like``."""
    there = ELSEWHERE.get(type(like))
    return array if there is None or type(array) is type(like) else there.np.asarray(array)


def kind_of(array: Any) -> str:
    """The type of the device that an array is on: ``"cpu"``, also of what is no array, or ``"cuda"``."""
    there = ELSEWHERE.get(type(array))
    return "cpu" if there is None else there.device.type


def by_the_host(function: Any, input: Any, *args: Any, **options: Any) -> Any:
    """A function of a tensor, without derivative, computed by NumPy although the tensor is elsewhere: how large its
    results are depends on numbers that the host has to see anyway. They are brought back."""
    where = input.device
    found = function(input.detach().cpu(), *args, **options)
    return tuple([x.to(where) for x in found]) if type(found) is tuple else found.to(where)


def on_host(array: Any) -> Any:
    """An array of any device as NumPy's."""
    return array.get() if type(array) in ELSEWHERE else array


class device(str):
    """``device("cpu")``, ``device("cuda:1")``, ``device("cuda", 1)``: a string with a ``type`` and an ``index``.

    It compares equal to its own text, so ``x.device == "cpu"`` and ``str(x.device)`` work alike. Naming a device that
    is not there is no error; making a tensor on it is. Raises RuntimeError for an unknown type.

    >>> device("cuda", 1)
    device(type='cuda', index=1)
    """

    type: str
    index: int | None  # type: ignore[assignment]  # str.index is of no use here

    def __new__(cls, type: Any, index: int | None = None) -> device:
        if isinstance(type, device) and index is None:
            return type
        kind, _, number = str(type).partition(":")
        if kind not in KINDS or (number and (index is not None or not number.isdecimal())):
            raise RuntimeError(f"Expected one of {', '.join(KINDS)} device type at start of device string: {type}")
        if number:
            index = int(number)
        self = str.__new__(cls, kind if index is None else f"{kind}:{index}")
        self.type, self.index = kind, index
        return self

    def __repr__(self) -> str:
        return f"device(type={self.type!r}{'' if self.index is None else f', index={self.index}'})"

    def __reduce__(self) -> Any:
        return device, (str(self),)


class layout(str):
    """How the elements lie in memory: ``tinydl.strided`` is the only one."""

    def __repr__(self) -> str:
        return f"tinydl.{self}"


class memory_format(layout):
    """PyTorch's names for the order of dimensions in memory."""


CPU = device("cpu")
CUDA = device("cuda")
STRIDED = layout("strided")


def gpu(which: Any = None) -> device:
    """The GPU that ``.cuda(which)`` means: a number, a name, or the default one. Raises RuntimeError for a CPU."""
    found = CUDA if which is None else device("cuda", which) if isinstance(which, int) else device(which)
    if found.type != "cuda":
        raise RuntimeError(f"Invalid device, must be cuda device, got '{found}'; write to('{found}')")
    return found
