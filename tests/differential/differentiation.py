"""Rows of automatic differentiation: grad and backward, products with Jacobians, checkpoints, user's Functions."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from tests.differential.rows import draw, row

# ------------------------------------------------------------------------------------------------ grad and backward

row("autograd.grad", draw(3), call=lambda t, x: t.autograd.grad((x**3).sum(), x, create_graph=True))
row("autograd.grad", draw(3), call=lambda t, x: t.autograd.grad(x**2, [x], [x.detach()]), note="grad_outputs")
row("autograd.grad", draw(3), draw(2), call=lambda t, x, y: t.autograd.grad((x**2).sum(), [x, y], allow_unused=True))
row(
    "autograd.grad", draw(3), draw(2), note="materialize_grads",
    call=lambda t, x, y: t.autograd.grad((x**2).sum(), [x, y], materialize_grads=True),
)  # fmt: skip
row(
    "autograd.grad", draw(3), note="several outputs",
    call=lambda t, x: t.autograd.grad([(x**2).sum(), (x * 3).sum()], x, create_graph=True),
)  # fmt: skip
row("autograd.grad", draw(3), call=lambda t, x: t.autograd.grad((y := x * 2).pow(2).sum(), [y, x]), note="middle")


def leaves(*xs: Any) -> list[Any]:
    """Leaves of these numbers."""
    return [x.detach().clone().requires_grad_() for x in xs]


def backward(t: Any, x: Any, y: Any, **options: Any) -> Any:
    """The gradients that ``autograd.backward`` leaves."""
    a, b = leaves(x, y)
    t.autograd.backward([(a * b).sum(), a * 2], [None, b.detach()], **options)
    return [a.grad.detach(), b.grad.detach()]


row("autograd.backward", draw(3), draw(3), call=backward)
row("autograd.backward", draw(3), draw(3), retain_graph=True, call=backward, note="retain_graph")
row(
    "autograd.backward", draw(3), call=lambda t, x: t.autograd.backward((z := leaves(x)[0]).sum()) or z.grad, note="one"
)
row(
    "autograd.gradcheck", call=lambda t: t.autograd.gradcheck(t.tanh, (t.ones(2, dtype=t.float64, requires_grad=True),))
)
row(
    "autograd.gradgradcheck",
    call=lambda t: t.autograd.gradgradcheck(t.tanh, (t.ones(2, dtype=t.float64, requires_grad=True),)),
)  # fmt: skip


def modes(t: Any, x: Any) -> list[bool]:
    """The modes under their names in ``autograd``."""
    seen = []
    with t.autograd.no_grad():
        seen.append((x * 1).requires_grad)
        with t.autograd.enable_grad():
            seen.append((x * 1).requires_grad)
    with t.autograd.set_grad_enabled(False):
        seen.append((x * 1).requires_grad)
    return seen


for name in ("no_grad", "enable_grad", "set_grad_enabled"):
    row(f"autograd.{name}", draw(2), call=modes)


def anomaly(t: Any, x: Any, switch: bool) -> list[str]:
    """What becomes of a NaN: "raised" or "kept"."""
    seen = []

    def attempt() -> None:
        (z,) = leaves(x)
        try:
            with np.errstate(invalid="ignore"):
                (z * 0).sqrt().mul(0).sum().backward()
            seen.append("kept")
        except RuntimeError as error:
            seen.append("raised" if "returned nan values" in str(error) else str(error))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch says that the mode is slow
        if switch:
            with t.autograd.set_detect_anomaly(True):
                attempt()
                with t.autograd.set_detect_anomaly(False):
                    attempt()
        else:
            with t.autograd.detect_anomaly():
                attempt()
            with t.autograd.detect_anomaly(check_nan=False):
                attempt()
        attempt()
    return seen


row("autograd.detect_anomaly", draw(2), call=lambda t, x: anomaly(t, x, False))
row("autograd.set_detect_anomaly", draw(2), call=lambda t, x: anomaly(t, x, True))

# --------------------------------------------------------------------------------------------------------- functional


def one(x: Any) -> Any:
    """R^3 -> R^2."""
    return (x * x).sum() * x[:2] + x[1:].exp()


def two(x: Any, y: Any) -> Any:
    """Two inputs, two outputs, of different shapes."""
    return (x * y[0]).sin(), (x[0] * y).sum()


def energy(x: Any) -> Any:
    """A number."""
    return (x**3).sum() + x[0] * x[1] * x[2]


def energies(x: Any, y: Any) -> Any:
    """A number of two inputs, and the second only linearly."""
    return (x**3).sum() * x[0] + (y * x[1]).sum()


for create in (False, True):
    for name in ("jacobian", "hessian"):
        note = "create_graph" if create else ""
        f, g = (one, two) if name == "jacobian" else (energy, energies)
        full = f"autograd.functional.{name}"
        row(
            full, draw(3), note=note, smooth=False,
            call=lambda t, x, name=name, f=f, c=create: getattr(t.autograd.functional, name)(f, x, create_graph=c),
        )  # fmt: skip
        row(
            full, draw(3), draw(2), note=f"two {note}".strip(), smooth=False,
            call=lambda t, x, y, name=name, g=g, c=create: getattr(t.autograd.functional, name)(
                g, (x, y), create_graph=c
            ),
        )  # fmt: skip
    for name in ("jvp", "vjp", "hvp", "vhp"):
        note = "create_graph" if create else ""
        f, g = (one, two) if name in ("jvp", "vjp") else (energy, energies)
        full = f"autograd.functional.{name}"
        size = 2 if name == "vjp" else 3
        row(
            full, draw(3), draw(size), note=note, constant=(1,), smooth=False,
            call=lambda t, x, v, name=name, f=f, c=create: getattr(t.autograd.functional, name)(
                f, x, v, create_graph=c
            ),
        )  # fmt: skip
        weights = (draw(3), draw()) if name == "vjp" else (draw(3), draw(2))
        row(
            full, draw(3), draw(2), *weights, note=f"two {note}".strip(), constant=(2, 3), smooth=False,
            call=lambda t, x, y, v, w, name=name, g=g, c=create: getattr(t.autograd.functional, name)(
                g, (x, y), (v, w), create_graph=c
            ),
        )  # fmt: skip
row(
    "autograd.functional.jacobian", draw(2, 2), note="matrices, vectorize",
    call=lambda t, x: t.autograd.functional.jacobian(lambda m: m @ m, x.detach(), vectorize=True),
)  # fmt: skip
row(
    "autograd.functional.jacobian", draw(2), note="independent",
    call=lambda t, x: t.autograd.functional.jacobian(lambda a: t.ones(3, dtype=a.dtype), x.detach()),
)  # fmt: skip
row(
    "autograd.functional.hessian", draw(2, 2), note="matrix",
    call=lambda t, x: t.autograd.functional.hessian(lambda m: (m @ m @ m).sum(), x.detach()),
)  # fmt: skip
row(
    "autograd.functional.hessian", draw(3), note="linear",
    call=lambda t, x: t.autograd.functional.hessian(lambda a: a.sum(), x.detach()),
)  # fmt: skip


def refused(t: Any, x: Any, name: str, f: Any) -> str:
    """The type of the error of a strict call."""
    try:
        getattr(t.autograd.functional, name)(f, x.detach(), strict=True)
    except RuntimeError:
        return "RuntimeError"
    return "nothing"


for name in ("jacobian", "hessian", "vjp", "jvp", "hvp", "vhp"):
    full = f"autograd.functional.{name}"
    for note, f in {
        "constant": lambda x: x.detach().sum(), "linear": lambda x: x.sum() * 2, "quadratic": lambda x: (x * x).sum(),
    }.items():  # fmt: skip
        row(full, draw(1), note=f"strict {note}", call=lambda t, x, name=name, f=f: refused(t, x, name, f))

# --------------------------------------------------------------------------------------------------------- checkpoints


def block(x: Any, w: Any, scale: float = 2.0) -> Any:
    """A part worth recomputing."""
    return (x @ w).tanh() * scale + (x * x).sum()


def point(t: Any) -> Any:
    """The function of either library."""
    import importlib

    return importlib.import_module(f"{t.__name__}.utils.checkpoint")


row(
    "utils.checkpoint.checkpoint", draw(3, 3), draw(3, 3),
    call=lambda t, x, w: point(t).checkpoint(block, x, w, use_reentrant=False),
)  # fmt: skip
row(
    "utils.checkpoint.checkpoint", draw(3, 3), draw(3, 3), note="keywords",
    call=lambda t, x, w: point(t).checkpoint(block, x, w=w, scale=3.0, use_reentrant=False),
)  # fmt: skip
row(
    "utils.checkpoint.checkpoint", draw(3, 3), draw(3, 3), note="closure",
    call=lambda t, x, w: point(t).checkpoint(lambda y: block(y, w) * w, x, use_reentrant=False),
)  # fmt: skip
row(
    "utils.checkpoint.checkpoint", draw(3, 3), draw(3, 3), note="nested",
    call=lambda t, x, w: point(t).checkpoint(
        lambda y: point(t).checkpoint(block, y.exp(), w, use_reentrant=False).sin(), x, use_reentrant=False
    ),
)  # fmt: skip
row(
    "utils.checkpoint.checkpoint", draw(3, 3), draw(3, 3), note="several results",
    call=lambda t, x, w: point(t).checkpoint(lambda y, v: (y * v, (y + v).exp(), 3), x, w, use_reentrant=False),
)  # fmt: skip
row(
    "utils.checkpoint.checkpoint", draw(3), note="no_grad",
    call=lambda t, x: t.no_grad()(lambda: point(t).checkpoint(lambda y: y * 2, x, use_reentrant=False))(),
)  # fmt: skip
STEPS = [lambda x: x.tanh(), lambda x: x * x, lambda x: x.exp(), lambda x: x + 1, lambda x: x.sin()]
for segments in (1, 2, 5):
    row(
        "utils.checkpoint.checkpoint_sequential", draw(3), note=f"{segments} segments",
        call=lambda t, x, n=segments: point(t).checkpoint_sequential(STEPS, n, x, use_reentrant=False),
    )  # fmt: skip

# ---------------------------------------------------------------------------------------------------- user's Functions


def functions(t: Any) -> dict[str, Any]:
    """Functions written for either library, by what they show."""

    class Cube(t.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return g * 3 * x * x

    class Split(t.autograd.Function):  # type: ignore[misc]
        """``setup_context``; two results, a constant argument."""

        @staticmethod
        def forward(x: Any, y: Any, factor: float) -> Any:
            return x * factor, x * y

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            x, y, ctx.factor = inputs
            ctx.save_for_backward(x, y)

        @staticmethod
        def backward(ctx: Any, a: Any, b: Any) -> Any:
            x, y = ctx.saved_tensors
            return a * ctx.factor + b * y, b * x if ctx.needs_input_grad[1] else None, None

    class Output(t.autograd.Function):  # type: ignore[misc]
        """Saves its own result, and a None."""

        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = x.exp()
            ctx.save_for_backward(y, None)
            return y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            y, nothing = ctx.saved_tensors
            assert nothing is None
            return g * y

    class Ranked(t.autograd.Function):  # type: ignore[misc]
        """A result that is not differentiable, and None for the other one's gradient when nothing used it."""

        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.set_materialize_grads(False)
            order = x * 0 + 1
            ctx.mark_non_differentiable(order)
            return x * 2, order, x * 3

        @staticmethod
        def backward(ctx: Any, a: Any, _: Any, b: Any) -> Any:
            if a is None:
                return b * 3
            return a * 2 if b is None else a * 2 + b * 3

    class Zeros(t.autograd.Function):  # type: ignore[misc]
        """Unused results get zeros."""

        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2, x.sum()

        @staticmethod
        def backward(ctx: Any, a: Any, b: Any) -> Any:
            return a * 2 + b

    return {"Cube": Cube, "Split": Split, "Output": Output, "Ranked": Ranked, "Zeros": Zeros}


