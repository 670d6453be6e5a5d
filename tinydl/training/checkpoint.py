"""Checkpoints: a training run as one ``.safetensors`` file, and a run's folder.

RUN holds::

    config.json          what was asked for: model, options, data, seed; and the seconds trained so far
    log.jsonl            one row per logged step and per validation
    last.safetensors     all that is needed to go on: weights, optimizer, schedule, random state, best weights
    best.safetensors     the best weights so far, and all that is needed to use them; tensor names are the model's own

The two ``.safetensors`` files cannot be renamed at once, so one of them is the truth: ``last.safetensors`` holds the
best weights too. After a kill between the two writes, ``best.safetensors`` may be *newer* than ``last.safetensors``;
it is then still a whole checkpoint of this run, and on resume it is set back to what ``last.safetensors`` says, as the
log is.

Nothing here depends on the clock: two runs with the same seed write the same bytes, but for ``train_seconds``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl import registry
from tinydl.devices import on_host
from tinydl.errors import CheckpointError, ConfigError
from tinydl.utils import tensorfile
from tinydl.utils.packing import pack, unpack
from tinydl.version import __version__

CONFIG, LOG, LAST, BEST = "config.json", "log.jsonl", "last.safetensors", "best.safetensors"
FORMAT = 1

Weights = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Card:
    """What every checkpoint says of itself.

    Attributes:
        model, config: the model's registered name, and all its options.
        representation: the configuration of the encoding of its data.
        source, fingerprint: which data, by name or path, and the hash of their content.
        seed: of the run.
        step: after which step these weights stood.
        valid: their validation loss, nats per frame; None before the first validation.
        version: of tinydl.
    """

    model: str
    config: dict[str, Any]
    representation: dict[str, Any]
    source: str
    fingerprint: str
    seed: int
    step: int = 0
    valid: float | None = None
    version: str = __version__


@dataclass(frozen=True)
class Checkpoint:
    """One file, read: its card, the model's weights, and (of ``last.safetensors``) the state of everything else."""

    card: Card
    weights: Weights
    state: dict[str, Any] = field(default_factory=dict)


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically; :class:`CheckpointError` when it cannot be written, the old one being kept."""
    arrays = dict(checkpoint.weights)
    state = pack(checkpoint.state, "state", arrays)
    text = json.dumps(
        {"format": FORMAT, "card": pack(asdict(checkpoint.card), "card", {}), "state": state}, sort_keys=True
    )
    tensorfile.write(path, arrays, {"tinydl": text})


def load(path: Path) -> Checkpoint:
    """Read and check a checkpoint; no code of the file's is ever run.

    Raises:
        CheckpointError: in one sentence: missing, damaged, of another program, or of a newer format.
    """
    if not path.exists():
        raise CheckpointError(f"there is no checkpoint {path}")
    arrays, metadata = tensorfile.read(path)
    card, state = _parse(path, metadata)
    try:
        weights = {name: array for name, array in arrays.items() if not name.startswith("state/")}
        return Checkpoint(card, weights, unpack(state, arrays))
    except (TypeError, ValueError):
        raise CheckpointError(f"{path} is damaged: its state cannot be read") from None


def card(path: Path) -> Card:
    """The card of a checkpoint, without its weights; raises as :func:`load`."""
    return _parse(path, tensorfile.read(path, only_metadata=True)[1])[0]


def _parse(path: Path, metadata: Mapping[str, str]) -> tuple[Card, Any]:
    try:
        content = json.loads(metadata["tinydl"])
        if content["format"] > FORMAT:
            raise CheckpointError(
                f"{path} was written by a newer tinydl (format {content['format']}): upgrade tinydl to read it"
            )
        entries = unpack(content["card"], {})
        known = {f.name for f in fields(Card)}
        entries = {key: value for key, value in entries.items() if key in known}
        for key, kind in {"config": dict, "representation": dict, "model": str, "step": int, "seed": int}.items():
            if type(entries[key]) is not kind:
                raise TypeError
        return Card(**entries), content["state"]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise CheckpointError(f"{path} is not a checkpoint of tinydl: it says no model and no options") from None


def weights_of(model: Any) -> Weights:
    """Copies of a module's parameters and buffers on the host, by their ``state_dict`` names."""
    return {name: np.array(on_host(tensor.array)) for name, tensor in model.state_dict().items()}


