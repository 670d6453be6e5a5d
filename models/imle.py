"""Implicit maximum likelihood estimation: every datum pulls the sample that is nearest to it. No critic, no game.

Paper
    Li, Malik, "Implicit maximum likelihood estimation", 2018, arXiv:1809.09087.

The model.  Samples are G(z), z ~ N(0, I), as in a generative adversarial network (``adversarial.py``), and nothing
says how likely a datum is. But where a sample falls near every datum, the data are likely. Of m samples, drawn anew
for every batch of n data (algorithm 1),

    min_G E[ 1/n sum_i min_j ||x_i - G(z_j)||^2 ]        z_1 ... z_m ~ N(0, I)

An adversarial generator is asked that every *sample* be near data, so it may leave modes out. Here every *datum* must
have a sample near it, so no mode can be left out; but a sample that is near no datum costs nothing, and is not moved.
"""

from __future__ import annotations

from dataclasses import dataclass

import tinydl
from tinydl import Tensor
from tinydl.models.adversarial import Implicit
from tinydl.training import Batch


@tinydl.no_grad()
def nearest(x: Tensor, samples: Tensor) -> Tensor:
    """For every datum, x [N, D], the index of the nearest of samples [M, D]: int64 [N].

    By ||x - s||^2 = ||x||^2 - 2 x s + ||s||^2, of which the first does not choose: one matrix product, no tree.
    """
    found: Tensor = ((samples**2).sum(1) - 2 * (x @ samples.T)).argmin(1)
    return found


class Nearest(Implicit):
    """The estimate, whatever is estimated; a subclass has the net ``generator``, and says what data are."""

    @dataclass(frozen=True)
    class Config(Implicit.Config):
        """As :class:`tinydl.models.adversarial.Implicit.Config`, and

        Attributes:
            samples: m, drawn for every batch. The more there are, the closer every datum finds one, and the fewer
                are found: those that lie between the modes stay there. The fewer there are, the more data share one.
        """

        samples: int = 64

        def __post_init__(self) -> None:
            super().__post_init__()
            self._require("samples", self.samples >= 1, "at least 1")

    def loss(self, batch: Batch) -> Tensor:
        """The mean squared distance of the data from the samples nearest to them, a scalar."""
        x = self.real(batch).flatten(1)
        made = self.make(self.noise(self.config.samples)).flatten(1)
        loss: Tensor = ((x - made[nearest(x, made)]) ** 2).sum(1).mean()
        return loss
