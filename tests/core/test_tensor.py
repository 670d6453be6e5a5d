"""Tensors as objects: making them, NumPy's protocols, printing, copying, errors' words."""

from __future__ import annotations

import copy
import pickle  # to send tensors between processes, never to read files
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import tinydl


def test_python_numbers_become_the_default_dtype() -> None:
    assert tinydl.tensor(1.5).dtype == np.float32
    assert tinydl.tensor([[1, 2], [3, 4]]).dtype == np.int64
    assert tinydl.tensor([True]).dtype == np.bool_
    assert tinydl.tensor(np.ones(2)).dtype == np.float64
    assert tinydl.tensor(np.float64(1)).dtype == np.float64
    assert tinydl.tensor([]).dtype == np.float32
    assert tinydl.tensor([1, 2], dtype=tinydl.float64).dtype == np.float64
    assert tinydl.full((2,), 3).dtype == np.int64 and tinydl.full((2,), 3.0).dtype == np.float32
    assert tinydl.arange(3).dtype == np.int64 and tinydl.arange(0, 1, 0.25).tolist() == [0, 0.25, 0.5, 0.75]
    assert tinydl.tensor([tinydl.tensor(1.0), tinydl.tensor(2.0)]).tolist() == [1, 2]


def test_tensor_copies_and_from_numpy_shares() -> None:
    a = np.ones(3, np.float32)
    assert not np.shares_memory(tinydl.tensor(a).array, a)
    assert np.shares_memory(tinydl.from_numpy(a).array, a)
    with pytest.raises(TypeError, match=r"expected np.ndarray \(got list\)"):
        tinydl.from_numpy([1, 2])  # type: ignore[arg-type]


def test_default_dtype_can_change() -> None:
    tinydl.set_default_dtype(tinydl.float64)
    try:
        assert tinydl.tensor(1.5).dtype == np.float64 and (tinydl.tensor([1, 2]) / 2).dtype == np.float64
    finally:
        tinydl.set_default_dtype(tinydl.float32)
    with pytest.raises(TypeError, match="only floating-point types"):
        tinydl.set_default_dtype(tinydl.int64)


def test_numpy_on_the_left_makes_tensors() -> None:
    x = tinydl.tensor([1.0, 2.0], requires_grad=True)
    for y, want in (
        (np.ones(2, np.float32) * x, [1, 2]),
        (np.float32(2) + x, [3, 4]),
        (np.float64(2) / x, [2, 1]),
        (np.array([[1.0, 1.0]], np.float32) @ x, [3]),
        (np.exp(x * 0), [1, 1]),
        (np.maximum(x, 1.5), [1.5, 2]),
    ):
        assert isinstance(y, tinydl.Tensor) and y.requires_grad and y.dtype == np.float32
        np.testing.assert_allclose(y.detach().numpy(), want)
    assert (np.array([1.0, 5.0]) < x).tolist() == [False, False]
    with pytest.raises(
        TypeError,
        match=r"numpy.spacing is not defined on tinydl tensors; use a tinydl operation, or tensor.detach\(\).numpy\(\)",
    ):
        np.spacing(x)
    with pytest.raises(TypeError, match="with keyword arguments"):
        np.add(x, x, out=np.zeros(2, np.float32))


def test_array_protocol() -> None:
    x = tinydl.tensor([1.0, 2.0])
    assert np.shares_memory(np.asarray(x), x.array) and not np.shares_memory(np.array(x), x.array)
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    with pytest.raises(RuntimeError, match="Can't call numpy"):
        np.asarray(tinydl.ones(2, requires_grad=True))
    assert np.shares_memory(np.from_dlpack(x), x.array)
    assert np.shares_memory(tinydl.from_dlpack(x.array).array, x.array)


def test_copies_and_pickles() -> None:
    x = tinydl.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    y = copy.deepcopy(x)
    assert y.requires_grad and y.grad.tolist() == [2, 4] and not np.shares_memory(x.array, y.array)
    z = pickle.loads(pickle.dumps(x))
    assert z.tolist() == [1, 2] and z.requires_grad
    for f in (copy.deepcopy, pickle.dumps):
        with pytest.raises(RuntimeError, match=r"detach\(\) it first"):
            f(x * 2)


def doubled(x: tinydl.Tensor) -> tinydl.Tensor:
    """At the top level, so that a spawned process finds it."""
    return (x * 2).detach().requires_grad_(x.requires_grad)


def test_tensors_travel_between_processes() -> None:
    from multiprocessing import get_context

    with get_context("spawn").Pool(1) as pool:
        for x in (
            tinydl.tensor([[1.0, 2.0]], requires_grad=True),
            tinydl.tensor(3),
            tinydl.zeros(0, 2),
            tinydl.ones(2, 3).T,
            tinydl.tensor([1.0], dtype=tinydl.float16),
        ):
            y = pool.apply(doubled, (x,))
            assert isinstance(y, tinydl.Tensor) and y.dtype == x.dtype and y.requires_grad == x.requires_grad
            np.testing.assert_array_equal(y.detach().numpy(), 2 * x.detach().numpy())


