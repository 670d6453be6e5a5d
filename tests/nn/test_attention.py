"""Attention and the Transformer without PyTorch: dropout, masks, causality, copies, initial values, words of errors."""

import numpy as np
import pytest

import tinydl
from tinydl import nn
from tinydl.autograd import gradcheck
from tinydl.nn import functional as F

attend = F.scaled_dot_product_attention
z = tinydl.zeros


def draw(*shape, seed=0, grad=False):
    return tinydl.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=grad)


# ------------------------------------------------------------------------------------------ dot-product attention


def test_attention_over_equal_keys_is_the_mean():
    value = draw(2, 3, 4)
    output = attend(draw(2, 5, 6), tinydl.ones(2, 3, 6).double(), value)
    np.testing.assert_allclose(output.array, np.broadcast_to(value.array.mean(1, keepdims=True), (2, 5, 4)), rtol=1e-12)


def test_dropout_drops_probabilities_and_keeps_the_mean():
    eye = tinydl.tensor(np.eye(50)).expand(200, 50, 50)
    tinydl.manual_seed(0)
    p = attend(draw(200, 50, 8) * 0, draw(200, 50, 8), eye, dropout_p=0.3).array  # probabilities of 1 / 50
    kept = p != 0
    np.testing.assert_allclose(p[kept], 1 / 50 / 0.7)
    assert abs(kept.mean() - 0.7) < 3 * np.sqrt(0.21 / kept.size)
    assert kept.any((0, 1)).all() and not kept.all((0, 1)).any()
    tinydl.manual_seed(0)
    np.testing.assert_array_equal(p, attend(draw(200, 50, 8) * 0, draw(200, 50, 8), eye, dropout_p=0.3).array)
    assert not attend(draw(2, 3), draw(4, 3), draw(4, 3), dropout_p=1.0).array.any()


def test_gradients_through_dropout():
    q, k, v = (draw(2, 3, 2, seed=s, grad=True) for s in range(3))

    def call(q, k, v):
        tinydl.manual_seed(4)
        return attend(q, k, v, dropout_p=0.4)

    assert gradcheck(call, (q, k, v))


def test_a_causal_query_sees_no_later_key():
    q, k, v = (draw(6, 3, seed=s) for s in range(3))
    before = attend(q, k, v, is_causal=True).array
    k.array[3:], v.array[3:] = 100, 1e9
    after = attend(q, k, v, is_causal=True).array
    np.testing.assert_array_equal(before[:3], after[:3])
    assert not np.isclose(before[3:], after[3:]).any()


def test_groups_of_queries_share_a_head():
    q, k, v = draw(2, 6, 4, 3), draw(2, 2, 5, 3, seed=1), draw(2, 2, 5, 3, seed=2)
    shared = attend(q, k, v, enable_gqa=True)
    every = attend(q, *(tinydl.tensor(np.repeat(x.array, 3, axis=1)) for x in (k, v)))
    np.testing.assert_allclose(shared.array, every.array, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: attend(z(3), z(2, 3), z(2, 3)), "at least 2 dimensional, but got query.dim: 1 key.dim: 2"),
        (lambda: attend(z(2, 3), z(2, 3).double(), z(2, 3)), "query.dtype: float32 key.dtype: float64"),
        (lambda: attend(z(2, 3).long(), z(2, 3).long(), z(2, 3).long()), "same floating dtype"),
        (lambda: attend(z(2, 3), z(2, 4), z(2, 3)), r"one last size, but got query \(2, 3\), key \(2, 4\)"),
        (lambda: attend(z(2, 3), z(4, 3), z(5, 3)), r"one number of positions, .* value \(5, 3\)"),
        (lambda: attend(z(2, 3), z(4, 3), z(4, 3), z(2, 4).int()), "attn_mask.dtype: int32 and  query.dtype: float32"),
        (lambda: attend(z(2, 3), z(4, 3), z(4, 3), z(2, 4).double()), "attn_mask.dtype: float64"),
        (lambda: attend(z(2, 3), z(4, 3), z(4, 3), z(3, 4)), r"tensor a \(2\) .* tensor b \(3\) .* shape \(3, 4\)"),
        (lambda: attend(z(2, 3), z(4, 3), z(4, 3), z(2, 4), is_causal=True), "should not be set when is_causal=True"),
        (lambda: attend(z(2, 3), z(4, 3), z(4, 3), dropout_p=1.5), "between 0 and 1, but got 1.5"),
        (
            lambda: attend(z(3, 2, 3), z(2, 4, 3), z(2, 4, 3), enable_gqa=True),
            "divide the number of heads .* 2, 2 and 3",
        ),
        (lambda: attend(z(2, 3), z(4, 3), z(4, 3), enable_gqa=True), "needs a dimension of heads"),
    ],
)
def test_attention_says_what_is_wrong(call, message):
    with pytest.raises(RuntimeError, match=message):
        call()


