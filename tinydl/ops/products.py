"""Matrix products. The family is closed: the gradient of a product is a product."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.ops.axes import one_axis, remembered
from tinydl.ops.casting import cast
from tinydl.ops.extrema import data_of
from tinydl.ops.reducing import reduce_sum, sum_rows
from tinydl.ops.shaping import broadcast_shapes, broadcasts, expand_to, permute_axes, reshape_to

# Multiply-adds from which OpenBLAS would wake its own threads beside the kernels' pool (tinydl.kernels.matmul says why
# that is slow). Below, BLAS runs on one thread and wins by its small overhead.
_LARGE = 4 * 65536
_FEW = 1 << 19  # multiply-adds of a linear layer that is computed in one call (tinydl.kernels.linear)

_MATMUL = by_dtype("matmul")
_LINEAR, _LINEAR_BACKWARD = by_dtype("linear"), by_dtype("linear_backward")


def product(a: Any, b: Any) -> Any:
    """``a @ b`` of arrays: large products with a matrix on the kernels' thread pool, all others on BLAS."""
    if a.size * b.size <= _LARGE:  # the usual case, told by one multiplication
        # Of few dimensions, dot is matmul without the overhead of a generalised function: 0.5 us instead of 1.4.
        if 0 < b.ndim <= 2 and (a.ndim == 1 or a.ndim == 2):
            return a.dot(b)
        if a.ndim == 3 and b.ndim == 2 and a.size and a.flags.c_contiguous:  # one matrix of all rows
            return a.reshape(-1, a.shape[2]).dot(b).reshape(a.shape[0], a.shape[1], b.shape[1])
        return np.matmul(a, b)
    if b.ndim == 2 and a.ndim > 1 and a.size * b.shape[1] > _LARGE and a.shape[-1] == b.shape[0] and a.dtype == b.dtype:
        if a.ndim > 2:
            return product(rows(a), b).reshape(*a.shape[:-1], b.shape[1])
        vector = a.shape[0] == 1 or b.shape[1] == 1  # then memory is the limit, and BLAS's own kernel the best
        if a.dtype.kind == "f" and type(a) is np.ndarray and not vector:
            return _MATMUL[a.dtype](a, b)
    return np.matmul(a, b)


@primitive(view=True, input=lambda g: swap_last(g))
def swap_last(input: Any) -> Any:
    """The last two dimensions exchanged: the transpose of each matrix."""
    return input.swapaxes(-1, -2)


@primitive(
    input=lambda g, other: mm(g, swap_last(other)),
    other=lambda g, input: mm(swap_last(input), g),
)
def mm(input: Any, other: Any) -> Any:
    """[..., M, K] @ [..., K, N] -> [..., M, N]; leading dimensions broadcast."""
    if input.ndim == other.ndim == 2 and input.size * other.size <= _LARGE:
        return input.dot(other)  # the usual case of :func:`product`
    return product(input, other)


def _few(needs: tuple[bool, bool, bool], g: Any, weight: Any, input: Any) -> Any:
    """The gradients of :func:`linear` on few numbers."""
    inputs = input.shape[-1] if weight is None and input is not None else 0 if weight is None else weight.shape[1]
    if 0 < g.size * inputs <= _FEW and type(g) is np.ndarray:
        return _LINEAR_BACKWARD[g.dtype](needs, g, input, weight)
    return None


@primitive(
    input=lambda g, weight: mm(g, weight) if len(g.shape) > 1 else fold(mm(unfold(g), weight)),
    weight=lambda g, input: linear_weight(g, input),
    bias=lambda g: column_sums(g),
    few=_few,
)
def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """y = x W^T + b: input[..., I], weight[O, I], bias[O] or None -> [..., O]."""
    dtype, shape = input.dtype, weight.shape
    if (
        input.size * shape[0] <= _FEW
        and input.shape[-1:] == shape[1:]
        and weight.dtype is dtype
        and (bias is None or (bias.dtype is dtype and bias.shape == shape[:1]))
        and type(input) is np.ndarray
    ):
        return _LINEAR[dtype](input, weight, bias)
    try:
        y = product(input, weight.T)
    except ValueError:
        _refuse("linear", input, weight.T)
        raise
    if y.dtype != input.dtype or weight.dtype != input.dtype:
        raise RuntimeError(
            f"linear: mat1 and mat2 must have the same dtype, but got {input.dtype} and {weight.dtype}; "
            "convert one with .to()"
        )
    if bias is not None:
        if bias.dtype != y.dtype or bias.shape != y.shape[-1:]:
            raise RuntimeError(
                f"linear: the bias has shape {tuple(bias.shape)} and dtype {bias.dtype}, expected "
                f"{tuple(y.shape[-1:])} and {y.dtype}"
            )
        y += bias
    return y


