"""Rows of the Tensor as an object: what it is, conversions, others like it, simple in-place changes."""

from __future__ import annotations

from tests.differential.rows import Draw, bools, draw, ints, row


def leaf(x):  # type: ignore[no-untyped-def]
    """A leaf with the numbers of ``x``, for rows that are about ``.grad``."""
    return x.detach().clone().requires_grad_()


# ------------------------------------------------------------------------------------------------ value and history

row("Tensor.detach", draw(2, 3))
row("Tensor.detach", draw(2, 3), call=lambda t, x: x.detach().is_leaf, note="leaf")
row("Tensor.clone", draw(2, 3))
row("Tensor.clone", draw(), note="0-d")
row("Tensor.clone", draw(0, 2), note="empty")
row("Tensor.item", draw(1, 1))
row("Tensor.item", call=lambda t: [t.tensor(v).item() for v in (1, 2.5, True)], note="kinds")
row("Tensor.numpy", draw(2, 3), grad=False, call=lambda t, x: x.numpy().tolist())
row("Tensor.numpy", draw(2, 3), call=lambda t, x: (x * 1).numpy(force=True).tolist(), note="force")
row("Tensor.tolist", ints(2, 3), call=lambda t, x: x.tolist())
row("Tensor.tolist", call=lambda t: t.tensor(2.5).tolist(), note="0-d")
row("Tensor.requires_grad_", draw(2), call=lambda t, x: (y := x.detach()).requires_grad_() is y and y.requires_grad)
row("Tensor.requires_grad_", draw(2), call=lambda t, x: x.detach().requires_grad_(False).requires_grad, note="off")
row("Tensor.backward", draw(3), call=lambda t, x: ((z := leaf(x)) * z).sum().backward() or z.grad)
row("Tensor.backward", draw(3), call=lambda t, x: ((z := leaf(x)) * z).backward(x.detach()) or z.grad, note="gradient")
row(
    "Tensor.backward", draw(3), note="gradient=",
    call=lambda t, x: ((z := leaf(x)) * z).backward(gradient=x.detach()) or z.grad,
)  # fmt: skip
row(
    "Tensor.backward", draw(3), note="inputs=",
    call=lambda t, x: ((y := (z := leaf(x)) * 3) * z).sum().backward(inputs=[z, y]) or [z.grad, y.grad],
)  # fmt: skip
row(
    "Tensor.backward", draw(3), note="retain_graph",
    call=lambda t, x: [
        (y := ((z := leaf(x)) * z).sum()).backward(retain_graph=True), y.backward(), z.grad,
    ],
)  # fmt: skip
row(
    "Tensor.backward", draw(3), note="create_graph",
    call=lambda t, x: [
        t.autograd.grad(((z := leaf(x)) ** 3).sum(), z, create_graph=True)[0].sum().backward(), z.grad,
    ],
)  # fmt: skip
row("Tensor.grad", draw(3), call=lambda t, x: leaf(x).grad, note="none")
row("Tensor.grad", draw(3), call=lambda t, x: setattr(z := leaf(x), "grad", x.detach()) or z.grad, note="assigned")
row(
    "Tensor.grad", draw(3), note="added",
    call=lambda t, x: [(z := leaf(x)).sum().backward(), (z * 3).sum().backward(), z.grad],
)  # fmt: skip
row("Tensor.is_leaf", draw(3), call=lambda t, x: [x.is_leaf, (x * 2).is_leaf, (x.detach() * 2).is_leaf])
row("Tensor.grad_fn", draw(3), call=lambda t, x: [x.grad_fn, (x * 2).grad_fn is None, (x.detach() * 2).grad_fn])
row(
    "Tensor.retain_grad",
    draw(3),
    call=lambda t, x: [(y := leaf(x) * 2).retain_grad(), (y * y).sum().backward(), y.grad],
)
row(
    "Tensor.retain_grad", draw(3), note="after a hook",
    call=lambda t, x: [
        (y := (z := leaf(x)) * 2).retain_grad(), y.register_hook(lambda g: g * 10) and None, (y * y).sum().backward(),
        y.grad, z.grad,
    ],
)  # fmt: skip
row(
    "Tensor.retain_grad", draw(3), note="in place",
    call=lambda t, x: [
        (y := (z := leaf(x)) * 2).retain_grad(), y.mul_(3) is y, (y * y).sum().backward(), y.grad, z.grad,
    ],
)  # fmt: skip
row(
    "Tensor.retains_grad", draw(3),
    call=lambda t, x: [(y := (z := leaf(x)) * 2).retains_grad, y.retain_grad(), y.retains_grad, z.retains_grad],
)  # fmt: skip