# ------------------------------------------------------------------------------------------------ many heads


def test_initial_values():
    tinydl.manual_seed(0)
    layer = nn.MultiheadAttention(64, 4, add_bias_kv=True)
    bound = np.sqrt(6 / (64 + 192))
    assert 0.98 * bound < np.abs(layer.in_proj_weight.array).max() <= bound
    assert 0.98 / 8 < np.abs(layer.out_proj.weight.array).max() <= 1 / 8  # as of a Linear
    assert not layer.in_proj_bias.array.any() and not layer.out_proj.bias.array.any()
    assert 0.5 < layer.bias_k.array.std() * np.sqrt(64 + 1) / np.sqrt(2) < 15
    layer = nn.MultiheadAttention(64, 4, kdim=32, bias=False)
    for weight, columns in ((layer.q_proj_weight, 64), (layer.k_proj_weight, 32), (layer.v_proj_weight, 64)):
        bound = np.sqrt(6 / (64 + columns))
        assert 0.98 * bound < np.abs(weight.array).max() <= bound


def test_weights_are_probabilities_and_both_ways_agree():
    layer = nn.MultiheadAttention(8, 2, batch_first=True).double()
    x = draw(3, 5, 8)
    output, weights = layer(x, x, x, average_attn_weights=False)
    np.testing.assert_allclose(weights.array.sum(-1), np.ones((3, 2, 5)), rtol=1e-12)
    alone, none = layer(x, x, x, need_weights=False)
    assert none is None
    np.testing.assert_allclose(output.array, alone.array, rtol=1e-12, atol=1e-14)


def test_dropout_of_probabilities_acts_in_training_only():
    layer = nn.MultiheadAttention(8, 2, dropout=0.5)
    x = tinydl.ones(4, 3, 8)
    for need in (True, False):
        layer.train()
        one, other = (layer(x, x, x, need_weights=need)[0].array for _ in range(2))
        assert not np.array_equal(one, other)
        layer.eval()
        np.testing.assert_array_equal(
            layer(x, x, x, need_weights=need)[0].array, layer(x, x, x, need_weights=need)[0].array
        )


def test_a_blind_query_gives_the_bias_without_weights_and_nan_with_them():
    layer = nn.MultiheadAttention(4, 2)
    x, mask = tinydl.ones(3, 2, 4), tinydl.ones(3, 3) > 0
    output, _ = layer(x, x, x, attn_mask=mask, need_weights=False)
    np.testing.assert_array_equal(output.array, np.broadcast_to(layer.out_proj.bias.array, output.shape))
    with np.errstate(invalid="ignore"):
        assert np.isnan(layer(x, x, x, attn_mask=mask)[1].array).all()


def test_masks_of_two_kinds_warn_as_in_pytorch():
    layer, x = nn.MultiheadAttention(4, 2), tinydl.ones(3, 2, 4)
    with pytest.warns(UserWarning, match="mismatched key_padding_mask and attn_mask is deprecated"):
        layer(x, x, x, key_padding_mask=z(2, 3) > 0, attn_mask=z(3, 3))


