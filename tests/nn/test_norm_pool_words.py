"""What pools, resampling and normalisation say of mistakes, and that nothing is half changed after one."""

from __future__ import annotations

import numpy as np
import pytest

import tinydl
from tinydl import nn
from tinydl.nn import functional as F


def zeros(*shape):
    return tinydl.zeros(*shape)


WORDS = [
    (lambda: F.max_pool2d(zeros(2, 3), 2), r"max_pool2d: Expected 3D or 4D .* but got:\[2, 3\]"),
    (lambda: F.avg_pool1d(zeros(4), 2), r"avg_pool1d: Expected 2D or 3D .* but got:\[4\]"),
    (lambda: F.max_pool2d(zeros(2, 0, 4, 4), 2), r"but got:\[2, 0, 4, 4\]"),
    (
        lambda: F.max_pool2d(zeros(2, 3, 2, 2), 3),
        r"Given input size: \(3x2x2\)\. Calculated output size: \(3x0x0\)\. Output size is too small",
    ),
    (
        lambda: F.max_pool2d(zeros(2, 3, 8, 8), 3, padding=2),
        "pad should be at most half of effective kernel size, but got pad=2, kernel_size=3 and dilation=1",
    ),
    (lambda: F.avg_pool2d(zeros(2, 3, 8, 8), 3, padding=-1), "pad must be non-negative, but got pad: -1"),
    (lambda: F.max_pool2d(zeros(2, 3, 8, 8), 3, stride=0), "stride should not be zero"),
    (lambda: F.max_pool2d(zeros(2, 3, 8, 8), 0), "kernel size should be greater than zero"),
    (lambda: F.max_pool2d(zeros(2, 3, 8, 8), 2, dilation=0), "dilation should be greater than zero"),
    (lambda: F.avg_pool2d(zeros(2, 3, 8, 8), 2, divisor_override=0), "divisor must be not zero"),
    (
        lambda: F.max_pool2d(zeros(2, 3, 8, 8), (2, 2, 2)),
        r"kernel_size must either be a single int, or a tuple of 2 ints, but got \[2, 2, 2\]",
    ),
    (
        lambda: F.max_pool1d(zeros(2, 3, 8).long(), 2),
        r"max_pool1d: not implemented for int64; convert the input with .float\(\)",
    ),
    (
        lambda: F.adaptive_avg_pool2d(zeros(8, 8), 2),
        r"adaptive_avg_pool2d\(\): Expected 3D or 4D tensor, but got \[8, 8\]",
    ),
    (
        lambda: F.adaptive_avg_pool2d(zeros(2, 3, 0, 8), 2),
        r"Expected input to have non-zero size for non-batch dimensions, but input has sizes \[2, "
        r"3, 0, 8\] with dimension 2 being empty",
    ),
    (
        lambda: F.adaptive_max_pool2d(zeros(2, 3, 8, 8), (2, -1)),
        "elements of output_size must be greater than or equal to 0",
    ),
    (lambda: F.adaptive_avg_pool2d(zeros(2, 3, 8, 8), (2, 2, 2)), "output_size must have 2 elements"),
    (
        lambda: F.max_unpool2d(zeros(2, 3, 2, 2), tinydl.full((2, 3, 2, 2), 100), 2),
        r"Found an invalid max index: 100 \(output volumes are of size 4x4\)",
    ),
    (
        lambda: F.max_unpool2d(zeros(2, 3, 2, 2), tinydl.full((2, 3, 2, 1), 0), 2),
        r"Expected shape of indices to be same as that of the input tensor \(\[2, 3, 2, 2\]\)",
    ),
    (lambda: F.max_unpool2d(zeros(2, 3, 2, 2), zeros(2, 3, 2, 2), 2), "elements in indices should be type int64"),
    (
        lambda: F.max_unpool2d(zeros(1, 1, 2, 2), tinydl.full((1, 1, 2, 2), 0), 2, output_size=(10, 10)),
        r'invalid output_size "\(10, 10\)" \(dim 0 must be between 2 and 6\)',
    ),
    (lambda: F.interpolate(zeros(2, 3, 4)), "either size or scale_factor should be defined"),
    (lambda: F.interpolate(zeros(2, 3, 4), 3, 2.0), "only one of size or scale_factor should be defined"),
    (
        lambda: F.interpolate(zeros(2, 3, 4), (3, 3)),
        r"Input and output size must have the same number of spatial dimensions, but got input with "
        r"spatial dimensions of \[4\]",
    ),
    (lambda: F.interpolate(zeros(2, 3, 4), 3, mode="bilinear"), "Got 3D input, but bilinear mode needs 4D input"),
    (lambda: F.interpolate(zeros(2, 3), 3), r"Only 3D, 4D and 5D input Tensors supported \(got 2D\)"),
    (lambda: F.interpolate(zeros(2, 3, 4), 3, mode="round"), r"\(got round\)"),
    (
        lambda: F.interpolate(zeros(2, 3, 4), 3, align_corners=True),
        "align_corners option can only be set with the interpolating modes",
    ),
    (lambda: F.interpolate(zeros(2, 3, 4), 0), "Input and output sizes should be greater than 0"),
    (
        lambda: F.interpolate(zeros(2, 3, 4), 3, recompute_scale_factor=True),
        "recompute_scale_factor is not meaningful with an explicit size",
    ),
    (
        lambda: F.interpolate(zeros(2, 3, 4), 3, antialias=True),
        "Anti-alias option is restricted to bilinear and bicubic",
    ),
    (lambda: F.grid_sample(zeros(2, 3, 4, 4), zeros(3, 2, 2, 2)), "expected grid and input to have same batch size"),
    (lambda: F.grid_sample(zeros(2, 3, 4, 4), zeros(2, 2, 2, 3)), "expected grid to have size 2 in last dimension"),
    (
        lambda: F.grid_sample(zeros(2, 3, 4, 4), zeros(2, 2, 2, 2, 3)),
        "expected 4D or 5D input and grid with same number of dimensions",
    ),
    (
        lambda: F.grid_sample(zeros(2, 3, 4, 4), zeros(2, 2, 2, 2), mode="cubic"),
        "expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: 'cubic'",
    ),
    (
        lambda: F.grid_sample(zeros(2, 3, 4, 4), zeros(2, 2, 2, 2), padding_mode="one"),
        "expected padding_mode to be 'zeros', 'border', or 'reflection', but got: 'one'",
    ),
    (lambda: F.affine_grid(zeros(2, 2, 2), (2, 3, 4, 4)), "Expected a batch of 2D affine matrices of shape Nx2x3"),
    (lambda: F.affine_grid(zeros(2, 2, 3), (2, 3, 4)), "affine_grid only supports 4D and 5D sizes"),
    (
        lambda: F.batch_norm(zeros(1, 3), None, None, training=True),
        r"Expected more than 1 value per channel when training, got input size \[1, 3\]",
    ),
    (lambda: F.batch_norm(zeros(2, 3), None, None), "running_mean and running_var must be defined in evaluation mode"),
    (lambda: F.batch_norm(zeros(2, 3), zeros(2), zeros(2)), "running_mean should contain 3 elements not 2"),
    (lambda: F.batch_norm(zeros(2, 3), zeros(3), None), "running_mean and running_var must be given together"),
    (
        lambda: F.batch_norm(zeros(2, 3), zeros(3), zeros(3), zeros(2)),
        r"Expected weight to be a vector of size equal to the number of channels in input, but got "
        r"weight of shape \[2\] and input of shape \[2, 3\]",
    ),
    (lambda: F.batch_norm(zeros(2, 3), zeros(3), zeros(3), zeros(3).double()), "batch_norm: expected one dtype"),
    (lambda: nn.BatchNorm2d(3)(zeros(2, 3)), r"expected 4D input \(got 2D input\) \(in BatchNorm2d\)"),
    (lambda: nn.BatchNorm1d(3)(zeros(3)), r"expected 2D or 3D input \(got 1D input\)"),
    (
        lambda: nn.InstanceNorm2d(3, affine=True)(zeros(2, 4, 3, 3)),
        r"expected input's size at dim=1 to match num_features \(3\), but got: 4",
    ),
    (
        lambda: F.instance_norm(zeros(2, 3, 1)),
        r"Expected more than 1 spatial element when training, got input size \[2, 3, 1\]",
    ),
    (
        lambda: F.instance_norm(zeros(2, 3, 4), use_input_stats=False),
        "Expected running_mean and running_var to be defined when use_input_stats=False",
    ),
    (
        lambda: F.group_norm(zeros(2, 3, 4), 2),
        r"Expected number of channels in input to be divisible by num_groups, but got input of "
        r"shape \[2, 3, 4\] and num_groups=2",
    ),
    (lambda: F.group_norm(zeros(3), 3), "Expected at least 2 dimensions for input tensor but received 1"),
    (lambda: F.group_norm(zeros(1, 3), 3), "Expected more than 1 value per channel when training"),
    (lambda: nn.GroupNorm(2, 3), r"num_channels \(3\) must be divisible by num_groups \(2\)"),
    (
        lambda: F.rms_norm(zeros(2, 3), (4,)),
        r"given normalized_shape=\[4\], expected input with shape \[\*, 4\], but got input of size \[2, 3\]",
    ),
    (lambda: F.local_response_norm(zeros(2, 3), 2), r"Expected 3D or higher dimensionality input \(got 2 dimensions\)"),
    (lambda: F.local_response_norm(zeros(2, 3, 3), 0), "size should be greater than zero"),
    (lambda: nn.ZeroPad2d((1, 2, 3)), "ZeroPad2d: padding must either be a single int, or a tuple of 4 ints"),
]