def test_deepcopy_keeps_what_is_shared_and_copies_the_rest() -> None:
    x = tinydl.tensor([1.0], requires_grad=True)
    a, b, c = copy.deepcopy([x, x, tinydl.nn.Parameter(x)])
    assert a is b and a is not x and type(c) is tinydl.nn.Parameter
    assert not np.shares_memory(a.array, x.array)


def test_assigning_a_gradient_is_checked() -> None:
    x = tinydl.ones(2, 3, requires_grad=True)
    x.grad = tinydl.zeros(2, 3)
    for value, kind, message in (
        (np.ones((2, 3)), TypeError, "assigned grad expected to be a Tensor or None but got grad of type ndarray"),
        (x, RuntimeError, "can't assign a tensor as its own grad"),
        (tinydl.ones(3, 2), RuntimeError, r"a gradient of size '\[3, 2\]' to a tensor of size '\[2, 3\]'"),
        (tinydl.ones(2, 3, dtype="float64"), RuntimeError, "dtype 'float64' to a tensor of dtype 'float32'; convert"),
    ):
        with pytest.raises(kind, match=message):
            x.grad = value
        assert x.grad.tolist() == [[0.0] * 3] * 2
    del x.grad
    assert x.grad is None


def test_devices() -> None:
    cpu = tinydl.device("cpu")
    assert tinydl.ones(1).device == cpu == "cpu" and cpu.type == "cpu" and cpu.index is None and str(cpu) == "cpu"
    assert repr(tinydl.device("cuda:1")) == "device(type='cuda', index=1)" and tinydl.device("cuda", 1).index == 1
    assert copy.deepcopy(tinydl.device("cuda:1")).index == 1 and tinydl.device(cpu) is cpu
    for name in ("tpu", "cuda:x", "", "cpu:-1"):
        with pytest.raises(RuntimeError, match="Expected one of cpu, cuda, mps, xpu device type at start"):
            tinydl.device(name)
    assert tinydl.device("cuda" if tinydl.cuda.is_available() else "cpu") == cpu and tinydl.cuda.device_count() == 0
    tinydl.cuda.manual_seed_all(1)
    like = tinydl.ones(2)
    for make in (
        lambda d: tinydl.zeros(2, device=d), lambda d: tinydl.ones((2,), device=d), lambda d: tinydl.empty(2, device=d),
        lambda d: tinydl.full((2,), 1.0, device=d), lambda d: tinydl.arange(3, device=d),
        lambda d: tinydl.linspace(0, 1, 3, device=d), lambda d: tinydl.eye(2, device=d), like.to,
        lambda d: tinydl.tensor([1], device=d), lambda d: tinydl.as_tensor([1], device=d), like.new_zeros(1).to,
        lambda d: tinydl.zeros_like(like, device=d), lambda d: tinydl.logspace(0, 1, 3, device=d),
        lambda d: tinydl.rand(2, device=d), lambda d: tinydl.randn(2, device=d),
        lambda d: tinydl.randint(3, (2,), device=d), lambda d: tinydl.randperm(2, device=d),
        lambda d: tinydl.rand_like(like, device=d), lambda d: tinydl.tril_indices(2, 2, device=d),
    ):  # fmt: skip
        for good in ("cpu", cpu):
            assert make(good).device == "cpu"
        for bad in ("cuda", tinydl.device("cuda", 0)):
            with pytest.raises(RuntimeError, match="no CUDA backend is available for device 'cuda(:0)?': .*stay on"):
                make(bad)


def test_sizes() -> None:
    x = tinydl.ones(2, 3)
    assert x.size() == (2, 3) == x.shape and x.size().numel() == 6 and x.size(-1) == 3 and x.size()[0] == 2
    assert repr(x.size()) == "tinydl.Size([2, 3])" and tinydl.zeros(x.size()).shape == (2, 3)


def test_scalars_lengths_and_truth() -> None:
    assert float(tinydl.tensor([2.5])) == 2.5 and int(tinydl.tensor(3)) == 3 and [1, 2, 3][tinydl.tensor(1)] == 2
    assert bool(tinydl.tensor(0.0)) is False and len(tinydl.zeros(3, 2)) == 3
    assert [float(r.sum()) for r in tinydl.ones(2, 3)] == [3, 3]
    assert 2.0 in tinydl.tensor([1.0, 2.0]) and (tinydl.tensor(1.0) == None) is False  # noqa: E711
    for f, message in (
        (lambda: bool(tinydl.ones(2)), "Boolean value of Tensor with more than one value is ambiguous"),
        (lambda: len(tinydl.tensor(1)), "len\\(\\) of a 0-d tensor"),
        (lambda: tinydl.ones(2).item(), "a Tensor with 2 elements cannot be converted to Scalar"),
        (lambda: [1, 2][tinydl.tensor(1.0)], "only integer tensors of a single element"),
    ):
        with pytest.raises((RuntimeError, TypeError), match=message):
            f()


