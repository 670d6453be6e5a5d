"""From a run's folder to new images, where the model learned from images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.errors import ConfigError
from tinydl.generation.sampling import check
from tinydl.random import Generator
from tinydl.training.checkpoint import load_model
from tinydl.training.evaluation import mean_nll, score_name


def generate_images(
    run: str | Path, num: int = 1, temperature: float = 1.0, *, seed: int = 0, device: str = "cpu"
) -> tuple[NDArray[np.bool_], dict[str, float]]:
    """Sample new images; the same seed gives the same ones, and image i does not depend on ``num``.

    Args:
        run: a run's folder, or its ``best.safetensors``, which alone is read.
        num: how many images.
        temperature: below 1 more predictable, above 1 bolder; 0 the most probable.
        device: where the model computes.

    Returns:
        the images, bool [num, height, width]; and the mean of their own -ln p, in nats, by its name: ``nll_per_image``,
        ``nll_bound_per_image`` ... (:func:`tinydl.training.score_name`); nothing for a model without a likelihood.

    Raises:
        ConfigError: a number that means nothing, or a run of a model of music.
        CheckpointError: no usable run.
        DeviceError: the device is not there.
    """
    from tinydl.data.representations import Image, representation

    check(temperature)
    if num < 1:
        raise ConfigError(f"num must be at least 1, but is {num}")
    model, card = load_model(run, device)
    encoding = representation(card.representation)
    if not isinstance(encoding, Image):
        raise ConfigError(f"the model {card.model!r} of {run} makes music, and no images")
    condition: dict[str, Any] = {}
    pieces = model.sample(num, 1, temperature, condition, Generator(seed).fork("generate"))
    name = score_name(model)
    return encoding.pictures(pieces), {f"{name}_per_image": mean_nll(model, pieces)} if name else {}
