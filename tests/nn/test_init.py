"""Initial values: the moments and ranges that the papers ask for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import nn
from tinydl.nn import Parameter, init
from tinydl.random import Generator

SHAPE = (80, 60, 5)  # fan_in 300, fan_out 400, 24,000 elements
N = 24_000

UNIFORM = {
    "uniform_": (lambda t, g: init.uniform_(t, -2.0, 5.0, generator=g), -2.0, 5.0),
    "xavier_uniform_": (lambda t, g: init.xavier_uniform_(t, 2.0, generator=g), None, 2 * math.sqrt(6 / 700)),
    "kaiming_uniform_": (
        lambda t, g: init.kaiming_uniform_(t, math.sqrt(5), generator=g), None, math.sqrt(1 / 3) * math.sqrt(3 / 300),
    ),
    "kaiming_uniform_ relu fan_out": (
        lambda t, g: init.kaiming_uniform_(t, mode="fan_out", nonlinearity="relu", generator=g),
        None,
        math.sqrt(6 / 400),
    ),
    "lecun_uniform_": (lambda t, g: init.lecun_uniform_(t, generator=g), None, math.sqrt(3 / 300)),
}  # fmt: skip
NORMAL = {
    "normal_": (lambda t, g: init.normal_(t, 3.0, 0.5, generator=g), 3.0, 0.5),
    "xavier_normal_": (lambda t, g: init.xavier_normal_(t, 3.0, generator=g), 0.0, 3 * math.sqrt(2 / 700)),
    "kaiming_normal_": (lambda t, g: init.kaiming_normal_(t, generator=g), 0.0, math.sqrt(2 / 300)),
    "kaiming_normal_ tanh fan_out": (
        lambda t, g: init.kaiming_normal_(t, mode="fan_out", nonlinearity="tanh", generator=g),
        0.0,
        5 / 3 / math.sqrt(400),
    ),
    "lecun_normal_": (lambda t, g: init.lecun_normal_(t, generator=g), 0.0, 1 / math.sqrt(300)),
}  # fmt: skip


@pytest.mark.parametrize("name", UNIFORM)
def test_uniform_fills(name: str) -> None:
    fill, low, high = UNIFORM[name]
    low = -high if low is None else low
    tensor = tinydl.zeros(*SHAPE)
    assert fill(tensor, Generator(1)) is tensor
    values = tensor.numpy().astype(np.float64)
    assert low <= values.min() < low + 0.001 * (high - low)
    assert high - 0.001 * (high - low) < values.max() <= high
    assert values.mean() == pytest.approx((low + high) / 2, abs=5 * (high - low) / math.sqrt(12 * N))
    assert values.std() == pytest.approx((high - low) / math.sqrt(12), rel=0.02)


@pytest.mark.parametrize("name", NORMAL)
def test_normal_fills(name: str) -> None:
    fill, mean, std = NORMAL[name]
    tensor = tinydl.zeros(*SHAPE, dtype=np.float64)
    assert fill(tensor, Generator(2)) is tensor
    values = (tensor.numpy() - mean) / std
    assert values.mean() == pytest.approx(0, abs=5 / math.sqrt(N))
    assert values.std() == pytest.approx(1, abs=5 / math.sqrt(2 * N))
    assert (values**4).mean() == pytest.approx(3, abs=0.4)  # 1.8 for a uniform distribution


@pytest.mark.parametrize("name", [*UNIFORM, *NORMAL, "orthogonal_", "sparse_", "trunc_normal_"])
def test_the_generator_decides(name: str) -> None:
    others = {
        "orthogonal_": lambda t, g: init.orthogonal_(t, generator=g),
        "sparse_": lambda t, g: init.sparse_(t, 0.3, generator=g),
        "trunc_normal_": lambda t, g: init.trunc_normal_(t, generator=g),
    }
    fill: Any = others[name] if name in others else {**UNIFORM, **NORMAL}[name][0]
    draws = [fill(tinydl.zeros(6, 4), Generator(seed)).numpy() for seed in (5, 5, 6)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])
    tinydl.manual_seed(5)
    np.testing.assert_array_equal(fill(tinydl.zeros(6, 4), None).numpy(), draws[0])


@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6), (3, 2, 4), (1, 5)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    matrix = init.orthogonal_(tinydl.zeros(*shape, dtype=np.float64), gain=3.0, generator=Generator(3)).numpy()
    matrix = matrix.reshape(shape[0], -1)
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(gram, 9 * np.eye(len(gram)), atol=1e-12)


def test_orthogonal_matrices_are_uniform() -> None:
    """Every entry is negative half of the time; without the sign fix LAPACK's diagonal would nearly always be."""
    generator = Generator(4)
    draws = np.array([init.orthogonal_(tinydl.zeros(3, 3), generator=generator).numpy() for _ in range(2000)])
    np.testing.assert_allclose((draws < 0).mean(0), 0.5, atol=0.06)
    np.testing.assert_allclose((draws**2).mean(0), 1 / 3, atol=0.04)
    assert (np.linalg.det(draws) > 0).mean() == pytest.approx(0.5, abs=0.06)


