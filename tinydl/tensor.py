"""The Tensor: one array, and how it came about.

Its methods are PyTorch's, and most *are* the operations (``Tensor.exp = elementwise.exp``): the class is a table of
names. What is written out here is construction, in-place operations, protocols and printing.

What changes a tensor in place, assignment included, stands in :mod:`~tinydl.writing` and :mod:`~tinydl.in_place`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

import numpy as np

from tinydl import dtypes, printing
from tinydl.autograd import engine
from tinydl.autograd import primitives as _primitives
from tinydl.autograd.hooks import Handle, Keep, of_leaf, register
from tinydl.autograd.mode import mode
from tinydl.devices import CPU, ELSEWHERE, STRIDED, device, gpu, layout
from tinydl.in_place import InPlace
from tinydl.ops import (
    arranging,
    axes,
    casting,
    comparing,
    counting,
    elementwise,
    extrema,
    formulas,
    indexing,
    linalg,
    norms,
    padding,
    products,
    reducing,
    rounding,
    scanning,
    scattering,
    shaping,
    slicing,
    sorting,
    special,
    variance,
    vector_norms,
)
from tinydl.ops.ufuncs import COUNTERPARTS
from tinydl.size import SIZES, Size
from tinydl.writing import address, places_in


def as_array(data: Any, dtype: Any = None) -> Any:
    """``data`` as an array of a dtype the engine knows; numbers of Python follow PyTorch's defaults."""
    if isinstance(data, Tensor):
        data._refuse_stale("tensor")
        data = data.array
    if type(data) is np.ndarray or type(data) in ELSEWHERE:
        array = data
    elif type(data).__module__.partition(".")[0] == "cupy" and hasattr(data, "__cuda_array_interface__"):
        elsewhere("cuda")  # its type is known from now on
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
        if array.dtype == want:
            return array
        if want.kind in "iu" and array is not data and array.size:
            if array.dtype.kind in "iu" and bool(((found := array.astype(want)) == array).all()):
                return found
            _refuse_overflow(array, want)
        return array.astype(want)
    if array.size == 0 and isinstance(data, (list, tuple)):
        return array.astype(dtypes.get_default_dtype())
    if array.dtype in dtypes._KNOWN:  # as they are in memory here: no swapped bytes
        return array
    if array.dtype.name not in dtypes._NAMES:
        raise TypeError(
            f"tensor: can't convert an array of dtype {array.dtype}; the supported dtypes are "
            f"{', '.join(sorted(dtypes._NAMES))}"
        )
    return array.astype(array.dtype.newbyteorder("="))


def _refuse_overflow(array: Any, want: np.dtype[Any]) -> None:
    """Numbers of Python must fit into the integers asked for; negative ones may wrap around to unsigned ones."""
    most = int(np.iinfo(want).max)
    least = -most if want.kind == "u" else int(np.iinfo(want).min)
    fits = (array >= least) & (array <= most)
    for number in array[~fits][:1].tolist():
        raise RuntimeError(f"value {number} cannot be converted to type {want} without overflow")


def _plain(data: Any) -> Any:
    """Tensors inside nested sequences become arrays."""
    if isinstance(data, Tensor):
        data._refuse_stale("tensor")
        return data.array
    return [_plain(d) for d in data] if isinstance(data, (list, tuple)) else data


def _has_numpy_scalar(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.generic, np.ndarray))


def elsewhere(wanted: Any) -> Any:
    """:func:`tinydl.elsewhere.of`, which loads kernels."""
    from tinydl.elsewhere import of

    return of(wanted)


_bool, _int = bool, int  # the class has methods of these names


