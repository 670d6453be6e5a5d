"""Misuse of the whole interface: each raises at once, in one sentence that names the thing, the shapes where shapes
matter, and what to do; and nothing is left half-changed."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tinydl as t
from tinydl import nn, optim
from tinydl.nn import functional as F
from tinydl.utils.checkpoint import checkpoint
from tinydl.utils.data import (
    ChainDataset,
    DataLoader,
    IterableDataset,
    StackDataset,
    TensorDataset,
    default_collate,
    random_split,
)


def world() -> SimpleNamespace:
    """What the cases play with."""
    t.manual_seed(0)
    e = SimpleNamespace()
    e.m23, e.m45 = t.ones(2, 3), t.ones(4, 5)
    e.v = t.arange(3.0)
    e.i = t.tensor([1, 2, 3])
    e.w = t.ones(2, 3, requires_grad=True)
    e.d = t.ones(2, 3, dtype=t.float64)
    e.model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    e.optimizer = optim.Adam(e.model.parameters(), lr=0.1)
    e.model(e.m23).sum().backward()
    e.state = {k: v.clone() for k, v in e.model.state_dict().items()}
    return e


def frozen(e: SimpleNamespace) -> list[Any]:
    """Everything that a misuse must leave as it was."""
    tensors = [e.m23, e.m45, e.v, e.i, e.w, e.d, *e.model.parameters()]
    return [x.array.tobytes() for x in tensors] + [
        *(None if x.grad is None else x.grad.array.tobytes() for x in tensors),
        [x.requires_grad for x in tensors],
        e.optimizer.param_groups[0]["lr"],
        len(e.optimizer.state),
        t.is_grad_enabled(),
        t.get_default_dtype(),
        e.model.training,
        list(e.model.state_dict()),
    ]


def without(state: dict[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in state.items() if k != key}


def backward_twice(e: SimpleNamespace) -> None:
    y = (t.ones(2, requires_grad=True) * 1).exp().sum()
    y.backward()
    y.backward()


def saved_array_changed(e: SimpleNamespace) -> None:
    h = t.ones(2, requires_grad=True) * 1
    y = (h * h).sum()
    with t.no_grad():
        h.zero_()
    y.backward()


def stale_view(e: SimpleNamespace) -> None:
    h = t.ones(2, 3, requires_grad=True) * 1
    row = h.detach()[0]
    h *= 2
    row.sum()


def nan_in_a_loss(e: SimpleNamespace) -> None:
    x = t.zeros(2, requires_grad=True)
    with np.errstate(all="ignore"), t.autograd.detect_anomaly():
        (x.sqrt() * 0).sum().backward()


def changing_function(e: SimpleNamespace) -> None:
    turns = iter(range(9))
    checkpoint(lambda x: x.exp() if next(turns) == 0 else x.sin(), e.w).sum().backward()


class TwoGradients(t.autograd.Function):
    """Returns one gradient too many."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 2

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g, g


class WrongShape(TwoGradients):
    """Returns a gradient of another shape."""

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return t.ones(7)


class Stream(IterableDataset[int]):
    """A data set without indices."""