def truncated(values: np.ndarray, mean: float, std: float, a: float, b: float) -> None:
    """The draws against the truncated normal, within the bound of Dvoretzky, Kiefer and Wolfowitz."""
    cut = np.vectorize(lambda x: (1 + math.erf((x - mean) / std / math.sqrt(2))) / 2)
    x = np.sort(values.ravel().astype(np.float64))
    expected = (cut(x) - cut(a)) / (cut(b) - cut(a))
    gap = np.abs(expected - np.arange(1, len(x) + 1) / len(x)).max()
    assert gap < math.sqrt(math.log(2 / 1e-6) / (2 * len(x))), gap


@pytest.mark.parametrize("bounds", [(0, 1, -2, 2), (3, 0.5, 2, 3.2), (0, 1, 1.5, 4), (-1, 2, 3, 3.5), (0, 1, -9, 9)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_truncated_normal(bounds: tuple[float, float, float, float], dtype: Any) -> None:
    tensor = tinydl.zeros(*SHAPE, dtype=dtype)
    assert init.trunc_normal_(tensor, *bounds, generator=Generator(3)) is tensor
    values = tensor.numpy()
    assert bounds[2] <= values.min() < values.max() <= bounds[3]
    truncated(values, *bounds)


def test_sparse() -> None:
    tensor = tinydl.zeros(50, 400)
    assert init.sparse_(tensor, 0.61, std=0.5, generator=Generator(4)) is tensor
    values = tensor.numpy()
    np.testing.assert_array_equal((values == 0).sum(0), 31)
    assert 0.3 < (values == 0).mean(1).min() < (values == 0).mean(1).max() < 0.9
    assert values[values != 0].std() == pytest.approx(0.5, rel=0.05)
    assert not np.array_equal(values[:, 0] == 0, values[:, 1] == 0)


class Net(nn.Module):
    """Layers that are called in another order than they stand in."""

    def __init__(self, width: int = 60) -> None:
        super().__init__()
        self.last = nn.Linear(width, 7)
        self.embedding = nn.Embedding(11, 20)
        self.first = nn.Linear(20, width)
        self.middle = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width, bias=False)])
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Any) -> Any:
        x = self.first(self.embedding(x) * 30).relu()
        for layer in self.middle:
            x = self.dropout(layer(x).tanh())
        return self.last(x)


def test_lsuv_gives_every_layer_unit_variance() -> None:
    net, batch = Net(), tinydl.from_numpy(np.arange(400) % 11)
    net.middle.eval()
    embedding, modes = net.embedding.weight.array.copy(), [layer.training for layer in net.modules()]
    seen: dict[str, float] = {}
    hooks = [
        layer.register_forward_hook(lambda _layer, _args, out, name=name: seen.update({name: float(out.array.var())}))
        for name, layer in net.named_modules()
        if isinstance(layer, nn.Linear)
    ]
    assert init.lsuv_(net, batch, tol=0.02, generator=Generator(1)) is net
    assert [layer.training for layer in net.modules()] == modes
    net.eval()
    net(batch)
    assert list(seen) == ["first", "middle.0", "middle.1", "last"]
    for name, variance in seen.items():
        assert abs(variance - 1) < 0.1, name
    np.testing.assert_array_equal(net.embedding.weight.array, embedding)
    assert not net.first.bias.array.any()
    weight = net.first.weight.array.astype(np.float64)  # still orthonormal columns, up to the factor
    gram = weight.T @ weight
    np.testing.assert_allclose(gram / gram[0, 0], np.eye(20), atol=1e-5)
    for hook in hooks:
        hook.remove()
    assert not any(layer._call_hooks for layer in net.modules())


def test_lsuv_refuses_and_changes_nothing() -> None:
    net = Net()
    before = {name: param.array.copy() for name, param in net.named_parameters()}
    net.embedding.weight.array[...] = 0
    with pytest.raises(ValueError, match="lsuv_ cannot scale layer 'first': .* on the batch is 0.0"):
        init.lsuv_(net, tinydl.from_numpy(np.arange(30) % 11))
    for name, param in net.named_parameters():
        if not name.startswith("embedding"):
            np.testing.assert_array_equal(param.array, before[name])
    assert net.training
    assert not any(layer._call_hooks for layer in net.modules())
    with pytest.raises(ValueError, match="lsuv_ found no layer"):
        init.lsuv_(nn.Sequential(nn.ReLU()), tinydl.ones(3))