@primitive(
    input=lambda g, other: linear(other, g),
    other=lambda g, input: mm(input, g) if len(input.shape) > 1 else fold(mm(unfold(input), g)),
)
def linear_weight(input: Any, other: Any) -> Any:
    """The weight's gradient in :func:`linear`: input[..., O], other[..., I] -> [O, I], summed over all rows."""
    return product(rows(input).T, rows(other))


@primitive(input=lambda g, input_shape: expand_to(g, shape=input_shape))
def column_sums(input: Any) -> Any:
    """[..., N] -> [N], summed over all rows: the bias's gradient in :func:`linear`."""
    return sum_rows(rows(input))


@primitive(
    input=lambda g, vec: reshape_to(g, shape=(*g.shape, 1)) * vec,
    vec=lambda g, input: matrix_vector(
        swap_last(rows(input)), g if len(g.shape) == 1 else reshape_to(g, shape=(math.prod(g.shape),))
    ),
)
def matrix_vector(input: Any, vec: Any) -> Any:
    """[..., M, K] @ [K] -> [..., M]."""
    if input.ndim == 2:
        return input.dot(vec)
    if input.size and input.flags.c_contiguous:  # one matrix of all rows
        return input.reshape(-1, input.shape[-1]).dot(vec).reshape(input.shape[:-1])
    return np.matmul(input, vec)


@primitive(input=lambda g, other: g * other, other=lambda g, input: g * input)
def inner_product(input: Any, other: Any) -> Any:
    """[K] . [K], summed as BLAS sums."""
    return input.dot(other)


def rows(x: Any) -> Any:
    """[..., N] as a matrix [R, N]."""
    shape = x.shape
    if len(shape) == 2:
        return x
    count = 1
    for s in shape[:-1]:
        count *= s
    return reshape_to(x, shape=(count, shape[-1]))


def unfold(x: Any) -> Any:
    """[N] as [1, N]."""
    return reshape_to(x, shape=(1, x.shape[0]))


def fold(x: Any) -> Any:
    """[1, N] as [N]."""
    return reshape_to(x, shape=(x.shape[1],))


def _refuse(name: str, a: Any, b: Any) -> None:
    if a.ndim == 0 or b.ndim == 0:
        raise RuntimeError(f"{name}: both arguments need to be at least 1D, but they are {a.ndim}D and {b.ndim}D")
    k = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != k:
        left = "x".join(str(s) for s in (int(np.prod(a.shape[:-1])), a.shape[-1]))
        right = "x".join(str(s) for s in b.shape)
        raise RuntimeError(
            f"{name}: mat1 and mat2 shapes cannot be multiplied ({left} and {right}); the inner sizes {a.shape[-1]} "
            f"and {k} must be equal"
        )
    raise RuntimeError(f"{name}: the batch dimensions of {tuple(a.shape)} and {tuple(b.shape)} do not broadcast")


def _of_one_dtype(name: str, first: Any, *others: Any) -> None:
    for x in others:
        if x.dtype is not first.dtype and x.dtype != first.dtype:
            raise RuntimeError(f"{name}(): all tensors must have the same dtype, but got {first.dtype} and {x.dtype}")


