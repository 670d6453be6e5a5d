"""A module called with other parameters than its own."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any

from tinydl.errors import say_absent
from tinydl.nn.module import Module
from tinydl.nn.parallel import DataParallel

say_absent(__name__)

Place = tuple[dict[str, Any], str]


def call_with(
    module: Module,
    parameter_and_buffer_dicts: MutableMapping[str, Any] | Sequence[MutableMapping[str, Any]],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """``module(*args, **kwargs)`` with tensors of given dotted paths in the place of its parameters and buffers.

    Gradients flow to the tensors given; the module is afterwards what it was. A buffer that the call replaces is
    replaced in the dictionary.

    Args:
        module: what is called.
        parameter_and_buffer_dicts: tensors by the keys of ``state_dict``, or several such dictionaries.
        args, kwargs: of the call; one argument need not stand in a tuple.
        tie_weights: a parameter that has several paths is replaced at all of them.
        strict: raise RuntimeError when a key is missing or unknown.

    Raises ValueError for dictionaries that share a key, and for two tensors for one tied parameter; AttributeError for
    a key that leads nowhere.
    """
    if isinstance(module, DataParallel):
        raise RuntimeError("The stateless API can't be used with nn.DataParallel module")
    given = parameter_and_buffer_dicts
    if not isinstance(given, Mapping):
        if not isinstance(given, (list, tuple)) or not all(isinstance(part, Mapping) for part in given):
            raise ValueError(
                "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
                f"{type(given).__name__}"
            )
        keys = [key for part in given for key in part]
        if len(set(keys)) != len(keys):
            twice = sorted({key for key in keys if keys.count(key) > 1})
            raise ValueError(f"{twice} appeared in multiple dictionaries; behavior of functional call is ambiguous")
        given = {key: value for part in given for key, value in part.items()}
    arguments = args if isinstance(args, tuple) else () if args is None else (args,)
    with _swapped(module, given, tie_weights, strict):
        return module(*arguments, **(kwargs or {}))


def functional_call(
    module: Module,
    parameters_and_buffers: MutableMapping[str, Any],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """The older name of :func:`tinydl.func.functional_call`."""
    warnings.warn(
        "`nn.utils.stateless.functional_call` is deprecated. Please use `func.functional_call` instead, which is a "
        "drop-in replacement.",
        FutureWarning,
        stacklevel=2,
    )
    return call_with(module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict)


@contextmanager
def _swapped(module: Module, given: MutableMapping[str, Any], tie: bool, strict: bool) -> Iterator[None]:
    """While inside, the tensors of ``given`` stand where their keys say."""
    wanted = _with_tied(module, given) if tie else dict(given)
    if strict:
        _check_keys(module, wanted)
    places = {key: _place(module, key) for key in wanted}
    before = {key: fields[name] for key, (fields, name) in places.items()}
    try:
        for key, (fields, name) in places.items():
            fields[name] = wanted[key]
        yield
    finally:
        for key in given:
            fields, name = places[key]
            given[key] = fields[name]
        for key, (fields, name) in places.items():
            fields[name] = before[key]


def _members(module: Module) -> dict[str, Any]:
    """Parameters and buffers by all their paths."""
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }


def _with_tied(module: Module, given: Mapping[str, Any]) -> dict[str, Any]:
    """``given``, with every tensor under all paths of the one that it replaces."""
    members = _members(module)
    paths: dict[int, list[str]] = {}
    for key, member in members.items():
        paths.setdefault(id(member), []).append(key)
    wanted = dict(given)
    for key in given:
        if key not in members:
            continue
        tied = paths[id(members[key])]
        if any(given[other] is not given[key] for other in tied if other in given):
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(tied)}, which are tied. Consider using "
                "tie_weights=False"
            )
        wanted.update(dict.fromkeys(tied, given[key]))
    return wanted


def _check_keys(module: Module, wanted: Mapping[str, Any]) -> None:
    known = _members(module)
    problems = [
        f"{kind} key(s): {', '.join(map(repr, keys))}."
        for kind, keys in (
            ("Unexpected", [key for key in wanted if key not in known]),
            ("Missing", [key for key in known if key not in wanted]),
        )
        if keys
    ]
    if problems:
        raise RuntimeError(f"Error(s) in reparametrizing for {type(module).__name__}: {' '.join(problems)}")


def _place(module: Module, key: str) -> Place:
    """Where a dotted path's tensor is kept."""
    path, _, name = key.rpartition(".")
    owner = module.get_submodule(path)
    if name not in owner._parameters and name not in owner._buffers:
        raise AttributeError(f"{type(owner).__name__} has no attribute `{name}` that is a parameter or a buffer")
    return owner.__dict__, name
