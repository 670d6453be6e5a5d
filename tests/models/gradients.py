"""Gradients of whole models against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


def assert_gradients(model: Any, loss: Callable[[], Any], each: int) -> None:
    """``backward`` of a loss, float64, gives each parameter the slope of the loss, at the ``each`` places of each where
    it is steepest: to 1e-6 of central differences."""
    loss().backward()
    for name, parameter in model.named_parameters():
        array, gradient = parameter.array.reshape(-1), parameter.grad.array.reshape(-1)
        for i in np.argsort(-np.abs(gradient))[:each]:
            kept, slopes = array[i], []
            for step in (1e-5, -1e-5):
                array[i] = kept + step
                slopes.append(loss().item())
            array[i] = kept
            assert gradient[i] == pytest.approx((slopes[0] - slopes[1]) / 2e-5, rel=1e-6, abs=1e-9), name
