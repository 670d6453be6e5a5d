"""PyTorch's functions of the same work, to be measured beside ours (``Card.rivals``).

Each is given the module ``torch``, which nothing here imports, and the arguments of a case as NumPy arrays; it makes
tensors of them, as PyTorch's user would hold them, and gives the call that is timed. They hold for the cards' cases,
not for every argument: before anything is timed, the results are compared with ours.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

Torch = Any  # the module
Call = Callable[[], Any]
Rival = Callable[..., Call]


def tensors(torch: Torch, *arguments: Any) -> tuple[Any, ...]:
    """Arrays as tensors, NumPy's numbers as Python's, all else as it is."""
    return tuple(
        torch.from_numpy(x) if isinstance(x, np.ndarray) else x.item() if isinstance(x, np.generic) else x
        for x in arguments
    )


def function(path: str, turn: Callable[..., tuple[Any, ...]] | None = None, **keywords: Any) -> Rival:
    """``torch.<path>`` of the operation's arguments, or of what ``turn`` makes of them."""

    def rival(torch: Torch, *arguments: Any) -> Call:
        given = tensors(torch, *(arguments if turn is None else turn(*arguments)))
        return partial(operator.attrgetter(path)(torch), *given, **keywords)

    return rival


def with_gradient(path: str, **names: int) -> Rival:
    """A loss and its gradient in the logits; ``names`` says which argument is which keyword."""

    def rival(torch: Torch, x: Any, target: Any, *rest: Any) -> Call:
        logits, target = tensors(torch, x, target)
        logits.requires_grad_()
        loss_of = operator.attrgetter(path)(torch)
        keywords = {name: tensors(torch, rest[at])[0] for name, at in names.items()}

        def call() -> tuple[Any, Any]:
            loss = loss_of(logits, target, **keywords)
            return loss, *torch.autograd.grad(loss, logits)

        return call

    return rival


def backward(torch: Torch, results: Any, inputs: tuple[Any, ...], gradients: tuple[Any, ...]) -> Call:
    """The backward alone, again and again over one recorded forward."""
    return lambda: torch.autograd.grad(results, inputs, tensors(torch, *gradients), retain_graph=True)


def leaves(torch: Torch, *arrays: Any) -> tuple[Any, ...]:
    """Tensors that need a gradient."""
    return tuple(x.requires_grad_() for x in tensors(torch, *arrays))


def linear_backward(torch: Torch, needs: Any, g: Any, x: Any, w: Any) -> Call:
    """All three gradients."""
    given = leaves(torch, x, w, np.zeros(len(w), w.dtype))
    return backward(torch, torch.nn.functional.linear(*given), given, (g,))


def ctc(torch: Torch, x: Any, targets: Any, steps: Any, sizes: Any, *options: Any) -> Call:
    """Of sequences of one length."""
    blank, zero_infinity, reduction = options
    given = tensors(torch, x, targets, steps, sizes)
    return partial(torch.nn.functional.ctc_loss, *given, blank, reduction, zero_infinity)


# -- convolution ------------------------------------------------------------------------------------------------------