def mha(query=(3, 2, 4), key=(5, 2, 4), value=None, layer=None, **masks):
    layer = nn.MultiheadAttention(4, 2) if layer is None else layer
    return layer(z(*query), z(*key), z(*(key if value is None else value)), **masks)


def static(k, v):
    w = z(4, 4)
    x = z(3, 2, 4)
    return F.multi_head_attention_forward(
        x, x, x, 4, 2, z(12, 4), None, None, None, False, 0.0, w, None, static_k=k, static_v=v
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.MultiheadAttention(0, 2), ValueError, "greater than 0, got embed_dim=0 and num_heads=2"),
        (lambda: nn.MultiheadAttention(5, 2), AssertionError, "divisible by num_heads, got embed_dim=5"),
        (lambda: mha((1, 3, 2, 4)), AssertionError, "2D or batched 3D tensor but received 4-D query"),
        (
            lambda: mha(key=(5, 4)),
            AssertionError,
            r"\(3-D\) `query`, expected `key` and `value` to be 3-D but found 2-D",
        ),
        (lambda: mha((3, 4), (5, 2, 4)), AssertionError, r"For unbatched \(2-D\) `query`, expected `key`"),
        (lambda: mha(key_padding_mask=z(5)), AssertionError, "`key_padding_mask` to be `None` or 2-D but found 1-D"),
        (lambda: mha(attn_mask=z(5)), AssertionError, "`attn_mask` to be `None`, 2-D or 3-D but found 1-D"),
        (
            lambda: mha((3, 4), (5, 4), attn_mask=z(3, 3, 5)),
            AssertionError,
            r"shape to be \(2, 3, 5\) but got \(3, 3, 5\)",
        ),
        (lambda: mha((3, 2, 6)), AssertionError, "was expecting embedding dimension of 4, but got 6"),
        (lambda: mha(value=(6, 2, 4)), AssertionError, r"key shape \(5, 2, 4\) does not match value shape \(6, 2, 4\)"),
        (
            lambda: mha(value=(6, 2, 4), key=(5, 2, 3), layer=nn.MultiheadAttention(4, 2, kdim=3)),
            AssertionError,
            r"key's sequence and batch dims \(5, 2\) do not match value's \(6, 2\)",
        ),
        (
            lambda: mha(key=(5, 2, 6), value=(5, 2, 4), layer=nn.MultiheadAttention(4, 2, kdim=3)),
            AssertionError,
            r"expecting key weights shape of \(4, 6\), but got \(4, 3\)",
        ),
        (lambda: mha(attn_mask=z(3, 4)), RuntimeError, r"2D attn_mask is \(3, 4\), but should be \(3, 5\)"),
        (lambda: mha(attn_mask=z(3, 3, 5)), RuntimeError, r"3D attn_mask is \(3, 3, 5\), but should be \(4, 3, 5\)"),
        (lambda: mha(attn_mask=z(3, 5).long()), AssertionError, "only bool and floating types of attn_mask"),
        (lambda: mha(key_padding_mask=z(2, 4)), AssertionError, r"key_padded_mask.shape\[1\] to be 5, but got 4"),
        (lambda: mha(is_causal=True), RuntimeError, "Need attn_mask if specifying the is_causal hint"),
        (lambda: static(z(3, 7, 2), z(4, 7, 2)), AssertionError, r"static_k.size\(0\) of 4, but got 3"),
        (lambda: static(z(4, 7, 2), z(4, 7, 3)), AssertionError, r"static_v.size\(2\) of 2, but got 3"),
    ],
)
def test_many_heads_say_what_is_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ----------------------------------------------------------------------------------------------- Transformer