def install(model: Any, weights: Weights, path: Path | str = "the checkpoint") -> None:
    """Load weights into a model.

    Raises:
        CheckpointError: a tensor is missing, is one too many, or has another shape or dtype: the first one, with both.
    """
    import tinydl

    own = {name: tensor.array for name, tensor in model.state_dict().items()}
    kind = type(model).__name__
    for name, array in own.items():
        if name not in weights:
            raise CheckpointError(f"{path} does not fit {kind}: it lacks the tensor {name!r}")
        if weights[name].shape != array.shape or weights[name].dtype != array.dtype:
            raise CheckpointError(
                f"{path} does not fit {kind}: its tensor {name!r} is {weights[name].dtype}{list(weights[name].shape)} "
                f"and the model's is {array.dtype}{list(array.shape)}"
            )
        if weights[name].dtype.kind == "f" and not np.isfinite(weights[name]).all():
            raise CheckpointError(f"{path} cannot be used: its tensor {name!r} holds numbers that are not finite")
    for name in weights:
        if name not in own:
            raise CheckpointError(f"{path} does not fit {kind}: the model has no tensor {name!r}")
    model.load_state_dict({name: tinydl.from_numpy(array) for name, array in weights.items()})


def best_of(run: str | Path) -> Path:
    """The file of a run's best weights, which ``run`` may be itself; :class:`CheckpointError` when there is none."""
    path = Path(run)
    if path.is_dir():
        if not (path / BEST).exists():
            raise CheckpointError(f"{path} holds no {BEST}: it is no run of tinydl, or no step of it was saved yet")
        return path / BEST
    if not path.exists():
        raise CheckpointError(f"there is no run {path}: give the folder that tinydl train wrote")
    return path


def load_model(run: str | Path, device: str = "cpu") -> tuple[Any, Card]:
    """The best model of a run, from ``best.safetensors`` alone, in evaluation mode and on a device; ``run`` may be that
    file itself.

    Raises:
        CheckpointError: no run there, or a checkpoint that is damaged or does not fit its model.
        DeviceError: the device is not there.
    """
    path = best_of(run)
    checkpoint = load(path)
    try:
        model = registry.build(checkpoint.card.model, **checkpoint.card.config)
    except ConfigError as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from None
    install(model, checkpoint.weights, path)
    model.to(device).eval()
    return model, checkpoint.card


def write_config(run: Path, card: Card, limits: dict[str, Any], train_seconds: float) -> None:
    """Write RUN/config.json atomically: the card, what was to end the training, and the seconds trained so far."""
    entries = {key: value for key, value in asdict(card).items() if key not in ("step", "valid")}
    text = json.dumps({**entries, "limits": limits, "train_seconds": round(train_seconds, 3)}, indent=2) + "\n"
    try:
        tensorfile.replace(run / CONFIG, [text.encode()])
    except OSError as error:
        raise CheckpointError(f"cannot write {run / CONFIG}: {error.strerror or error}") from error


def read_config(run: str | Path) -> dict[str, Any]:
    """RUN/config.json; :class:`CheckpointError` when there is none or it is damaged."""
    path = Path(run) / CONFIG
    try:
        entries = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CheckpointError(f"{run} is no run of tinydl: cannot read {path.name} ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise CheckpointError(f"{path} is damaged: it is not JSON") from None
    if not isinstance(entries, dict) or "model" not in entries:
        raise CheckpointError(f"{path} is damaged: it names no model")
    return entries
