"""Linear, Embedding, Dropout, LayerNorm and activations, without PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinydl
from tinydl import nn
from tinydl.autograd import gradcheck, gradgradcheck
from tinydl.nn import functional as F


def leaf(shape, seed=0):
    return tinydl.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


def test_linear_shapes_init_and_errors():
    tinydl.manual_seed(3)
    layer = nn.Linear(100, 7)
    assert np.abs(layer.weight.array).max() <= 0.1
    assert np.abs(layer.weight.array).max() > 0.09
    assert layer.bias.shape == (7,)
    tinydl.manual_seed(3)
    assert np.array_equal(nn.Linear(100, 7).weight.array, layer.weight.array)
    for shape in ((100,), (4, 100), (2, 0, 100), (2, 3, 4, 100)):
        assert layer(tinydl.zeros(*shape)).shape == (*shape[:-1], 7)
    assert nn.Linear(2, 3, bias=False).bias is None
    assert nn.Linear(2, 3, dtype=tinydl.float64).weight.dtype == np.float64
    with pytest.raises(RuntimeError, match="no CUDA backend is available"):
        nn.Linear(2, 3, device="cuda")
    with pytest.raises(TypeError, match="floating dtype"):
        nn.Linear(2, 3, dtype=tinydl.int64)
    with pytest.raises(RuntimeError, match="dtype"):
        layer(tinydl.zeros(1, 100, dtype=tinydl.float64))


@settings(max_examples=20, deadline=None)
@given(lead=st.lists(st.integers(0, 3), max_size=3), inputs=st.integers(1, 4), outputs=st.integers(1, 4))
def test_linear_gradients_of_any_shape(lead, inputs, outputs):
    x, weight, bias = leaf((*lead, inputs)), leaf((outputs, inputs), 1), leaf((outputs,), 2)
    assert gradcheck(F.linear, (x, weight, bias))
    assert gradcheck(lambda x, w: F.linear(x, w, None), (x, weight))


def test_embedding():
    table = nn.Embedding(5, 3, padding_idx=-1)
    assert table.padding_idx == 4
    assert not table.weight.array[4].any()
    index = tinydl.tensor([[0, 4], [2, 0]])
    out = table(index)
    assert out.shape == (2, 2, 3)
    assert np.array_equal(out.array, table.weight.array[index.array])
    out.sum().backward()
    assert table.weight.grad.array[:, 0].tolist() == [2, 0, 1, 0, 0]
    for wrong in (5, -1):
        with pytest.raises(IndexError, match=rf"index {wrong} is out of range for 5 rows"):
            table(tinydl.tensor([0, wrong]))
    with pytest.raises(TypeError, match="must be integers"):
        table(tinydl.tensor([0.0]))
    with pytest.raises(ValueError, match="padding_idx 5"):
        nn.Embedding(5, 3, padding_idx=5)
    assert table(tinydl.zeros(0, dtype=tinydl.int64)).shape == (0, 3)
    frozen = nn.Embedding.from_pretrained(tinydl.ones(2, 3))
    assert not frozen.weight.requires_grad


@pytest.mark.parametrize("padding_idx", [None, 1, 2])
def test_an_embeddings_index_changed_before_backward_is_noticed(padding_idx):
    weight = leaf((3, 2))
    index = tinydl.tensor([0, 1, 0])
    out = F.embedding(index, weight, padding_idx)
    index.fill_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation: the input 'index' of take_rows"):
        out.sum().backward()
    array = np.array([0, 0, 0])
    out = F.embedding(array, weight)
    array[:] = 1
    out.sum().backward()
    assert weight.grad.array[:, 0].tolist() == [3, 0, 0]


@pytest.mark.parametrize("padding_idx", [None, 1])
def test_embedding_gradients_to_second_order(padding_idx):
    index = tinydl.tensor([[0, 1], [2, 0]])
    weight = leaf((3, 2))
    if padding_idx is None:
        assert gradcheck(lambda w: F.embedding(index, w), weight)
    assert gradgradcheck(lambda w: F.embedding(index, w, padding_idx) ** 2, weight)


def test_dropout_is_seeded_scaled_and_off_in_evaluation():
    x = tinydl.ones(200, 50, requires_grad=True)
    layer = nn.Dropout(0.25)
    tinydl.manual_seed(1)
    y = layer(x)
    tinydl.manual_seed(1)
    assert np.array_equal(layer(x).array, y.array)
    assert set(np.unique(y.array)) == {np.float32(0), np.float32(1 / 0.75)}
    assert np.mean(y.array == 0) == pytest.approx(0.25, abs=0.02)  # 10,000 draws: sigma 0.004
    y.sum().backward()
    assert np.array_equal(x.grad.array, y.array)
    assert layer.eval()(x) is x
    assert F.dropout(x, 0.0) is x
    assert not F.dropout(x, 1.0).array.any()
    stream = tinydl.Generator(5)
    first = F.dropout(x, 0.5, generator=stream).array
    assert not np.array_equal(first, F.dropout(x, 0.5, generator=stream).array)
    assert np.array_equal(first, F.dropout(x, 0.5, generator=tinydl.Generator(5)).array)
    assert F.dropout(x.double(), 0.5).dtype == np.float64
    for wrong in (-0.1, 1.5):
        with pytest.raises(ValueError, match=f"between 0 and 1, but got {wrong}"):
            nn.Dropout(wrong)
        with pytest.raises(ValueError, match=f"between 0 and 1, but got {wrong}"):
            F.dropout(x, wrong)


@settings(max_examples=15, deadline=None)
@given(
    lead=st.lists(st.integers(0, 3), max_size=2), size=st.integers(1, 5), affine=st.sampled_from(["", "w", "wb", "b"])
)
def test_layer_norm_gradients(lead, size, affine):
    inputs = [leaf((*lead, size))]
    inputs += [leaf((size,), seed) for seed, letter in ((1, "w"), (2, "b")) if letter in affine]

    def norm(x, *rest):
        given = dict(zip(affine, rest, strict=True))
        return F.layer_norm(x, size, given.get("w"), given.get("b"), eps=0.1)

    assert gradcheck(norm, tuple(inputs))
    if np.prod(lead) * size:
        assert gradgradcheck(norm, tuple(inputs))


@pytest.mark.parametrize("dtype", [tinydl.float32, tinydl.float64])
def test_layer_norm_equals_its_definition(dtype):
    from tinydl.ops.norm import layer_norm, layer_norm_definition

    x, w, b = (leaf(shape, seed) for seed, shape in enumerate([(3, 2, 6), (6,), (6,)]))
    results = []
    for function in (layer_norm, layer_norm_definition):
        inputs = [tinydl.tensor(t.array.astype(dtype), requires_grad=True) for t in (x, w, b)]
        y = function(*inputs, eps=1e-5)
        (y * tinydl.tensor(np.arange(36).reshape(3, 2, 6).astype(dtype))).sum().backward()
        results.append([y.array] + [t.grad.array for t in inputs])
    for fused, defined in zip(*results, strict=True):
        np.testing.assert_allclose(
            fused,
            defined,
            rtol=1e-4 if dtype == tinydl.float32 else 1e-11,
            atol=1e-5 if dtype == tinydl.float32 else 1e-12,
        )


def test_layer_norm_one_tensor_in_two_slots():
    w = leaf((4,))
    assert gradcheck(lambda w: F.layer_norm(w * 2, 4, w, w, eps=0.1), w)
    from tinydl.ops.norm import layer_norm

    assert gradcheck(lambda w: layer_norm(w, w, w, eps=0.1), w)
    assert gradgradcheck(lambda w: layer_norm(w, w, w, eps=0.1), w)


def test_layer_norm_shapes_and_errors():
    layer = nn.LayerNorm((3, 4))
    assert layer.weight.shape == (3, 4)
    y = layer(tinydl.tensor(np.random.default_rng(0).standard_normal((5, 3, 4)).astype(np.float32)))
    assert np.abs(y.array.mean((1, 2))).max() < 1e-6
    assert nn.LayerNorm(4, elementwise_affine=False).weight is None
    assert nn.LayerNorm(4, bias=False).bias is None
    assert list(nn.LayerNorm(4).state_dict()) == ["weight", "bias"]
    with pytest.raises(RuntimeError, match=r"normalized_shape=\[3, 4\], .*got input of size \[5, 4\] \(in LayerNorm\)"):
        layer(tinydl.zeros(5, 4))
    with pytest.raises(RuntimeError, match="expected weight to be of same shape"):
        F.layer_norm(tinydl.zeros(2, 3), 3, tinydl.ones(4))
    with pytest.raises(RuntimeError, match="input is float64, weight is float32"):
        nn.LayerNorm(3)(tinydl.zeros(2, 3, dtype=tinydl.float64))


def test_activations_and_small_layers():
    x = leaf((3, 4))
    pairs = [
        (nn.ReLU(), np.maximum(x.array, 0)),
        (nn.Tanh(), np.tanh(x.array)),
        (nn.Sigmoid(), 1 / (1 + np.exp(-x.array))),
        (nn.LogSigmoid(), -np.log1p(np.exp(-x.array))),
        (nn.Softplus(), np.log1p(np.exp(x.array))),
        (nn.Softmax(dim=0), np.exp(x.array) / np.exp(x.array).sum(0)),
        (nn.LogSoftmax(dim=1), x.array - np.log(np.exp(x.array).sum(1, keepdims=True))),
        (nn.Identity("anything", at=1), x.array),
        (nn.Flatten(0), x.array.reshape(-1)),
    ]
    for module, wanted in pairs:
        np.testing.assert_allclose(module(x).array, wanted, rtol=1e-12)
    assert repr(nn.Softmax(dim=1)) == "Softmax(dim=1)"


def test_one_hot():
    assert F.one_hot(tinydl.tensor([[0, 2]])).tolist() == [[[1, 0, 0], [0, 0, 1]]]
    assert F.one_hot(tinydl.tensor(1), 4).tolist() == [0, 1, 0, 0]
    with pytest.raises(RuntimeError, match="between 0 and num_classes - 1 = 1, but got 0 to 2"):
        F.one_hot(tinydl.tensor([0, 2]), 2)
    with pytest.raises(RuntimeError, match="empty tensor"):
        F.one_hot(tinydl.zeros(0, dtype=tinydl.int64))
    with pytest.raises(RuntimeError, match="float32"):
        F.one_hot(tinydl.zeros(2))


def test_parameter():
    source = tinydl.ones(2)
    parameter = nn.Parameter(source)
    assert np.shares_memory(parameter.array, source.array)
    assert parameter.requires_grad
    assert type(parameter * 2) is tinydl.Tensor
    assert nn.Parameter().shape == (0,)
    assert not nn.Parameter(source, requires_grad=False).requires_grad
    source.add_(1)  # written behind the parameter's back: a pending backward must notice
    loss = (parameter * parameter).sum()
    source.add_(1)
    with pytest.raises(RuntimeError, match="inplace"):
        loss.backward()


def test_gradients_divided_by_how_often_a_row_was_looked_up():
    index, weight = tinydl.tensor([[0, 2, 1], [2, 2, 4]]), leaf((5, 3))
    out = F.embedding(index, weight, scale_grad_by_freq=True)
    assert np.array_equal(out.array, F.embedding(index, weight).array)
    out.sum().backward()
    assert np.allclose(weight.grad.array, np.array([1, 1, 1, 0, 1])[:, None])
    weight.grad = None
    F.embedding_bag(index, weight, mode="sum", scale_grad_by_freq=True).sum().backward()
    assert np.allclose(weight.grad.array, np.array([1, 1, 1, 0, 1])[:, None])


def test_embedding_scales_long_rows_down_in_place():
    table = nn.Embedding.from_pretrained(
        tinydl.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]]), freeze=False, max_norm=1.0
    )
    out = table(tinydl.tensor([0, 1, 0]))
    np.testing.assert_allclose(out.array, [[0.6, 0.8], [0.3, 0.4], [0.6, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(table.weight.array, [[0.6, 0.8], [0.3, 0.4], [6, 8]], rtol=1e-6)
    with pytest.raises(NotImplementedError, match="sparse=True asks for sparse gradients"):
        nn.Embedding(2, 2, sparse=True)
    with pytest.raises(NotImplementedError, match="embedding: sparse=True"):
        F.embedding(tinydl.tensor([0]), table.weight, sparse=True)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_embedding_bag_is_the_reduction_of_its_rows(mode):
    weight = leaf((6, 3))
    index, offsets = tinydl.tensor([5, 0, 2, 2, 1]), tinydl.tensor([0, 3, 3])
    out = F.embedding_bag(index, weight, offsets, mode=mode)
    rows = weight.array[index.array]
    wanted = [getattr(rows[:3], mode)(0), np.zeros(3), getattr(rows[3:], mode)(0)]
    np.testing.assert_allclose(out.array, wanted, rtol=1e-12)
    assert gradcheck(lambda w: F.embedding_bag(index, w, offsets, mode=mode), weight)
    assert gradgradcheck(lambda w: F.embedding_bag(index, w, offsets, mode=mode) ** 2, weight)
    # A last offset before the end leaves the rest out.
    cut = F.embedding_bag(index, weight, tinydl.tensor([0, 2, 4]), mode=mode, include_last_offset=True)
    np.testing.assert_allclose(cut.array, [getattr(rows[:2], mode)(0), getattr(rows[2:4], mode)(0)], rtol=1e-12)
    (before,) = tinydl.autograd.grad(out.sum(), weight, retain_graph=True)
    index.fill_(0)  # the bag holds a copy
    (after,) = tinydl.autograd.grad(out.sum(), weight)
    np.testing.assert_array_equal(before.array, after.array)


def test_embedding_bag_weights_get_gradients():
    weight, scale = leaf((4, 2)), leaf((3,), 1)
    index, offsets = tinydl.tensor([0, 3, 3]), tinydl.tensor([0, 1])
    assert gradcheck(
        lambda w, s: F.embedding_bag(index, w, offsets, mode="sum", per_sample_weights=s, padding_idx=0),
        (weight, scale),
    )


def test_in_place_activations_are_recorded_in_place():
    x = leaf((3, 4))
    for name in ("relu", "elu", "silu", "hardtanh"):
        y = x * 2
        assert getattr(F, name)(y, inplace=True) is y
        np.testing.assert_array_equal(y.array, getattr(F, name)(x * 2).array)
        with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place"):
            getattr(F, name)(x, inplace=True)
    plain = tinydl.tensor([-1.0, 2.0])
    view = plain[:1]
    assert nn.ReLU(inplace=True)(view) is view and plain.tolist() == [0.0, 2.0]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("silu", {}),
        ("mish", {}),
        ("gelu", {}),
        ("gelu", {"approximate": "tanh"}),
        ("elu", {"alpha": 1.5}),
        ("softplus", {"beta": 2.0}),
    ],
)
def test_third_derivatives_of_activations(name, options):
    x = tinydl.tensor(np.linspace(-1.4, 1.6, 6), requires_grad=True)

    def second(x):
        (g,) = tinydl.autograd.grad(getattr(F, name)(x, **options).sum(), x, create_graph=True)
        (h,) = tinydl.autograd.grad(g.sum(), x, create_graph=True)
        return h

    assert gradcheck(second, x, rtol=1e-5)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm2d(4), (2, 4, 3, 3)), (nn.BatchNorm1d(4), (3, 4)), (nn.GroupNorm(2, 4), (2, 4, 3)),
        (nn.InstanceNorm2d(4), (2, 4, 3, 3)), (nn.LayerNorm((4, 3)), (2, 4, 3)), (nn.LayerNorm(3), (2, 3)),
        (nn.Conv2d(4, 4, 1), (4, 3, 3)), (nn.Conv2d(4, 4, 1), (2, 4, 3, 3)), (nn.ConvTranspose1d(4, 4, 2), (4, 3)),
        (nn.Linear(3, 4), (2, 3)), (nn.LocalResponseNorm(2), (2, 4, 3)),
    ],
)  # fmt: skip
def test_an_inplace_activation_may_follow_a_layer(layer, shape):
    """``nn.ReLU(inplace=True)`` stands behind every normalisation of PyTorch's scripts."""
    tinydl.manual_seed(0)
    x = tinydl.randn(*shape, requires_grad=True)
    y = nn.Sequential(layer, nn.ReLU(inplace=True))(x * 1)
    (g,) = tinydl.autograd.grad(y.sum(), x)
    (h,) = tinydl.autograd.grad(nn.functional.relu(layer(x * 1)).sum(), x)
    np.testing.assert_allclose(g.array, h.array, rtol=1e-5, atol=1e-6)