def conv(op: str, channels_last: bool) -> Rival:
    """``conv2d`` or one of its gradients: the leading dimension of the cases has one entry."""

    def rival(torch: Torch, first: Any, second: Any, stride: Any, padding: Any, dilation: Any, groups: int,
              size: Any = None) -> Call:  # fmt: skip
        a, b = (t.squeeze(2) for t in tensors(torch, first, second))
        if channels_last:
            a, b = (t.contiguous(memory_format=torch.channels_last) for t in (a, b))
        options = stride[1:], padding[1:], dilation[1:], groups
        if op == "conv_forward":
            return lambda: torch.nn.functional.conv2d(a, b, None, *options)
        if op == "conv_input":  # a is the gradient, b the weight
            shape = (len(a), b.shape[1] * groups, *size[1:])
            return lambda: torch.nn.grad.conv2d_input(shape, b, a, *options)
        shape = (a.shape[1], b.shape[1] // groups, *size[1:])
        return lambda: torch.nn.grad.conv2d_weight(b, shape, a, *options)

    return rival


# -- normalisation ----------------------------------------------------------------------------------------------------


def _norm(torch: Torch, kind: str, x: Any, *arguments: Any) -> Any:
    f = torch.nn.functional
    if kind == "layer_norm":
        weight, bias, eps = arguments
        return f.layer_norm(x, x.shape[1:], weight, bias, eps)
    if kind == "rms_norm":
        weight, eps = arguments
        return f.rms_norm(x, x.shape[1:], weight, eps)
    if kind == "fixed_norm":
        mean, variance, weight, bias, eps = arguments
        return f.batch_norm(x, mean, variance, weight, bias, False, 0.1, eps)
    if kind == "group_norm":
        weight, bias, groups, eps = arguments
        return f.group_norm(x, groups, weight, bias, eps)
    weight, bias, eps = arguments
    return f.batch_norm(x, None, None, weight, bias, True, 0.1, eps)


def norm_forward(kind: str) -> Rival:
    """A normalisation by the name of its operation."""

    def rival(torch: Torch, *arguments: Any) -> Call:
        given = tensors(torch, *arguments)
        return lambda: _norm(torch, kind, *given)

    return rival


def norm_backward(kind: str) -> Rival:
    """Its gradients."""

    def rival(torch: Torch, g: Any, x: Any, *arguments: Any) -> Call:
        # As ours are called; what a forward left for its backward, PyTorch finds itself.
        settings: tuple[Any, ...] = ()
        if kind == "fixed_norm":
            mean, variance, weight, eps = arguments
            settings = tensors(torch, mean, variance)
        elif kind in ("batch_norm", "group_norm"):
            weight, _, _, *groups, eps = arguments
        else:
            weight, eps, groups = arguments[0], 1e-5, []
        inputs = a, b, *c = leaves(torch, x, weight, *(() if kind == "rms_norm" else (np.zeros_like(weight),)))
        after = groups if kind == "group_norm" else ()
        return backward(torch, _norm(torch, kind, a, *settings, b, *c, *after, eps), inputs, (g,))

    return rival


# -- attention --------------------------------------------------------------------------------------------------------


def attention_forward(torch: Torch, query: Any, key: Any, value: Any, mask: Any, kept: Any, scale: float,
                      causal: bool, dropout: float) -> Call:  # fmt: skip
    """PyTorch's fused attention."""
    q, k, v = tensors(torch, query, key, value)
    attend = torch.nn.functional.scaled_dot_product_attention
    return lambda: attend(q, k, v, is_causal=causal, scale=scale)


def attention_backward(torch: Torch, g: Any, query: Any, key: Any, value: Any, mask: Any, kept: Any, output: Any,
                       norm: Any, scale: float, causal: bool, dropout: float, needs: Any) -> Call:  # fmt: skip
    """Its gradients."""
    inputs = leaves(torch, query, key, value)
    attend = torch.nn.functional.scaled_dot_product_attention
    return backward(torch, attend(*inputs, is_causal=causal, scale=scale), inputs, (g,))


def _by_distance(torch: Torch, inputs: Sequence[Any], scale: float) -> Any:
    """Its attention with a floating mask: the products of queries and distances, each row moved to its place (Huang et
    al., arXiv:1809.04281, section 3.4.1)."""
    query, key, value, distance = inputs
    L, S, span = query.shape[-2], key.shape[-2], distance.shape[1]
    apart = torch.arange(S - L, S)[:, None] - torch.arange(S)
    seen = (apart >= 0) & (apart < span)
    index = apart.clamp(0, span - 1).expand(*query.shape[:-1], S)
    mask = torch.take_along_dim(query * scale @ distance.transpose(-1, -2), index, -1).masked_fill(~seen, -math.inf)
    return torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)


def relative_attention_forward(torch: Torch, query: Any, key: Any, value: Any, distance: Any, scale: float) -> Call:
    """Relative attention out of its parts: it has none of its own."""
    inputs = tensors(torch, query, key, value, distance)
    return lambda: _by_distance(torch, inputs, scale)


def relative_attention_backward(torch: Torch, g: Any, query: Any, key: Any, value: Any, distance: Any, output: Any,
                                norm: Any, scale: float, needs: Any) -> Call:  # fmt: skip
    """Its gradients."""
    inputs = leaves(torch, query, key, value, distance)
    return backward(torch, _by_distance(torch, inputs, scale), inputs, (g,))


# -- recurrent nets ---------------------------------------------------------------------------------------------------


def _walk(torch: Torch, cell: str, inputs: tuple[Any, ...]) -> Any:
    x, *state, w_ih, w_hh, b_ih, b_hh = inputs
    state = [h[None] for h in state]
    found = getattr(torch, cell)(
        x, state if cell == "lstm" else state[0], [w_ih, w_hh, b_ih, b_hh], True, 1, 0.0, True, False, False
    )
    return found


def rnn_forward(cell: str) -> Rival:
    """A layer over a sequence, recorded: like ours it keeps what the backward needs."""

    def rival(torch: Torch, *arguments: Any) -> Call:
        inputs = leaves(torch, *arguments[:-2])
        return lambda: _walk(torch, cell, inputs)

    return rival


def rnn_backward(cell: str) -> Rival:
    """Its gradients."""
    states = 2 if cell == "lstm" else 1

    def rival(torch: Torch, *arguments: Any) -> Call:
        g, *states_g = arguments[: 1 + states]
        inputs = leaves(torch, *arguments[1 + states : 6 + 2 * states])
        return backward(torch, _walk(torch, cell, inputs), inputs, (g, *(h[None] for h in states_g)))

    return rival


