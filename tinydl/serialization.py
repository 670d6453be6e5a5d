"""``save`` and ``load``: nested dicts, lists and tuples of tensors and plain values in one ``.safetensors`` file.

The tensors are the file's tensors, under the path of keys that leads to them (``"optimizer/state/0/exp_avg"``; for a
``state_dict`` its own keys, so that any reader of the format gets the same dictionary); the structure around them is
JSON in the metadata. Nothing is ever pickled or unpickled: reading a file cannot run code.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.creation import there
from tinydl.devices import CPU, device, on_host
from tinydl.dtypes import _NAMES as DTYPES
from tinydl.dtypes import as_dtype
from tinydl.errors import CheckpointError
from tinydl.size import Size
from tinydl.tensor import Tensor
from tinydl.utils import tensorfile
from tinydl.utils.packing import free_name, pack, unpack

KEY = "tinydl.tree"  # in the metadata: {"format", "tree", "tensors"}
FORMAT = 1
PLAIN = (
    "tensors, arrays, numbers, strings, None, dtypes, and dicts, lists and tuples of those (of a module, its "
    "state_dict())"
)


def save(obj: Any, f: Any) -> None:
    """Write ``obj`` to ``f``, a path (replaced in one piece or not at all) or a file open for writing bytes.

    Tensors keep dtype, shape, ``requires_grad``, whether they are Parameters, and whether two are one tensor or share
    one memory; memory layout, history and ``.grad`` are not kept. Raises TypeError for what cannot be read back,
    ValueError for a structure that contains itself or is nested too deeply, and CheckpointError when the file cannot
    be written.

    >>> import io, tinydl
    >>> file = io.BytesIO()
    >>> save({"weights": [tinydl.ones(2)], "epoch": 3, 7: (None, float("inf"))}, file)
    >>> _ = file.seek(0)
    >>> load(file)
    {'weights': [tensor([1., 1.])], 'epoch': 3, 7: (None, inf)}
    """
    arrays: dict[str, Any] = {}
    tensors: list[list[Any]] = []  # [name in the file, requires_grad, is a Parameter], one per tensor object
    seen: dict[int, int] = {}
    memory: dict[Any, str] = {}

    def special(value: Any, name: str) -> Any:
        if isinstance(value, Tensor):
            if id(value) not in seen:
                array = value.array
                place = (value.data_ptr(), array.shape, array.strides, array.dtype) if array.size else id(value)
                if place not in memory:
                    memory[place] = free_name(name or "tensor", arrays)
                    arrays[memory[place]] = on_host(array)
                seen[id(value)] = len(tensors)
                tensors.append([memory[place], value.requires_grad, type(value).__name__ == "Parameter"])
            return {"$tensor": seen[id(value)]}
        if isinstance(value, np.dtype) and value.name in DTYPES:
            return {"$dtype": value.name}
        if isinstance(value, device):
            return {"$device": str(value)}
        if isinstance(value, Size):
            return {"$size": list(value)}
        return None

    try:
        tree = pack(obj, "", arrays, special)
        text = json.dumps({"format": FORMAT, "tree": tree, "tensors": tensors}, separators=(",", ":"))
    except TypeError as error:
        raise TypeError(f"save: {error}; what can be saved is {PLAIN}") from None
    except RecursionError:
        raise ValueError("save: the structure contains itself, or is nested too deeply to be read back") from None
    for name, array in arrays.items():
        if array.dtype.newbyteorder("<") not in tensorfile.NAMES:
            raise TypeError(f"save: {name!r} is an array of dtype {array.dtype}; what can be saved is {PLAIN}")
    metadata = {"format": "pt", KEY: text}
    if hasattr(f, "write"):
        for part in tensorfile.parts("the file", arrays, metadata):
            f.write(part)
    else:
        tensorfile.write(Path(f), arrays, metadata)


def load(f: Any, map_location: Any = None, *, weights_only: bool = True) -> Any:
    """What :func:`save` wrote to ``f`` (a path, or a file open for reading bytes); of a ``.safetensors`` file of
    another program, the dictionary of its tensors.

    ``map_location`` says where the tensors go, all of which come to the CPU, wherever they were saved from: a device,
    a dictionary from device to device (that of ``"cpu"`` counts), or a function ``(tensor, "cpu")`` that gives the
    tensor where it should be. ``weights_only`` changes nothing, since no file can run code. Raises RuntimeError for a
    device that is not there, and CheckpointError, in one sentence, for a file that is missing (FileNotFoundError too),
    damaged, of another kind, or of a newer tinydl.
    """
    if isinstance(map_location, dict):
        map_location = map_location.get("cpu")
    if callable(map_location):
        map_location = map_location(Tensor._from_array(np.zeros(())), "cpu").device  # raises what .cuda() raises
    there(map_location)
    place = functools.partial(_sent, map_location)
    if hasattr(f, "read"):
        name = str(getattr(f, "name", "the file"))
        arrays, metadata = tensorfile.read_from(f, name, foreign=True)
    else:
        name = str(f)
        arrays, metadata = tensorfile.read(Path(f), foreign=True)
    if KEY not in metadata:
        for key, array in arrays.items():
            if array.dtype.name not in DTYPES:
                raise CheckpointError(
                    f"cannot load {name}: tensor {key!r} has dtype {array.dtype}, which tinydl has not"
                )
        return {key: Tensor._from_array(place(array)) for key, array in arrays.items()}
    try:
        content = json.loads(metadata[KEY])
        if content["format"] > FORMAT:
            raise CheckpointError(
                f"{name} was written by a newer tinydl (format {content['format']}): upgrade tinydl to read it"
            )
        tensors = _tensors(content["tensors"], arrays, place)
        return unpack(content["tree"], arrays, lambda word, value: _special(word, value, tensors))
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError, AttributeError):  # RecursionError among them
        raise CheckpointError(f"{name} is damaged: the structure around its tensors cannot be read") from None


def _sent(to: Any, array: Any) -> Any:
    if to is None or to == CPU:
        return array
    from tinydl.elsewhere import moved

    return moved(array, to)


def _tensors(table: Any, arrays: dict[str, Any], place: Callable[[Any], Any]) -> list[Tensor]:
    """One tensor per row of the table; rows with one name share one memory."""
    from tinydl.nn.parameter import Parameter

    first: dict[str, Tensor] = {}
    tensors = []
    for name, requires_grad, is_parameter in table:
        if arrays[name].dtype.name not in DTYPES:  # of an array of NumPy's any dtype is right
            raise ValueError(name)
        t = first[name].detach() if name in first else Tensor._from_array(place(arrays[name]))
        first.setdefault(name, t)
        if is_parameter:
            t = Parameter(t, requires_grad=bool(requires_grad))
        t.requires_grad = bool(requires_grad)
        tensors.append(t)
    return tensors


def _special(word: str, value: Any, tensors: list[Tensor]) -> Any:
    if word == "$tensor":
        if type(value) is not int or value < 0:
            raise ValueError(f"no tensor {value}")
        return tensors[value]
    if word == "$dtype" and value in DTYPES:
        return as_dtype(value)
    if word == "$device":
        return device(value)
    if word == "$size":
        return Size(value)
    return None
