"""What no row of the differential table says about attention and the Transformer: the rest of the options, and where
PyTorch takes other roads than ours."""

import warnings

import numpy as np
import pytest

import tinydl
from tinydl import nn

torch = pytest.importorskip("torch", reason="compares with PyTorch")


def pair(build):
    """The same net in both libraries, float64, with PyTorch's weights."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="enable_nested_tensor is True")
        theirs = build(torch.nn).double()
    ours = build(nn).double()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours) == repr(theirs)
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    return ours, theirs


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norm_first": True, "bias": False},
        {"activation": "gelu", "layer_norm_eps": 0.1},
        {"batch_first": True, "num_encoder_layers": 2, "num_decoder_layers": 3},
    ],
    ids=str,
)
def test_a_transformer_with_any_options(options):
    if options.get("activation") == "gelu" and not hasattr(nn.functional, "gelu"):
        pytest.skip("gelu is not here yet")
    options = {"num_encoder_layers": 1, "num_decoder_layers": 1, "dropout": 0.0, "dim_feedforward": 12, **options}
    ours, theirs = pair(lambda library: library.Transformer(8, 2, **options))
    turn = 1 if options.get("batch_first") else -1
    src, tgt = numbers(*(3, 4)[::turn], 8), numbers(*(3, 5)[::turn], 8, seed=1)
    got = ours(tinydl.tensor(src), tinydl.tensor(tgt))
    wanted = theirs(torch.tensor(src), torch.tensor(tgt))
    np.testing.assert_allclose(got.array, wanted.detach().numpy(), rtol=1e-10, atol=1e-12)
    got.sum().backward()
    wanted.sum().backward()
    for (key, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(a.grad.array, b.grad.numpy(), rtol=1e-8, atol=1e-10, err_msg=key)


def test_the_fast_road_of_pytorch_leads_to_the_same_place():
    """In evaluation without gradients PyTorch runs another implementation, which leaves padding out and puts zeros."""

    def build(library):
        layer = library.TransformerEncoderLayer(8, 2, 12, batch_first=True)
        return library.TransformerEncoder(layer, 2)

    ours, theirs = pair(build)
    x, padding = numbers(2, 5, 8), np.arange(5) >= np.array([[5], [3]])
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The PyTorch API of nested tensors is in prototype stage")
        wanted = theirs.eval()(torch.tensor(x), src_key_padding_mask=torch.tensor(padding)).numpy()
    with tinydl.no_grad():
        got = ours.eval()(tinydl.tensor(x), src_key_padding_mask=tinydl.tensor(padding)).array
    np.testing.assert_allclose(got[~padding], wanted[~padding], rtol=1e-10, atol=1e-12)
    assert not wanted[padding].any() and got[padding].all()


@pytest.mark.parametrize("kind", ["float", "bool"])
@pytest.mark.parametrize("backend", ["fused", "math"])
def test_a_query_that_sees_nothing(kind, backend):
    """Zero, and zero gradients, in all of PyTorch's implementations."""
    backends = torch.nn.attention.SDPBackend
    chosen = [backends.FLASH_ATTENTION if backend == "fused" else backends.MATH]
    mask = np.ones((3, 4), bool)
    mask[1] = False
    if kind == "float":
        mask = np.where(mask, 0.0, -np.inf).astype(np.float32)
    arrays = [numbers(2, 2, n, 8, seed=n).astype(np.float32) for n in (3, 4, 4)]
    xs = [tinydl.tensor(a, requires_grad=True) for a in arrays]
    ys = [torch.tensor(a, requires_grad=True) for a in arrays]
    got = nn.functional.scaled_dot_product_attention(*xs, tinydl.tensor(mask))
    with torch.nn.attention.sdpa_kernel(chosen):
        wanted = torch.nn.functional.scaled_dot_product_attention(*ys, torch.tensor(mask))
    got.sum().backward()
    wanted.sum().backward()
    assert not got.array[..., 1, :].any() and not xs[0].grad.array[..., 1, :].any()
    np.testing.assert_allclose(got.array, wanted.detach().numpy(), rtol=1e-5, atol=1e-6)
    for x, y in zip(xs, ys, strict=True):
        np.testing.assert_allclose(x.grad.array, y.grad.numpy(), rtol=1e-4, atol=1e-5)