def _random_method(name: str) -> Callable[..., Any]:
    """A method that :mod:`tinydl.random` defines, found when it is called: random numbers load kernels."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        from tinydl.random import functions, in_place

        if "from" in kwargs:  # PyTorch's name, which Python keeps for itself
            kwargs["from_"] = kwargs.pop("from")
        return getattr(in_place if name.endswith("_") else functions, name)(self, *args, **kwargs)

    method.__name__, method.__qualname__ = name, f"Tensor.{name}"
    method.__doc__ = f"See :func:`tinydl.random.{'in_place' if name.endswith('_') else 'functions'}.{name}`."
    return method


class Tensor(InPlace):
    """An n-dimensional array that remembers the operations it came from.

    It is made by :func:`tinydl.tensor` and the other functions of :mod:`tinydl.creation`, or by an operation. Called
    itself, the class makes one of the default dtype, float32: ``Tensor(2, 3)`` of uninitialised memory,
    ``Tensor([1, 2])`` of data. ``array`` is the NumPy array that holds the elements.

    >>> import tinydl
    >>> x = tinydl.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4., 6.])
    """

    # ver:   [writes to memory, rebinds], shared by all views of one memory; made when first needed
    # taken: for a view, how often its base had been rebound when it was taken; None for what is no view
    # base:  for a view, the tensor whose memory it shows (no view itself), or None where that is not known (detach);
    #        unset otherwise
    # hooks: of a leaf (autograd/hooks.py); unset until one is registered, so that making a tensor costs nothing more
    __slots__ = ("array", "_grad", "needs_grad", "node", "ver", "taken", "base", "hooks", "__weakref__")

    array: Any
    _grad: Any
    needs_grad: bool
    node: Any
    ver: list[int] | None
    taken: int | None
    base: Any
    hooks: dict[str, list[Any]]

    def __init__(self, *data: Any, device: Any = None, **options: Any) -> None:
        from tinydl.typed import contents

        if options:
            raise TypeError(f"Tensor() takes no {', '.join(options)}; tinydl.tensor(data, dtype, requires_grad) does")
        given = contents("Tensor", dtypes.get_default_dtype(), data)
        array = given.array if isinstance(given, Tensor) else given
        self._hold(array if device is None else _moved(array, device))
        if isinstance(given, Tensor) and self.array is given.array:
            self._share(given)

    # ------------------------------------------------------------------------------------ used by the engine

    @classmethod
    def _from_array(cls, array: Any) -> Tensor:
        """A leaf around an array that is known to be fit."""
        self = object.__new__(Tensor)
        self.array = array
        self._grad = self.node = self.ver = self.taken = None
        self.needs_grad = False
        return self

    @classmethod
    def _wrap(cls, data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
        """A leaf around anything ``numpy.asarray`` takes; an array is not copied."""
        self = cls._from_array(as_array(data, dtype))
        if requires_grad:
            self.requires_grad = True
        return self

    def _hold(self, array: Any) -> None:
        """Begin as a leaf around an array that is known to be fit."""
        self.array = array
        self._grad = self.node = self.ver = self.taken = None
        self.needs_grad = False

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

    def _share(self, other: Tensor) -> None:
        """Have the memory of ``other``, and so its version; what was recorded of the one is not of the other."""
        self.ver = other.cell()
        self.taken, self.base = self.ver[1], None

    def _refuse_stale(self, name: str) -> None:
        if self._is_stale():
            self._take_anew(name)

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
        self._look()
        return self.needs_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self.array.dtype.kind != "f":
            raise RuntimeError(
                f"only Tensors of floating point dtype can require gradients, got {self.array.dtype}; "
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

    def _set_grad(self, value: Any) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(
                    f"assigned grad expected to be a Tensor or None but got grad of type {value.__class__.__name__}"
                )
            if value is self:
                raise RuntimeError("can't assign a tensor as its own grad; assign a copy of it")
            if value.shape != self.shape:
                raise RuntimeError(
                    f"attempting to assign a gradient of size '{list(value.shape)}' to a tensor of size "
                    f"'{list(self.shape)}'. Please ensure that the gradient and the tensor are the same size"
                )
            if value.dtype != self.dtype:
                raise RuntimeError(
                    f"attempting to assign a gradient with dtype '{value.dtype}' to a tensor of dtype '{self.dtype}'; "
                    "convert it with .to()"
                )
        self._grad = value

    # Reading it is a matter of C alone, since optimizers do so for every parameter in every step.
    grad = property(
        attrgetter("_grad"),
        _set_grad,
        lambda self: self._set_grad(None),
        "The gradient that backward passes have added up, a Tensor, or None.",
    )

    @property
    def shape(self) -> Size:
        """Sizes of the dimensions."""
        return SIZES[self.array.shape]

    @property
    def dtype(self) -> np.dtype[Any]:
        """A NumPy dtype."""
        return self.array.dtype  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self.array.ndim  # type: ignore[no-any-return]

    @property
    def device(self) -> device:
        """Where the array lives: ``device("cpu")``, which equals ``"cpu"``."""
        return CPU if isinstance(self.array, np.ndarray) else ELSEWHERE[type(self.array)].device

    @property
    def layout(self) -> layout:
        """``tinydl.strided``: sizes and strides in one memory."""
        return STRIDED

    @property
    def is_sparse(self) -> bool:
        """False: every tensor is dense."""
        return False

    @property
    def _version(self) -> int:
        """How often this memory was written in place, through this tensor or a view."""
        return self.ver[0] if self.ver is not None else 0

    @property
    def is_cuda(self) -> bool:
        """Whether the array lives on a GPU."""
        return not isinstance(self.array, np.ndarray)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.array.itemsize  # type: ignore[no-any-return]

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.array.size * self.array.itemsize  # type: ignore[no-any-return]

    @property
    def is_leaf(self) -> bool:
        """Made by a user, not by a recorded operation."""
        self._look()
        return self.node is None

    @property
    def grad_fn(self) -> Any:
        """The node that made this tensor, or None."""
        self._look()
        return self.node

    @property
    def T(self) -> Tensor:
        """All dimensions reversed."""
        return shaping.permute_axes(self, axes=_REVERSED[self.array.ndim])  # type: ignore[no-any-return]

    @property
    def mT(self) -> Tensor:
        """The last two dimensions exchanged."""
        if self.ndim < 2:
            raise RuntimeError(
                f"tensor.mT is only supported on matrices or batches of matrices. Got {self.ndim}-D tensor."
            )
        return products.swap_last(self)  # type: ignore[no-any-return]

    def size(self, dim: int | None = None) -> Any:
        """The shape (a :class:`~tinydl.size.Size`), or the size of one dimension."""
        return SIZES[self.array.shape] if dim is None else self.array.shape[axes.one_axis(dim, self.array.ndim)]

    def dim(self) -> int:
        """Number of dimensions."""
        return self.array.ndim  # type: ignore[no-any-return]

    ndimension = dim

    def numel(self) -> int:
        """Number of elements."""
        return int(self.array.size)

    nelement = numel

    def element_size(self) -> int:
        """Bytes of one element."""
        return int(self.array.itemsize)

    def stride(self, dim: int | None = None) -> Any:
        """Strides in elements, or that of one dimension."""
        steps = tuple(s // self.array.itemsize for s in self.array.strides)
        return steps if dim is None else steps[reducing.one_axis(dim, self.array.ndim)]

    def storage_offset(self) -> int:
        """Where the first element lies in the memory that this tensor is a view of, in elements."""
        base = self.array
        while isinstance(base.base, np.ndarray) or type(base.base) in ELSEWHERE:
            base = base.base
        return places_in(self.array, address(base))[0]

    def is_contiguous(self, memory_format: Any = "contiguous_format") -> bool:
        """Whether the elements lie in row-major order without gaps; in PyTorch's other ``memory_format`` none do."""
        return memory_format == "contiguous_format" and bool(self.array.flags.c_contiguous)

    def contiguous(self, memory_format: Any = None) -> Tensor:
        """Itself when contiguous, else a contiguous copy. ``memory_format`` changes nothing."""
        return self if self.array.flags.c_contiguous else casting.contiguous(self)

    def is_floating_point(self) -> bool:
        """Whether the dtype is floating."""
        return self.array.dtype.kind == "f"  # type: ignore[no-any-return]

    def data_ptr(self) -> int:
        """Address of the first element."""
        return address(self.array)

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
        if self.node is not None and not self.retains_grad:
            self._extra("kept").append(Keep(self))

    @property
    def retains_grad(self) -> bool:
        """Whether :meth:`retain_grad` was called on this tensor (False for a leaf, which keeps its gradient anyway)."""
        kept = () if self.node is None else (self.node.extra or {}).get("kept", ())
        for keep in kept:
            if keep.tensor() is self:
                return True
        return False

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Handle:
        """Call ``hook`` with the gradient of this tensor during backward; what it returns (unless None) replaces it.

        Returns a handle whose ``remove()`` takes the hook away. Raises RuntimeError for a tensor that requires none.
        """
        if not self.needs_grad:
            raise RuntimeError(
                "cannot register a hook on a tensor that doesn't require gradient; call requires_grad_() first"
            )
        return register(hook, of_leaf(self, "before") if self.node is None else self._extra("hooks"))

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> Handle:
        """Call ``hook`` with this leaf after a backward pass has added to its ``.grad``.

        Returns a handle whose ``remove()`` takes the hook away. Raises RuntimeError for a tensor that is no leaf.
        """
        if self.node is not None:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors; use register_hook")
        if not self.needs_grad:
            raise RuntimeError(
                "cannot register a hook on a tensor that doesn't require gradient; call requires_grad_() first"
            )
        return register(hook, of_leaf(self, "after"))

    def _extra(self, which: str) -> list[Any]:
        """A list of the node's own extras, made when first asked for."""
        if self.node.extra is None:
            self.node.extra = {}
        return self.node.extra.setdefault(which, [])  # type: ignore[no-any-return]

    def detach(self) -> Tensor:
        """The same memory without history."""
        self._refuse_stale("detach")
        out = Tensor._from_array(self.array)
        out._share(self)
        return out

    @property
    def data(self) -> Tensor:
        """This tensor without its history, on the same memory: PyTorch's older spelling of :meth:`detach`.

        Writing to it is seen by a backward pass that needs the old values, unlike in PyTorch. Assigning a tensor gives
        this one the other's memory, of any shape. Raises TypeError for what is no tensor, and RuntimeError where a
        result of an operation would change its shape or dtype.
        """
        return self.detach()

    @data.setter
    def data(self, value: Any) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(
                f"Variable data has to be a tensor, but got {type(value).__name__}; convert it with tinydl.tensor()"
            )
        value._refuse_stale("data")
        if value.array is self.array:  # `x.data += 1` assigns what it has written already
            return
        if self.needs_grad and value.array.dtype.kind != "f":
            raise RuntimeError(
                f"data set to a tensor that requires gradients must be of a floating point dtype, got {value.dtype}"
            )
        if self.node is not None and (value.shape != self.shape or value.dtype != self.dtype):
            raise RuntimeError(
                f"data of shape {tuple(value.shape)} and dtype {value.dtype} cannot be set on the result of an "
                f"operation, of shape {tuple(self.shape)} and dtype {self.dtype}; detach() it first"
            )
        self.array = value.array
        self._share(value)
        if value.taken is None:
            self.taken = None

    def detach_(self) -> Tensor:
        """Forget the history of this tensor."""
        self.node, self.needs_grad = None, False
        return self

    def clone(self, *, memory_format: Any = None) -> Tensor:
        """A copy; gradients flow through. ``memory_format`` is PyTorch's: ``preserve_format`` is done."""
        return casting.clone(self)  # type: ignore[no-any-return]

    # ------------------------------------------------------------------------------------------- conversions

    def to(
        self,
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: Any = False,
        copy: Any = False,
        memory_format: Any = None,
    ) -> Any:
        """On another device or in another dtype: ``to(dtype)``, ``to("cuda", dtype)``, ``to(other)``. Itself when
        nothing changes, unless ``copy``; gradients flow through. ``memory_format`` changes nothing. Raises
        RuntimeError for a device that is not there."""
        flags: list[Any] = []  # non_blocking and copy, by position
        for a in args:
            if isinstance(a, Tensor):
                dtype, device = a.dtype, a.device
            elif isinstance(a, str) and not dtypes.is_name(a):
                device = a
            elif isinstance(a, (_bool, _int)):
                flags.append(a)
            elif a is not None:
                dtype = a
        if device is not None and device != self.device:
            there = elsewhere(device)
            home, wanted = self.device, CPU if there is None else there.device
            if wanted != home:
                if dtype is not None and dtypes.as_dtype(dtype).itemsize < self.array.itemsize:
                    return self.to(dtype).to(device)  # the smaller copy crosses
                self = casting.move(self, device=wanted, home=home)
                copy = False
        copy = copy or len(flags) > 1 and flags[1]
        if dtype is not None:
            want = dtypes.as_dtype(dtype)
            if want != self.array.dtype:  # what is no longer floating has no gradient
                return casting.cast(self if want.kind == "f" else self.detach(), dtype=want)
        return self.clone() if copy else self

    def type(self, dtype: Any = None) -> Any:
        """In another dtype, which may be an older name (:mod:`tinydl.typed`); without one, its older name."""
        from tinydl.typed import TYPED, Typed

        if dtype is None:
            return next(f"tinydl.{name}" for name, typed in TYPED.items() if typed.dtype == self.array.dtype)
        if isinstance(dtype, str):
            dtype = TYPED.get(dtype.rpartition(".")[2], dtype)
        return self.to(dtype.dtype if isinstance(dtype, Typed) else dtype)

    def type_as(self, other: Tensor) -> Any:
        """In the dtype of ``other``."""
        return self.to(other.dtype)

    def float(self) -> Any:
        """As float32."""
        return self.to(dtypes.float32)

    def double(self) -> Any:
        """As float64."""
        return self.to(dtypes.float64)

    def half(self) -> Any:
        """As float16."""
        return self.to(dtypes.float16)

    def long(self) -> Any:
        """As int64."""
        return self.to(dtypes.int64)

    def int(self) -> Any:
        """As int32."""
        return self.to(dtypes.int32)

    def short(self) -> Any:
        """As int16."""
        return self.to(dtypes.int16)

    def char(self) -> Any:
        """As int8."""
        return self.to(dtypes.int8)

    def byte(self) -> Any:
        """As uint8."""
        return self.to(dtypes.uint8)

    def bool(self) -> Any:
        """As bool."""
        return self.to(dtypes.bool)

    def cpu(self) -> Any:
        """On the CPU: itself where it is there."""
        return self.to("cpu")

    def cuda(self, device: Any = None, non_blocking: Any = False) -> Any:
        """On the GPU. Raises RuntimeError where there is none."""
        return self.to(gpu(device))

    def get_device(self) -> Any:
        """The number of the GPU; -1 for the CPU."""
        return -1 if isinstance(self.array, np.ndarray) else self.device.index

    # ------------------------------------------------------------------------------------- others of this dtype

    def new(self, *data: Any, device: Any = None) -> Tensor:
        """A tensor of this dtype, of sizes or of data: ``x.new(2, 3)``, ``x.new([1, 2])``; see :mod:`tinydl.typed`."""
        from tinydl.typed import contents

        made = contents("new", self.array.dtype, data)
        array = made.array if isinstance(made, Tensor) else made
        moved = _moved(array, self.device if device is None else device)
        return made.detach() if isinstance(made, Tensor) and moved is array else Tensor._from_array(moved)

    def new_tensor(self, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: Any = False) -> Tensor:
        """A copy of ``data`` as a tensor of this dtype (unless another is named)."""
        from tinydl import creation

        return creation.tensor(data, dtype or self.dtype, requires_grad, device=device or self.device)

    def new_empty(self, *size: Any, dtype: Any = None, **options: Any) -> Tensor:
        """Uninitialised memory of shape ``size`` and this dtype."""
        from tinydl import creation

        return creation.empty(*size, dtype=dtype or self.dtype, device=options.pop("device", self.device), **options)

    def new_zeros(self, *size: Any, dtype: Any = None, **options: Any) -> Tensor:
        """Zeros of shape ``size`` and this dtype."""
        from tinydl import creation

        return creation.zeros(*size, dtype=dtype or self.dtype, device=options.pop("device", self.device), **options)

    def new_ones(self, *size: Any, dtype: Any = None, **options: Any) -> Tensor:
        """Ones of shape ``size`` and this dtype."""
        from tinydl import creation

        return creation.ones(*size, dtype=dtype or self.dtype, device=options.pop("device", self.device), **options)

    def new_full(
        self, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Tensor:
        """``fill_value`` everywhere, in shape ``size`` and this dtype."""
        from tinydl import creation

        return creation.full(
            size, fill_value, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad
        )

    def numpy(self, *, force: Any = False) -> Any:
        """The array itself (shared memory). Raises RuntimeError for a tensor that requires a gradient, unless
        ``force``."""
        if self.needs_grad and not force:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        self._refuse_stale("numpy")
        if not isinstance(self.array, np.ndarray):
            if force:
                return self.array.get()
            _refuse_numpy(self)
        return self.array

    def item(self) -> Any:
        """The only element, as a Python number."""
        self._refuse_stale("item")
        if self.array.size != 1:
            raise RuntimeError(
                f"a Tensor with {self.array.size} elements cannot be converted to Scalar; its shape is "
                f"{tuple(self.shape)}"
            )
        return self.array.item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        self._refuse_stale("tolist")
        return self.array.tolist()

    def __float__(self) -> Any:
        return self.item().__float__()

    def __int__(self) -> Any:
        return self.item().__int__()

    def __index__(self) -> Any:
        if self.array.dtype.kind not in "iub":
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return self.item().__index__()

    def __bool__(self) -> Any:
        self._refuse_stale("bool")
        if self.array.size != 1:
            raise RuntimeError(
                f"Boolean value of Tensor with {'no' if not self.array.size else 'more than one'} "
                f"value{'s' if not self.array.size else ''} is ambiguous; use .any() or .all()"
            )
        return self.array.item().__bool__() if self.array.dtype.kind == "b" else self.array.item() != 0

    def __len__(self) -> Any:
        if not self.array.ndim:
            raise TypeError("len() of a 0-d tensor")
        return len(self.array)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.array.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter(shaping.unbind(self))

    def __contains__(self, value: Any) -> Any:
        self._refuse_stale("in")
        return (self.array == as_array(value)).any().item()

    def __hash__(self) -> Any:
        return id(self)

    def __repr__(self) -> str:
        self._look()
        if self.node is not None:
            history = f"grad_fn={self.node!r}"
        else:
            history = "requires_grad=True" if self.needs_grad else ""
        if isinstance(self.array, np.ndarray):
            return printing.tensor_text(self.array, history)
        where = f"device={str(self.device)!r}"
        return printing.tensor_text(self.array.get(), f"{where}, {history}" if history else where)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if not self.array.ndim else object.__format__(self, spec)

    # ------------------------------------------------------------------------------------------------ protocols

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if self.needs_grad and mode.on:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        self._refuse_stale("numpy")
        if not isinstance(self.array, np.ndarray):
            _refuse_numpy(self)
        if copy is False and dtype is not None and np.dtype(dtype) != self.array.dtype:
            raise ValueError(f"a tensor of dtype {self.array.dtype} cannot become {np.dtype(dtype)} without a copy")
        array = self.array if dtype is None else self.array.astype(dtype, copy=False)
        return array.copy() if copy and array is self.array else array

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
        self._refuse_stale("dlpack")
        if self.needs_grad:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        if any(step < 0 for step in self.array.strides):  # no library but NumPy has them, and PyTorch's process ends
            raise BufferError("Can't export tensors with negative strides, use tensor.contiguous()")
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        if self.node is not None:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the "
                "moment; detach() it first"
            )
        self._refuse_stale("deepcopy")
        new = object.__new__(self.__class__)
        new._hold(self.array.copy())
        new.needs_grad = self.needs_grad
        memo[id(self)] = new
        new.grad = None if self.grad is None else self.grad.__deepcopy__(memo)
        return new

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.node is not None:
            raise RuntimeError("a tensor with history does not travel between processes; detach() it first")
        self._refuse_stale("pickle")
        return _rebuild, (self.__class__, self.array, self.needs_grad)

    uniform_, normal_, bernoulli_, random_ = map(_random_method, ("uniform_", "normal_", "bernoulli_", "random_"))
    exponential_, log_normal_, cauchy_ = map(_random_method, ("exponential_", "log_normal_", "cauchy_"))
    geometric_, bernoulli, multinomial = map(_random_method, ("geometric_", "bernoulli", "multinomial"))

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
    bitwise_not = comparing.bitwise_not
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

    def __invert__(self) -> Any:
        if self.array.dtype.kind == "f":
            raise TypeError(
                f"~ (operator.invert) is only implemented on integer and Boolean-type tensors, not {self.array.dtype}; "
                "write -x or 1 - x"
            )
        return comparing.bitwise_not(self)

    def __eq__(self, other: object) -> Any:
        try:
            return comparing.eq(self, other)
        except TypeError:
            return _unlike(other)

    def __ne__(self, other: object) -> Any:
        try:
            return comparing.ne(self, other)
        except TypeError:
            return _unlike(other)

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
        reducing.sum, reducing.nansum, reducing.mean, reducing.nanmean, reducing.prod, variance.var, variance.std,
    )  # fmt: skip
    norm, dist, count_nonzero, any, all = (
        vector_norms.norm, vector_norms.dist, reducing.count_nonzero, reducing.any, reducing.all,
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

    reshape, view, flatten, unflatten, ravel = (
        shaping.reshape, shaping.view, shaping.flatten, shaping.unflatten, shaping.ravel,
    )  # fmt: skip
    permute, transpose, t = shaping.permute, shaping.transpose, shaping.t
    swapaxes = swapdims = shaping.transpose
    movedim = moveaxis = shaping.movedim
    expand, broadcast_to, squeeze, unsqueeze = shaping.expand, shaping.broadcast_to, shaping.squeeze, shaping.unsqueeze
    select, narrow, diagonal, unfold = slicing.select, slicing.narrow, slicing.diagonal, padding.unfold
    split, chunk, unbind, tensor_split = slicing.split, slicing.chunk, slicing.unbind, slicing.tensor_split
    hsplit, vsplit = slicing.hsplit, slicing.vsplit
    flip, fliplr, flipud, roll, rot90 = (
        arranging.flip, arranging.fliplr, arranging.flipud, arranging.roll, arranging.rot90,
    )  # fmt: skip
    repeat, tile, repeat_interleave = arranging.repeat, arranging.tile, arranging.repeat_interleave
    tril, triu, trace = arranging.tril, arranging.triu, arranging.trace
    diag, diag_embed, diagflat = arranging.diag, arranging.diag_embed, arranging.diagflat

    def view_as(self, other: Any) -> Any:
        """A view in the shape of ``other``."""
        return shaping.view(self, other.shape)

    def reshape_as(self, other: Any) -> Any:
        """In the shape of ``other``."""
        return shaping.reshape(self, other.shape)

    def expand_as(self, other: Any) -> Any:
        """Broadcast to the shape of ``other``."""
        return shaping.expand(self, other.shape)

    def sum_to_size(self, *size: Any) -> Any:
        """Summed over the dimensions in which a tensor of shape ``size`` would be broadcast to this one."""
        want = size[0] if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
        lead = self.ndim - len(want)
        if lead < 0 or any(s not in (1, t) for s, t in zip(want, self.shape[lead:])):
            raise RuntimeError(
                f"sum_to_size: size {list(want)} is not expandable to size {list(self.shape)}, so it is no sum of it"
            )
        axes = (*range(lead), *(i + lead for i, s in enumerate(want) if s != self.shape[i + lead]))
        return shaping.reshape(reducing.sum(self, axes) if axes else self, tuple(want))

    gather, take, take_along_dim = indexing.gather, indexing.take, scattering.take_along_dim
    index_select, index_add, index_copy = indexing.index_select, scattering.index_add, scattering.index_copy
    index_fill, index_put, put = scattering.index_fill, scattering.index_put, scattering.put
    scatter, scatter_add, scatter_reduce = scattering.scatter, scattering.scatter_add, scattering.scatter_reduce
    masked_fill, masked_select, masked_scatter = (
        indexing.masked_fill, indexing.masked_select, indexing.masked_scatter,
    )  # fmt: skip
    nonzero, argwhere = indexing.nonzero, indexing.argwhere

    mm, bmm, mv = products.matrix_product, products.bmm, products.mv
    dot, vdot, inner, kron, cross = products.dot, products.vdot, products.inner, products.kron, products.cross
    outer = ger = products.outer
    addmm, addmv, addr, addbmm, baddbmm = (
        products.addmm, products.addmv, products.addr, products.addbmm, products.baddbmm,
    )  # fmt: skip
    det, slogdet, logdet, inverse = linalg.det, linalg.slogdet, linalg.logdet, linalg.inverse
    cholesky_solve = linalg.cholesky_solve
    cholesky, matrix_power, pinverse, svd = linalg.cholesky, linalg.matrix_power, linalg.pinverse, linalg.older_svd
    cov, corrcoef, renorm = norms.cov, norms.corrcoef, norms.renorm
    as_strided = slicing.as_strided


def _moved(array: Any, wanted: Any) -> Any:
    """An array on a device, or itself where it is there."""
    if wanted == CPU and isinstance(array, np.ndarray):
        return array
    from tinydl.elsewhere import moved

    return moved(array, wanted)


def _refuse_numpy(x: Tensor) -> None:
    raise TypeError(
        f"can't convert {x.device} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory "
        "first."
    )


def _unlike(other: object) -> Any:
    """While an error of a comparison is handled: what is no number, such as a word, is unequal to a tensor, which is
    Python's own answer; another library's tensor is refused."""
    if hasattr(other, "dtype"):
        raise  # the error that is handled
    return NotImplemented


_REVERSED = [tuple(range(n))[::-1] for n in range(65)]  # NumPy allows 64 dimensions


def _rebuild(cls: type[Tensor], array: Any, needs_grad: bool) -> Tensor:
    new = object.__new__(cls)
    new._hold(array)
    new.needs_grad = needs_grad
    return new


_primitives.bind(Tensor)