Case = tuple[str, Callable[[Any], Any], type[Exception], tuple[str, ...]]
R, V, T, I = RuntimeError, ValueError, TypeError, IndexError
CASES: list[Case] = [
    # ---------------------------------------------------------------------------------------------------- shapes
    ("product of matrices", lambda e: e.m23 @ e.m45, R, ("mat1 and mat2", "(2x3 and 4x5)")),
    ("matrix and vector", lambda e: e.m23 @ t.ones(4), R, ("(2x3 and 4)", "3 and 4 must be equal")),
    ("batches that differ", lambda e: t.ones(2, 3, 4) @ t.ones(3, 4, 5), R, ("batch", "(2, 3, 4)", "(3, 4, 5)")),
    ("product with a number", lambda e: t.tensor(2.0) @ e.v, R, ("at least 1D",)),
    ("a matrix times a list", lambda e: e.m23 @ [1.0, 2.0, 3.0], T, ("for @: 'Tensor' and 'list'", "tinydl.tensor()")),
    ("a number times a matrix", lambda e: 3 @ e.m23, T, ("for @: 'int' and 'Tensor'", "with *")),
    ("sum of shapes", lambda e: e.m23 + e.m45, R, ("add", "(2, 3)", "(4, 5)", "must match")),
    ("comparison of shapes", lambda e: e.m23 < e.m45, R, ("lt", "(2, 3)", "(4, 5)")),
    ("maximum of shapes", lambda e: t.maximum(e.m23, e.m45), R, ("maximum", "(2, 3)", "(4, 5)")),
    ("reshape", lambda e: e.m23.reshape(4), R, ("shape '[4]'", "invalid for input of size 6")),
    ("reshape with -1", lambda e: e.m23.reshape(4, -1), R, ("shape '[4, -1]'", "size 6")),
    ("view of a transpose", lambda e: e.m23.T.view(6), R, ("view size is not compatible", ".reshape(...)")),
    ("expand", lambda e: e.m23.expand(2, 4), R, ("expanded size", "(4)", "existing size (3)")),
    ("cat", lambda e: t.cat([e.m23, t.ones(3, 2)]), R, ("[2, 3]", "[3, 2]")),
    ("cat of nothing", lambda e: t.cat([]), R, ("non-empty",)),
    ("stack", lambda e: t.stack([t.ones(2), t.ones(3)]), R, ("[2] at entry 0", "[3] at entry 1")),
    ("split sizes", lambda e: t.ones(4).split([1, 2]), R, ("sum exactly to 4",)),
    ("permute", lambda e: e.m23.permute(0), R, ("input.dim() = 2", "len(dims) = 1")),
    ("negative size", lambda e: t.zeros(-1), R, ("negative dimension -1",)),
    ("mean of nothing to sum over", lambda e: t.ones(2, 0).amax(1), I, ("dim 1", "non-zero size")),
    ("copy of another shape", lambda e: e.m23.copy_(e.m45), R, ("copy_", "(4, 5)", "(2, 3)")),
    ("in-place result too large", lambda e: e.v.add_(e.m23), R, ("add_", "[3]", "[2, 3]")),
    ("meshgrid of matrices", lambda e: t.meshgrid(e.m23, e.m23, indexing="ij"), R, ("meshgrid", "(2, 3)")),
    ("resizing what is learnt", lambda e: e.w.resize_(3), R, ("cannot resize variables that require grad", "reshape")),
    ("resizing a view", lambda e: e.m23[0].resize_(2), R, ("resize_", "(3,)", "(2,)", "clone()")),
    ("as many places as numbers", lambda e: e.v.put_(e.i[:2], e.v), R,
     ("source.numel() = 3", "index.numel() = 2")),
    ("sum_to_size", lambda e: e.m23.sum_to_size(4), R, ("[4]", "[2, 3]")),
    ("fill_diagonal_", lambda e: e.v.fill_diagonal_(1), R, ("fill_diagonal_", "(3,)")),
    ("ragged rows", lambda e: t.tensor([[1, 2], [3]]), V, ("ragged", "rows of one length")),
    ("a mask that fits nowhere", lambda e: e.m23.masked_fill(t.ones(4) > 0, 1.0), R, ("masked_fill", "(4,)", "(2, 3)")),
    ("cat of one by one", lambda e: t.cat(e.m23, e.m23), T, ("cat(): argument 'tensors'", "not Tensor", "cat([a, b])")),
    # --------------------------------------------------------------------------------------------------- indices
    ("dimension", lambda e: e.m23.sum(2), I, ("Dimension out of range", "[-2, 1]", "got 2")),
    ("dimension twice", lambda e: e.m23.sum((0, 0)), R, ("dim 0 appears multiple times",)),
    ("transpose", lambda e: e.m23.transpose(0, 5), I, ("Dimension out of range", "got 5")),
    ("squeeze", lambda e: e.m23.squeeze(7), I, ("Dimension out of range", "got 7")),
    ("index", lambda e: e.v[5], I, ("index 5", "dimension 0 with size 3")),
    ("negative index", lambda e: e.v[-4], I, ("index -4", "dimension 0 with size 3")),
    ("index tensor", lambda e: e.v[t.tensor([7])], I, ("index 7", "dimension 0 with size 3")),
    ("too many indices", lambda e: e.v[0, 0], I, ("too many indices", "dimension 1", "(3,)")),
    ("index by a float", lambda e: e.v[1.5], I, ("only integers, slices", "got float")),
    ("step backwards", lambda e: e.v[::-1], V, ("step must be greater than zero",)),
    ("step of nothing", lambda e: e.v[::0], V, ("step must be greater than zero",)),
    ("mask of another shape", lambda e: e.v[t.tensor([True, False])], I, ("mask [2]", "index 0", "[3]")),
    ("assignment", lambda e: e.m23.__setitem__(0, t.ones(4)), R, ("shape mismatch", "[4]", "[3]")),
    ("assignment out of range", lambda e: e.m23.__setitem__(9, 1.0), I, ("index 9", "size 2")),
    ("gather", lambda e: e.v.gather(0, t.tensor([4])), R, ("index 4", "dimension 0 with size 3")),
    ("embedding", lambda e: F.embedding(t.tensor([9]), t.ones(4, 2)), I, ("9", "4")),
    ("arange", lambda e: t.arange(3, 0), R, ("step sign", "start 3", "end 0", "step 1")),
    ("arange without a step", lambda e: t.arange(0, 3, 0), R, ("step must be nonzero",)),
    # ---------------------------------------------------------------------------------------------------- dtypes
    ("dtypes in a product", lambda e: e.m23 @ t.ones(3, 2, dtype=t.float64), R, ("float32 != float64",)),
    ("mean of integers", lambda e: e.i.mean(), R, ("could not infer output dtype",)),
    ("gradient of integers", lambda e: t.tensor([1, 2], requires_grad=True), R, ("only Tensors of floating", "int64")),
    ("requires_grad_ of integers", lambda e: e.i.requires_grad_(), R, ("only Tensors of floating", "int64")),
    ("integers take fractions", lambda e: e.i.add_(0.5), R, ("add_", "float32", "int64", ".to()")),
    ("negative powers", lambda e: t.tensor([2]) ** t.tensor([-1]), R, ("negative integer powers", ".float")),
    ("text", lambda e: t.tensor("abc"), T, ("can't convert an array of dtype <U3", "float32")),
    ("complex numbers", lambda e: t.zeros(2, dtype="complex64"), T, ("no dtype 'complex64'", "float32")),
    ("an unknown dtype", lambda e: t.zeros(2, dtype="float31"), T, ("no dtype 'float31'", "float32")),
    ("an operand of text", lambda e: e.v + "x", T, ("operand of type 'str'",)),
    ("an operand of a list", lambda e: e.v * [1, 2, 3], T, ("operand of type 'list'",)),
    ("a condition of numbers", lambda e: t.where(e.v, 1.0, 2.0), R, ("condition", "boolean")),
    ("a default of integers", lambda e: t.set_default_dtype(t.int64), T, ("only floating-point types", "int64")),
    ("a truth of several", lambda e: bool(e.v), R, ("Boolean value", "more than one value", "ambiguous", ".any()")),
    ("an item of several", lambda e: e.v.item(), R, ("3 elements", "(3,)")),
    ("the length of a number", lambda e: len(t.tensor(1.0)), T, ("len() of a 0-d tensor",)),
    ("limits of integers", lambda e: t.finfo(t.int32), T, ("finfo", "int32", "iinfo")),
    ("not of a floating tensor", lambda e: ~e.v, T, ("~ (operator.invert)", "integer and Boolean", "float32")),
    ("bits of numbers", lambda e: e.v & e.v, NotImplementedError, ('"bitwise_and"', "float32", "(x > 0) & (y > 0)")),
    ("bits of a number", lambda e: e.v << 1, NotImplementedError, ('"bitwise_left_shift"', "float32", ".long()")),
    ("softmax of integers", lambda e: e.i.softmax(0), NotImplementedError, ('"softmax"', "int64", "dtype=")),
    ("log_softmax of booleans", lambda e: F.log_softmax(e.v > 1, 0), NotImplementedError, ('"log_softmax"', "bool")),
    ("a number too large", lambda e: t.tensor([300], dtype=t.uint8), R, ("300", "uint8", "without overflow")),
    ("a number too small", lambda e: t.tensor([[0, -200]], dtype=t.int8), R, ("-200", "int8", "without overflow")),
    ("no number in integers", lambda e: t.tensor([math.nan], dtype=t.int32), R, ("nan", "int32", "without overflow")),
    # --------------------------------------------------------------------------------------------------- devices
    ("to a GPU", lambda e: e.v.to("cuda"), R, ("no CUDA backend", "'cuda'", "stay on 'cpu'")),
    ("made on a GPU", lambda e: t.ones(2, device="cuda:1"), R, ("no CUDA backend", "'cuda:1'")),
    ("a module on a GPU", lambda e: e.model.to("cuda"), R, ("no CUDA backend", "'cuda'", "stay on 'cpu'")),
    ("to a GPU of Apple's", lambda e: e.v.to("mps"), R, ("no MPS backend", "'mps'", "stay on 'cpu'")),
    ("mixed precision", lambda e: t.autocast("cpu"), NotImplementedError, ("autocast", "'cpu'", "enabled=False")),
    ("a dtype that has only a name", lambda e: e.v.to(t.bfloat16), T, ("no dtype 'bfloat16'", "float32")),
    ("a state for a GPU", lambda e: t.load("f", map_location=lambda storage, place: storage.cuda(0)), R,
     ("no CUDA backend", "'cuda:0'")),
    ("a state for a GPU by name", lambda e: t.load("f", map_location={"cpu": "cuda:1"}), R, ("'cuda:1'",)),
    ("to what is neither", lambda e: e.v.to("foo"), R, ("Expected one of cpu, cuda", "foo")),
    ("a module to what is neither", lambda e: e.model.to("foo"), R, ("Expected one of cpu, cuda", "foo")),
    ("an unknown device", lambda e: t.device("tpu"), R, ("Expected one of cpu, cuda", "tpu")),
    # ------------------------------------------------------------------------------------------------- gradients
    ("backward twice", backward_twice, R, ("second time", "exp", "retain_graph=True")),
    ("backward of several", lambda e: (e.w * 2).backward(), R, ("only for scalar outputs", "(2, 3)", "sum it")),
    ("backward of nothing", lambda e: e.v.sum().backward(), R, ("does not require grad", "requires_grad_()")),
    ("a gradient of another shape", lambda e: (e.w * 2).backward(t.ones(2)), R, ("(2,)", "(2, 3)", "grad_output[0]")),
    ("a gradient of another dtype", lambda e: (e.w * 2).backward(e.d), R, ("float32", "float64", ".to()")),
    ("grad of what was not used", lambda e: t.autograd.grad(e.w.sum(), t.ones(2, requires_grad=True)), R,
     ("not have been used", "input 0", "(2,)", "allow_unused=True")),
    ("grad of a constant", lambda e: t.autograd.grad(e.w.sum(), e.v), R, ("does not require grad", "input 0", "(3,)")),
    ("grad of a number", lambda e: t.autograd.grad(e.w.sum(), [3.0]), T, ("input 0", "float", "not a Tensor")),
    ("two outputs, one gradient", lambda e: t.autograd.grad([e.w.sum(), e.w.sum()], e.w, [t.tensor(1.0)]), R,
     ("2 tensors", "1 gradients")),
    ("a leaf changed in place", lambda e: e.w.add_(1), R, ("a leaf Variable", "add_", "(2, 3)", "no_grad()")),
    ("a leaf assigned to", lambda e: e.w.__setitem__(0, 1.0), R, ("a leaf Variable", "setitem", "(2, 3)", "no_grad()")),
    ("a view of a leaf changed", lambda e: e.w[0].mul_(2), R, ("a view of a leaf", "mul_", "(3,)", "no_grad()")),
    ("a sharer changed in place", lambda e: (e.w * 1).detach().mul_(e.w), R, ("mul_", "shares memory", "x = x + y")),
    ("a saved array changed", saved_array_changed, R, ("modified by an inplace", "of mul", "clone()")),
    ("a view of what was replaced", stale_view, R, ("sum", "view", "(3,)", "take the view again")),
    ("NaN in a loss", nan_in_a_loss, R, ("sqrtBackward", "nan values", "test_misuse.py", "x.sqrt()")),
    ("numpy of a recorded tensor", lambda e: e.w.numpy(), R, ("Can't call numpy()", "tensor.detach().numpy()")),
    ("a copy of a recorded tensor", lambda e: __import__("copy").deepcopy(e.w * 2), R, ("graph leaves", "detach()")),
    ("requires_grad of a result", lambda e: (e.w * 2).requires_grad_(False), R, ("leaf variables", "detach()")),
    ("a gradient of another tensor's shape", lambda e: setattr(e.v, "grad", e.m23), R, ("'[2, 3]'", "'[3]'")),
    ("a gradient that is an array", lambda e: setattr(e.v, "grad", e.v.array), T, ("Tensor or None", "ndarray")),
    ("a hook on a constant", lambda e: e.v.register_hook(print), R, ("doesn't require gradient", "requires_grad_()")),
    ("too many gradients", lambda e: TwoGradients.apply(e.w).sum().backward(), R, ("TwoGrad", "expected 1", "got 2")),
    ("a wrong gradient", lambda e: WrongShape.apply(e.w).sum().backward(), R, ("WrongShape", "[7]", "[2, 3]")),
    ("gradcheck of float32", lambda e: t.autograd.gradcheck(t.exp, (e.w,)), V, ("float64", "input 0", ".double()")),
    ("gradcheck of constants", lambda e: t.autograd.gradcheck(t.exp, (e.d,)), V, ("at least one input",)),
    ("several hessians", lambda e: t.autograd.functional.hessian(t.exp, e.v), R, ("single element", "(3,)", "sum it")),
    ("jvp without v", lambda e: t.autograd.functional.jvp(t.exp, e.v), R, ("jvp", "(3,)", "give v")),
    ("vjp with another v", lambda e: t.autograd.functional.vjp(t.exp, e.v, e.m23), R, ("vjp", "(2, 3)", "(3,)")),
    ("checkpoint of a changing function", changing_function, R, ("checkpoint", "the second time", "exp", "sin")),
    # --------------------------------------------------------------------------------------------------- modules
    ("a layer's input", lambda e: e.model(t.ones(2, 5)), R, ("2x5", "3x4", "layer '0'", "Linear")),
    ("a layer's dtype", lambda e: e.model(e.d), R, ("float64", "float32", "layer '0'", "Linear")),
    ("a recurrent layer's input", lambda e: nn.LSTM(4, 2)(t.ones(5, 3, 7)), R, ("4", "7", "LSTM")),
    ("normalisation of another size", lambda e: nn.LayerNorm(4)(e.m23), R, ("[4]", "[2, 3]")),
    ("a module that has no forward", lambda e: nn.Module()(e.v), NotImplementedError, ("Module", "forward")),
    ("a missing key", lambda e: e.model.load_state_dict(without(e.state, "2.bias")), R, ("Missing key", '"2.bias"')),
    ("an extra key", lambda e: e.model.load_state_dict({**e.state, "3.w": e.v}), R, ("Unexpected key", '"3.w"')),
    ("a key of another shape", lambda e: e.model.load_state_dict({**e.state, "0.weight": e.m23}), R,
     ("size mismatch for 0.weight", "(2, 3)", "(4, 3)")),
    ("a key that is a list", lambda e: e.model.load_state_dict({**e.state, "0.bias": [1.0]}), R, ('"0.bias"', "list")),
    ("a state that is a list", lambda e: e.model.load_state_dict([1]), T, ("dict-like", "list")),
    ("a parameter that is a number", lambda e: setattr(e.model[0], "weight", 3), T, ("'int'", "parameter 'weight'")),
    ("a module before its init", lambda e: setattr(object.__new__(nn.Module), "a", nn.Linear(1, 1)), AttributeError,
     ("Module.__init__()",)),
    ("a layer that is none", lambda e: nn.Sequential(3), T, ("int", "Module")),
    ("a layer out of range", lambda e: e.model[5], I, ("5",)),
    ("a module to integers", lambda e: e.model.to(t.int64), T, ("floating point", "int64")),
    ("dropout of more than all", lambda e: nn.Dropout(1.5), V, ("between 0 and 1", "1.5")),
    ("a list for a layer", lambda e: nn.Linear(3, 4)([1, 2, 3]), T, ("'input' (position 1) must be Tensor, not list",
     "tinydl.tensor()", "in Linear")),
    ("a list for a layer within", lambda e: e.model([1, 2, 3]), T, ("must be Tensor, not list", "layer '0', a Linear")),
    ("a pair for a recurrent layer", lambda e: nn.GRU(3, 4)((e.m23, e.v)), T, ("must be Tensor, not tuple",
     "one by one", "in GRU")),
    ("fewer inputs than none", lambda e: nn.Linear(-1, 4), R, ("negative dimension -1", "[4, -1]")),
    ("features by halves", lambda e: nn.Linear(4.0, 2), T, ("tuple of ints", "type float: 4.0 in (2, 4.0)")),
    ("features by name", lambda e: nn.Linear("a", 2), T, ("tuple of ints", "type str: 'a' in (2, 'a')")),
    ("sizes by halves", lambda e: t.zeros(2, 1.5), T, ("tuple of ints", "type float: 1.5 in (2, 1.5)")),
    ("a stride by name", lambda e: nn.Conv2d(1, 1, 3, stride="a"), T, ("Conv2d: argument 'stride'", "ints, not 'a'")),
    ("a stride by halves", lambda e: F.conv1d(t.ones(1, 1, 4), t.ones(1, 1, 2), stride=1.5), T,
     ("conv1d: argument 'stride'", "ints, not 1.5")),
    ("a window by name", lambda e: F.max_pool2d(t.ones(1, 4, 4), "a"), T, ("argument 'kernel_size'", "not 'a'")),
    ("rows of a vector", lambda e: F.embedding(e.i, e.v), R, ("'weight' must be 2-D", "(3,)")),
    ("a kernel of nothing", lambda e: nn.Conv2d(3, 4, 0), R, ("kernel size should be greater than zero", "[0, 0]")),
    ("a kernel of nothing, called", lambda e: F.conv1d(t.ones(1, 3, 4), t.ones(2, 3, 0)), R,
     ("conv1d", "kernel size should be greater than zero", "[0]")),
    # ---------------------------------------------------------------------------------------------------- losses
    ("targets out of range", lambda e: F.cross_entropy(t.ones(2, 3), t.tensor([0, 3])), I, ("3", "out of bounds")),
    ("too few targets", lambda e: F.cross_entropy(t.ones(2, 3), t.tensor([0])), V, ("(2, 3)", "(2,)", "(1,)")),
    ("classes as probabilities", lambda e: F.binary_cross_entropy(t.ones(3), e.i > 1), R,
     ("binary_cross_entropy", "Found dtype bool but expected float32", ".float()")),
    ("classes as probabilities of logits", lambda e: F.binary_cross_entropy_with_logits(e.v, e.i), R,
     ("binary_cross_entropy_with_logits", "Found dtype int64 but expected float32", ".float()")),
    ("an unknown reduction", lambda e: F.mse_loss(e.m23, e.m23, reduction="most"), V, ("most is not", "mean", "sum")),
    ("targets of 32 bits", lambda e: F.cross_entropy(t.ones(2, 3), t.tensor([0, 1], dtype=t.int32)), R,
     ("expected a target of dtype int64 or uint8", "int32", ".long()")),
    # ------------------------------------------------------------------------------------------------ optimizers
    ("no parameters", lambda e: optim.SGD([], lr=0.1), V, ("empty parameter list",)),
    ("a parameter that is an array", lambda e: optim.SGD([e.v.array], lr=0.1), T, ("ndarray",)),
    ("one tensor instead of a list", lambda e: optim.SGD(e.w, lr=0.1), T, ("iterable", "Tensor")),
    ("a negative learning rate", lambda e: optim.Adam([e.w], lr=-1.0), V, ("learning rate", "-1.0")),
    ("a learning rate that is text", lambda e: optim.Adam([e.w], lr="0.1"), T, ("Adam: lr", "'0.1'", "float()")),
    ("one beta", lambda e: optim.Adam([e.w], betas=0.9), T, ("betas", "two numbers", "0.9")),
    ("no state", lambda e: e.optimizer.load_state_dict({}), V, ("'param_groups'", "state_dict() of an optimizer")),
    ("the state of a model", lambda e: e.optimizer.load_state_dict(e.state), V, ("no 'param_groups'", "optimizer")),
    ("a learning rate that is NaN", lambda e: optim.Adam([e.w], lr=math.nan), V, ("learning rate", "nan")),
    ("a result instead of a leaf", lambda e: optim.SGD([e.w * 2], lr=0.1), V, ("non-leaf",)),
    ("one parameter twice", lambda e: e.optimizer.add_param_group({"params": [e.model[0].weight]}), V,
     ("more than one parameter group",)),
    ("a state of other groups", lambda e: e.optimizer.load_state_dict({"state": {}, "param_groups": []}), V,
     ("different number of parameter groups",)),
    # ------------------------------------------------------------------------------------------------------ data
    ("data side by side", lambda e: StackDataset(range(3), range(4)), V, ("StackDataset", "[3, 4]")),
    ("a chain of lists", lambda e: list(ChainDataset([[1]])), AssertionError, ("IterableDataset", "list", "Concat")),
    ("tensors of different lengths", lambda e: TensorDataset(e.m23, e.m45), V, ("(2, 3)", "(4, 5)", "first dimension")),
    ("a batch of none", lambda e: DataLoader(range(3), batch_size=0), V, ("batch_size", "positive", "0")),
    ("data without a length", lambda e: next(iter(DataLoader(iter([1])))), T,
     ("'list_iterator' has no len()", "__getitem__", "IterableDataset")),
    ("data without a length, shuffled", lambda e: DataLoader(iter([1]), shuffle=True), T, ("no len()",)),
    ("workers by name", lambda e: DataLoader(range(3), num_workers="2"), T, ("num_workers", "'2'")),
    ("workers that fork", lambda e: DataLoader(range(3), multiprocessing_context="fork"), V, ("'spawn'", "'fork'")),
    ("a stream shuffled", lambda e: DataLoader(Stream(), shuffle=True), V, ("IterableDataset", "shuffle=True")),
    ("shuffle and sampler", lambda e: DataLoader(range(3), shuffle=True, sampler=[0]), V, ("mutually exclusive",)),
    ("fewer workers than none", lambda e: DataLoader(range(3), num_workers=-1), V, ("num_workers", "-1")),
    ("items of different shapes", lambda e: default_collate([e.m23, e.m45]), V, ("(2, 3)", "(4, 5)", "collate_fn")),
    ("items that are no data", lambda e: default_collate([object()]), T, ("object", "Tensors, arrays, numbers")),
    ("a split that is too large", lambda e: random_split(range(3), [2, 2]), V, ("[2, 2]", "3 items")),
    # ---------------------------------------------------------------------------------------------------- random
    ("a probability above 1", lambda e: t.bernoulli(t.tensor([1.5])), R, ("[0, 1]", "probability")),
    ("too many samples", lambda e: t.multinomial(t.tensor([1.0, 0.0]), 2), R, ("2 different", "replacement=True")),
    ("a seed that is a fraction", lambda e: t.manual_seed(1.5), T, ("a seed is an integer", "float", "1.5")),
    ("a seed that is too large", lambda e: t.manual_seed(2**70), V, ("a seed lies in", "1180591620717411303424")),
    ("integers from nothing", lambda e: t.randint(5, 5, (2,)), R, ("randint", "from=5 >= to=5")),
    ("integers without a size", lambda e: t.randint(3), T, ("randint(3) lacks the size", "randint(high, size)")),
]  # fmt: skip