def double(g):  # type: ignore[no-untyped-def]
    """A hook."""
    return g * 2


row(
    "Tensor.register_hook", draw(3), note="leaf",
    call=lambda t, x: [(z := leaf(x)).register_hook(double) and None, (z * z).sum().backward(), z.grad],
)  # fmt: skip
row(
    "Tensor.register_hook", draw(3), note="leaf, grad()",
    call=lambda t, x: [(z := leaf(x)).register_hook(double) and None, t.autograd.grad((z * z).sum(), [z, z])],
)  # fmt: skip
row(
    "Tensor.register_hook", draw(3), note="order",
    call=lambda t, x: [
        (z := leaf(x)).register_hook(double) and None, z.register_hook(lambda g: g + 1) and None,
        z.register_hook(lambda g: g * 100).remove(), (z * z).sum().backward(), z.grad,
    ],
)  # fmt: skip
row("Tensor.detach_", draw(3), call=lambda t, x: (y := x * 2).detach_().requires_grad or y.is_leaf)

# ----------------------------------------------------------------------------------------------------- what it is

SHAPES: list[Draw] = [draw(2, 3), draw(), draw(0, 2), draw(3, 1, 2)]
for x in SHAPES:
    row("Tensor.size", x, call=lambda t, x: x.size())
    row("Tensor.shape", x, call=lambda t, x: x.shape)
    row("Tensor.dim", x, call=lambda t, x: x.dim())
    row("Tensor.ndimension", x, call=lambda t, x: x.ndimension())
    row("Tensor.ndim", x, call=lambda t, x: x.ndim)
    row("Tensor.numel", x, call=lambda t, x: x.numel())
    row("Tensor.nelement", x, call=lambda t, x: x.nelement())
    row("Tensor.nbytes", x, call=lambda t, x: x.nbytes)
row(
    "Tensor.shape", draw(2, 3), note="a Size",
    call=lambda t, x: [isinstance(x.shape, t.Size), repr(x.shape).partition(".")[2], x.shape.numel(), x.shape[-1]],
)  # fmt: skip
row("Tensor.size", draw(2, 3), call=lambda t, x: [x.size(0), x.size(-1), x.size().numel()], note="dim")
for note, make in {
    "plain": lambda x: x.clone().contiguous(), "transposed": lambda x: x.clone().contiguous().T,
    "sliced": lambda x: x.clone().contiguous()[:, 1:], "strided": lambda x: x.clone().contiguous()[::2, 1::2],
}.items():  # fmt: skip
    row("Tensor.stride", draw(3, 4), note=note, call=lambda t, x, make=make: [make(x).stride(), make(x).stride(-1)])
    row("Tensor.storage_offset", draw(3, 4), note=note, call=lambda t, x, make=make: make(x).storage_offset())
    row("Tensor.is_contiguous", draw(3, 4), note=note, call=lambda t, x, make=make: make(x).is_contiguous())
    row("Tensor.contiguous", draw(3, 4), note=note, call=lambda t, x, make=make: make(x).contiguous())
row("Tensor.contiguous", draw(2), call=lambda t, x: (y := x.clone()).contiguous() is y, note="itself")
row("Tensor.itemsize", draw(2), call=lambda t, x: x.itemsize)
row("Tensor.element_size", draw(2), call=lambda t, x: x.element_size())
row(
    "Tensor.data_ptr", draw(2, 3),
    call=lambda t, x: [(y := x.clone()).data_ptr() == y.detach().data_ptr(), y[1:].data_ptr() - y.data_ptr() > 0],
)  # fmt: skip
row("Tensor.device", draw(2), call=lambda t, x: [str(x.device), x.device.type, x.device.index])
row("Tensor.dtype", draw(2), call=lambda t, x: [x.dtype == t.float64, isinstance(x.dtype, t.dtype)])

# ---------------------------------------------------------------------------------------------------- conversions

ALL = ("float", "double", "half", "long", "int", "short", "char", "byte", "bool")
for name in ALL:
    row(f"Tensor.{name}", draw(2, 3, low=0, high=9), loose=50 if name == "half" else 1)  # half has 11 bits
    row(f"Tensor.{name}", ints(2, 3), note="int")
    row(f"Tensor.{name}", bools(2, 3), note="bool")
