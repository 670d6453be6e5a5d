"""Changing a tensor: what its in-place methods and assignments mean.

An *unrecorded* change (under ``no_grad``, or where nothing needs a gradient) writes memory and advances the version
that all views share, so that a backward pass that needs the old value says so. A *recorded* one computes out of place
and rebinds the handle: what was saved stays valid. A recorded change of a view rebinds its base to a copy in which the
view is changed, and views taken earlier are taken anew when next used. Leaves refuse a recorded change.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.autograd.mode import ANOMALY, mode
from tinydl.devices import ELSEWHERE, beside
from tinydl.ops import casting, indexing, shaping, slicing
from tinydl.size import sizes_of


def address(array: Any) -> int:
    """Where an array's first element lies."""
    if type(array) is np.ndarray:
        return array.__array_interface__["data"][0]  # type: ignore[no-any-return]
    return array.data.ptr if hasattr(array.data, "ptr") else array.__array_interface__["data"][0]  # type: ignore[no-any-return]


def may_write(array: Any) -> bool:
    """Whether an array may be written; those of a GPU always may."""
    return type(array) in ELSEWHERE or array.flags.writeable


def places_in(array: Any, begin: int) -> tuple[int, tuple[int, ...]]:
    """Where in the memory that begins at ``begin`` an array starts, and its strides; in elements."""
    return (address(array) - begin) // array.itemsize, tuple(s // array.itemsize for s in array.strides)


def _same_memory(a: Any, b: Any) -> bool:
    return (
        type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and a.strides == b.strides
        and address(a) == address(b)
    )  # fmt: skip


