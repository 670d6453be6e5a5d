"""PyTorch's paths of the layers: ``tinydl.nn.modules.conv.Conv2d``. The layers themselves stand in :mod:`tinydl.nn`."""

from __future__ import annotations

from typing import Any

from tinydl.places import places

_HOMES = {
    "activation": "activation attention",
    "batchnorm": "normalization",
    "channelshuffle": "upsampling",
    "container": "container",
    "conv": "conv",
    "distance": "distance",
    "dropout": "dropout",
    "flatten": "linear",
    "fold": "upsampling",
    "instancenorm": "normalization",
    "linear": "linear",
    "loss": "loss",
    "module": "module",
    "normalization": "normalization",
    "padding": "padding",
    "pixelshuffle": "upsampling",
    "pooling": "pooling",
    "rnn": "rnn cells",
    "sparse": "sparse",
    "transformer": "transformer",
    "upsampling": "upsampling",
    "utils": "functional.checks",
}
places(__name__, {name: " ".join(f"nn.{home}" for home in homes.split()) for name, homes in _HOMES.items()})


def __getattr__(name: str) -> Any:
    from tinydl import nn

    if name in nn.__all__:
        return getattr(nn, name)
    from tinydl.errors import absent

    raise absent(__name__, name)
