"""Work cut among the threads of the pool.

A kernel that shares its work is written as one thread's part of it, and :func:`shared` makes the whole of that::

    @shared
    def scale(thread: int, threads: int, x: Array, factor: float) -> None:
        for i in range(len(x) * thread // threads, len(x) * (thread + 1) // threads):
            x[i] *= factor

    scale(2, x, 3.0)  # on two threads

With one thread it is a plain call. Numba's own ``parallel=True`` compiles a loop's body as a kernel of its own, after
an analysis of arrays that finds nothing here, and takes three times as long; so there is one such loop, which calls
whatever stands at an address.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, overload

import numpy as np
from llvmlite import ir
from numba import config, prange, types
from numba.core import cgutils
from numba.core.compiler import Flags
from numba.core.cpu import FastMathOptions
from numba.core.typing import signature as typed
from numpy.typing import NDArray

from tinydl.kernels.cache import njit
from tinydl.kernels.vector import I64, emitted

Array = NDArray[Any]

_BYTES = ir.IntType(8).as_pointer()
_WORK = ir.FunctionType(ir.VoidType(), [I64, I64, _BYTES])  # (thread, threads, address of the arguments)
_RUN = (types.int64,) * 3


class Shared:
    """A kernel on some threads: ``kernel(threads, *arguments)``, the arguments those of one thread's part from the
    third on. It is compiled when it is first called, and kept on the disk."""

    def __init__(self, part: Callable[..., None], error_model: str = "python", fastmath: Any = False) -> None:
        self.part = part
        functools.update_wrapper(self, part)
        flags = Flags()
        flags.nrt = True  # arrays may be made there
        flags.error_model = error_model
        flags.fastmath = FastMathOptions(fastmath)
        first, second, *rest = inspect.signature(part).parameters
        if (first, second) != ("thread", "threads"):
            raise TypeError(f"{part.__name__} begins with ({first}, {second}) instead of (thread, threads)")
        # The text holds names of parameters alone. It is given the place of the part, where Numba looks for a source.
        arguments = "".join(f"{name}, " for name in rest)
        text = "\n" * (part.__code__.co_firstlineno - 1)
        text += f"def whole(run, threads, {arguments}):\n    share(run, threads, ({arguments}))\n"
        names: dict[str, Any] = {"__name__": part.__module__, "share": _sharing(part, flags)}
        exec(compile(text, inspect.getfile(part), "exec"), names)
        whole = names["whole"]
        whole.__qualname__ = part.__qualname__
        self._whole = _in_turn(part) if config.DISABLE_JIT else njit(whole, error_model=error_model)
        #: ``kernel.alone(*arguments)``: on this thread.
        self.alone = functools.partial(self._whole, 0, 1)

    def __call__(self, threads: int, *arguments: Any) -> None:
        """Do all parts, and return when they are done."""
        if threads == 1:
            self.alone(*arguments)
        else:
            self._whole(_runner(), threads, *arguments)


def _in_turn(part: Callable[..., None]) -> Callable[..., None]:
    """Where kernels run as the Python that they are: one part after another."""

    def whole(run: int, threads: int, *arguments: Any) -> None:
        for thread in range(threads):
            part(thread, threads, *arguments)

    return whole


@overload
def shared(part: Callable[..., None]) -> Shared: ...


@overload
def shared(*, error_model: str = ..., fastmath: Any = ...) -> Callable[[Callable[..., None]], Shared]: ...


def shared(part: Any = None, **options: Any) -> Any:
    """A kernel of the function that does one thread's part, ``part(thread, threads, *arguments)``, which returns
    nothing; used as ``@shared`` or with Numba's ``error_model`` and ``fastmath``."""
    return functools.partial(Shared, **options) if part is None else Shared(part, **options)