class Writing:
    """The mechanism, and the methods that are no operation's in-place form; a base of :class:`tinydl.Tensor`."""

    __slots__ = ()

    array: Any
    node: Any
    needs_grad: bool
    ver: list[int] | None
    taken: int | None
    base: Any

    def _in_place(self: Any, op: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Replace the value by ``op(self, *args)``: recorded by rebinding, unrecorded by writing memory."""
        name = getattr(op, "__name__", "an operation")
        needs = self._has_history()
        for a in args:
            needs = needs or (isinstance(a, Writing) and a.needs_grad)
        for a in kwargs.values():
            needs = needs or (isinstance(a, Writing) and a.needs_grad)
        if needs and mode.on:
            self._refuse_recorded(f"{name}_")
            self._rebind(op(self, *args, **kwargs), name)
            return self
        self._refuse_stale(f"{name}_")
        before, mode.on = mode.on, False
        try:
            out = op(self, *args, **kwargs)
        finally:
            mode.on = before
        self._fits(out, name)
        try:
            self.array[...] = out.array
        except ValueError:
            self._refuse_unwritable(f"{name}_")
        self.bump()
        return self

    def _refuse_unwritable(self: Any, name: str) -> None:
        """Raise in PyTorch's words for memory that must not be written (where there is an element to write)."""
        if self.array.size and not may_write(self.array):
            raise RuntimeError(
                f"{name}: unsupported operation: more than one element of the written-to tensor of shape "
                f"{tuple(self.shape)} refers to a single memory location (it was expanded), or its array is read-only. "
                "Please clone() the tensor before performing the operation."
            ) from None

    def _refuse_recorded(self: Any, name: str) -> None:
        """A recorded change in place is not for leaves; and of a view, its base must be known and have its history."""
        self._refuse_leaf(name)
        if self.taken is None:
            return
        self._refuse_stale(name)
        base = self.base
        if base is None or self.ver is not base.ver or not base.array.flags.c_contiguous:
            raise RuntimeError(
                f"{name}: this tensor of shape {tuple(self.shape)} shares memory with one that it is no view of (by "
                "detach(), or of one that is not contiguous) and cannot be changed in place while recording; compute "
                "out of place, as in x = x + y"
            )
        if base.needs_grad and base.node is None:
            raise RuntimeError(
                f"a view of a leaf Variable that requires grad is being used in an in-place operation ({name} on shape "
                f"{tuple(self.shape)}); put it under no_grad() or compute out of place"
            )
        if base.needs_grad and not self.needs_grad:
            raise RuntimeError(
                f"{name}: a view of shape {tuple(self.shape)} was created in no_grad mode and is being modified "
                "inplace with grad mode enabled; take the view while recording"
            )
        self._refuse_unwritable(name)

    def _refuse_leaf(self: Any, name: str) -> None:
        """A leaf that requires a gradient does not change while recording."""
        if self.needs_grad and self.node is None:
            raise RuntimeError(
                f"a leaf Variable that requires grad is being used in an in-place operation ({name} on shape "
                f"{tuple(self.shape)}); put it under no_grad() or compute out of place"
            )

    def _has_history(self: Any) -> bool:
        """Whether a change of this tensor is one of something that needs a gradient."""
        return self.needs_grad or (self.taken is not None and self.base is not None and self.base.needs_grad)

    def _is_free(self: Any) -> bool:
        """Of a view: whether its memory may be written at once."""
        return self.taken == self.ver[1] and not (mode.on and self._has_history())

    def _is_stale(self: Any) -> bool:
        """Whether this is a view whose base was rebound since it was taken."""
        return self.taken is not None and self.taken != self.ver[1]

    def _take_anew(self: Any, name: str) -> None:
        """Of a stale view: have the same places of the base's memory now, and their history.

        Raises RuntimeError where they are not known.
        """
        if not self._could_take_anew():
            raise RuntimeError(
                f"{name}: this tensor of shape {tuple(self.array.shape)} is a view of a tensor that a recorded "
                "in-place operation has replaced since; take the view again after the in-place operation"
            )
        start, steps = places_in(self.array, self.ver[2])
        before, mode.on = mode.on, (ANOMALY if mode.anomaly else True)  # a history is needed also under no_grad
        try:
            new = slicing.strided(self.base, size=self.array.shape, steps=steps, start=start)
        finally:
            mode.on = before
        if not may_write(self.array):  # expanded
            new.array.flags.writeable = False
        self.array, self.node, self.needs_grad = new.array, new.node, new.needs_grad
        self.ver, self.taken = new.ver, new.taken

    def _could_take_anew(self: Any) -> bool:
        known = self.base is not None and len(self.ver) > 2 and self.ver[2] is not None
        return known and self.base.array.flags.c_contiguous and not (self.needs_grad and self.node is None)

    def _look(self: Any) -> None:
        """Take a stale view anew where that can be done: what is asked of it next should be answered either way."""
        if self._is_stale() and self._could_take_anew():
            self._take_anew("view")

    def _replace(self: Any, src: Any, name: str) -> Any:
        """Take the elements of ``src`` (broadcast, converted, from any device): the old ones get gradients of zero."""
        src._refuse_stale(name)
        if type(src.array) is not type(self.array):
            src = src.to(self.device)
        if mode.on and (self._has_history() or src.needs_grad):
            self._refuse_recorded(name)
            new = shaping.expand(src.to(self.dtype), self.shape)
            self._rebind(indexing.overwrite(self, new, index=(Ellipsis,)), name)
            return self
        self._refuse_stale(name)
        self._refuse_unwritable(name)
        try:
            self.array[...] = src.array
        except ValueError:
            self._refuse_unwritable(name)
            if not may_write(self.array) and shaping.broadcast_shapes(self.shape, src.shape) == self.shape:
                return self  # nothing to write
            raise RuntimeError(
                f"{name}: a source of shape {src.array.shape} cannot be broadcast to shape {self.array.shape}"
            ) from None
        self.bump()
        return self

    def _fits(self: Any, out: Any, name: str) -> None:
        if out.shape != self.shape:
            raise RuntimeError(
                f"{name}_: output with shape {list(self.shape)} doesn't match the broadcast shape {list(out.shape)}"
            )
        if out.dtype != self.dtype and "buif".index(out.dtype.kind) > "buif".index(self.dtype.kind):
            raise RuntimeError(
                f"{name}_: result type {out.dtype} can't be cast to the desired output type {self.dtype}; compute out "
                "of place, or convert with .to()"
            )

    def _rebind(self: Any, out: Any, name: str) -> None:
        """Become ``out``, the result of a recorded operation; what was saved of the old value stays valid."""
        self._fits(out, name)
        if out.dtype != self.dtype:
            out = casting.cast(out, dtype=self.dtype)
        if self.taken is not None:
            self._write_through(out, name)
            return
        if self.ver is not None:
            self.ver[1] += 1  # views of the old memory must be taken anew, which takes knowing where it began
            self.ver[2:] = [address(self.array) if self.array.flags.c_contiguous else None]
        self._keep_with(out)
        self.array, self.node, self.needs_grad = out.array, out.node, out.needs_grad
        self.ver, self.taken = out.ver, None

    def _write_through(self: Any, out: Any, name: str) -> None:
        """A view becomes ``out``: its base is rebound to a copy of itself with ``out`` at the view's places, and the
        view taken of that. Other views of the base are stale then."""
        base, seen = self.base, self.array
        start, steps = places_in(seen, address(base.array))
        whole = slicing.strided_overwrite(base, out, size=seen.shape, steps=steps, start=start)
        base._rebind(whole, name)
        self._keep_with(out)
        self.array = slicing.strided(base.detach(), size=seen.shape, steps=steps, start=start).array
        self.node, self.needs_grad, self.ver = out.node, out.needs_grad, base.cell()
        self.taken = self.ver[1]

    def _keep_with(self: Any, out: Any) -> None:
        """After ``retain_grad``, .grad is to be that of the value this handle has from now on."""
        if self.retains_grad and out.node is not None:
            old = self._extra("kept")
            kept = next(keep for keep in old if keep.tensor() is self)
            old.remove(kept)
            out._extra("kept").append(kept)

    def _reshape_in_place(self: Any, op: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Take the shape that ``op`` gives: no memory is written."""
        name = f"{op.__name__}_"
        self._refuse_stale(name)
        if mode.on and self.needs_grad:
            self._refuse_leaf(name)
        out = op(self, *args, **kwargs)
        if out.node is not None:
            self._keep_with(out)
            self.node = out.node
        self.array = out.array
        return self

    def resize_(self: Any, *size: Any, memory_format: Any = None) -> Any:
        """Another shape: the first elements in order, and zeros (in PyTorch, anything) where it has more.

        Raises RuntimeError for a tensor that requires a gradient, or whose memory is another's, or in another order.
        """
        shape = sizes_of(size)
        if self._has_history():
            raise RuntimeError("cannot resize variables that require grad; use reshape, or resize x.detach()")
        if shape == self.array.shape:
            return self
        if self.taken is not None or not self.array.flags.c_contiguous:
            raise RuntimeError(
                f"resize_: a tensor of shape {tuple(self.shape)} that is a view, or is not contiguous, cannot get the "
                f"shape {shape}; clone() it first"
            )
        count, old = math.prod(shape), self.array.reshape(-1)
        if count > old.size:
            old = np.concatenate([old, np.zeros_like(old, shape=(count - old.size,))])
            self.ver = None  # a memory of its own
        self.array = old[:count].reshape(shape)
        return self

    def resize_as_(self: Any, the_template: Any, memory_format: Any = None) -> Any:
        """:meth:`resize_` to the shape of another tensor."""
        return self.resize_(*the_template.shape)

    def fill_(self: Any, value: Any) -> Any:
        """Every element becomes ``value``."""
        if isinstance(value, Writing):
            if rank := len(value.array.shape):
                raise RuntimeError(
                    f"fill_ only supports 0-dimension value tensor but got tensor with {rank} dimensions, of "
                    f"shape {value.array.shape}; use copy_"
                )
            return self._replace(value, "fill_")
        return self._replace(self._from_array(beside(casting.held(value, self.dtype), self.array)), "fill_")

    def zero_(self: Any) -> Any:
        """Every element becomes 0."""
        return self._replace(self._from_array(np.zeros_like(self.array, shape=())), "zero_")

    def apply_(self: Any, callable: Callable[[Any], Any]) -> Any:
        """``callable`` of each element, one Python call an element: slow, and nothing is recorded."""
        if self.needs_grad:
            raise RuntimeError(
                "Can't call apply_() on Tensor that requires grad. Use tensor.detach().apply_() instead."
            )
        found = [callable(v) for v in self.array.reshape(-1).tolist()]
        return self.copy_(self._from_array(np.array(found, self.dtype).reshape(self.shape)))

    def copy_(self: Any, src: Any, non_blocking: Any = False) -> Any:
        """Elements of ``src`` (broadcast, converted to this dtype)."""
        return self._replace(src if isinstance(src, Writing) else self._wrap(src), "copy_")

    def __setitem__(self: Any, index: Any, value: Any) -> None:
        """``self[index] = value``; a recorded assignment rebinds this handle to a copy."""
        self._refuse_stale("setitem")
        if not (mode.on and self._has_history()):  # the usual cases; what is wrong is said below, in PyTorch's words
            kind = type(value)
            if kind is float or kind is int:
                plain = value
            elif kind is type(self) and value.taken is None and not (mode.on and value.needs_grad):
                plain = value.array if value.array.dtype is self.array.dtype else None
                if type(plain) is not type(self.array):
                    plain = None
            else:
                plain = None
            if plain is not None:
                try:
                    if indexing.simple(index):
                        self.array[index] = plain
                        self.bump()
                        return
                    parts = indexing.parts_of(index, False)
                    if parts is not None:
                        view, arrays = parts
                        if arrays is None:
                            self.array[view] = plain
                        else:
                            (self.array[view] if view else self.array)[arrays] = plain
                        self.bump()
                        return
                except (IndexError, ValueError, TypeError, OverflowError):
                    pass
        view, arrays = indexing.index_of(index, self.shape)
        given: Any = value if isinstance(value, Writing) else None
        new: Any
        if given is not None:
            given._refuse_stale("setitem")
            if given.device != self.device:
                if len(given.shape):
                    raise RuntimeError(
                        "setitem: Expected all tensors to be on the same device, but found at least two devices, "
                        f"{self.device} and {given.device}! Move the value of shape {tuple(given.shape)} with .to()"
                    )
                given = given.to(self.device)
            new = given.to(self.dtype)
        else:
            new = np.asarray(value)
            whole = self.array.dtype.kind in "iu"
            if new.dtype.kind == "O" or whole and new.dtype.kind == "f" and not np.isfinite(new).all():
                raise RuntimeError(f"setitem: value cannot be converted to type {self.dtype} without overflow")
            new = beside(new.astype(self.dtype), self.array)
        region = self.array[(*view, ...)]
        recorded = mode.on and (self._has_history() or (given is not None and given.needs_grad))
        if recorded:
            self._refuse_recorded("setitem")
        if arrays is None and given is not None and _same_memory(region, new.array):
            # Of `x[0] += y`, which Python reads as `v = x[0]; v += y; x[0] = v`, the last step. A sharer of the memory
            # without the history (detach) is another value: it has no gradient.
            own = given.taken is not None and given.base is (self if self.taken is None else self.base)
            if not recorded or (own and given.needs_grad):
                return
        try:
            if rank := len(new.shape):  # leading ones are dropped
                lead = rank - (region if arrays is None else region[arrays]).ndim
                if lead > 0 and new.shape[:lead] == (1,) * lead:
                    new = new.reshape(new.shape[lead:])
            if recorded:
                self._rebind(indexing.overwrite(self, new, index=view, then=arrays), "setitem")
                return
            region[... if arrays is None else arrays] = new if given is None else new.array
        except (ValueError, TypeError):  # the latter of what NumPy will not broadcast to where a mask holds
            self._refuse_unwritable("setitem")
            if not self.array.size and not may_write(self.array):
                return  # nothing to write
            raise RuntimeError(
                f"shape mismatch: value tensor of shape {list(new.shape)} cannot be broadcast to indexing result of "
                f"shape {list(region.shape if arrays is None else region[arrays].shape)}"
            ) from None
        self.bump()