row("Tensor.cpu", draw(2, 3))
row("Tensor.cpu", draw(2), call=lambda t, x: x.cpu() is x, note="itself")
row("Tensor.to", draw(2, 3), call=lambda t, x: x.to(t.float64))
row("Tensor.to", draw(2, 3), call=lambda t, x: x.to("cpu", t.int32), note="device and dtype")
row("Tensor.to", draw(2, 3), call=lambda t, x: x.to(t.device("cpu"), dtype=t.float64), note="device")
row("Tensor.to", draw(2, 3), ints(1), call=lambda t, x, y: x.to(y), note="other")
row("Tensor.to", draw(2), call=lambda t, x: [x.to("cpu") is x, x.to(x.dtype) is x], note="itself")
row("Tensor.to", draw(2), call=lambda t, x: x.to(x.dtype, copy=True) is x, note="copy")
row("Tensor.to", draw(2), call=lambda t, x: x.to("cpu", x.dtype, False, True) is x, note="copy by position")
row("Tensor.type", draw(2, 3), call=lambda t, x: x.type(t.int64))
row("Tensor.type", draw(2, 3), call=lambda t, x: x.type(t.float64), note="floating")
for name in ALL:
    row("Tensor.type", ints(2), note=name, call=lambda t, x, name=name: getattr(x, name)().type().partition(".")[2])
row("Tensor.type_as", draw(2, 3), ints(1))
row("Tensor.type_as", ints(2, 3), draw(1), constant=(1,), note="floating")

# ------------------------------------------------------------------------------------------------ others like it

row("Tensor.new_tensor", draw(2), call=lambda t, x: x.new_tensor([1, 2]))
row("Tensor.new_tensor", ints(2), call=lambda t, x: x.new_tensor([1.0, 2.0], dtype=t.float64), note="dtype")
row("Tensor.new_zeros", draw(2), call=lambda t, x: [x.new_zeros(2, 3), x.new_zeros((2,)), x.new_zeros(size=(1,))])
row("Tensor.new_zeros", draw(2), call=lambda t, x: x.new_zeros(3, dtype=t.int64, device="cpu"), note="dtype")
row("Tensor.new_ones", draw(2), call=lambda t, x: [x.new_ones(2, 3), x.new_ones((2,)), x.new_ones(x.size())])
row("Tensor.new_ones", ints(2), call=lambda t, x: x.new_ones(3, requires_grad=False), note="int")
row("Tensor.new_empty", draw(2), call=lambda t, x: [x.new_empty(2, 3).fill_(1), x.new_empty((2, 0))])
row("Tensor.new_full", draw(2), call=lambda t, x: x.new_full((2, 3), 4))
row("Tensor.new_full", ints(2), call=lambda t, x: x.new_full((2,), 4), note="int")

# ------------------------------------------------------------------------------------------------------- in place

row("Tensor.fill_", draw(2, 3), call=lambda t, x: (x * 1).fill_(4.5))
row("Tensor.fill_", ints(2, 3), call=lambda t, x: x.clone().fill_(4), note="int")
row("Tensor.fill_", draw(2, 3), call=lambda t, x: (x * 1).fill_(t.tensor(2.0)), note="tensor")
row("Tensor.zero_", draw(2, 3), call=lambda t, x: (x * 1).zero_() + x)
row("Tensor.copy_", draw(2, 3), draw(3), call=lambda t, x, y: (x * 1).copy_(y))
row("Tensor.copy_", draw(2, 3), ints(2, 1), call=lambda t, x, y: (x * 1).copy_(y), note="int")
row("Tensor.copy_", ints(2, 3), draw(2, 3), call=lambda t, x, y: x.clone().copy_(y.detach()), note="to int")
row("Tensor.apply_", draw(2, 3), call=lambda t, x: x.detach().clone().apply_(lambda v: v * v + 1))
row("Tensor.apply_", ints(4), call=lambda t, x: x.clone().apply_(lambda v: 2 * v), note="int")
row("Tensor.masked_fill_", draw(2, 3), bools(2, 3), call=lambda t, x, m: (x * 1).masked_fill_(m, 7.0))
row("Tensor.masked_fill_", ints(2, 3), bools(3), call=lambda t, x, m: x.clone().masked_fill_(m, 7), note="broadcast")
for wider in ((3, 2), (4,), (2, 2, 1), (6,), ()):
    row("Tensor.resize_", ints(2, 3), call=lambda t, x, n=wider: x.clone().resize_(n), note=str(wider))
row("Tensor.resize_", ints(2, 3), call=lambda t, x: x.clone().resize_(5, 2).fill_(1), note="to more")
row("Tensor.resize_as_", ints(2, 3), ints(4), call=lambda t, x, y: x.clone().resize_as_(y).copy_(y))
row("Tensor.fill_diagonal_", draw(3, 3), call=lambda t, x: (x * 1).fill_diagonal_(5.0))
row("Tensor.fill_diagonal_", draw(7, 3), call=lambda t, x: (x * 1).fill_diagonal_(5.0), note="tall")
row("Tensor.fill_diagonal_", draw(7, 3), call=lambda t, x: (x * 1).fill_diagonal_(5.0, wrap=True), note="wrap")
row("Tensor.fill_diagonal_", draw(2, 2, 2), call=lambda t, x: (x * 1).fill_diagonal_(5.0), note="cube")
row("Tensor.sum_to_size", draw(4, 2, 3), 2, 1)
row("Tensor.sum_to_size", draw(2, 3), call=lambda t, x: x.sum_to_size((1, 3)), note="tuple")
row("Tensor.sum_to_size", draw(2, 3), 2, 3, note="itself")
row("Tensor.sum_to_size", draw(2, 3), call=lambda t, x: x.sum_to_size(()), note="0-d")