def matmul(input: Any, other: Any) -> Any:
    """Product of vectors, matrices or batches of matrices, as PyTorch's ``matmul`` (one dtype)."""
    x, y = getattr(input, "array", None), getattr(other, "array", None)
    if x is not None and y is not None and x.dtype is y.dtype:  # the usual cases of two tensors
        if y.ndim == 2 and x.ndim > 1 and x.shape[-1] == y.shape[0]:
            return mm(input, other)
        if y.ndim == 1 and x.ndim and x.shape[-1] == y.shape[0]:
            return (matrix_vector if x.ndim > 1 else inner_product)(input, other)
        if x.ndim == 1 and y.ndim == 2 and x.shape[0] == y.shape[0]:
            return matrix_vector(swap_last(other), input)
    try:
        a, b = input.shape, other.shape
    except AttributeError:
        left, right = type(input).__name__, type(other).__name__
        raise TypeError(
            f"unsupported operand type(s) for @: {left!r} and {right!r}; multiply by a number with *, and make a list "
            "a tensor with tinydl.tensor()"
        ) from None
    if input.dtype is not other.dtype and input.dtype != other.dtype:
        raise RuntimeError(
            f"matmul: expected m1 and m2 to have the same dtype, but got: {input.dtype} != {other.dtype}"
        )
    if not a or not b or a[-1] != (b[-2] if len(b) > 1 else b[0]):
        _refuse("matmul", input, other)
    if len(a) > 1 and len(b) > 1:
        try:
            return mm(input, other)
        except ValueError:
            _refuse("matmul", input, other)
    if len(b) == 1:
        return (matrix_vector if len(a) > 1 else inner_product)(input, other)
    out = mm(reshape_to(input, shape=(1,) + a), other)
    return reshape_to(out, shape=out.shape[:-2] + out.shape[-1:])


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """y_o = x1^T W_o x2 + b_o: input1[..., I], input2[..., J], weight[O, I, J], bias[O] or None -> [..., O]."""
    O, I, J = weight.shape
    _of_one_dtype("bilinear", input1, input2, weight, *(() if bias is None else (bias,)))
    if input1.shape[:-1] != input2.shape[:-1]:
        raise RuntimeError(
            f"bilinear(): input batch dimensions do not match: got {tuple(input1.shape)} and {tuple(input2.shape)}"
        )
    if input1.shape[-1] != I or input2.shape[-1] != J:
        raise RuntimeError(
            f"bilinear(): input sizes do not match weight size: got {input1.shape[-1]} and {input2.shape[-1]} but "
            f"expected {I} and {J}"
        )
    if bias is not None and tuple(bias.shape) != (O,):
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {tuple(bias.shape)}, expected {(O,)}"
        )
    x1, x2 = rows(input1), rows(input2)
    matrix = reshape_to(permute_axes(weight, axes=(1, 0, 2)), shape=(I, O * J))
    terms = reshape_to(mm(x1, matrix), shape=(x1.shape[0], O, J)) * reshape_to(x2, shape=(x2.shape[0], 1, J))
    out = reshape_to(reduce_sum(terms, axis=(2,), keepdims=False), shape=(*input1.shape[:-1], O))
    return out if bias is None else out + bias


def matrix_product(input: Any, mat2: Any) -> Any:
    """[M, K] @ [K, N] -> [M, N], without broadcasting."""
    x, y = data_of(input), data_of(mat2)
    a, b = x.shape, y.shape
    if len(a) == 2 and len(b) == 2 and a[1] == b[0] and x.dtype is y.dtype:
        return mm(input, mat2)
    if len(a) != 2 or len(b) != 2:
        raise RuntimeError(f"mm: both arguments must be matrices, got {tuple(a)} and {tuple(b)}")
    return matmul(input, mat2)


def mv(input: Any, vec: Any) -> Any:
    """[M, K] @ [K] -> [M]."""
    x, y = data_of(input), data_of(vec)
    if x.ndim != 2 or y.ndim != 1:
        raise RuntimeError(
            f"vector + matrix @ vector expected, got 1, {input.ndim}, {vec.ndim}: mv takes a matrix and a vector, not "
            f"{tuple(input.shape)} and {tuple(vec.shape)}"
        )
    return matmul(input, vec)


def bmm(input: Any, mat2: Any) -> Any:
    """[B, M, K] @ [B, K, N] -> [B, M, N], without broadcasting."""
    x, y = data_of(input), data_of(mat2)
    a, b = x.shape, y.shape
    if len(a) != 3 or len(b) != 3 or a[0] != b[0]:
        raise RuntimeError(f"bmm: expected two 3D tensors of one batch size, got {tuple(a)} and {tuple(b)}")
    if a[2] == b[1] and x.dtype is y.dtype:
        return mm(input, mat2)
    return matmul(input, mat2)