row("autograd.Function", draw(3), call=lambda t, x: functions(t)["Cube"].apply(x))
row("autograd.Function", draw(3), draw(3), call=lambda t, x, y: functions(t)["Split"].apply(x, y, 2.5), note="two")
row("autograd.Function", draw(3), call=lambda t, x: functions(t)["Split"].apply(x, x, 2.5), note="one tensor twice")
row(
    "autograd.Function", draw(3), draw(3), constant=(1,), note="one constant",
    call=lambda t, x, y: functions(t)["Split"].apply(x, y, 2.5)[1],
)  # fmt: skip
row("autograd.Function", draw(3), call=lambda t, x: functions(t)["Output"].apply(x), note="saves its result")
row("autograd.Function", draw(3), call=lambda t, x: functions(t)["Ranked"].apply(x), note="non-differentiable")
row("autograd.Function", draw(3), call=lambda t, x: functions(t)["Ranked"].apply(x)[2], note="None")
row("autograd.Function", draw(3), call=lambda t, x: functions(t)["Zeros"].apply(x)[0], note="zeros")
row("autograd.Function", draw(3), call=lambda t, x: functions(t)["Cube"].apply(x.detach()), note="no gradient")


def once(t: Any, x: Any) -> list[str]:
    """A backward that cannot be differentiated says so."""
    import importlib

    decorator = importlib.import_module(f"{t.__name__}.autograd.function").once_differentiable

    class Once(t.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @decorator
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2 * ctx.saved_tensors[0]

    (z,) = leaves(x)
    (g,) = t.autograd.grad(Once.apply(z).sum(), z, create_graph=True)
    try:
        t.autograd.grad(g.sum(), z)
    except RuntimeError:
        return [g.detach(), "refused"]
    return [g.detach(), "differentiated"]


row("autograd.Function", draw(3), call=once, note="once_differentiable")