def test_memory_layout_is_kept_by_elementwise_operations() -> None:
    """Channels-last is a property of strides: shapes stay PyTorch's."""
    array = np.random.default_rng(0).standard_normal((2, 5, 4, 3)).transpose(0, 3, 1, 2)
    last = tinydl.from_numpy(array).requires_grad_()
    for y in (last * 2, last + last, last.exp(), last.relu(), last.clone(), tinydl.nn.functional.softmax(last, 1)):
        assert y.shape == (2, 3, 5, 4) and y.stride() == last.stride()
    assert last.contiguous().is_contiguous() and not last.is_contiguous()
    (g,) = tinydl.autograd.grad(last.relu().sum(), last)
    assert g.is_contiguous()  # results of grad() are contiguous, whatever the input's layout


INFINITE = """
import tinydl as torch
x = torch.tensor([-1.0, 0.0], requires_grad=True)
y = torch.log(x) + 1 / x + torch.exp(x * -1e9) + x / 0
y.sum().backward()
print(y, x.grad, torch.var(torch.ones(1)), torch.tensor([]).mean())
import numpy
numpy.log(numpy.zeros(1))
"""


def test_infinities_are_results_and_no_warnings() -> None:
    """As in PyTorch; the user's own NumPy warns as before."""
    done = subprocess.run([sys.executable, "-W", "always", "-c", INFINITE], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "nan" in done.stdout
    assert done.stderr.count("RuntimeWarning") == 1 and "<string>:8" in done.stderr, done.stderr


def test_data_is_the_tensor_without_history() -> None:
    x = tinydl.tensor([[1.0, 5.0], [3.0, 2.0]], requires_grad=True)
    h = x * 2
    assert isinstance(h.data, tinydl.Tensor) and h.data.is_leaf and not h.data.requires_grad
    assert h.data.max(1)[1].tolist() == [1, 0]
    x.data -= 0.5
    x.data[0].mul_(2)
    x.data.clamp_(max=4.0)
    assert x.tolist() == [[1.0, 4.0], [2.5, 1.5]] and x.requires_grad and x.is_leaf
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):  # unlike PyTorch, where it is silent
        y = (x * x).sum()
        x.data.zero_()
        y.backward()


def test_assigning_data_gives_other_memory() -> None:
    p = tinydl.nn.Parameter(tinydl.ones(3))
    view, value = p[:1], tinydl.zeros(2, 2, dtype=tinydl.float64)
    p.data = value
    assert p.shape == (2, 2) and p.dtype == tinydl.float64 and isinstance(p, tinydl.nn.Parameter) and p.requires_grad
    value.fill_(7)
    assert p.tolist() == [[7, 7], [7, 7]] and view.tolist() == [1]
    with tinydl.no_grad():
        p.add_(1)
    assert value.tolist() == [[8, 8], [8, 8]]
    p.sum().backward()
    with pytest.raises(TypeError, match="data has to be a tensor, but got ndarray"):
        p.data = np.ones(2)
    with pytest.raises(RuntimeError, match="must be of a floating point dtype, got int64"):
        p.data = tinydl.tensor([1])
    h = p * 2
    with pytest.raises(RuntimeError, match=r"data of shape \(1,\) .* result of an operation, of shape \(2, 2\)"):
        h.data = tinydl.ones(1)
    with pytest.raises(RuntimeError, match=r"dtype float32 cannot be set on the result of an operation"):
        h.data = tinydl.ones(2, 2)
    h.data = tinydl.ones(2, 2, dtype=tinydl.float64)
    assert h.tolist() == [[1, 1], [1, 1]] and h.requires_grad


def test_to_takes_its_flags_by_position() -> None:
    x, other = tinydl.ones(2), tinydl.zeros(3, dtype=tinydl.float64)
    assert x.to(other, False).dtype == tinydl.float64
    assert x.to(tinydl.float32, False) is x and x.to("cpu", tinydl.float32, True) is x
    copied = x.to(tinydl.float32, False, True)
    assert copied is not x and not np.shares_memory(copied.array, x.array)


def test_what_a_whole_number_cannot_hold_is_refused() -> None:
    t = tinydl.tensor([1, 2])
    for value in (float("nan"), float("inf"), 2**70, [1.0, float("nan")]):
        with pytest.raises(RuntimeError, match="value cannot be converted to type int64 without overflow"):
            t[:2] = value
    t[0] = 1.7
    assert t.tolist() == [1, 2]