def test_constants() -> None:
    np.testing.assert_array_equal(init.constant_(tinydl.empty(2, 3), -1.5).numpy(), np.full((2, 3), -1.5))
    np.testing.assert_array_equal(init.ones_(tinydl.empty(3)).numpy(), [1, 1, 1])
    np.testing.assert_array_equal(init.zeros_(tinydl.ones(3)).numpy(), [0, 0, 0])
    np.testing.assert_array_equal(init.eye_(tinydl.empty(2, 3)).numpy(), [[1, 0, 0], [0, 1, 0]])


def test_parameters_are_filled_in_place_and_marked_as_written() -> None:
    param = Parameter(np.zeros((3, 3), np.float32))
    memory, versions = param.array, param.cell()[0]
    for fill in (init.xavier_normal_, init.orthogonal_, init.zeros_, init.kaiming_uniform_):
        fill(param)
    assert param.array is memory
    assert param.is_leaf
    assert param.requires_grad
    assert param.cell()[0] == versions + 4


def test_strided_and_empty_tensors() -> None:
    memory = np.zeros((4, 6), np.float32)
    init.ones_(tinydl.from_numpy(memory[:, ::2]))
    np.testing.assert_array_equal(memory, np.tile([1, 0], (4, 3)))
    for fill in (init.xavier_uniform_, init.kaiming_normal_, init.lecun_normal_, init.orthogonal_):
        assert fill(tinydl.zeros(0, 3)).shape == (0, 3)
        assert fill(tinydl.zeros(3, 0)).shape == (3, 0)


def test_refused() -> None:
    for fill in (init.xavier_uniform_, init.kaiming_normal_, init.lecun_uniform_, init.orthogonal_):
        with pytest.raises(ValueError, match=r"fewer than 2 dimensions.*\(3,\)"):
            fill(tinydl.zeros(3))
    with pytest.raises(ValueError, match="Unsupported nonlinearity relu6"):
        init.calculate_gain("relu6")
    with pytest.raises(ValueError, match="Mode fan_avg not supported"):
        init.kaiming_normal_(tinydl.zeros(3, 3), mode="fan_avg")
    with pytest.raises(RuntimeError, match="std"):
        init.normal_(tinydl.zeros(3), 0.0, -1.0)
    with pytest.raises(TypeError, match="int64"):
        init.uniform_(tinydl.zeros(3, dtype=np.int64))
    with pytest.raises(ValueError, match="2 dimensions"):
        init.eye_(tinydl.zeros(3))
    with pytest.raises(ValueError, match=r"2 dimensions.*\(3,\)"):
        init.sparse_(tinydl.zeros(3), 0.5)
    with pytest.raises(ValueError, match="a fraction between 0 and 1, not 1.5"):
        init.sparse_(tinydl.zeros(3, 3), 1.5)
    with pytest.raises(ValueError, match=r"3, 4, or 5 dimensions.*\(3, 3\)"):
        init.dirac_(tinydl.zeros(3, 3))
    with pytest.raises(ValueError, match="dim 0 must be divisible by groups: 3 channels, 2 groups"):
        init.dirac_(tinydl.zeros(3, 3, 1), 2)
    with pytest.raises(RuntimeError, match="trunc_normal_ expects std > 0.0, but found std 0"):
        init.trunc_normal_(tinydl.zeros(3), std=0)
    with pytest.raises(RuntimeError, match="trunc_normal_ expects a < b, but found the bounds 2 and 1"):
        init.trunc_normal_(tinydl.zeros(3), a=2, b=1)


@pytest.mark.parametrize("name", ["normal_", "uniform_", "constant_", "zeros_", "xavier_uniform_", "kaiming_normal_"])
def test_the_array_of_a_parameter_can_be_given(name: str) -> None:
    """PyTorch's tutorials write ``nn.init.normal_(layer.weight.array, 0.0, 0.02)``."""
    layer, other = nn.Linear(3, 4), nn.Linear(3, 4)
    options = {"val": 2.0} if name == "constant_" else {}
    for given in (layer.weight.array, other.weight):
        tinydl.manual_seed(5)
        assert getattr(init, name)(given, **options) is given
    np.testing.assert_array_equal(layer.weight.array, other.weight.array)
