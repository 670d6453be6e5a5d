"""Which function computes an operation: registration, deterministic choice, explicit override.

The default of an operation is fixed: nothing is timed behind the user's back. A variant may refuse arguments
(``accepts``); the next one in the order then runs: the variant marked ``default`` first, the others in order of
registration, ``numpy`` (which accepts everything) last.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.util
import inspect
import os
import pkgutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

Function = Callable[..., Any]
F = TypeVar("F", bound=Any)  # a function, or what becomes one when it is needed (``ready``)

#: The family (a sub-package of ``tinydl.kernels``) of each operation; it is imported at the first lookup. An operation
#: that does not stand here is searched in all families.
FAMILIES: dict[str, str] = {
    "matmul": "matmul",
    **dict.fromkeys(("conv_forward", "conv_input", "conv_weight"), "conv"),
    **dict.fromkeys(
        ("sigmoid", "softplus", "logsigmoid", "elu", "silu", "mish", "gelu", "gelu_tanh", "hardsigmoid", "hardswish",
         "softshrink", "hardshrink", "hardshrink_backward", "relu", "relu_backward", "leaky_relu",
         "leaky_relu_backward", "clamp", "hardtanh_backward", "masked_fill", "softmax", "log_softmax"), "activation",
    ),
    "bce_with_logits": "loss",
    **dict.fromkeys(("softmax_cross_entropy", "nll", "multi_margin", "pair_loss"), "loss"),
    **dict.fromkeys(
        ("attention_forward", "attention_backward", "relative_attention_forward", "relative_attention_backward"),
        "attention",
    ),
    **{
        f"{kind}_norm_{direction}": "norm"
        for kind in ("layer", "rms", "batch", "fixed", "group")
        for direction in ("forward", "backward")
    },
    "moving_average": "norm",
    **dict.fromkeys(("embedding_bag", "embedding_bag_backward"), "bag"),
    **dict.fromkeys(("max_pool", "window_sum", "window_spread", "take_positions", "put_positions"), "pool"),
    **dict.fromkeys(("ctc_forward", "ctc_backward"), "ctc"),
    **dict.fromkeys(("grid_sample_forward", "grid_sample_backward"), "sampling"),
    **{
        f"{cell}_{direction}": "rnn"
        for cell in ("lstm", "gru", "rnn_tanh", "rnn_relu")
        for direction in ("forward", "backward")
    },
    **dict.fromkeys(("flat_places", "combine_at_", "add_slices_"), "indexing"),
    "pad_rows": "padding",
    "substitute_": "triangle",
    **dict.fromkeys(("linear", "linear_backward"), "linear"),
    **dict.fromkeys(("moments", "vector_norm", "running_extreme"), "reduction"),
    **dict.fromkeys(
        ("erf", "erfc", "erfinv", "lgamma", "digamma", "polygamma", "sinc", "bessel_i"), "special",
    ),
    **dict.fromkeys(("nade_forward", "nade_backward", "nade_sample"), "nade"),
    "gibbs": "rbm",
    **dict.fromkeys(
        ("random_bits", "random_uniform_float32", "random_uniform_float64", "random_normal_float32",
         "random_normal_float64", "dropout"), "random",
    ),
    **dict.fromkeys(
        ("sgd_", "adam_", "rmsprop_", "adagrad_", "adadelta_", "adamax_", "nadam_", "radam_", "asgd_", "rprop_", "omd_",
         "optimistic_adam_", "squared_norm", "scale_gradients_"), "optim",
    ),
}

REFERENCE = "numpy"

#: Packages beside the families that compute no operation.
TOOLS = frozenset({"simt"})


class KernelError(ValueError):
    """A kernel could not be chosen or called; the message names the operation, the variant and the argument.

    Attributes: ``op``, ``variant`` and ``argument`` (the last two None where the fault lies elsewhere).
    """

    def __init__(self, message: str, *, op: str, variant: str | None = None, argument: str | None = None) -> None:
        super().__init__(message)
        self.op = op
        self.variant = variant
        self.argument = argument


@dataclass(frozen=True)
class Variant:
    """One way to compute an operation.

    op, name: identity; ``device``: ``"cpu"`` or ``"cuda"``; ``dtypes``: names of the dtypes it computes in, empty for
    any; ``accepts(*args) -> bool``: None accepts everything; ``default``: tried first.
    """

    op: str
    name: str
    device: str
    dtypes: tuple[str, ...]
    function: Function
    accepts: Callable[..., bool] | None = None
    default: bool = False

    def computes(self, dtype: np.dtype[Any]) -> bool:
        """Whether it computes in ``dtype``."""
        return not self.dtypes or dtype.name in self.dtypes


_variants: dict[str, dict[tuple[str, str], Variant]] = {}  # op -> (device, name) -> variant
_chosen: dict[Any, Function] = {}  # (op, device, dtype as the caller spelled it) -> function: the fast path of lookup
_loaded: set[str] = set()
_lock = threading.RLock()
_overrides = threading.local()
_elsewhere: dict[str, Callable[[str], list[Variant]]] = {}  # device -> op -> variants that are found when needed
_array_types: dict[type, str] = {}  # array types of those devices -> device
_uses = 0  # `use` blocks now open in all threads; while it is 0, lookup does not look at thread-local state


def register(
    *,
    op: str,
    name: str,
    device: str = "cpu",
    dtypes: Sequence[str] = (),
    accepts: Callable[..., bool] | None = None,
    default: bool = False,
) -> Callable[[F], F]:
    """Register the decorated function as variant ``name`` of ``op``, and return it unchanged.

    dtypes: names of the dtypes it computes in (empty: any). accepts: called with the operation's arguments before the
    kernel runs; False hands them to the next variant. default: tried first; an operation has at most one default per
    device and dtype.

    Raises KernelError when the name is taken by another function or a second default is declared.
    """
    for dtype in dtypes:
        np.dtype(dtype)  # a misspelt dtype would never be found again

    def decorate(function: F) -> F:
        family = f"{__package__}.{FAMILIES.get(op)}"
        if op in FAMILIES and not function.__module__.startswith(family):
            load_family_of(op)  # somebody else's kernel: its twins are needed to compare with
        variant = Variant(op, name, device, tuple(dtypes), function, accepts, default)
        with _lock:
            known = _variants.setdefault(op, {})
            old = known.get((device, name))
            if old is not None and (old.function.__module__, old.function.__qualname__) != (
                function.__module__,
                function.__qualname__,
            ):
                raise KernelError(
                    f"kernel {op!r} already has a variant {name!r} on {device}; register under another name",
                    op=op,
                    variant=name,
                )
            if default:
                for other in known.values():
                    shared = not other.dtypes or not dtypes or set(other.dtypes) & set(dtypes)
                    if other.default and other.device == device and other.name != name and shared:
                        raise KernelError(
                            f"kernel {op!r} has the default {other.name!r} on {device}; {name!r} cannot be one too",
                            op=op,
                            variant=name,
                        )
            _check_signature(variant, known)
            known[device, name] = variant
            _forget()
        return function

    return decorate


def parameters(function: Any) -> list[str]:
    """Names of a kernel's parameters; a compiled one is asked for the Python function it came from."""
    return list(inspect.signature(getattr(function, "py_func", function)).parameters)