@primitive(
    promote="same",
    input=lambda g, vec2: matrix_vector(g, vec2),
    vec2=lambda g, input: matrix_vector(swap_last(g), input),
)
def outer(input: Any, vec2: Any) -> Any:
    """input[M], vec2[N] -> [M, N]."""
    x, y = np.asarray(input), np.asarray(vec2)
    if x.ndim != 1 or y.ndim != 1:
        raise RuntimeError(
            f"outer: Expected argument self and vec2 to be 1-D tensors, but got {x.ndim}-D and {y.ndim}-D"
        )
    return np.multiply(x[:, None], y)


ger = outer


def dot(input: Any, tensor: Any) -> Any:
    """Inner product of two vectors of one length."""
    x, y = data_of(input), data_of(tensor)
    if x.ndim != 1 or y.ndim != 1 or x.size != y.size:
        raise RuntimeError(
            f"dot: expected two 1D tensors of one size, got {tuple(input.shape)} and {tuple(tensor.shape)}"
        )
    if x.dtype is y.dtype:
        return inner_product(input, tensor)
    return matmul(input, tensor)


vdot = dot


def inner(input: Any, other: Any) -> Any:
    """Sums over the last dimension of both: [..., K], [..., K] -> [..., ...]; a number multiplies."""
    x, y = data_of(input), data_of(other)
    if not x.ndim or not y.ndim:
        return input * other
    if x.shape[-1] == y.shape[-1] and x.dtype is y.dtype and x.dtype.kind == "f":
        if x.ndim == y.ndim == 1:
            return inner_product(input, other)
        if y.ndim == 2:
            return linear(input, other, None)
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    return tensordot(input, other, ([-1], [-1]))


def tensordot(a: Any, b: Any, dims: Any = 2) -> Any:
    """Sums over pairs of dimensions: the last ``dims`` of ``a`` with the first of ``b``, or two lists of dimensions."""
    if not isinstance(dims, int):
        dims = tuple([(d,) if isinstance(d, int) else tuple(d) for d in dims])
    _of_one_dtype("tensordot", a, b)
    left, first, right, second, shape = _contracted(tuple(a.shape), tuple(b.shape), dims)
    x = reshape_to(a if left is None else permute_axes(a, axes=left), shape=first)
    y = reshape_to(b if right is None else permute_axes(b, axes=right), shape=second)
    return reshape_to(mm(x, y), shape=shape)


@remembered
def _contracted(a: tuple[int, ...], b: tuple[int, ...], dims: Any) -> tuple[Any, ...]:
    """For both tensors an order of dimensions (None: as they are) and their shapes as matrices; the result's shape."""
    if isinstance(dims, int):
        if dims < 0 or dims > len(a) or dims > len(b):
            raise RuntimeError(
                f"tensordot expects dims >= 0 and at most the dimensions of both tensors, but got dims={dims} for "
                f"{a} and {b}"
            )
        dims = (tuple(range(len(a) - dims, len(a))), tuple(range(dims)))
    left, right = dims
    if len(left) != len(right):
        raise RuntimeError("both dimension lists should have same length")
    left, right = [one_axis(d, len(a)) for d in left], [one_axis(d, len(b)) for d in right]
    for i, j in zip(left, right):
        if a[i] != b[j]:
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a[i]} in dim {i} and second has size "
                f"{b[j]} in dim {j}"
            )
    rest, others = ([d for d in range(len(x)) if d not in used] for x, used in ((a, left), (b, right)))
    k = math.prod(a[d] for d in left)
    m, n = tuple(a[d] for d in rest), tuple(b[d] for d in others)
    orders = [None if order == tuple(range(len(order))) else order for order in ((*rest, *left), (*right, *others))]
    return orders[0], (math.prod(m), k), orders[1], (k, math.prod(n)), m + n


def kron(input: Any, other: Any) -> Any:
    """The Kronecker product: each element of ``input`` times all of ``other``, as blocks."""
    left, right, shape = _blocks(input.shape, other.shape)
    return reshape_to(reshape_to(input, shape=left) * reshape_to(other, shape=right), shape=shape)