# -- reductions and pooling -------------------------------------------------------------------------------------------


def moments(torch: Torch, x: Any, axis: int, correction: float) -> Call:
    """Variance and mean."""
    return partial(torch.var_mean, *tensors(torch, x), dim=axis, correction=correction)


def _even(windows: Any) -> tuple[list[int], list[int]]:
    """Sizes and steps of windows that are all alike, height and width."""
    firsts, lasts = [w[0] for w in windows[1:]], [w[1] for w in windows[1:]]
    return [int(b[0] - a[0]) for a, b in zip(firsts, lasts)], [int(a[1] - a[0]) for a in firsts]


def max_pool(torch: Torch, x: Any, windows: Any) -> Call:
    """With the places."""
    return partial(torch.nn.functional.max_pool2d, *tensors(torch, x), *_even(windows), return_indices=True)


def sum_pool(torch: Torch, x: Any, windows: Any) -> Call:
    """An average pool that divides by one."""
    return partial(torch.nn.functional.avg_pool2d, *tensors(torch, x), *_even(windows), divisor_override=1)


def sum_pool_backward(torch: Torch, g: Any, windows: Any, size: Any) -> Call:
    """Its gradient."""
    (x,) = leaves(torch, np.zeros((len(g), *size), g.dtype))
    return backward(torch, sum_pool(torch, x, windows)(), (x,), (g,))


def scatter_add(torch: Torch, g: Any, index: Any, size: int) -> Call:
    """Into fresh zeros."""
    values, at = tensors(torch, g, index)
    return lambda: values.new_zeros((*values.shape[:2], size)).scatter_add_(2, at, values)


def grid_sample(torch: Torch, *arguments: Any) -> Call:
    """Under the same names."""
    return partial(torch.nn.functional.grid_sample, *tensors(torch, *arguments))


def grid_sample_backward(torch: Torch, g: Any, x: Any, grid: Any, *options: Any) -> Call:
    """Its gradients."""
    inputs = leaves(torch, x, grid)
    return backward(torch, torch.nn.functional.grid_sample(*inputs, *options), inputs, (g,))


# -- optimizers -------------------------------------------------------------------------------------------------------

#: Per operation: the class, the names of the scalars that a plain step takes, and the implementations to compare with.
OPTIMIZERS: dict[str, tuple[str, dict[str, float | tuple[float, float]], tuple[str, ...]]] = {
    "sgd_": ("SGD", {"lr": 0.1}, ("foreach", "fused")),
    "adam_": ("Adam", {"lr": 1e-3}, ("foreach", "fused")),
    "rmsprop_": ("RMSprop", {"lr": 1e-2}, ("foreach",)),
    "adagrad_": ("Adagrad", {"lr": 1e-2}, ("foreach", "fused")),
    "adadelta_": ("Adadelta", {"lr": 1.0}, ("foreach",)),
    "adamax_": ("Adamax", {"lr": 2e-3}, ("foreach",)),
    "nadam_": ("NAdam", {"lr": 2e-3}, ("foreach",)),
    "radam_": ("RAdam", {"lr": 1e-3}, ("foreach",)),
    "asgd_": ("ASGD", {"lr": 0.1}, ("foreach",)),
    "rprop_": ("Rprop", {"lr": 1e-6, "etas": (0.5, 1.2)}, ("foreach",)),
}


def optimizers(op: str) -> dict[str, Rival]:
    """``torch.optim``'s steps, by their names; none where it has no such optimizer."""
    if op not in OPTIMIZERS:
        return {}
    name, settings, ways = OPTIMIZERS[op]

    def rival(torch: Torch, scalars: Any, *arrays: Any, way: str) -> Call:
        params, gradients = leaves(torch, *arrays[: len(arrays) // 2]), tensors(torch, *arrays[len(arrays) // 2 :])
        for param, gradient in zip(params, gradients):
            param.grad = gradient
        optimizer = getattr(torch.optim, name)(params, **settings, **{way: True})

        def step() -> tuple[Any, ...]:
            optimizer.step()
            return params

        return step

    return {f"torch {way}": partial(rival, way=way) for way in ways}


def squared_norm(torch: Torch, *gradients: Any) -> Call:
    """The norm of all, squared."""
    grads = tensors(torch, *gradients)
    return lambda: torch.nn.utils.get_total_norm(grads, 2.0, foreach=True).square()


def scale_gradients(torch: Torch, *gradients: Any) -> Call:
    """All at once, in place."""
    grads = tensors(torch, *gradients)

    def call() -> tuple[Any, ...]:
        torch._foreach_mul_(grads, -1.0)
        return grads

    return call