def _check_signature(variant: Variant, known: dict[tuple[str, str], Variant]) -> None:
    """Variants are interchangeable, so they take the same arguments under the same names."""
    if variant.name == REFERENCE:
        return
    reference = next((v for (_, name), v in known.items() if name == REFERENCE), None)
    if reference is None:
        return
    wanted, got = parameters(reference.function), parameters(variant.function)
    if got != wanted:
        first = next((w for w, g in zip(wanted, [*got, None]) if w != g), None)
        off = got[len(wanted)] if first is None else first
        raise KernelError(
            f"kernel {variant.op!r}: {variant.name!r} takes ({', '.join(got)}), but the operation's arguments are "
            f"({', '.join(wanted)}); the first that differs is {off!r}",
            op=variant.op,
            variant=variant.name,
            argument=off,
        )


def unregister(op: str, name: str, device: str = "cpu") -> None:
    """Forget a variant (a kernel of the user's own, at the end of an experiment)."""
    with _lock:
        if _variants.get(op, {}).pop((device, name), None) is None:
            raise KernelError(f"kernel {op!r} has no variant {name!r} on {device} to forget", op=op, variant=name)
        if not _variants[op]:
            del _variants[op]
        _forget()


def lookup(op: str, device: str = "cpu", dtype: Any = np.float32, args: tuple[Any, ...] | None = None) -> Function:
    """The function that computes ``op`` on ``device`` in ``dtype``, with the overrides of :func:`use` honoured.

    With ``args`` the choice is made for these arguments. Without, a function comes back that asks each variant whether
    it accepts what it is called with (or the variant itself where none can refuse).

    Raises KernelError when the operation, or a variant for this device and dtype, does not exist.
    """
    if not _uses and args is None:
        function = _chosen.get((op, device, dtype))
        if function is not None:
            return function
    return _choose(op, device, dtype, args)


