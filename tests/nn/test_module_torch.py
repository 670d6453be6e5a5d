"""Modules, parameters and containers against PyTorch: one script, run in both libraries, must tell the same.

nn.Module, nn.Parameter, nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict.
"""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these tests")

SCRIPTS: list[Callable[[Any], Any]] = []


def script(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A script takes the library and yields what it has seen."""
    SCRIPTS.append(function)
    return function


def plain(x: Any) -> Any:
    """What can be compared between the libraries."""
    if isinstance(x, (tinydl.Tensor, torch.Tensor)):
        array = x.array if isinstance(x, tinydl.Tensor) else x.detach().numpy()
        return (str(array.dtype), array.shape, np.round(array.astype(float), 5).tolist(), bool(x.requires_grad))
    if isinstance(x, dict):
        return [(plain(k), plain(v)) for k, v in x.items()]
    if isinstance(x, (tuple, list)):
        return [plain(v) for v in x]
    return x if isinstance(x, (int, float, str, bool, type(None))) else type(x).__name__


def number(library: Any, *shape: int) -> Any:
    """Numbers that differ, the same in both libraries."""
    size = int(np.prod(shape))
    return library.tensor((np.arange(size).reshape(shape) * 0.37 % 1 - 0.4).astype(np.float32))


def filled(library: Any, module: Any) -> Any:
    """``module`` with such numbers in its parameters."""
    with library.no_grad():
        for parameter in module.parameters():
            parameter.copy_(number(library, *parameter.shape))
    return module


def net(library: Any) -> Any:
    nn = library.nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(number(library, 3))
            self.register_buffer("seen", library.zeros(1))
            self.register_buffer("scratch", library.ones(2), persistent=False)
            self.inner = nn.Linear(3, 3)
            self.register_parameter("nothing", None)
            self.shift = nn.Parameter(number(library, 3))

        def forward(self, x: Any, gain: float = 1.0) -> Any:
            return self.inner(x) * self.scale * gain + self.shift

    return filled(library, nn.Sequential(OrderedDict(first=nn.Linear(2, 3), block=Block(), act=nn.ReLU())))


@script
def walking(t: Any) -> Any:
    model = net(t)
    yield [name for name, _ in model.named_parameters()]
    yield [name for name, _ in model.named_parameters(prefix="net", recurse=False)]
    yield [name for name, _ in model.named_buffers()]
    yield [name for name, _ in model.named_modules()]
    yield [name for name, _ in model.named_modules(prefix="net")]
    yield [name for name, _ in model.named_children()]
    yield [type(m).__name__ for m in model.children()]
    yield model.state_dict()
    yield model.state_dict(prefix="net.")
    yield [v.requires_grad for v in model.state_dict(keep_vars=True).values()]
    model.block.inner = model.first
    yield [name for name, _ in model.named_parameters()]
    yield [name for name, _ in model.named_parameters(remove_duplicate=False)]
    yield [name for name, _ in model.named_modules(remove_duplicate=False)]
    yield list(model.state_dict())
    yield repr(model)
    yield model.get_submodule("block.inner") is model.first
    yield model.get_parameter("block.scale") is model.block.scale
    yield model.get_buffer("block.seen") is model.block.seen
    model.set_submodule("block.inner", t.nn.Tanh())
    yield repr(model)
    yield {"first", "block", "act", "forward", "training"} <= set(dir(model))


@script
def dictionaries(t: Any) -> Any:
    model = net(t)
    block = model.block
    yield [list(getattr(block, table)) for table in ("_parameters", "_buffers", "_modules")]
    yield [v is None for v in block._parameters.values()]
    yield block._get_name(), len(model._modules), "first" in model._modules, model._modules.get("x")
    model._modules["act"] = t.nn.Tanh()
    yield repr(model)
    block._buffers["late"] = t.ones(2)
    yield list(block.state_dict())
    block._parameters["scale"] = number(t, 3)  # a tensor, where an assignment would ask for a parameter
    yield model(number(t, 4, 2))
    weight = block.inner._parameters.pop("weight")  # what weights that are computed anew do
    yield hasattr(block.inner, "weight"), list(dict(block.inner.named_parameters()))
    block.inner.weight = weight * 2
    yield list(dict(block.inner.named_parameters())), model(number(t, 4, 2))
    del block._modules["inner"]
    yield list(dict(block.named_children()))
    with pytest.raises(KeyError):
        block._modules["inner"]
    for key in list(block._parameters):
        block._parameters[key] = None
    yield list(dict(model.named_parameters()))


class Tied:
    """Two layers that share a weight, and a buffer that the call replaces."""

    def __new__(cls, t: Any) -> Any:
        class Net(t.nn.Module):  # type: ignore[name-defined, misc]
            def __init__(self) -> None:
                super().__init__()
                self.a = t.nn.Linear(3, 3)
                self.b = t.nn.Linear(3, 3, bias=False)
                self.b.weight = self.a.weight
                self.register_buffer("calls", t.zeros(1))

            def forward(self, x: Any, gain: float = 1.0) -> Any:
                self.calls = self.calls + 1
                return self.b(self.a(x)) * gain

        return filled(t, Net())


@script
def functional_call(t: Any) -> Any:
    call = t.func.functional_call
    model, x = Tied(t), number(t, 2, 3)
    given = {"a.weight": number(t, 3, 3).T.contiguous().requires_grad_(), "calls": t.ones(1) * 5}
    weight = given["a.weight"]
    y = call(model, given, (x,), {"gain": 2.0})
    yield y, t.autograd.grad(y.sum(), weight)[0], given["calls"], model.calls, model.a.weight is model.b.weight
    yield call(model, given, x, tie_weights=False), call(model, ({"a.weight": weight}, {"a.bias": x[0]}), x)
    yield call(model, {"a.weight": weight, "b.weight": weight}, x)
    yield model(x), model.calls
    everything = {k: v.detach() * 2 for k, v in model.state_dict().items()}
    everything["b.weight"] = everything["a.weight"]
    yield call(model, everything, x, strict=True)
    for keys, error in (
        ([{"a.weight": weight}, {"a.weight": x}], ValueError),
        ({"a.weight": weight, "b.weight": x}, ValueError),
        (3, ValueError),
        ({"nowhere.weight": x}, AttributeError),
    ):
        with pytest.raises(error):
            call(model, keys, x)
    with pytest.raises(RuntimeError, match="Missing key"):
        call(model, {"a.weight": weight}, x, strict=True)
    with pytest.raises(RuntimeError, match=r"Unexpected key\(s\): 'extra'"):
        call(model, {**everything, "extra": x}, x, strict=True)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        call(model, {"a.weight": number(t, 2, 2)}, x)
    with pytest.raises(RuntimeError, match="DataParallel"):
        call(t.nn.DataParallel(model), {}, x)
    yield model(x), model.calls, model.state_dict()
    with pytest.warns(FutureWarning, match="stateless.functional_call` is deprecated"):
        yield t.nn.utils.stateless.functional_call(model, {"a.weight": weight}, x)


@script
def attributes(t: Any) -> Any:
    block = net(t).block
    for name, value in (("scale", t.zeros(3)), ("inner", 3), ("seen", 3), ("scale", "text")):
        with pytest.raises(TypeError) as caught:
            setattr(block, name, value)
        yield str(caught.value).replace("torch.FloatTensor", "Tensor").partition(" (")[0]
    block.scale = None
    yield [name for name, _ in block.named_parameters()]
    block.scale = t.nn.Parameter(number(t, 3))
    yield [name for name, _ in block.named_parameters()]
    del block.inner
    yield [name for name, _ in block.named_parameters()]
    yield hasattr(block, "inner")
    for register, name in (
        (block.register_buffer, "a.b"), (block.register_parameter, ""), (block.register_module, "forward"),
    ):  # fmt: skip
        with pytest.raises(KeyError) as failed:
            register(name, None)
        yield failed.value.args[0].partition(", got")[0]
    block.register_module("late", t.nn.Tanh())
    block.add_module("later", None)
    yield list(dict(block.named_children()))
    with pytest.raises(TypeError) as caught:
        block.register_parameter("x", t.zeros(1).numpy())
    yield str(caught.value).partition(" object")[0].replace("numpy.", "")


@script
def modes_and_gradients(t: Any) -> Any:
    model = net(t)
    yield model.eval() is model, [m.training for m in model.modules()]
    model.block.train()
    yield [m.training for m in model.modules()]
    visited: list[str] = []
    yield model.apply(lambda m: visited.append(type(m).__name__)) is model, visited
    model(number(t, 4, 2)).sum().backward()
    yield [p.grad for p in model.parameters()]
    model.zero_grad(set_to_none=False)
    yield [p.grad for p in model.parameters()]
    model.zero_grad()
    yield [p.grad for p in model.parameters()]
    model.requires_grad_(False)
    yield [p.requires_grad for p in model.parameters()]


@script
def conversions(t: Any) -> Any:
    model = net(t)
    model.register_buffer("count", t.tensor([3]))
    before = list(model.parameters())
    for change in (
        lambda m: m.double(), lambda m: m.float(), lambda m: m.half(), lambda m: m.to(t.float64), lambda m: m.cpu(),
        lambda m: m.to("cpu", t.float32), lambda m: m.to(number(t, 1).double()), lambda m: m.type(t.float32),
        lambda m: m.to(dtype=t.float64, device="cpu", non_blocking=True),
    ):  # fmt: skip
        yield change(model) is model, [str(v.dtype).rpartition(".")[2] for v in model.state_dict().values()]
    yield all(a is b for a, b in zip(before, model.parameters()))
    with pytest.raises(TypeError) as caught:
        model.to(t.int64)
    yield str(caught.value).replace(" or complex", "").partition("=")[0]


@script
def loading(t: Any) -> Any:
    model, other = net(t), filled(t, t.nn.Sequential(t.nn.Linear(2, 3)))
    state = model.state_dict()
    yield repr(model.load_state_dict(state))
    yield model.load_state_dict(OrderedDict(state), strict=False)
    bad = dict(state)
    del bad["first.weight"], bad["block.inner.bias"]
    bad["more"] = number(t, 2)
    bad["block.scale"] = number(t, 5)
    yield model.load_state_dict({k: v for k, v in bad.items() if k != "block.scale"}, strict=False)
    for strict in (True, False):
        with pytest.raises(RuntimeError) as caught:
            model.load_state_dict(bad, strict=strict)
        lines = str(caught.value).split("\n\t")
        yield [line.strip() for line in lines if "size mismatch" not in line]
        yield ["block.scale" in line for line in lines if "size mismatch" in line]
    with pytest.raises(RuntimeError) as caught:
        other.load_state_dict({"0.weight": "text", "0.bias": number(t, 3)})
    yield "While copying the parameter named" in str(caught.value)
    with pytest.raises(TypeError) as wrong:
        model.load_state_dict([1])
    yield str(wrong.value)
    wide = {"0.weight": number(t, 3, 2).double(), "0.bias": number(t, 3).double()}
    other.load_state_dict(wide)
    yield other.state_dict()
    other.load_state_dict(wide, assign=True)
    yield other.state_dict(), [p.requires_grad for p in other.parameters()]
    other[0].weight.requires_grad_(False)
    other.load_state_dict(wide, assign=True)
    yield [p.requires_grad for p in other.parameters()]
    with t.no_grad():
        wide["0.bias"].zero_()
    yield other[0].bias


@script
def forward_hooks(t: Any) -> Any:
    model, seen = net(t), []
    x = number(t, 1, 2)
    block = model.block

    def note(name: str, value: Any = None) -> Callable[..., Any]:
        return lambda *args: seen.append((name, len(args))) or value

    handles = [
        block.register_forward_pre_hook(note("pre")),
        block.register_forward_pre_hook(note("first pre"), prepend=True),
        block.register_forward_pre_hook(lambda m, args, kwargs: (args, {"gain": 2.0}), with_kwargs=True),
        block.register_forward_hook(note("post")),
        block.register_forward_hook(note("first post"), prepend=True),
        block.register_forward_hook(lambda m, args, kwargs, out: seen.append(dict(kwargs)), with_kwargs=True),
        block.register_forward_hook(lambda m, args, out: out + 1),
        model.register_forward_pre_hook(lambda m, args: args[0] * 2),
    ]
    yield model(x), seen
    for handle in handles:
        handle.remove()
        handle.remove()
    yield model(x), len(seen)
    with block.register_forward_hook(lambda m, args, out: out * 0):
        yield model(x)
    yield model(x)
    block.register_forward_hook(note("always"), always_call=True)
    block.register_forward_hook(note("if all is well"))
    seen.clear()
    with pytest.raises(RuntimeError):
        block(number(t, 1, 7))
    yield seen
    with block.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True), pytest.raises(RuntimeError) as e:
        block(number(t, 1, 3))
    yield str(e.value).partition(" (in ")[0]


@script
def backward_hooks(t: Any) -> Any:
    seen: list[Any] = []

    class Two(t.nn.Module):  # type: ignore[name-defined, misc]
        def forward(self, a: Any, b: Any, c: Any = None) -> Any:
            return a * b, b * 2, "text"

    two = Two()
    a, b = number(t, 2).requires_grad_(), number(t, 3, 2)
    first = two.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    out = two(a, b, 3)
    yield out
    (out[0] * number(t, 3, 2)).sum().backward()
    yield seen, a.grad
    a.grad = None
    first.remove()
    two.register_full_backward_pre_hook(lambda m, go: (go[0] * 2, go[1], go[2]))
    two.register_full_backward_hook(lambda m, gi, go: (gi[0] + 1, *gi[1:]))
    two.register_full_backward_hook(lambda m, gi, go: seen.append(gi), prepend=True)
    seen.clear()
    two(a, b, 3)[0].sum().backward()
    yield seen, a.grad
    with t.no_grad():
        yield two(a, b)[0]
    model = net(t)
    order: list[str] = []
    for name, module in model.named_modules():
        module.register_full_backward_hook(lambda m, gi, go, name=name: order.append(name))
    x = number(t, 4, 2).requires_grad_()
    model(x).sum().backward()
    yield order, x.grad, [p.grad for p in model.parameters()]
    two = Two()
    two.register_full_backward_hook(lambda m, gi, go: (1, 2, 3, 4))
    with pytest.raises(RuntimeError) as caught:
        two(a, b, 3)[0].sum().backward()
    yield str(caught.value)
    (g,) = t.autograd.grad(model(x).sum(), x, create_graph=True)
    yield t.autograd.grad((g * g).sum(), list(model.parameters())[0])


@script
def state_hooks(t: Any) -> Any:
    model, seen = net(t), []
    block = model.block
    block.register_state_dict_pre_hook(lambda m, prefix, keep: seen.append((prefix, keep)))
    block.register_state_dict_post_hook(lambda m, state, prefix, meta: state.pop(prefix + "shift") is None or None)
    state = model.state_dict()
    yield list(state), seen

    def rename(m: Any, state: Any, prefix: str, *rest: Any) -> None:
        state[prefix + "shift"] = state.pop(prefix + "old")

    block.register_load_state_dict_pre_hook(rename)
    model.register_load_state_dict_post_hook(lambda m, keys: seen.append(list(keys.missing_keys)))
    state["block.old"] = number(t, 3) * 0
    yield model.load_state_dict(state), seen, block.shift, "block.old" in state


@script
def copies(t: Any) -> Any:
    model = net(t)
    model.block.inner = model.first
    for p in model.parameters():
        p.grad = t.ones(p.shape)
    other = copy.deepcopy(model)
    yield [name for name, _ in other.named_parameters()], other.block.inner is other.first
    yield [p.grad for p in other.parameters()]
    with t.no_grad():
        other.first.weight.zero_()
    yield model.first.weight, type(other.block.scale).__name__
    linear = pickle.loads(pickle.dumps(filled(t, t.nn.Linear(2, 3))))
    yield linear.state_dict(), repr(linear), type(linear.weight).__name__


@script
def parameters(t: Any) -> Any:
    p = t.nn.Parameter(number(t, 2))
    yield p, type(p * 2).__name__, p.is_leaf, isinstance(p, t.Tensor)
    yield t.nn.Parameter(number(t, 2), requires_grad=False)
    yield t.nn.Parameter().shape[0]
    yield repr(p).split("\n")[0]
    p.grad = t.ones(2)
    yield copy.deepcopy(p).grad


@script
def sequential(t: Any) -> Any:
    nn = t.nn
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    yield len(net), repr(net), repr(net[1:]), repr(net[-1]), repr(nn.Sequential())
    net.append(nn.Tanh()).insert(1, nn.Sigmoid())
    yield repr(net), list(net.state_dict())
    yield repr(net.pop(-1)), repr(net.pop(0)), repr(net)
    del net[0]
    net[0] = nn.Mish()
    yield repr(net + nn.Sequential(nn.GELU("tanh"))), repr(net * 2), repr(2 * net)
    net += nn.Sequential(nn.SiLU())
    yield repr(net), [type(m).__name__ for m in net]
    yield repr(nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Tanh()))[1:])
    for wrong in (lambda: net[9], lambda: net.pop(9)):
        with pytest.raises(IndexError):
            wrong()
    with pytest.raises(ValueError):
        net * 0


@script
def module_list(t: Any) -> Any:
    nn = t.nn
    layers = nn.ModuleList([nn.Linear(1, 2), nn.ReLU(), nn.ReLU()])
    layers.insert(1, nn.Tanh())
    layers += [nn.Sigmoid()]
    yield repr(layers), repr(layers[1:3]), repr(layers + [nn.ReLU()]), len(layers)
    yield repr(layers.pop(1)), repr(layers.pop(-1)), list(layers.state_dict())
    layers[0] = nn.Linear(1, 3)
    del layers[1:]
    yield repr(layers), layers[0] in layers
    with pytest.raises(NotImplementedError):
        layers(number(t, 1))


@script
def module_dict(t: Any) -> Any:
    nn = t.nn
    layers = nn.ModuleDict(OrderedDict(b=nn.Linear(1, 1), a=nn.ReLU()))
    layers["c"] = nn.Tanh()
    layers.update({"d": nn.Sigmoid()})
    yield repr(layers), list(layers), list(layers.keys()), [type(v).__name__ for v in layers.values()]
    yield "a" in layers, type(layers.pop("a")).__name__, len(layers), [k for k, _ in layers.items()]
    with pytest.raises(KeyError) as caught:
        layers["keys"] = nn.ReLU()
    yield str(caught.value)
    layers.clear()
    yield len(layers)


@script
def parameter_list(t: Any) -> Any:
    nn = t.nn
    held = nn.ParameterList([number(t, 2), 3, nn.Parameter(number(t, 1))])
    held.append(number(t, 2, 2)).extend([number(t, 1)])
    held += [number(t, 3)]
    held[1] = number(t, 4)
    yield list(held), list(held.state_dict()), [k for k, _ in held.named_parameters()], len(held)
    yield held[-1], list(held[0:2])
    yield repr(nn.ParameterList([number(t, 2, 3), 3])).replace("torch", "tinydl")
    yield repr(nn.ParameterList([number(t, 2)])).replace("torch", "tinydl"), repr(nn.ParameterList())
    with pytest.raises(IndexError):
        held[9]


@script
def parameter_dict(t: Any) -> Any:
    nn = t.nn
    held = nn.ParameterDict({"b": number(t, 2), "a": 3})
    yield list(held), list(held.state_dict()), held["a"], len(held), "a" in held, held.get("z", 5)
    held["c"] = number(t, 1)
    held.update([("d", number(t, 2))])
    yield held.setdefault("e", number(t, 3)), list(held.keys()), list(held.values()), [k for k, _ in held.items()]
    yield held.pop("b"), list(held.state_dict())
    yield repr(nn.ParameterDict({"x": 3, "y": "text"}))
    held.clear()
    yield len(held)
    with pytest.raises(KeyError):
        held["keys"] = number(t, 1)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")  # PyTorch's, where no input needs a gradient
@script
def a_batch_norm_of_ones_own(t: Any) -> Any:
    class Own(t.nn.modules.batchnorm._BatchNorm):  # type: ignore[misc]
        def _check_input_dim(self, input: Any) -> None:
            if input.dim() != 2:
                raise ValueError("expected 2D")

    layer = Own(3)
    yield layer, layer(number(t, 4, 3)), layer.running_mean
    for wrong in (layer, t.nn.modules.batchnorm._BatchNorm(3)):
        try:
            wrong(number(t, 2, 3, 1))
        except (ValueError, NotImplementedError) as error:
            yield type(error).__name__


@script
def batch_norms_of_many_processes(t: Any) -> Any:
    net = t.nn.Sequential(t.nn.Conv2d(1, 2, 1), t.nn.BatchNorm2d(2, eps=0.1), t.nn.Sequential(t.nn.BatchNorm1d(2)))
    for converted in (
        t.nn.SyncBatchNorm.convert_sync_batchnorm(net.eval()),
        t.nn.SyncBatchNorm.convert_sync_batchnorm(t.nn.BatchNorm2d(3, affine=False)),
    ):
        yield [type(m) for m in converted.modules()], list(converted.state_dict()), converted.training
    yield net[1].eps, net[1].running_var, net[1](number(t, 2, 2, 3, 3))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda f: f.__name__)
def test_script_tells_the_same(script: Callable[[Any], Any]) -> None:
    ours, theirs = list(script(tinydl)), list(script(torch))
    assert len(ours) == len(theirs)
    for k, (a, b) in enumerate(zip(ours, theirs)):
        assert plain(a) == plain(b), f"what {script.__name__} says, {k}"


def _sum_of(layer: Any, queue: Any) -> None:
    queue.put(float(layer.weight.array.sum()))


def test_a_module_travels_between_processes() -> None:
    layer = filled(tinydl, tinydl.nn.Linear(2, 3))
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    worker = context.Process(target=_sum_of, args=(layer, queue))
    worker.start()
    worker.join(120)
    assert worker.exitcode == 0
    assert queue.get() == pytest.approx(float(layer.weight.array.sum()))


def test_a_key_that_leads_nowhere_is_refused() -> None:
    """PyTorch leaves it out of account, and a misspelt parameter keeps its value."""
    model, x = Tied(tinydl), number(tinydl, 2, 3)
    for key in ("nowhere", "a.nowhere"):
        with pytest.raises(AttributeError, match="no attribute `nowhere` that is a parameter or a buffer"):
            tinydl.func.functional_call(model, {key: x}, x)
