"""Numbers that depend on the step: closed forms, what is refused, and that a model hears the step."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.training.toys import Toy
from tests.training.toys import splits as toy_splits
from tinydl.errors import ConfigError
from tinydl.training import Criterion, Trainer, collate, ramp, validation_loss


def test_closed_forms() -> None:
    linear, curve = ramp("0.5:0.1:8"), ramp("2:0.5:10:exponential")
    for step in range(8):
        assert linear(step) == pytest.approx(0.5 - 0.4 * step / 8)
    for step in range(10):
        assert curve(step) == pytest.approx(2 * 0.25 ** (step / 10))
    for found, last in ((linear, 0.1), (curve, 0.5), (ramp("3"), 3), (ramp(3), 3), (ramp("1:2:0"), 2)):
        assert found(10) == found(10**9) == found(None) == last
    assert ramp("3")(0) == 3


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("fast", "must be a number, or FIRST:LAST:STEPS such as 0:0.2:1000, but is 'fast'"),
        ("0:1", "must be a number"),
        ("0:1:2.5", "must be a number"),
        ("0:1:5:linear:6", "must be a number"),
        ("0:1:5:sudden", "has the shape 'sudden', and must have one of linear, exponential"),
        ("0:1:5:exponential", "cannot reach 0 exponentially"),
        ("0:1:-5", "must stay within 0 and 1"),
        ("0:1.5:5", "must stay within 0 and 1"),
        ("-1", "must stay within 0 and 1"),
        ("nan", "must stay within 0 and 1"),
    ],
)
def test_what_is_no_ramp(spec: str, match: str) -> None:
    with pytest.raises(ConfigError, match=f"option 'weight' {match}"):
        ramp(spec, "weight", high=1.0)


def test_a_model_hears_how_many_steps_were_taken() -> None:
    heard = []

    class Listening(Toy):
        def loss(self, batch):  # type: ignore[no-untyped-def]
            heard.append(batch.step)
            return super().loss(batch)

    data = toy_splits()
    trainer = Trainer(Listening(), data.train, data.valid, seed=0)
    for _ in range(3):
        trainer.advance()
    assert heard == [0, 1, 2] and collate(data.train).step is None
    again = Trainer(Listening(), data.train, data.valid, seed=0)
    again.load_state(trainer.state())
    again.advance()
    assert heard[-1] == 3


def test_a_model_may_say_what_its_weights_are_compared_by() -> None:
    class Peculiar(Toy):
        def criterion(self, pieces):  # type: ignore[no-untyped-def]
            assert not self.training
            return math.fsum(float(self.output.bias.array.sum()) for _ in pieces)

    data = toy_splits()
    model = Peculiar().train()
    assert isinstance(model, Criterion) and not isinstance(Toy(), Criterion)
    expected = 2 * float(np.sum(model.output.bias.array))
    assert validation_loss(model, data.valid) == pytest.approx(expected, rel=1e-6) and model.training
    trainer = Trainer(model, data.train, data.valid, seed=0, steps=3)
    assert trainer.validate()["valid"] == pytest.approx(expected, rel=1e-6)