class ByDtype(dict[Any, Function]):
    """``by_dtype("softmax")[x.dtype](x, 1)``: :func:`lookup` at the cost of a dictionary, for operations that many
    small programs live on."""

    def __init__(self, op: str, device: str) -> None:
        super().__init__()
        self.op, self.device = op, device
        _tables.append(self)

    def __missing__(self, dtype: Any) -> Function:
        function = _choose(self.op, self.device, dtype, None)
        with _lock:
            if not _uses:  # an override holds in one thread only, so nothing is kept while there is one
                self[dtype] = function
        return function


_tables: list[ByDtype] = []


def by_dtype(op: str, device: str = "cpu") -> ByDtype:
    """The functions that compute ``op``, by dtype; made once, at the head of a module."""
    return ByDtype(op, device)


def elsewhere(device: str, array: type, found: Callable[[str], list[Variant]] | None) -> None:
    """``found(op)`` gives variants on ``device`` that nobody registers, in the order in which they are asked, behind
    those that somebody does (:mod:`tinydl.kernels.devices`); None forgets it.

    From then on, what is looked up for the CPU and given an ``array`` of the device passes it on; before, nobody asks.
    """
    with _lock:
        if found is None:
            _elsewhere.pop(device, None)
            _array_types.pop(array, None)
        else:
            _elsewhere[device] = found
            _array_types[array] = device
        _forget()


def chosen(op: str) -> str | None:
    """The variant that :func:`use` names for ``op`` in this thread."""
    return getattr(_overrides, "names", {}).get(op)


def _forget() -> None:
    """What was chosen so far may be wrong now."""
    _chosen.clear()
    for table in _tables:
        table.clear()


def _choose(op: str, device: str, dtype: Any, args: tuple[Any, ...] | None) -> Function:
    override = chosen(op)
    candidates = _candidates(op, device, np.dtype(dtype), override)
    if args is not None:
        return ready(_first_accepting(candidates, args, forced=override is not None).function)
    first, accepts = candidates[0], candidates[0].accepts
    function = run = ready(first.function)
    if accepts is not None:

        def function(*args: Any) -> Any:
            if accepts(*args):
                return run(*args)
            return ready(_first_accepting(candidates, args, forced=override is not None).function)(*args)

    if _array_types and device == "cpu":
        function = _passing_on(op, dtype, function)
    if override is None:
        _chosen[op, device, dtype] = function
    return function


def _passing_on(op: str, dtype: Any, function: Function) -> Function:
    """``function``, unless an argument is an array of another device."""
    types = _array_types

    def run(*args: Any) -> Any:
        for x in args:
            if type(x) in types:
                return lookup(op, types[type(x)], dtype)(*args)
        return function(*args)

    return run


def module_of_reference(op: str) -> str | None:
    """Where the readable definition of ``op`` stands."""
    load_family_of(op)
    known = _variants.get(op, {}).get(("cpu", REFERENCE))
    return None if known is None else known.function.__module__


def ready(function: Any) -> Function:
    """A kernel that waited with its compilation until it is needed (:class:`tinydl.kernels.ufunc.Ufunc`), compiled."""
    prepare = getattr(function, "ready", None)
    return function if prepare is None else prepare()  # type: ignore[no-any-return]


def _candidates(op: str, device: str, dtype: np.dtype[Any], override: str | None) -> list[Variant]:
    """The variants of ``op`` for this device and dtype in the order in which they are asked; never empty."""
    load_family_of(op)
    with _lock:
        known = list(_variants.get(op, {}).values())
    if not known:
        load_all()
        close = difflib.get_close_matches(op, _variants, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(_variants))}"
        raise KernelError(f"no kernel is registered for {op!r}; {hint}", op=op)
    registered = len(known)
    if device in _elsewhere:
        known += _elsewhere[device](op)
    if override is not None and not _meant_for_others(op, device, override, known):
        named = [v for v in known if v.name == override]
        if not named:
            raise KernelError(
                f"kernel {op!r} has no variant {override!r}; known: {', '.join(sorted({v.name for v in known}))}",
                op=op,
                variant=override,
            )
        known = named
    fitting = [v for v in known if v.device == device and v.computes(dtype)]
    if not fitting:
        names = ", ".join(f"{v.name} ({v.device}: {', '.join(v.dtypes) or 'any dtype'})" for v in known)
        raise KernelError(
            f"kernel {op!r} has no variant for {dtype.name} on {device}; there is {names}",
            op=op,
            variant=override,
            argument="dtype",
        )
    if registered < len(known):  # found elsewhere, and in order; what a user registers there comes first
        return sorted(fitting, key=lambda v: not v.default)
    # A stable sort: the default, then order of registration, the reference last.
    return sorted(fitting, key=lambda v: (not v.default, v.name == REFERENCE))


