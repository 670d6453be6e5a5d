"""Models by name: ``build("lstm", hidden=256)``.

The library knows no model. Those that ship are listed here by the *name of the module* that holds them, which is
imported when that model is asked for; a model of your own joins with one decorator::

    @register_model("mine")
    class Mine(nn.Module):
        @dataclass(frozen=True)
        class Config(Recipe): ...
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tinydl.errors import ConfigError

__all__ = ["build", "configure", "for_images", "model_class", "models", "register_model"]

ModelT = TypeVar("ModelT", bound=type)

_SHIPPED = {
    "anticipation-rnn": "tinydl.models.anticipation_rnn",
    **dict.fromkeys(("gru", "lstm", "tanh-rnn"), "tinydl.models.rnn"),
    "chorale-lstm": "tinydl.models.chorale_lstm",
    "deep-bach": "tinydl.models.deep_bach",
    "denoising": "tinydl.models.denoising",
    "gan": "tinydl.models.gan",
    "hmm": "tinydl.models.hmm",
    "lstm-nade": "tinydl.models.lstm_nade",
    "melody-lstm": "tinydl.models.melody_lstm",
    "midinet": "tinydl.models.midi_net",
    "mini-bach": "tinydl.models.mini_bach",
    "music-transformer": "tinydl.models.music_transformer",
    "music-vae": "tinydl.models.music_vae",
    "nade": "tinydl.models.nade",
    "rbm": "tinydl.models.rbm",
    "rnn-rbm": "tinydl.models.rnn_rbm",
    "rtrbm": "tinydl.models.rnn_rbm",
    "vae": "tinydl.models.vae",
    "vrae": "tinydl.models.vrae",
}
_registered: dict[str, type] = {}


def register_model(name: str) -> Callable[[ModelT], ModelT]:
    """Class decorator: the model answers to ``name`` (its ``model_name``) from now on.

    The class has a nested dataclass ``Config`` (a :class:`tinydl.training.Recipe`), takes one instance of it, and
    offers the interface of :class:`tinydl.training.GenerativeModel`. Raises ValueError when another class has the name.
    """

    def register(cls: ModelT) -> ModelT:
        other = _registered.get(name)
        if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"a model named {name!r} is registered already ({other.__module__}.{other.__qualname__})")
        _registered[name] = cls
        cls.model_name = name  # type: ignore[attr-defined]
        return cls

    return register


def models() -> list[str]:
    """The names of all models, in alphabetical order; imports none of them."""
    return sorted({*_SHIPPED, *_registered})


def model_class(name: str) -> Any:
    """The class registered as ``name``; :class:`ConfigError` with the nearest name when there is none."""
    if name not in _registered and name in _SHIPPED:
        importlib.import_module(_SHIPPED[name])
    if name not in _registered:
        raise ConfigError(f"no model is named {name!r}; {_nearest(name, models(), 'the models are')}")
    return _registered[name]


def configure(name: str, **options: Any) -> Any:
    """The ``Config`` of a model, with some fields changed.

    A value may be a string, as it comes from a command line (``hidden="256"``); it is read as the field's type: int,
    float, bool (true, false), str, or None (``none``) where the field allows it.

    Raises:
        ConfigError: an unknown model or option (with the nearest name), or a value that does not fit.
    """
    config = model_class(name).Config
    hints = typing.get_type_hints(config)
    fields = [field.name for field in dataclasses.fields(config)]
    values: dict[str, Any] = {}
    for key, value in options.items():
        if key not in fields:
            raise ConfigError(f"model {name!r} has no option {key!r}; {_nearest(key, fields, 'its options are')}")
        values[key] = _read(name, key, value, hints[key])
    return config(**values)


def for_images(name: str, height: int, width: int) -> dict[str, Any]:
    """The options with which a model learns from images of so many pixels: its ``images``, which suit them, and their
    size as ``image``.

    Raises:
        ConfigError: an unknown model, or one of music alone; the sentence names some that learn from images.
    """
    own = getattr(model_class(name), "images", None)
    if own is None:
        can = [other for other in models() if getattr(model_class(other), "images", None) is not None]
        raise ConfigError(f"the model {name!r} learns from music alone, and not from images: {', '.join(can)} do")
    return {**own, "image": f"{height}x{width}"}


def build(name: str, **options: Any) -> Any:
    """A new model by name, its options as in :func:`configure`; its weights come from tinydl's default generator."""
    return model_class(name)(configure(name, **options))


def _read(model: str, key: str, value: Any, hint: Any) -> Any:
    """``value`` as the type that the field's annotation names; strings are parsed."""
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    kinds = [kind for kind in (typing.get_args(hint) if is_union else (hint,)) if kind is not type(None)]
    optional = is_union and type(None) in typing.get_args(hint)
    if optional and (value is None or (isinstance(value, str) and value.lower() == "none")):
        return None
    kind = typing.get_origin(kinds[0]) or kinds[0]
    wanted = {int: "a whole number", float: "a number", bool: "true or false", str: "a word", dict: "a mapping"}.get(
        kind, kind
    )
    wrong = ConfigError(f"option {key!r} of model {model!r} must be {wanted}, but got {value!r}")
    if kind is dict:
        if not isinstance(value, Mapping):
            raise wrong
        return dict(value)
    if kind is bool and isinstance(value, str):
        if value.lower() not in ("true", "false", "yes", "no", "1", "0"):
            raise wrong
        return value.lower() in ("true", "yes", "1")
    if kind in (int, float) and isinstance(value, str):
        try:
            value = int(value) if kind is int else float(value)
        except ValueError:
            raise wrong from None
    if kind is str and isinstance(value, (int, float)):
        value = str(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise wrong
    return value


def _nearest(name: str, known: list[str], otherwise: str) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"{otherwise} {', '.join(known)}"