def test_an_encoder_is_made_of_copies():
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    encoder = nn.TransformerEncoder(layer, 3)
    weights = [one.linear1.weight for one in encoder.layers]
    for weight in weights:
        np.testing.assert_array_equal(weight.array, layer.linear1.weight.array)
    weights[0].array[...] = 0
    assert weights[1].array.any() and layer.linear1.weight.array.any()
    assert len({id(parameter) for parameter in encoder.parameters()}) == 3 * len(list(layer.parameters()))


@pytest.mark.parametrize("norm_first", [False, True])
def test_the_whole_is_causal_and_reads_the_source(norm_first):
    tinydl.manual_seed(0)
    net = nn.Transformer(8, 2, 2, 2, 16, 0.0, norm_first=norm_first).double()
    src, tgt = draw(4, 1, 8), draw(6, 1, 8, seed=1)
    mask = net.generate_square_subsequent_mask(6, dtype=np.float64)
    before = net(src, tgt, tgt_mask=mask).array
    tgt.array[3:] = draw(3, 1, 8, seed=2).array
    after = net(src, tgt, tgt_mask=mask).array
    np.testing.assert_array_equal(before[:3], after[:3])
    assert not np.isclose(before[3:], after[3:]).any()
    src.array[-1] = draw(1, 8, seed=3).array
    assert not np.isclose(after, net(src, tgt, tgt_mask=mask).array).any()


def test_the_causal_mask():
    mask = nn.Transformer.generate_square_subsequent_mask(3)
    assert mask.dtype == np.float32
    np.testing.assert_array_equal(mask.array, [[0, -np.inf, -np.inf], [0, 0, -np.inf], [0, 0, 0]])


def test_padding_does_not_reach_the_rest():
    layer = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), 2).double()
    x, padding = draw(2, 5, 8), tinydl.tensor(np.arange(5) >= np.array([[5], [3]]))
    before = layer(x, src_key_padding_mask=padding).array
    x.array[1, 3:] = draw(2, 8, seed=1).array
    after = layer(x, src_key_padding_mask=padding).array
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1, :3], after[1, :3])


def test_dropout_in_training_only():
    net = nn.Transformer(8, 2, 1, 1, 16, 0.5)
    x = tinydl.ones(3, 2, 8)
    assert not np.array_equal(net(x, x).array, net(x, x).array)
    net.eval()
    np.testing.assert_array_equal(net(x, x).array, net(x, x).array)


def test_activation_by_name_by_function_and_by_layer():
    named = nn.TransformerEncoderLayer(8, 2, 16, 0.0, "relu")
    x = tinydl.ones(3, 2, 8)
    for activation in (F.relu, nn.ReLU()):
        other = nn.TransformerEncoderLayer(8, 2, 16, 0.0, activation)
        other.load_state_dict(named.state_dict())
        np.testing.assert_array_equal(named(x).array, other(x).array)
    other = nn.TransformerDecoderLayer(8, 2, 16, 0.0, F.tanh)
    assert other.activation is F.tanh and np.isfinite(other(x, x).array).all()


def test_parts_of_ones_own():
    class Echo(nn.Module):
        def forward(self, x, *args, **kwargs):
            return x

    net = nn.Transformer(8, 2, custom_encoder=nn.Identity(), custom_decoder=Echo())
    x = tinydl.ones(3, 2, 8)
    net.encoder.forward = lambda x, **masks: x
    assert net(x, x) is x and not list(net.parameters())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.TransformerEncoderLayer(8, 2, activation="swish"), "should be relu/gelu, not swish"),
        (
            lambda: nn.Transformer(8, 2, 1, 1, 4)(z(3, 2, 8), z(3, 3, 8)),
            r"batch number of src and tgt must be equal, but their shapes are \(3, 2, 8\) and \(3, 3, 8\)",
        ),
        (
            lambda: nn.Transformer(8, 2, 1, 1, 4)(z(3, 2, 6), z(3, 2, 8)),
            r"must be equal to d_model = 8, but their shapes are \(3, 2, 6\)",
        ),
    ],
)
def test_the_transformer_says_what_is_wrong(call, message):
    with pytest.raises(RuntimeError, match=message):
        call()
