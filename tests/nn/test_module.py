"""Module: registration, walking, state_dict, hooks, the printed form, and errors that name the layer."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import nn


class Block(nn.Module):
    def __init__(self, size=2):
        super().__init__()
        self.register_buffer("seen", tinydl.zeros(1))
        self.register_buffer("scratch", tinydl.zeros(1), persistent=False)
        self.scale = nn.Parameter(tinydl.ones(size))
        self.inner = nn.Linear(size, size)
        self.shift = nn.Parameter(tinydl.zeros(size))

    def forward(self, x):
        return self.inner(x) * self.scale + self.shift


def names(module):
    return [name for name, _ in module.named_parameters()]


def test_parameters_come_in_order_of_definition_parents_first():
    net = nn.Sequential(Block(), nn.Linear(2, 1))
    assert names(net) == [
        "0.scale", "0.shift", "0.inner.weight", "0.inner.bias", "1.weight", "1.bias",
    ]  # fmt: skip
    assert [name for name, _ in net.named_modules()] == ["", "0", "0.inner", "1"]
    assert list(net.state_dict()) == [
        "0.scale", "0.shift", "0.seen", "0.inner.weight", "0.inner.bias", "1.weight", "1.bias",
    ]  # fmt: skip
    assert [name for name, _ in net.named_buffers()] == ["0.seen", "0.scratch"]


def test_a_name_keeps_its_kind_and_its_place():
    block = Block()
    block.scale = nn.Parameter(tinydl.zeros(2))
    assert names(block)[:2] == ["scale", "shift"]
    block.scale = None
    assert names(block)[0] == "shift"
    block.scale = nn.Parameter(tinydl.zeros(2))
    assert names(block)[0] == "scale"
    with pytest.raises(TypeError, match="cannot assign 'Tensor' as parameter 'scale'"):
        block.scale = tinydl.zeros(2)
    with pytest.raises(TypeError, match="cannot assign 'int' as child module 'inner'"):
        block.inner = 3
    with pytest.raises(TypeError, match="cannot assign 'int' as buffer 'seen'"):
        block.seen = 3
    block.seen = tinydl.ones(1)  # still a buffer
    assert block.state_dict()["seen"].item() == 1
    block.inner = nn.Parameter(tinydl.zeros(1))  # now a parameter, no module any more
    assert list(block.children()) == []
    del block.inner
    assert "inner" not in dict(block.named_parameters())
    with pytest.raises(AttributeError, match="'Block' object has no attribute 'inner'"):
        _ = block.inner


def test_assignment_before_init_says_so():
    class Early(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"cannot assign modules before Module.__init__\(\) call"):
        Early()


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "can't be empty"), ("a.b", 'can\'t contain "."'), ("forward", "attribute 'forward' already exists")],
)
def test_names_that_cannot_be_registered(name, message):
    with pytest.raises(KeyError) as caught:
        nn.Module().register_buffer(name, tinydl.zeros(1))
    assert message in str(caught.value.args[0])


def test_shared_parameters_are_walked_once_and_saved_twice():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    assert names(net) == ["0.weight", "0.bias", "1.bias"]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    shared = nn.Sequential(net[0], net[0])
    assert names(shared) == ["0.weight", "0.bias"]
    assert len(list(shared.modules())) == 2
    clone = copy.deepcopy(net)
    assert clone[0].weight is clone[1].weight
    assert clone[0].weight is not net[0].weight


def test_train_eval_apply_and_requires_grad():
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.Sequential(nn.Dropout()))
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net[2].train()
    assert [module.training for module in net.modules()] == [False, False, False, True, True]
    with pytest.raises(ValueError, match="training mode is expected to be boolean"):
        net.train(1)
    visited = []
    net.apply(lambda module: visited.append(type(module).__name__))
    assert visited == ["Linear", "Dropout", "Dropout", "Sequential", "Sequential"]
    net.requires_grad_(False)
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_zero_grad():
    layer = nn.Linear(2, 1)
    layer(tinydl.ones(3, 2)).sum().backward()
    layer.zero_grad(set_to_none=False)
    assert layer.weight.grad.tolist() == [[0, 0]]
    layer.zero_grad()
    assert layer.weight.grad is None


def test_state_dict_is_detached_shares_memory_and_loads():
    a, b = nn.Linear(3, 2), nn.Linear(3, 2)
    state = a.state_dict()
    assert not state["weight"].requires_grad
    assert type(state["weight"]) is tinydl.Tensor
    assert np.shares_memory(state["weight"].array, a.weight.array)
    result = b.load_state_dict(state)
    assert repr(result) == "<All keys matched successfully>"
    assert np.array_equal(a.weight.array, b.weight.array)
    assert not np.shares_memory(a.weight.array, b.weight.array)
    b.load_state_dict({name: tensor.array.astype(np.float64) for name, tensor in state.items()})  # arrays, other dtype
    assert b.weight.dtype == np.float32


def test_load_state_dict_reports_everything_and_changes_nothing():
    layer = nn.Linear(3, 2)
    before = layer.weight.array.copy()
    state = {"weight": tinydl.ones(2, 3), "bias": tinydl.ones(5), "extra": tinydl.ones(1)}
    with pytest.raises(RuntimeError) as caught:
        layer.load_state_dict(state)
    assert str(caught.value) == (
        "Error(s) in loading state_dict for Linear:\n"
        '\tUnexpected key(s) in state_dict: "extra". \n'
        "\tsize mismatch for bias: copying a param with shape (5,) from checkpoint, the shape in current model is (2,)."
    )
    assert np.array_equal(layer.weight.array, before)
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "weight", "bias"'):
        layer.load_state_dict({})
    with pytest.raises(RuntimeError, match="size mismatch for bias"):  # strict=False forgives keys, not shapes
        layer.load_state_dict(state, strict=False)
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like"):
        layer.load_state_dict([1])
    with pytest.raises(RuntimeError, match='While copying the parameter named "weight"'):
        layer.load_state_dict({"weight": "text", "bias": tinydl.ones(2)})
    missing, unexpected = layer.load_state_dict({"weight": tinydl.ones(2, 3), "more": 1}, strict=False)
    assert (missing, unexpected) == (["bias"], ["more"])
    assert layer.weight.array.min() == 1


def test_loading_swapped_keys_of_its_own_state():
    layer = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    first, second = layer[0].weight.item(), layer[1].weight.item()
    state = layer.state_dict()
    layer.load_state_dict({"0.weight": state["1.weight"], "1.weight": state["0.weight"]})
    assert (layer[0].weight.item(), layer[1].weight.item()) == (second, first)


def test_loading_between_forward_and_backward_is_noticed():
    layer = nn.Linear(2, 2)
    x = tinydl.ones(1, 2, requires_grad=True)
    loss = layer(x).sum()
    layer.load_state_dict(layer.state_dict())
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_to_converts_in_place_and_keeps_identity():
    block = Block()
    block.register_buffer("count", tinydl.tensor([3]))
    parameters = list(block.parameters())
    block(tinydl.ones(1, 2)).sum().backward()
    assert block.double() is block
    assert all(a is b for a, b in zip(parameters, block.parameters(), strict=True))
    assert {tensor.dtype for tensor in (*block.parameters(), block.seen)} == {np.dtype(np.float64)}
    assert block.scale.grad.dtype == np.float64
    assert block.count.dtype == np.int64
    assert block.to("cpu", tinydl.float32).scale.dtype == np.float32
    with pytest.raises(TypeError, match="only accepts floating point dtypes"):
        block.to(tinydl.int64)
    with pytest.raises(RuntimeError, match="no CUDA backend is available"):
        block.to("cuda")


def test_hooks():
    layer = nn.Linear(2, 2)
    x = tinydl.ones(1, 2)
    plain = layer(x)
    seen = []
    pre = layer.register_forward_pre_hook(lambda module, args: seen.append(args) or (args[0] * 2,))
    post = layer.register_forward_hook(lambda module, args, output: output + 1)
    assert np.allclose(layer(x).array, (layer.weight.array.sum(1) * 2 + layer.bias.array) + 1)
    assert seen[0][0] is x
    pre.remove()
    pre.remove()
    with post:
        assert np.allclose(layer(x).array, plain.array + 1)
    assert np.array_equal(layer(x).array, plain.array)


def test_deepcopy_and_pickle():
    block = Block()
    for other in (copy.deepcopy(block), pickle.loads(pickle.dumps(block))):
        assert names(other) == names(block)
        assert isinstance(other.scale, nn.Parameter)
        other.scale.array[:] = 7
        assert block.scale.array[0] == 1
        assert list(other.state_dict()) == list(block.state_dict())


def test_an_error_inside_forward_names_the_layer_once():
    net = nn.Sequential(nn.ReLU(), nn.ModuleDict({"head": nn.Linear(3, 2)})["head"])
    model = nn.Module.__new__(nn.Module)
    nn.Module.__init__(model)
    model.body = net
    model.forward = lambda x: net(x)
    with pytest.raises(RuntimeError) as caught:
        model(tinydl.ones(4, 5))
    sentence = str(caught.value)
    assert sentence.endswith("(in layer 'body.1', a Linear)")
    assert sentence.count("in layer") == 1
    assert "4x5" in sentence
    assert "3x2" in sentence
    with pytest.raises(RuntimeError, match=r"\(in Linear\)$"):
        net[1](tinydl.ones(4, 5))


def test_an_error_with_fields_of_its_own_is_left_alone():
    class Odd(ValueError):
        def __init__(self, a, b):
            super().__init__(a, b)

    class Raises(nn.Module):
        def forward(self):
            raise Odd(1, 2)

    with pytest.raises(Odd) as caught:
        Raises()()
    assert caught.value.args == (1, 2)


def test_forward_must_be_written():
    with pytest.raises(NotImplementedError, match=r'Module \[Module\] is missing the required "forward" function'):
        nn.Module()()


def test_get_submodule_and_parameter():
    net = nn.Sequential(Block())
    assert net.get_submodule("0.inner") is net[0].inner
    assert net.get_submodule("") is net
    assert net.get_parameter("0.inner.weight") is net[0].inner.weight
    assert net.get_buffer("0.seen") is net[0].seen
    for missing in (lambda: net.get_submodule("0.outer"), lambda: net.get_parameter("0.seen")):
        with pytest.raises(AttributeError, match="has no attribute"):
            missing()


def test_a_deep_tree_needs_no_recursion_to_walk():
    net = nn.Linear(1, 1)
    for _ in range(3000):
        outer = nn.Module()
        outer.inner = net
        net = outer
    assert len(list(net.modules())) == 3001
    assert len(list(net.parameters())) == 2


def test_repr():
    net = nn.Sequential(nn.Linear(2, 3), nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Tanh()]))
    assert repr(net) == (
        "Sequential(\n"
        "  (0): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (1): ModuleList(\n"
        "    (0-1): 2 x ReLU()\n"
        "    (2): Tanh()\n"
        "  )\n"
        ")"
    )


def test_sequential():
    net = nn.Sequential({"a": nn.Linear(2, 3), "b": nn.ReLU()})
    assert list(dict(net.named_children())) == ["a", "b"]
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert net(tinydl.ones(5, 2)).shape == (5, 1)
    assert len(net) == 3
    assert net[-1] is net[2]
    assert net[0] in net
    part = net[1:]
    assert type(part) is nn.Sequential
    assert part[1] is net[2]
    net[1] = nn.Tanh()
    assert [type(module).__name__ for module in net] == ["Linear", "Tanh", "Linear"]
    del net[1]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    with pytest.raises(IndexError, match="index 2 is out of range for Sequential of length 2"):
        _ = net[2]


def test_module_list():
    layers = nn.ModuleList(nn.Linear(1, size) for size in (1, 2, 3))
    layers.insert(1, nn.ReLU())
    layers.append(nn.Tanh()).extend([nn.Sigmoid()])
    assert [type(layer).__name__ for layer in layers] == ["Linear", "ReLU", "Linear", "Linear", "Tanh", "Sigmoid"]
    assert type(layers.pop()) is nn.Sigmoid
    assert [layer.out_features for layer in layers[2:4]] == [2, 3]
    assert list(layers[2:4].state_dict())[0] == "0.weight"
    with pytest.raises(NotImplementedError):
        layers(1)


def test_module_dict():
    layers = nn.ModuleDict({"b": nn.Linear(1, 1), "a": nn.ReLU()})
    layers["c"] = nn.Tanh()
    assert list(layers) == list(layers.keys()) == ["b", "a", "c"]
    assert layers["a"] is dict(layers.items())["a"]
    assert "a" in layers
    assert type(layers.pop("a")) is nn.ReLU
    with pytest.raises(KeyError):
        _ = layers["a"]
    with pytest.raises(KeyError, match="already exists"):
        layers["keys"] = nn.ReLU()
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        layers["x"] = 3
    layers.clear()
    assert len(layers) == 0


def test_a_handle_removes_its_own_hook_alone() -> None:
    layer, seen = nn.Linear(1, 1), []
    first = layer.register_forward_hook(lambda *a: seen.append("first"))
    first.remove()
    second = layer.register_forward_hook(lambda *a: seen.append("second"))
    first.remove()
    layer(tinydl.ones(1))
    assert seen == ["second"]
    second.remove()


def test_a_property_is_no_place_for_a_parameter() -> None:
    class Scaled(nn.Module):
        @property
        def scale(self) -> Any:
            return self.hidden

        @scale.setter
        def scale(self, value: Any) -> None:
            self.hidden = value

    m = Scaled()
    with pytest.raises(KeyError, match="attribute 'scale' already exists"):
        m.scale = nn.Parameter(tinydl.ones(1))
    m.scale = tinydl.ones(1)
    assert not list(m.parameters()) and m.hidden is m.scale
    m.scale = nn.Linear(1, 1)
    assert [name for name, _ in m.named_parameters()] == ["hidden.weight", "hidden.bias"]


def test_a_copied_parameter_keeps_its_class_and_attributes() -> None:
    class Tagged(nn.Parameter):
        pass

    p = Tagged(tinydl.ones(2))
    p.tag = ["a"]
    q = copy.deepcopy(p)
    assert type(q) is Tagged and q.tag == ["a"] and q.tag is not p.tag and q.requires_grad
    assert not np.shares_memory(p.array, q.array)