@remembered
def _blocks(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    rank = max(len(a), len(b))
    a, b = (1,) * (rank - len(a)) + tuple(a), (1,) * (rank - len(b)) + tuple(b)
    return (
        tuple(n for s in a for n in (s, 1)), tuple(n for s in b for n in (1, s)), tuple(s * t for s, t in zip(a, b))
    )  # fmt: skip


def chain_matmul(*matrices: Any) -> Any:
    """The product of matrices, in the order of brackets that takes the fewest multiplications."""
    if len(matrices) == 1 and isinstance(matrices[0], (tuple, list)):
        matrices = tuple(matrices[0])
    for i, x in enumerate(matrices):
        if x.ndim != 2:
            raise RuntimeError(f"chain_matmul(): Tensor at position {i} is {x.ndim}D, expected a matrix")
    return matrices[0] if len(matrices) == 1 else multi_dot(matrices)


def multi_dot(tensors: Any) -> Any:
    """The product of matrices (the first and the last may be vectors), in the order of brackets that takes the fewest
    multiplications (Cormen et al., *Introduction to Algorithms*, 15.2)."""
    xs = list(tensors)
    if len(xs) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(xs)}")
    arrays = [data_of(x) for x in xs]
    _of_one_dtype("multi_dot", *xs)
    row, column = arrays[0].ndim == 1, arrays[-1].ndim == 1
    if row:
        xs[0] = reshape_to(xs[0], shape=(1, *xs[0].shape))
    if column:
        xs[-1] = reshape_to(xs[-1], shape=(*xs[-1].shape, 1))
    cut = _brackets_of(*[tuple(x.shape) for x in (xs if row or column else arrays)])
    out = _bracketed(xs, cut, 0, len(xs) - 1)
    if not (row or column):
        return out
    return reshape_to(out, shape=out.shape[1 if row else 0 : 1 if column else 2])


@remembered
def _brackets_of(*shapes: tuple[int, ...]) -> dict[tuple[int, int], int]:
    """:func:`_best_brackets` of matrices, whose shapes are looked at."""
    for i, x in enumerate(shapes):
        if len(x) != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {len(x)}D")
    for i, (x, y) in enumerate(zip(shapes, shapes[1:])):
        if x[1] != y[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i} and {i + 1} with shapes {list(x)} and {list(y)} cannot be multiplied"
            )
    return _best_brackets([x[0] for x in shapes] + [shapes[-1][1]])