@pytest.mark.parametrize(("mistake", "words"), WORDS, ids=range(len(WORDS)))
def test_a_mistake_is_named(mistake, words):
    with pytest.raises((RuntimeError, ValueError, NotImplementedError), match=words):
        mistake()


def test_a_refused_batch_is_not_counted():
    layer = nn.BatchNorm1d(3)
    before = {key: value.numpy().copy() for key, value in layer.state_dict().items()}
    for wrong in (zeros(1, 3), zeros(4, 2), zeros(3), zeros(4, 3).double()):
        with pytest.raises((RuntimeError, ValueError)):
            layer(wrong)
    for key, value in layer.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key], err_msg=key)


def test_running_averages_may_move_between_forward_and_backward():
    layer = nn.BatchNorm1d(2)
    x = tinydl.tensor(np.random.default_rng(0).standard_normal((4, 2)), requires_grad=True)
    layer = layer.double()
    first = layer(x).square().sum()
    layer(x * 3)  # moves the averages again
    first.backward()
    layer.eval()
    second = layer(x).square().sum()
    layer.train()(x)
    second.backward()
    assert x.grad is not None


def test_a_number_of_channels_that_does_not_matter_is_only_warned_of():
    with pytest.warns(UserWarning, match="num_features is not used"):
        nn.InstanceNorm1d(3)(tinydl.ones(2, 4, 3))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_window_that_sees_only_padding_is_minus_infinity_and_has_no_place(rank):
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[rank - 1]
    x = tinydl.tensor(np.array([1.0, 5.0]).reshape((1,) * rank + (1, 2)), requires_grad=True)
    one = (1,) * (rank - 1)
    settings = (*one, 2), 1, (*(0,) * (rank - 1), 1), (*one, 3)  # the places -1 and 2 of two
    y, places = pool(x.detach(), *settings, return_indices=True)
    assert y.numpy().ravel() == [-np.inf]
    assert places.numpy().ravel() == [-1]
    pool(x, *settings).sum().backward()
    assert not x.grad.numpy().any()


def test_of_two_elements_with_one_index_the_last_remains():
    x, at = tinydl.tensor([[[1.0, 2.0]]], requires_grad=True), tinydl.tensor([[[3, 3]]])
    y = F.max_unpool1d(x, at, 2)
    assert y.tolist() == [[[0.0, 0.0, 0.0, 2.0]]]
    (y * y).sum().backward()
    assert x.grad.tolist() == [[[4.0, 4.0]]]