# ----------------------------------------------------------------------------------------- dtypes, modes, constants

KINDS = ("float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "bool")
for name in (*KINDS, "double", "float", "half", "long", "int", "short"):
    row(name, call=lambda t, name=name: t.ones(2, dtype=getattr(t, name)), loose=1)
row("dtype", call=lambda t: isinstance(t.float32, t.dtype))
row("device", call=lambda t: [str(t.device("cpu")), t.device("cuda", 1).index, t.device("cuda:1").type])
row("device", call=lambda t: [repr(t.device("cuda:0")), t.device("cpu") == t.device("cpu")], note="repr")
row("Size", call=lambda t: [t.Size([2, 3]).numel(), t.Size([2, 3]) == (2, 3), t.Size([2, 3])[1]])
for name in ("pi", "inf", "e"):
    row(name, call=lambda t, name=name: getattr(t, name))
row("nan", call=lambda t: t.nan != t.nan)
row("is_grad_enabled", call=lambda t: t.is_grad_enabled())


def modes(t, x):  # type: ignore[no-untyped-def]
    """What requires a gradient under each mode, nested."""
    seen = []
    with t.no_grad():
        seen.append((x * 2).requires_grad)
        with t.enable_grad():
            seen.append((x * 2).requires_grad)
        with t.set_grad_enabled(True):
            seen.append((x * 2).requires_grad)
        with t.inference_mode(False):
            seen.append((x * 2).requires_grad)
    with t.inference_mode():
        seen.append((x * 2).requires_grad)
    t.set_grad_enabled(False)
    seen.append((x * 2).requires_grad)
    t.set_grad_enabled(True)

    @t.no_grad()
    def inside(y):  # type: ignore[no-untyped-def]
        return (y * 2).requires_grad

    return [*seen, inside(x), (x * 2).requires_grad]


for name in ("no_grad", "enable_grad", "set_grad_enabled", "inference_mode"):
    row(name, draw(2), call=modes)


def default(t):  # type: ignore[no-untyped-def]
    """Tensors of Python numbers under another default dtype."""
    before = t.get_default_dtype()
    t.set_default_dtype(t.float64)
    try:
        return [t.tensor(1.5), t.ones(2), t.arange(3.0), t.tensor([1, 2]) / 2, t.rand(2) * 0, t.full((2,), 1.0)]
    finally:
        t.set_default_dtype(before)


row("set_default_dtype", call=default)
row("get_default_dtype", call=lambda t: t.get_default_dtype() == t.float32)
for a in KINDS:
    for b in KINDS:
        row(
            "promote_types", note=f"{a} {b}",
            call=lambda t, a=a, b=b: t.zeros(1, dtype=t.promote_types(getattr(t, a), getattr(t, b))),
        )  # fmt: skip
        row(
            "can_cast", note=f"{a} {b}",
            call=lambda t, a=a, b=b: t.can_cast(getattr(t, a), getattr(t, b)),
        )  # fmt: skip
row("result_type", ints(2), call=lambda t, x: t.zeros(1, dtype=t.result_type(x, 1.5)))
row("result_type", draw(2), ints(2), call=lambda t, x, y: t.zeros(1, dtype=t.result_type(x, y)), note="tensors")
row("result_type", draw(), ints(2), call=lambda t, x, y: t.zeros(1, dtype=t.result_type(x, y)), note="0-d")
for name in KINDS[:3]:
    row(
        "finfo", note=name,
        call=lambda t, name=name: [
            getattr(t.finfo(getattr(t, name)), k)
            for k in ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution", "dtype")
        ],
    )  # fmt: skip
row("finfo", call=lambda t: [t.finfo().eps, repr(t.finfo(t.float32)), repr(t.finfo(t.float64))], note="repr")
for name in KINDS[3:8]:
    row(
        "iinfo", note=name,
        call=lambda t, name=name: [
            getattr(t.iinfo(getattr(t, name)), k) for k in ("bits", "max", "min", "dtype")
        ] + [repr(t.iinfo(getattr(t, name)))],
    )  # fmt: skip
