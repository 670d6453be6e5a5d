"""The names that init's functions had before the underscore, and fans, as PyTorch's."""

from __future__ import annotations

from typing import Any

import pytest

import tinydl
from tinydl.nn import init

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

EXACT: dict[str, tuple[Any, ...]] = {"constant": (0.5,), "eye": (), "dirac": ()}
DRAWN: dict[str, tuple[Any, ...]] = {
    "uniform": (0.25, 0.25), "normal": (1.5, 0.0), "xavier_uniform": (), "xavier_normal": (2.0,),
    "kaiming_uniform": (0.1,), "kaiming_normal": (), "orthogonal": (), "sparse": (0.5,),
}  # fmt: skip


@pytest.mark.parametrize("name", [*EXACT, *DRAWN])
def test_the_older_name_warns_and_fills(name: str) -> None:
    arguments = (EXACT | DRAWN)[name]
    shape = (3, 3, 3) if name == "dirac" else (3, 4)
    filled = []
    for t in (tinydl, torch):
        x = t.zeros(shape)
        with pytest.warns(FutureWarning, match=rf"`nn.init.{name}` is now deprecated in favor of `nn.init.{name}_`."):
            assert getattr(t.nn.init, name)(x, *arguments) is x
        assert (x != 0).any()
        filled.append(x.tolist())
    if name in EXACT or name in ("uniform", "normal"):
        assert filled[0] == filled[1]
    state = tinydl.get_rng_state()
    first = getattr(init, name + "_")(tinydl.zeros(*shape), *arguments)
    tinydl.set_rng_state(state)
    with pytest.warns(FutureWarning):
        assert (getattr(init, name)(tinydl.zeros(*shape), *arguments) == first).all()


def test_fans() -> None:
    for shape in ((3, 4), (3, 4, 5), (2, 3, 4, 5)):
        wanted = torch.nn.init._calculate_fan_in_and_fan_out(torch.ones(shape))
        assert init._calculate_fan_in_and_fan_out(tinydl.ones(shape)) == wanted
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        init._calculate_fan_in_and_fan_out(tinydl.ones(3))