@pytest.mark.parametrize(("use", "error", "words"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_misuse_is_one_clear_sentence(use: Any, error: type[Exception], words: tuple[str, ...]) -> None:
    e = world()
    before = frozen(e)
    with pytest.raises(error) as caught:
        use(e)
    message = str(caught.value)
    for word in words:
        assert word in message, f"{word!r} is not in: {message}"
    assert "\n" not in message or "state_dict" in message, message  # a state dict's mistakes are listed, one a line
    assert frozen(e) == before, "something was changed"


def test_there_are_many() -> None:
    assert len(CASES) >= 120 and len({c[0] for c in CASES}) == len(CASES)


def test_all_mistakes_of_a_state_dict_are_named_together() -> None:
    e = world()
    state = {**without(e.state, "0.bias"), "0.weight": t.ones(1), "extra": e.v}
    with pytest.raises(RuntimeError) as caught:
        e.model.load_state_dict(state)
    for word in ('"0.bias"', '"extra"', "size mismatch for 0.weight", "(1,)", "(4, 3)"):
        assert word in str(caught.value)


class Own(nn.Module):
    """A module of a user's own, which may take lists."""

    def forward(self, x: Any) -> Any:
        return x.size(0)


def test_an_error_of_a_users_own_module_stays_what_it_was() -> None:
    for layer in (Own(), nn.Sequential(Own(), nn.ReLU())):
        with pytest.raises(AttributeError, match="'list' object has no attribute 'size'"):
            layer([1, 2])