def _meant_for_others(op: str, device: str, name: str, known: list[Variant]) -> bool:
    """Whether an override names a variant that other devices in use have and this one has not: it then says nothing of
    what runs here."""
    if not _elsewhere or any(v.name == name and v.device == device for v in known):
        return False
    return any(v.name == name for v in (*known, *_found_elsewhere(op)))


def _first_accepting(candidates: list[Variant], args: tuple[Any, ...], *, forced: bool) -> Variant:
    for variant in candidates:
        if variant.accepts is None or variant.accepts(*args):
            return variant
    op, names = candidates[0].op, ", ".join(v.name for v in candidates)
    shapes = ", ".join(str(a.shape) if isinstance(a, np.ndarray) else type(a).__name__ for a in args)
    advice = "choose another variant" if forced else "register one that accepts them"
    raise KernelError(
        f"kernel {op!r}: {names} refused the arguments ({shapes}); {advice}",
        op=op,
        variant=candidates[0].name if forced else None,
    )


@contextmanager
def use(**names: str) -> Iterator[None]:
    """Compute each named operation with the named variant inside the ``with`` block, in this thread.

    ``with use(lstm_forward="numpy"):`` An inner block wins over an outer one. A variant that does not exist raises
    KernelError on entry; one that refuses its arguments raises it when called.
    """
    global _uses
    for op, name in names.items():
        load_family_of(op)
        if op not in _variants:
            load_all()
        known = sorted({v.name for v in [*_variants.get(op, {}).values(), *_found_elsewhere(op)]})
        if name not in known:
            there = f"known: {', '.join(known)}" if known else "there is no such operation"
            raise KernelError(f"kernel {op!r} has no variant {name!r}; {there}", op=op, variant=name)
    before = getattr(_overrides, "names", {})
    _overrides.names = {**before, **names}
    with _lock:
        _uses += 1
        _forget()
    try:
        yield
    finally:
        _overrides.names = before
        with _lock:
            _uses -= 1


def _found_elsewhere(op: str) -> list[Variant]:
    return [variant for found in _elsewhere.values() for variant in found(op)]


def variants(op: str | None = None) -> list[Variant]:
    """All variants (of one operation) on the CPU and on devices in use, sorted by operation, default first; loads every
    family."""
    load_all()
    with _lock:
        found = [v for known in _variants.values() for v in known.values() if op is None or v.op == op]
        names = list(_variants) if op is None else [op]
    found += [v for name in names for v in _found_elsewhere(name)]
    return sorted(found, key=lambda v: (v.op, v.device, not v.default, v.name))


def load_family_of(op: str) -> None:
    """Import the family of ``op``, or every family when the table does not know the operation."""
    family = FAMILIES.get(op)
    if family is not None:
        _load_family(family)
    elif op not in _variants:
        load_all()


def load_all() -> None:
    """Import every family."""
    import tinydl.kernels

    for module in pkgutil.iter_modules(tinydl.kernels.__path__):
        if module.ispkg and module.name not in TOOLS:
            _load_family(module.name)


def _load_family(family: str) -> None:
    if family in _loaded:
        return
    package = f"{__package__}.{family}"
    # The reference stands in spec.py, the fast variants in cpu.py; a family may lack either. Imported without our lock:
    # a thread that holds it would wait here for one that imports the module and waits in `register` for the lock.
    for part in ("spec", "cpu") if _compiles() else ("spec",):
        if importlib.util.find_spec(f"{package}.{part}") is not None:
            importlib.import_module(f"{package}.{part}")
    _loaded.add(family)


@functools.lru_cache(maxsize=1)
def _compiles() -> bool:
    """Whether Numba is installed and compiles; without (``NUMBA_DISABLE_JIT=1``), only the references can run.

    Found out without importing it, which takes longer than many a program that needs none of its kernels.
    """
    try:
        installed = all(importlib.util.find_spec(name) is not None for name in ("numba", "llvmlite"))
    except (ImportError, ValueError):  # ValueError: sys.modules holds a None in its place
        return False
    numba = sys.modules.get("numba")
    disabled = os.environ.get("NUMBA_DISABLE_JIT") or 0 if numba is None else numba.config.DISABLE_JIT
    return installed and not int(disabled)