def test_the_class_makes_a_tensor_of_sizes_or_of_data() -> None:
    assert tinydl.Tensor(2, 3).shape == (2, 3) and tinydl.Tensor().shape == (0,)
    assert tinydl.Tensor(tinydl.ones(4, 2).size()).shape == (4, 2)
    for data in ([1, 2], (1, 2), np.array([1, 2]), np.array([1.0, 2.0])):
        x = tinydl.Tensor(data)
        assert x.dtype == tinydl.float32 and x.tolist() == [1, 2] and not x.requires_grad
    array = np.zeros(2, np.float32)
    tinydl.Tensor(array).fill_(1)
    assert not array.any()  # a copy
    assert tinydl.LongTensor([1.7]).tolist() == [1] and tinydl.BoolTensor([0, 2]).tolist() == [False, True]
    assert tinydl.ByteTensor(3).dtype == tinydl.uint8 and tinydl.DoubleTensor(3).dtype == tinydl.float64


def test_older_names_of_types() -> None:
    x = tinydl.ones(2)
    assert isinstance(x, tinydl.FloatTensor) and not isinstance(x, tinydl.LongTensor)
    assert not isinstance(np.ones(2, np.float32), tinydl.FloatTensor)
    assert x.type() == "tinydl.FloatTensor" and x.long().type() == "tinydl.LongTensor"
    for dtype in (tinydl.DoubleTensor, "torch.DoubleTensor", "tinydl.DoubleTensor", tinydl.float64):
        assert x.type(dtype).dtype == tinydl.float64
    variable = tinydl.autograd.Variable(x, requires_grad=True)
    assert variable.requires_grad and not x.requires_grad and isinstance(x, tinydl.autograd.Variable)
    assert np.shares_memory(variable.array, x.array)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tinydl.Tensor(1.5), r"Tensor: data must be a sequence \(got float\)"),
        (lambda: tinydl.Tensor("ab"), r"data must be a sequence \(got str\)"),
        (lambda: tinydl.Tensor([1.0], True), r"Tensor\(list, bool\) makes a tensor of sizes"),
        (lambda: tinydl.Tensor([1.0], requires_grad=True), r"takes no requires_grad; tinydl.tensor\(data"),
        (lambda: tinydl.FloatTensor(tinydl.tensor([1])), r"expected a tensor of dtype float32 \(got int64\)"),
        (lambda: tinydl.autograd.Variable([1.0]), "Variable data has to be a tensor, but got list"),
    ],
)
def test_what_the_class_does_not_take(make: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        make()


def test_pythons_float_is_float64_and_new_keeps_the_dtype() -> None:
    assert tinydl.tensor([1, 2], dtype=float).dtype == tinydl.float64 and tinydl.zeros(2).to(float).dtype == np.float64
    x = tinydl.tensor([1], dtype=tinydl.int64)
    assert x.new(2, 3).shape == (2, 3) and x.new([1.7]).tolist() == [1] and x.new(2).dtype == tinydl.int64
    y = tinydl.ones(2, 3).T
    assert y.clone(memory_format=tinydl.preserve_format).stride() == y.stride()
    assert tinydl.zeros_like(y, memory_format=tinydl.preserve_format).shape == y.shape


def test_memory_formats_change_nothing() -> None:
    x = tinydl.ones(1, 2, 3, 3)
    assert x.to(memory_format=tinydl.channels_last) is x.contiguous(memory_format=tinydl.channels_last) is x
    assert x.is_contiguous() and x.is_contiguous(memory_format=tinydl.contiguous_format)
    assert not x.is_contiguous(memory_format=tinydl.channels_last)
    layer = tinydl.nn.Conv2d(2, 2, 1)
    assert layer.to("cpu", memory_format=tinydl.channels_last) is layer
    assert tinydl.nn.Conv3d(2, 2, 1).to(memory_format=tinydl.channels_last_3d)(tinydl.ones(1, 2, 1, 1, 1)).ndim == 5


def test_versions_count_writes_and_rebinds() -> None:
    """``cell()`` is [writes to memory, rebinds]: made when first asked for, shared by views, and counted up."""
    x = tinydl.ones(4)
    assert x.ver is None and x.cell() == [0, 0] and x.cell() is x.ver
    view = x[1:]
    assert view.ver is x.ver and view.taken == 0 and view.base is x
    x.bump()
    view.add_(1)
    assert x.cell()[0] == 2 and x.cell() is view.cell()
    other = tinydl.ones(4)
    other._share(x)
    assert other.ver is x.ver and other.taken == x.ver[1] and other.base is None
    h = tinydl.ones(4, requires_grad=True) * 1
    rows = h[:2]
    before = h.cell()
    h.mul_(2)
    assert before[1] == 1 and rows.taken == 0 and h.cell() is not before and rows.tolist() == [2, 2]