def _sharing(part: Callable[..., None], flags: Flags) -> Any:
    """``share(run, threads, arguments)``: call the part alone, or let what stands at ``run`` call it on each thread."""

    @emitted
    def share(typing: Any, run: Any, threads: Any, arguments: Any) -> Any:
        kinds = [types.int64, types.int64, *arguments.types]
        form = typed(types.none, *kinds)

        def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
            run, threads, given = values
            given = _borrowed(context, builder, arguments, given)
            # Numba's own memory of these goes by their code, which functions with other globals may share.
            compiled = context.compile_subroutine(builder, part, form, flags=flags.copy(), caching=False)
            function = context.declare_function(builder.module, compiled.fndesc)
            convention = context.call_conv

            def call(builder: ir.IRBuilder, thread: Any, threads: Any, given: Any) -> None:
                each = [builder.extract_value(given, k) for k in range(len(arguments))]
                convention.call_function(builder, function, types.none, kinds, [thread, threads, *each])

            one = builder.icmp_signed("==", threads, ir.Constant(I64, 1))
            with builder.if_else(one) as (alone, together):
                with alone:
                    call(builder, ir.Constant(I64, 0), threads, given)
                with together:
                    block = cgutils.alloca_once_value(builder, given)
                    work = ir.Function(builder.module, _WORK, builder.module.get_unique_name("work"))
                    work.linkage = "internal"
                    inside = ir.IRBuilder(work.append_basic_block())
                    thread, count, address = work.args
                    call(inside, thread, count, inside.load(inside.bitcast(address, block.type)))
                    inside.ret_void()
                    runner = builder.inttoptr(run, convention.get_function_type(types.none, _RUN).as_pointer())
                    addresses = [builder.ptrtoint(pointer, I64) for pointer in (work, block)]
                    convention.call_function(builder, runner, types.none, _RUN, [threads, *addresses])
            return context.get_dummy_value()

        return types.void(run, threads, arguments), emit

    return share


def _borrowed(context: Any, builder: ir.IRBuilder, kind: Any, value: ir.Value) -> ir.Value:
    """The arrays in a value without what counts their references, which the caller holds: the threads would take the
    line of memory with that number from each other at every slice."""
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        for name in ("meminfo", "parent"):
            setattr(array, name, ir.Constant(getattr(array, name).type, None))
        return array._getvalue()
    if isinstance(kind, types.BaseTuple):
        for k, inner in enumerate(kind.types):
            value = builder.insert_value(value, _borrowed(context, builder, inner, builder.extract_value(value, k)), k)
    return value


# -- the one parallel loop ---------------------------------------------------------------------------------------------


@emitted
def _work(typing: Any, work: Any, thread: Any, threads: Any, arguments: Any) -> Any:
    """Call what stands at ``work`` for one thread."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        work, thread, threads, arguments = values
        function = builder.inttoptr(work, _WORK.as_pointer())
        builder.call(function, [thread, threads, builder.inttoptr(arguments, _BYTES)])
        return context.get_dummy_value()

    return types.void(work, thread, threads, arguments), emit


def _loop(threads: int, work: int, arguments: int) -> None:
    for index in prange(threads):
        thread: Any = np.int64(index)  # prange counts in uint64
        _work(work, thread, threads, arguments)


_run: Any = njit(_loop, parallel=True)


@functools.lru_cache(maxsize=1)
def _runner() -> int:
    """The address of the compiled loop."""
    if config.DISABLE_JIT:
        return 0
    _run.compile(_RUN)
    compiled = _run.overloads[_RUN]
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))


# -- ufuncs ------------------------------------------------------------------------------------------------------------

#: Parts begin at multiples of so many elements: the vectors of a part are then those of the whole line, and the bits do
#: not depend on the number of threads.
GRAIN = 256


@emitted
def _call(typing: Any, loop: Any, pointers: Any, count: Any, steps: Any) -> Any:
    """The loop of a ufunc, NumPy's ``PyUFuncGenericFunction``, at address ``loop``; the arrays are of int64."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [_BYTES] * 4)
        arrays = [
            builder.bitcast(context.make_array(a)(context, builder, v).data, _BYTES)
            for a, v in zip(signature.args[1:], values[1:])
        ]
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), [*arrays, ir.Constant(_BYTES, None)])
        return context.get_dummy_value()

    return types.void(types.int64, pointers, count, steps), emit


@shared
def share(thread: int, threads: int, loop: int, size: int, pointers: Array, steps: Array) -> None:
    """Run ``loop`` over ``size`` elements of the arrays at ``pointers``, ``steps`` bytes apart."""
    first = size * thread // threads // GRAIN * GRAIN
    end = size if thread == threads - 1 else size * (thread + 1) // threads // GRAIN * GRAIN
    starts, count = np.empty_like(pointers), np.empty(1, np.int64)
    for i in range(len(pointers)):
        starts[i] = pointers[i] + first * steps[i]
    count[0] = end - first
    _call(loop, starts, count, steps)
