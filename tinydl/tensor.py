"""The Tensor: one array, and how it came about.

Its methods are PyTorch's, and most *are* the operations (``Tensor.exp = elementwise.exp``): the class is a table of
names. What is written out here is construction, in-place operations, protocols and printing.

In place. An *unrecorded* in-place operation (under ``no_grad``, or where nothing needs a gradient) writes memory and
advances the version that all views share, so that a backward pass that needs the old value says so. A *recorded* one
computes
out of place and rebinds this handle: what was saved stays valid. It is refused on leaves and on views, and a view
taken earlier refuses to be used afterwards.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinydl import dtypes
from tinydl.autograd import engine
from tinydl.autograd import primitives as _primitives
from tinydl.autograd.mode import mode
from tinydl.in_place import InPlace
from tinydl.ops import (
    axes,
    casting,
    comparing,
    counting,
    elementwise,
    extrema,
    formulas,
    indexing,
    products,
    reducing,
    rounding,
    scanning,
    shaping,
    sorting,
    special,
)  # fmt: skip
from tinydl.ops.ufuncs import COUNTERPARTS


def as_array(data: Any, dtype: Any = None) -> Any:
    """``data`` as an array of a dtype the engine knows; numbers of Python follow PyTorch's defaults."""
    if isinstance(data, Tensor):
        data = data.data
    if type(data) is np.ndarray or type(data).__module__.partition(".")[0] == "cupy":
        array = data
    elif isinstance(data, np.generic):
        array = np.asarray(data)
    else:
        if isinstance(data, (list, tuple)):
            data = _plain(data)
        try:
            array = np.asarray(data)
        except ValueError as error:
            raise ValueError(f"tensor: the nested sequence is ragged ({error}); give rows of one length") from None
        if (
            dtype is None
            and array.dtype == np.float64
            and not hasattr(data, "__array__")
            and not _has_numpy_scalar(data)
        ):
            array = array.astype(dtypes.get_default_dtype())
    if dtype is not None:
        want = dtypes.as_dtype(dtype)
        return array if array.dtype == want else array.astype(want)
    if array.size == 0 and isinstance(data, (list, tuple)):
        return array.astype(dtypes.get_default_dtype())
    if array.dtype.name not in dtypes._NAMES:
        raise TypeError(
            f"tensor: can't convert an array of dtype {array.dtype}; the supported dtypes are "
            f"{', '.join(sorted(dtypes._NAMES))}"
        )
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _plain(data: Any) -> Any:
    """Tensors inside nested sequences become arrays."""
    if isinstance(data, Tensor):
        return data.data
    return [_plain(d) for d in data] if isinstance(data, (list, tuple)) else data


def _has_numpy_scalar(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.generic, np.ndarray))


