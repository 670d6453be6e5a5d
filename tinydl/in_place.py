"""The in-place methods of tensors: ``x.exp_()`` computes ``x.exp()`` and keeps the result in x.

One line a method, for every function that PyTorch has in that form. What "keep" means (writing memory, or rebinding a
recorded tensor) is :mod:`~tinydl.writing`'s business.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.autograd.mode import mode
from tinydl.ops import (
    arranging,
    comparing,
    elementwise,
    formulas,
    indexing,
    norms,
    products,
    rounding,
    scanning,
    scattering,
    shaping,
    special,
)
from tinydl.writing import Writing


def _form(function: Callable[..., Any], plain: Any = None) -> Callable[..., Any]:
    """The method that computes ``function(self, ...)`` and keeps the result in self, with its signature.

    ``plain`` is the primitive that ``function`` is without options. Where one is a function of NumPy, and nothing is
    recorded, that writes into the memory at once.
    """
    op = getattr(function if plain is None else plain, "op", None)
    method: Callable[..., Any]
    if op is not None and op.differentiable and isinstance(op.function, np.ufunc):
        method = (_unary if len(op.args) == 1 else _binary)(function, op.function)
    else:

        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            return self._in_place(function, *args, **kwargs)

    first, *rest = inspect.signature(function).parameters.values()
    method.__name__ = function.__name__ + "_"
    method.__qualname__ = f"Tensor.{method.__name__}"
    method.__doc__ = f"In place: the tensor becomes what its ``{function.__name__}`` with these arguments is."
    method.__signature__ = inspect.Signature([first.replace(name="self"), *rest])  # type: ignore[attr-defined]
    return method


def _shaping(function: Callable[..., Any]) -> Callable[..., Any]:
    """The method that gives a tensor the shape of ``function(self, ...)``; no memory is written."""
    method = _form(function)

    def reshape(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._reshape_in_place(function, *args, **kwargs)

    return functools.wraps(method)(reshape)


def _unary(function: Callable[..., Any], ufunc: Any) -> Callable[..., Any]:
    def method(self: Any) -> Any:
        x = self.array
        if (self.needs_grad and mode.on) or x.dtype.kind != "f" or (self.taken is not None and not self._is_free()):
            return self._in_place(function)
        if not x.flags.c_contiguous:  # numpy.negative of a column into itself is wrong (2.4.6, rows of 4 or 8)
            return self._in_place(function)
        try:
            ufunc(x, x)
        except ValueError:  # memory that must not be written
            return self._in_place(function)
        self.bump()
        return self

    return method


def _binary(function: Callable[..., Any], ufunc: Any) -> Callable[..., Any]:
    def method(self: Any, other: Any, **options: Any) -> Any:
        x, y, recorded = self.array, other, self.needs_grad
        if isinstance(other, InPlace):
            y, recorded = other.array, recorded or other.needs_grad
            usual = y.dtype is x.dtype and other.taken is None
        else:
            usual = type(other) is float or type(other) is int
        if not usual or options or (recorded and mode.on) or x.dtype.kind != "f":
            return self._in_place(function, other, **options)
        if self.taken is not None and not self._is_free():
            return self._in_place(function, other)
        try:
            ufunc(x, y, x)
        except ValueError:  # the shapes do not fit, or memory must not be written: there it is said in words
            return self._in_place(function, other)
        self.bump()
        return self

    return method


class InPlace(Writing):
    """The methods whose names end in an underscore."""

    __slots__ = ()

    add_ = _form(formulas.add, elementwise.add)
    sub_ = subtract_ = _form(formulas.sub, elementwise.sub)
    mul_ = multiply_ = _form(elementwise.mul)
    div_ = divide_ = _form(rounding.div, elementwise.div)
    true_divide_ = _form(elementwise.div)
    floor_divide_ = _form(elementwise.floor_divide)
    remainder_ = _form(elementwise.remainder)
    fmod_ = _form(rounding.fmod)
    pow_ = _form(elementwise.pow)
    float_power_ = _form(formulas.float_power)
    neg_ = negative_ = _form(elementwise.neg)
    square_ = _form(elementwise.square)
    sqrt_ = _form(elementwise.sqrt)
    rsqrt_ = _form(elementwise.rsqrt)
    reciprocal_ = _form(elementwise.reciprocal)
    abs_ = absolute_ = _form(elementwise.abs)
    sign_ = sgn_ = _form(elementwise.sign)
    copysign_ = _form(elementwise.copysign)
    hypot_ = _form(elementwise.hypot)
    floor_ = _form(rounding.floor)
    ceil_ = _form(rounding.ceil)
    round_ = _form(rounding.round)
    trunc_ = fix_ = _form(rounding.trunc)
    frac_ = _form(rounding.frac)

    exp_ = _form(elementwise.exp)
    exp2_ = _form(elementwise.exp2)
    expm1_ = _form(elementwise.expm1)
    log_ = _form(elementwise.log)
    log2_ = _form(elementwise.log2)
    log10_ = _form(elementwise.log10)
    log1p_ = _form(elementwise.log1p)
    xlogy_ = _form(elementwise.xlogy)
    logit_ = _form(formulas.logit)
    sigmoid_ = _form(elementwise.sigmoid)
    relu_ = _form(elementwise.relu)
    sin_ = _form(elementwise.sin)
    cos_ = _form(elementwise.cos)
    tan_ = _form(elementwise.tan)
    asin_ = arcsin_ = _form(elementwise.asin)
    acos_ = arccos_ = _form(elementwise.acos)
    atan_ = arctan_ = _form(elementwise.atan)
    atan2_ = arctan2_ = _form(elementwise.atan2)
    sinh_ = _form(elementwise.sinh)
    cosh_ = _form(elementwise.cosh)
    tanh_ = _form(elementwise.tanh)
    asinh_ = arcsinh_ = _form(elementwise.asinh)
    acosh_ = arccosh_ = _form(elementwise.acosh)
    atanh_ = arctanh_ = _form(elementwise.atanh)
    deg2rad_ = _form(elementwise.deg2rad)
    rad2deg_ = _form(elementwise.rad2deg)
    sinc_ = _form(special.sinc)
    erf_ = _form(special.erf)
    erfc_ = _form(special.erfc)
    erfinv_ = _form(special.erfinv)
    lgamma_ = _form(special.lgamma)
    digamma_ = _form(special.digamma)

    clamp_ = clip_ = _form(elementwise.clamp)
    clamp_min_ = _form(elementwise.clamp_min)
    clamp_max_ = _form(elementwise.clamp_max)
    renorm_ = _form(norms.renorm)
    lerp_ = _form(formulas.lerp)
    addcmul_ = _form(formulas.addcmul)
    addcdiv_ = _form(formulas.addcdiv)
    nan_to_num_ = _form(formulas.nan_to_num)
    heaviside_ = _form(formulas.heaviside)
    eq_ = _form(comparing.eq)
    ne_ = not_equal_ = _form(comparing.ne)
    lt_ = less_ = _form(comparing.lt)
    le_ = less_equal_ = _form(comparing.le)
    gt_ = greater_ = _form(comparing.gt)
    ge_ = greater_equal_ = _form(comparing.ge)
    logical_and_ = _form(comparing.logical_and)
    logical_or_ = _form(comparing.logical_or)
    logical_xor_ = _form(comparing.logical_xor)
    logical_not_ = _form(comparing.logical_not)
    bitwise_and_ = _form(comparing.bitwise_and)
    bitwise_or_ = _form(comparing.bitwise_or)
    bitwise_xor_ = _form(comparing.bitwise_xor)
    bitwise_not_ = _form(comparing.bitwise_not)
    bitwise_left_shift_ = _form(comparing.bitwise_left_shift)
    bitwise_right_shift_ = _form(comparing.bitwise_right_shift)
    cumsum_ = _form(scanning.cumsum)
    cumprod_ = _form(scanning.cumprod)

    masked_fill_ = _form(indexing.masked_fill)
    masked_scatter_ = _form(indexing.masked_scatter)
    scatter_ = _form(scattering.scatter)
    scatter_add_ = _form(scattering.scatter_add)
    scatter_reduce_ = _form(scattering.scatter_reduce)
    index_add_ = _form(scattering.index_add)
    index_copy_ = _form(scattering.index_copy)
    index_fill_ = _form(scattering.index_fill)
    index_put_ = _form(scattering.index_put)
    put_ = _form(scattering.put)
    tril_ = _form(arranging.tril)
    triu_ = _form(arranging.triu)
    fill_diagonal_ = _form(arranging.fill_diagonal)
    addmm_ = _form(products.addmm)
    addmv_ = _form(products.addmv)
    addr_ = _form(products.addr)
    addbmm_ = _form(products.addbmm)
    baddbmm_ = _form(products.baddbmm)
    squeeze_ = _shaping(shaping.squeeze)
    unsqueeze_ = _shaping(shaping.unsqueeze)
    t_ = _shaping(shaping.t)
    transpose_ = swapaxes_ = swapdims_ = _shaping(shaping.transpose)

    __iadd__ = _form(elementwise.add)
    __isub__ = _form(elementwise.sub)
    __imul__ = _form(elementwise.mul)
    __itruediv__ = _form(elementwise.div)
    __ifloordiv__ = _form(elementwise.floor_divide)
    __imod__ = _form(elementwise.remainder)
    __ipow__ = _form(elementwise.pow)
    __iand__ = _form(comparing.bitwise_and)
    __ior__ = _form(comparing.bitwise_or)
    __ixor__ = _form(comparing.bitwise_xor)
    __ilshift__ = _form(comparing.bitwise_left_shift)
    __irshift__ = _form(comparing.bitwise_right_shift)