def _best_brackets(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Per range (i, j) of matrices, after which one the outermost bracket closes."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    cut: dict[tuple[int, int], int] = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j], cut[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )
    return cut


def _bracketed(xs: list[Any], cut: dict[tuple[int, int], int], i: int, j: int) -> Any:
    if i == j:
        return xs[i]
    k = cut[i, j]
    return mm(_bracketed(xs, cut, i, k), _bracketed(xs, cut, k + 1, j))


# --------------------------------------------------------------------------------- beta * input + alpha * (a product)


def _plus(name: str, input: Any, found: Any, beta: Any, alpha: Any) -> Any:
    """``beta`` 0 leaves ``input`` out, also where it is infinite or not a number."""
    if name != "addr" and input.dtype != found.dtype:
        raise RuntimeError(f"{name}: expected one dtype, but self is {input.dtype} and the product {found.dtype}")
    for factor, number in (("beta", beta), ("alpha", alpha)):
        if isinstance(number, float) and input.dtype.kind != "f" and found.dtype.kind != "f":
            raise RuntimeError(f"For integral input tensors, argument {factor} must not be a floating point number.")
    if not broadcasts(input.shape, found.shape):
        raise RuntimeError(
            f"{name}: The expanded size of the tensor {list(found.shape)} must match the existing size "
            f"{list(input.shape)}"
        )
    if alpha != 1:
        found = found * alpha
    if beta == 0:
        return found
    return found + (input if beta == 1 else input * beta)


@primitive(
    input=lambda g, beta: g if beta == 1 else g * beta,
    left=lambda g, right, alpha: _left_factor(g if alpha == 1 else g * alpha, right),
    right=lambda g, left, alpha: _right_factor(g if alpha == 1 else g * alpha, left),
)
def plus_product(input: Any, left: Any, right: Any, *, beta: Any, alpha: Any) -> Any:
    """beta input + alpha left @ right, of floating numbers; ``right`` may be a vector."""
    out = product(left, right)
    if alpha != 1:
        out *= alpha
    if beta == 1:
        out += input
    elif beta != 0:
        out += input * beta
    return out


def _left_factor(g: Any, right: Any) -> Any:
    return mm(g, swap_last(right)) if len(right.shape) > 1 else reshape_to(g, shape=(*g.shape, 1)) * right


def _right_factor(g: Any, left: Any) -> Any:
    return matrix_vector(swap_last(left), g) if len(g.shape) == 1 else mm(swap_last(left), g)


def _direct(input: Any, left: Any, right: Any, rank: int, columns: int = 0) -> bool:
    """Whether :func:`plus_product` may do it: floating matrices of one dtype that fit. columns: dimensions of
    ``right``, by default also ``rank``."""
    a, b, c = data_of(input), data_of(left), data_of(right)
    kind = a.dtype
    if kind is not b.dtype or kind is not c.dtype or kind.kind != "f":
        return False
    return _fitting(a.shape, b.shape, c.shape, rank, columns or rank)


@remembered
def _fitting(a: tuple[int, ...], b: tuple[int, ...], c: tuple[int, ...], rank: int, columns: int) -> bool:
    if len(b) != rank or len(c) != columns or b[-1] != c[0 if columns == 1 else -2] or b[:-2] != c[:-2]:
        return False
    return broadcasts(a, (*b[:-1], *(() if columns == 1 else c[-1:])))


def addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """beta input + alpha mat1 @ mat2, for matrices."""
    if _direct(input, mat1, mat2, 2):
        return plus_product(input, mat1, mat2, beta=beta, alpha=alpha)
    return _plus("addmm", input, matrix_product(mat1, mat2), beta, alpha)


def addmv(input: Any, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """beta input + alpha mat @ vec."""
    if _direct(input, mat, vec, 2, 1):
        return plus_product(input, mat, vec, beta=beta, alpha=alpha)
    return _plus("addmv", input, mv(mat, vec), beta, alpha)


def addr(input: Any, vec1: Any, vec2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """beta input + alpha vec1 vec2^T."""
    return _plus("addr", input, outer(vec1, vec2), beta, alpha)


def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """beta input + alpha batch1 @ batch2, for batches of matrices."""
    if _direct(input, batch1, batch2, 3):
        return plus_product(input, batch1, batch2, beta=beta, alpha=alpha)
    return _plus("baddbmm", input, bmm(batch1, batch2), beta, alpha)


def addbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """beta input + alpha times the sum over the batch of batch1 @ batch2."""
    products = bmm(batch1, batch2)
    found = reduce_sum(products, axis=(0,), keepdims=False)  # whole numbers are summed in int64
    return _plus("addbmm", input, cast(found, dtype=products.dtype), beta, alpha)


def cross(input: Any, other: Any, dim: int | None = None, *, axis: int | None = None) -> Any:
    """The vector product along a dimension of size 3 (the first such one unless ``dim`` says which)."""
    if input.ndim != other.ndim:
        raise RuntimeError(
            f"linalg.cross: inputs must have the same number of dimensions, got {tuple(input.shape)} and "
            f"{tuple(other.shape)}"
        )
    shape = broadcast_shapes(input.shape, other.shape)
    a = _crossed(shape, dim if axis is None else axis, tuple(input.shape), tuple(other.shape))
    return crossed(input, other, axis=a - len(shape))


@remembered
def _crossed(shape: tuple[int, ...], dim: Any, left: tuple[int, ...], right: tuple[int, ...]) -> int:
    if dim is None:
        dim = next((k for k, n in enumerate(shape) if n == 3), None)
        if dim is None:
            raise RuntimeError(f"no dimension of size 3 in input, whose shape is {tuple(shape)}")
    a = one_axis(dim, len(shape))
    if shape[a] != 3:
        raise RuntimeError(f"linalg.cross: inputs dimension {dim} must have length 3. Got {left} and {right}")
    return a


_NEXT, _LAST = np.array([1, 2, 0]), np.array([2, 0, 1])


@primitive(
    promote="same",
    input=lambda g, other, axis: crossed(other, g, axis=axis),
    other=lambda g, input, axis: crossed(g, input, axis=axis),
)
def crossed(input: Any, other: Any, *, axis: int) -> Any:
    """The vector product along the dimension ``axis``, counted from the last one; the others broadcast."""
    if input.shape != other.shape:
        input, other = np.broadcast_arrays(input, other)
    out = input.take(_NEXT, axis) * other.take(_LAST, axis)
    out -= input.take(_LAST, axis) * other.take(_NEXT, axis)
    return out