class Tensor(InPlace):
    """An n-dimensional array that remembers the operations it came from.

    data
        Anything ``numpy.asarray`` takes. An array is wrapped without copying (``tinydl.tensor`` copies); Python floats
        become the default dtype, float32.
    requires_grad
        Record what is computed from this tensor, so that :meth:`backward` fills :attr:`grad`. Floating dtypes only.

    >>> import tinydl
    >>> x = tinydl.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4., 6.])
    """

    # ver:   [writes to memory, rebinds], shared by all views of one memory; made when first needed
    # taken: for a view, how often its base had been rebound when it was taken; None for what is no view
    __slots__ = ("data", "grad", "needs_grad", "node", "ver", "taken", "__weakref__")

    data: Any
    grad: Any
    needs_grad: bool
    node: Any
    ver: list[int] | None
    taken: int | None

    def __init__(self, data: Any, requires_grad: bool = False, dtype: Any = None) -> None:
        self.data = as_array(data, dtype)
        self.grad = self.node = self.ver = self.taken = None
        self.needs_grad = False
        if requires_grad is not True and requires_grad is not False:
            raise TypeError(
                f"Tensor(data, requires_grad) got {requires_grad!r} for requires_grad; to make one of given sizes use "
                "zeros() or empty()"
            )
        if isinstance(data, Tensor) and self.data is data.data:  # one memory, one version
            data._refuse_stale("Tensor")
            self.ver = data.cell()
            self.taken = self.ver[1]
        if requires_grad:
            self.requires_grad = True

    # ------------------------------------------------------------------------------------ used by the engine

    @classmethod
    def _from_array(cls, array: Any) -> Tensor:
        """A leaf around an array that is known to be fit."""
        self = object.__new__(Tensor)
        self.data = array
        self.grad = self.node = self.ver = self.taken = None
        self.needs_grad = False
        return self

    @classmethod
    def _from_graph(cls, array: Any, node: Any, cell: Any) -> Tensor:
        """A saved array, attached to the node that made it."""
        self = Tensor._from_array(array)
        self.node, self.ver, self.needs_grad = node, cell, True
        return self

    def cell(self) -> list[int]:
        """The version cell: [writes to memory, rebinds]."""
        if self.ver is None:
            self.ver = [0, 0]
        return self.ver

    def _refuse_stale(self, name: str) -> None:
        if self.taken is not None and self.ver is not None and self.taken != self.ver[1]:
            _primitives._stale(self, name)

    def bump(self) -> None:
        """Declare that the memory was written outside the engine (by a kernel, by NumPy): stale saved values are then
        detected."""
        if self.ver is None:
            self.ver = [1, 0]
        else:
            self.ver[0] += 1

    # --------------------------------------------------------------------------------------------- properties

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded. Setting it is for leaves of floating dtype."""
        return self.needs_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self.data.dtype.kind != "f":
            raise RuntimeError(
                f"only Tensors of floating point dtype can require gradients, got {self.data.dtype}; "
                "convert it with .float()"
            )
        if not value and self.node is not None:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables; use detach() to get a "
                "tensor without history"
            )
        self.needs_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set :attr:`requires_grad` in place."""
        self.requires_grad = requires_grad
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return self.data.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> np.dtype[Any]:
        """A NumPy dtype."""
        return self.data.dtype  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self.data.ndim  # type: ignore[no-any-return]

    @property
    def device(self) -> str:
        """``"cpu"`` or ``"cuda"``: where the array lives."""
        return "cpu" if isinstance(self.data, np.ndarray) else "cuda"

    @property
    def is_leaf(self) -> bool:
        """Made by a user, not by a recorded operation."""
        return self.node is None

    @property
    def grad_fn(self) -> Any:
        """The node that made this tensor, or None."""
        return self.node

    @property
    def T(self) -> Tensor:
        """All dimensions reversed."""
        return shaping.permute_axes(self, axes=tuple(range(self.ndim))[::-1])  # type: ignore[no-any-return]

    @property
    def mT(self) -> Tensor:
        """The last two dimensions exchanged."""
        if self.ndim < 2:
            raise RuntimeError(
                f"tensor.mT is only supported on matrices or batches of matrices. Got {self.ndim}-D tensor."
            )
        return products.swap_last(self)  # type: ignore[no-any-return]

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        return self.data.shape if dim is None else self.data.shape[axes.one_axis(dim, self.data.ndim)]

    def dim(self) -> int:
        """Number of dimensions."""
        return self.data.ndim  # type: ignore[no-any-return]

    def numel(self) -> int:
        """Number of elements."""
        return int(self.data.size)

    nelement = numel

    def element_size(self) -> int:
        """Bytes of one element."""
        return int(self.data.itemsize)

    def stride(self) -> tuple[int, ...]:
        """Strides in elements."""
        return tuple(s // self.data.itemsize for s in self.data.strides)

    def is_contiguous(self) -> bool:
        """Whether the elements lie in row-major order without gaps."""
        return bool(self.data.flags.c_contiguous)

    def contiguous(self) -> Tensor:
        """Itself when contiguous, else a contiguous copy."""
        return self if self.data.flags.c_contiguous else casting.contiguous(self)

    def is_floating_point(self) -> bool:
        """Whether the dtype is floating."""
        return self.data.dtype.kind == "f"  # type: ignore[no-any-return]

    def data_ptr(self) -> int:
        """Address of the first element."""
        return int(self.data.__array_interface__["data"][0])

    # ----------------------------------------------------------------------------------------------- gradients

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
    ) -> None:
        """Add d(self)/d(leaf) to ``.grad`` of every leaf; see :func:`tinydl.autograd.backward`."""
        engine.backward(self, None if gradient is None else [gradient], retain_graph, create_graph, inputs)

    def retain_grad(self) -> None:
        """Keep the gradient of a tensor that is no leaf in its ``.grad``."""
        if not self.needs_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self.node is not None and not any(isinstance(hook, _Keep) for hook in self._hooks()):
            self._hooks().append(_Keep(self))

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Hook:
        """Call ``hook`` with the gradient of this tensor during backward; what it returns (unless None) replaces it.

        For tensors made by an operation. Returns a handle whose ``remove()`` takes the hook away.
        """
        if self.node is None:
            raise RuntimeError(
                "register_hook is for tensors made by an operation; read .grad of a leaf after backward instead"
            )
        handle = Hook(hook, self._hooks())
        self._hooks().append(handle)
        return handle

    def _hooks(self) -> list[Any]:
        if self.node.extra is None:
            self.node.extra = {}
        return self.node.extra.setdefault("hooks", [])  # type: ignore[no-any-return]

    def detach(self) -> Tensor:
        """The same memory without history."""
        self._refuse_stale("detach")
        out = Tensor._from_array(self.data)
        out.ver = self.cell()
        out.taken = out.ver[1]
        return out

    def detach_(self) -> Tensor:
        """Forget the history of this tensor."""
        self.node, self.needs_grad = None, False
        return self

    def clone(self) -> Tensor:
        """A copy; gradients flow through."""
        return casting.clone(self)  # type: ignore[no-any-return]

    # ------------------------------------------------------------------------------------------- conversions

    def to(self, *args: Any, dtype: Any = None, copy: bool = False, **_: Any) -> Tensor:
        """In another dtype; ``to("cpu")`` and ``to(other)`` are understood. Itself when nothing changes."""
        for a in args:
            if isinstance(a, Tensor):
                dtype = a.dtype
            elif isinstance(a, str) and a.partition(":")[0] in ("cpu", "cuda"):
                if a.partition(":")[0] != self.device:
                    raise RuntimeError(f"to({a!r}): no CUDA backend is available for this tensor; stay on 'cpu'")
            elif a is not None:
                dtype = a
        if dtype is not None:
            want = dtypes.as_dtype(dtype)
            if want != self.data.dtype:
                return casting.cast(self, dtype=want)  # type: ignore[no-any-return]
        return self.clone() if copy else self

    def type(self, dtype: Any) -> Tensor:
        """In another dtype."""
        return self.to(dtype)

    def float(self) -> Tensor:
        """As float32."""
        return self.to(dtypes.float32)

    def double(self) -> Tensor:
        """As float64."""
        return self.to(dtypes.float64)

    def long(self) -> Tensor:
        """As int64."""
        return self.to(dtypes.int64)

    def int(self) -> Tensor:
        """As int32."""
        return self.to(dtypes.int32)

    def bool(self) -> Tensor:
        """As bool."""
        return self.to(dtypes.bool)

    def cpu(self) -> Tensor:
        """Itself: this tensor is on the CPU."""
        return self.to("cpu")

    def numpy(self) -> Any:
        """The array itself (shared memory). Raises RuntimeError for a tensor that requires a gradient."""
        if self.needs_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        self._refuse_stale("numpy")
        return self.data

    def item(self) -> Any:
        """The only element, as a Python number."""
        self._refuse_stale("item")
        if self.data.size != 1:
            raise RuntimeError(
                f"a Tensor with {self.data.size} elements cannot be converted to Scalar; its shape is "
                f"{tuple(self.shape)}"
            )
        return self.data.item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        self._refuse_stale("tolist")
        return self.data.tolist()

    def __float__(self) -> Any:
        return self.item().__float__()

    def __int__(self) -> Any:
        return self.item().__int__()

    def __index__(self) -> Any:
        if self.data.dtype.kind not in "iub":
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return self.item().__index__()

    def __bool__(self) -> Any:
        if self.data.size != 1:
            raise RuntimeError(
                f"Boolean value of Tensor with {'no' if not self.data.size else 'more than one'} "
                f"value{'s' if not self.data.size else ''} is ambiguous"
            )
        return self.data.item().__bool__() if self.data.dtype.kind == "b" else self.data.item() != 0

    def __len__(self) -> Any:
        if not self.data.ndim:
            raise TypeError("len() of a 0-d tensor")
        return len(self.data)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.data.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter(shaping.unbind(self))

    def __contains__(self, value: Any) -> Any:
        return (self.data == as_array(value)).any().item()

    def __hash__(self) -> Any:
        return id(self)

    def __repr__(self) -> str:
        body = np.array2string(
            self.data, separator=", ", prefix="tensor(", precision=4, suppress_small=False, floatmode="maxprec"
        )
        default = self.data.dtype in (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool)
        extra = "" if default else f", dtype=tinydl.{self.data.dtype.name}"
        if not self.data.size:
            body = "[]"
            extra = (f", size={tuple(self.shape)}" if self.ndim > 1 else "") + extra
        if self.node is not None:
            extra += f", grad_fn={self.node!r}"
        elif self.needs_grad:
            extra += ", requires_grad=True"
        return f"tensor({body}{extra})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.data.size == 1 else repr(self)

    # ------------------------------------------------------------------------------------------------ protocols

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if self.needs_grad and mode.on:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        if copy is False and dtype is not None and np.dtype(dtype) != self.data.dtype:
            raise ValueError(f"a tensor of dtype {self.data.dtype} cannot become {np.dtype(dtype)} without a copy")
        array = self.data if dtype is None else self.data.astype(dtype, copy=False)
        return array.copy() if copy and array is self.data else array

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """NumPy's functions on tensors are our operations; one without a counterpart raises TypeError."""
        op = COUNTERPARTS.get(ufunc)
        if method == "reduce" and ufunc is np.add and not set(kwargs) - {"axis", "keepdims"}:
            return reducing.sum(inputs[0], kwargs.get("axis", 0), kwargs.get("keepdims", False))
        if op is None or method != "__call__" or kwargs:
            raise TypeError(
                f"numpy.{ufunc.__name__}{'' if method == '__call__' else '.' + method} is not defined on tinydl tensors"
                f"{' with keyword arguments' if kwargs else ''}; use a tinydl operation, or tensor.detach().numpy()"
            )
        return op(*inputs)

    def __dlpack__(self, **kwargs: Any) -> Any:
        if self.needs_grad:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        return self.data.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        return self.data.__dlpack_device__()

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        if self.node is not None:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the "
                "moment; detach() it first"
            )
        new = object.__new__(self.__class__)
        Tensor.__init__(new, self.data.copy())
        new.needs_grad = self.needs_grad
        memo[id(self)] = new
        new.grad = None if self.grad is None else self.grad.__deepcopy__(memo)
        return new

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.node is not None:
            raise RuntimeError("a tensor with history does not travel between processes; detach() it first")
        return _rebuild, (self.__class__, self.data, self.needs_grad)

    # ------------------------------------------------------------------------------------------------- in place

    def _in_place(self, op: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
        """Replace the value by ``op(self, *args)``: recorded by rebinding, unrecorded by writing memory."""
        name = getattr(op, "__name__", "an operation")
        needs = self.needs_grad
        for a in args:
            needs = needs or (isinstance(a, Tensor) and a.needs_grad)
        if needs and mode.on:
            if self.needs_grad and self.node is None:
                raise RuntimeError(
                    f"a leaf Variable that requires grad is being used in an in-place operation ({name}_ on shape "
                    f"{tuple(self.shape)}); "
                    "put it under no_grad() or compute out of place"
                )
            if self.taken is not None:
                raise RuntimeError(
                    f"{name}_: a view (of shape {tuple(self.shape)}) cannot be changed in place while recording; "
                    "compute out of place, as in x = x + y, or assign to the base: base[index] = value"
                )
            self._rebind(op(self, *args, **kwargs), name)
            return self
        self._refuse_stale(f"{name}_")
        before, mode.on = mode.on, False
        try:
            out = op(self, *args, **kwargs)
        finally:
            mode.on = before
        self._fits(out, name)
        self.data[...] = out.data
        self.bump()
        return self

    def _fits(self, out: Tensor, name: str) -> None:
        if out.shape != self.shape:
            raise RuntimeError(
                f"{name}_: output with shape {list(self.shape)} doesn't match the broadcast shape {list(out.shape)}"
            )
        if out.dtype != self.dtype and "buif".index(out.dtype.kind) > "buif".index(self.dtype.kind):
            raise RuntimeError(
                f"{name}_: result type {out.dtype} can't be cast to the desired output type {self.dtype}"
            )

    def _rebind(self, out: Tensor, name: str) -> None:
        self._fits(out, name)
        if out.dtype != self.dtype:
            out = casting.cast(out, dtype=self.dtype)
        if self.ver is not None:
            self.ver[1] += 1  # views taken of the old memory are stale now
        if self.node is not None and self.node.extra and out.node is not None:
            hooks = self.node.extra.get("hooks", [])
            kept = [hook for hook in hooks if isinstance(hook, _Keep) and hook.tensor() is self]
            if kept:  # .grad is to be that of the value this handle has from now on
                hooks.remove(kept[0])
                out._hooks().append(kept[0])
        self.data, self.node, self.needs_grad, self.ver, self.taken = out.data, out.node, out.needs_grad, out.ver, None

    def masked_fill_(self, mask: Any, value: Any) -> Tensor:
        """``value`` where ``mask`` holds."""
        return self._in_place(indexing.masked_fill, mask, value)

    def fill_(self, value: Any) -> Tensor:
        """Every element becomes ``value``."""
        return self._in_place(_filled, value)

    def zero_(self) -> Tensor:
        """Every element becomes 0."""
        return self._in_place(_filled, 0)

    def copy_(self, src: Any) -> Tensor:
        """Elements of ``src`` (broadcast, converted to this dtype)."""
        src = src if isinstance(src, Tensor) else Tensor(src)
        return self._in_place(_copied, src.to(self.dtype))

    def __setitem__(self, index: Any, value: Any) -> None:
        self._refuse_stale("setitem")
        items, _ = indexing.index_of(index, self.shape)
        value = value if isinstance(value, Tensor) else np.asarray(value)
        value = value.to(self.dtype) if isinstance(value, Tensor) else value.astype(self.dtype)
        try:
            if mode.on and (self.needs_grad or (isinstance(value, Tensor) and value.needs_grad)):
                region = self.data[items]
                lead = value.ndim - region.ndim
                if lead > 0 and value.shape[:lead] == (1,) * lead:
                    value = value.reshape(value.shape[lead:])
                self._in_place(indexing.overwrite, value, index=items)
                return
            self.data[items] = value.data if isinstance(value, Tensor) else value
        except ValueError:
            raise RuntimeError(
                f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to indexing result of "
                f"shape {list(self.data[items].shape)}"
            ) from None
        self.bump()

    # ------------------------------------------------------------------------------- the table of operations

    __getitem__ = indexing.getitem
    # Operators are the primitives themselves; the functions with options (alpha, rounding_mode) stand under the names.
    __add__ = __radd__ = elementwise.add  # commutative: the order of operands does not change a bit
    __sub__ = elementwise.sub
    __mul__ = __rmul__ = mul = multiply = elementwise.mul
    __truediv__ = true_divide = elementwise.div
    __floordiv__ = floor_divide = elementwise.floor_divide
    __mod__ = remainder = elementwise.remainder
    __pow__ = pow = elementwise.pow
    __matmul__ = matmul = products.matmul
    __neg__ = neg = negative = elementwise.neg
    __pos__ = positive = elementwise.positive
    __abs__ = abs = absolute = elementwise.abs
    add, sub, div, fmod, float_power = formulas.add, formulas.sub, rounding.div, rounding.fmod, formulas.float_power
    subtract, divide = sub, div
    eq, ne = comparing.eq, comparing.ne
    __lt__ = lt = less = comparing.lt
    __le__ = le = less_equal = comparing.le
    __gt__ = gt = greater = comparing.gt
    __ge__ = ge = greater_equal = comparing.ge
    not_equal = comparing.ne
    __and__ = __rand__ = bitwise_and = comparing.bitwise_and
    __or__ = __ror__ = bitwise_or = comparing.bitwise_or
    __xor__ = __rxor__ = bitwise_xor = comparing.bitwise_xor
    __invert__ = bitwise_not = comparing.bitwise_not
    __lshift__ = bitwise_left_shift = comparing.bitwise_left_shift
    __rshift__ = bitwise_right_shift = comparing.bitwise_right_shift
    logical_and, logical_or, logical_xor, logical_not = (
        comparing.logical_and, comparing.logical_or, comparing.logical_xor, comparing.logical_not,
    )  # fmt: skip
    isnan, isfinite, isinf, isposinf, isneginf, isreal, signbit = (
        comparing.isnan, comparing.isfinite, comparing.isinf, comparing.isposinf, comparing.isneginf, comparing.isreal,
        comparing.signbit,
    )  # fmt: skip
    isclose, allclose, equal, is_nonzero = (
        comparing.isclose, comparing.allclose, comparing.equal, comparing.is_nonzero,
    )  # fmt: skip

    def __eq__(self, other: object) -> Any:
        return False if other is None else comparing.eq(self, other)

    def __ne__(self, other: object) -> Any:
        return True if other is None else comparing.ne(self, other)

    def __rsub__(self, other: Any) -> Any:
        return elementwise.sub(other, self)

    def __rtruediv__(self, other: Any) -> Any:
        return elementwise.div(other, self)

    def __rpow__(self, other: Any) -> Any:
        return elementwise.pow(other, self)

    def __rmatmul__(self, other: Any) -> Any:
        return products.matmul(other, self)

    def __rmod__(self, other: Any) -> Any:
        return elementwise.remainder(other, self)

    def __rfloordiv__(self, other: Any) -> Any:
        return elementwise.floor_divide(other, self)

    def __rlshift__(self, other: Any) -> Any:
        return comparing.bitwise_left_shift(other, self)

    def __rrshift__(self, other: Any) -> Any:
        return comparing.bitwise_right_shift(other, self)

    square, sqrt, rsqrt, reciprocal = elementwise.square, elementwise.sqrt, elementwise.rsqrt, elementwise.reciprocal
    exp, exp2, expm1, log, log2, log10, log1p = (
        elementwise.exp, elementwise.exp2, elementwise.expm1, elementwise.log, elementwise.log2, elementwise.log10,
        elementwise.log1p,
    )  # fmt: skip
    logaddexp, logaddexp2, xlogy, logit = (
        elementwise.logaddexp, elementwise.logaddexp2, elementwise.xlogy, formulas.logit,
    )  # fmt: skip
    sin, cos, tan, sinh, cosh = (
        elementwise.sin, elementwise.cos, elementwise.tan, elementwise.sinh, elementwise.cosh,
    )  # fmt: skip
    asin = arcsin = elementwise.asin
    acos = arccos = elementwise.acos
    atan = arctan = elementwise.atan
    atan2 = arctan2 = elementwise.atan2
    asinh = arcsinh = elementwise.asinh
    acosh = arccosh = elementwise.acosh
    atanh = arctanh = elementwise.atanh
    hypot, copysign, deg2rad, rad2deg = (
        elementwise.hypot, elementwise.copysign, elementwise.deg2rad, elementwise.rad2deg,
    )  # fmt: skip
    erf, erfc, erfinv, lgamma, digamma, sinc = (
        special.erf, special.erfc, special.erfinv, special.lgamma, special.digamma, special.sinc,
    )  # fmt: skip
    tanh, sigmoid, relu = elementwise.tanh, elementwise.sigmoid, elementwise.relu
    sign = sgn = elementwise.sign
    floor, ceil, round, frac = rounding.floor, rounding.ceil, rounding.round, rounding.frac
    trunc = fix = rounding.trunc
    maximum, minimum, fmax, fmin = elementwise.maximum, elementwise.minimum, elementwise.fmax, elementwise.fmin
    clamp = clip = elementwise.clamp
    clamp_min, clamp_max = elementwise.clamp_min, elementwise.clamp_max
    lerp, addcmul, addcdiv = formulas.lerp, formulas.addcmul, formulas.addcdiv
    nan_to_num, heaviside = formulas.nan_to_num, formulas.heaviside

    def polygamma(self, n: Any) -> Any:
        """The n-th derivative of :func:`digamma`."""
        return special.polygamma(n, self)

    def where(self, condition: Any, other: Any) -> Any:
        """self where ``condition`` holds, else ``other``."""
        return elementwise.where(condition, self, other)

    sum, nansum, mean, nanmean, prod, var, std = (
        reducing.sum, reducing.nansum, reducing.mean, reducing.nanmean, reducing.prod, reducing.var, reducing.std,
    )  # fmt: skip
    norm, dist, count_nonzero, any, all = (
        reducing.norm, reducing.dist, reducing.count_nonzero, reducing.any, reducing.all,
    )  # fmt: skip
    logsumexp, softmax, log_softmax = reducing.logsumexp, reducing.softmax, reducing.log_softmax
    amax, amin, aminmax, max, min, argmax, argmin = (
        extrema.amax, extrema.amin, extrema.aminmax, extrema.max, extrema.min, extrema.argmax, extrema.argmin,
    )  # fmt: skip
    cumsum, cumprod, cummax, cummin, logcumsumexp, diff = (
        scanning.cumsum, scanning.cumprod, scanning.cummax, scanning.cummin, scanning.logcumsumexp, scanning.diff,
    )  # fmt: skip
    sort, argsort, msort, topk, kthvalue, median, nanmedian, mode, quantile = (
        sorting.sort, sorting.argsort, sorting.msort, sorting.topk, sorting.kthvalue, sorting.median,
        sorting.nanmedian, sorting.mode, sorting.quantile,
    )  # fmt: skip
    unique, unique_consecutive, bincount, histc = (
        counting.unique, counting.unique_consecutive, counting.bincount, counting.histc,
    )  # fmt: skip

    reshape, view, flatten = shaping.reshape, shaping.view, shaping.flatten
    permute, transpose, t = shaping.permute, shaping.transpose, shaping.t
    expand, broadcast_to, squeeze, unsqueeze = shaping.expand, shaping.broadcast_to, shaping.squeeze, shaping.unsqueeze
    split, chunk, unbind, flip = shaping.split, shaping.chunk, shaping.unbind, shaping.flip

    def view_as(self, other: Any) -> Any:
        """A view in the shape of ``other``."""
        return shaping.view(self, other.shape)

    def reshape_as(self, other: Any) -> Any:
        """In the shape of ``other``."""
        return shaping.reshape(self, other.shape)

    def expand_as(self, other: Any) -> Any:
        """Broadcast to the shape of ``other``."""
        return shaping.expand(self, other.shape)

    gather, index_select, masked_fill, masked_select, nonzero = (
        indexing.gather, indexing.index_select, indexing.masked_fill, indexing.masked_select, indexing.nonzero,
    )  # fmt: skip
    mm = products.matmul
    bmm, outer, dot = products.bmm, products.outer, products.dot


class Hook:
    """A function that a backward pass calls with a gradient; ``remove()`` ends that."""

    def __init__(self, function: Callable[[Tensor], Tensor | None], hooks: list[Any]) -> None:
        self._function, self._hooks = function, hooks

    def __call__(self, g: Any, create_graph: bool) -> Any:
        found = self._function(g if create_graph else Tensor._from_array(_primitives._as_array(g)))
        if found is None:
            return g
        if tuple(found.shape) != tuple(g.shape) or found.dtype != g.dtype:
            raise RuntimeError(
                f"a hook returned a gradient of shape {tuple(found.shape)} and dtype {found.dtype}, "
                f"expected {tuple(g.shape)} and {g.dtype}"
            )
        return found if create_graph else found.data

    def remove(self) -> None:
        """Take the hook away (once or more often)."""
        if self in self._hooks:
            self._hooks.remove(self)


class _Keep:
    """The hook of ``retain_grad``: it adds what arrives to the tensor's ``.grad``."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = weakref.ref(tensor)  # the tensor holds the node, which holds this

    def __call__(self, g: Any, create_graph: bool) -> Any:
        tensor = self.tensor()
        if tensor is not None and g is not None:
            new = g if create_graph else Tensor._from_array(np.array(g, copy=True))
            tensor.grad = new if tensor.grad is None else tensor.grad + new
        return g


def _filled(x: Tensor, value: Any) -> Tensor:
    """A tensor like ``x`` filled with ``value``; the old value gets no gradient."""
    filled = np.full(x.shape, value.item() if isinstance(value, Tensor) else value, x.dtype)
    return elementwise.nothing(x) + filled if x.dtype.kind == "f" else Tensor._from_array(filled)


def _copied(x: Tensor, src: Tensor) -> Tensor:
    return shaping.expand_to(src, shape=x.shape).clone()  # type: ignore[no-any-return]


def _rebuild(cls: type[Tensor], array: Any, needs_grad: bool) -> Tensor:
    new = object.__new__(cls)
    Tensor.__init__(new, array)
    new.needs_grad = needs_grad
    return new


_primitives.bind(Tensor)
