"""Mode collapse, shown and cured: adversarial models and IMLE on a ring of eight Gaussians.

``python -m tinydl.benchmarks ring`` trains each model from each seed with the training loop that music is trained with,
and draws :data:`SAMPLES` points. The data, as Metz, Poole, Pfau, Sohl-Dickstein, "Unrolled generative adversarial
networks", ICLR 2017, arXiv:1611.02163, have them: eight Gaussians of standard deviation 0.02 whose centres stand evenly
on a circle of radius 2. A model of the data that lowers the divergence it claims to lower finds all of them; one that
chases its critic sits on a few, or moves from one to the next.

- ``good``: the share of samples within three standard deviations of a centre (Srivastava et al., "VEEGAN", NIPS 2017,
  arXiv:1705.07761).
- ``modes``: the centres that get at least :data:`COVERED` of their fair share, an eighth of the samples, in good ones.
  (VEEGAN's is one good sample: by that, chance covers a mode.)

All models have one kind of generator, and of critic (two hidden layers of 128 units), the same data and the same batch
size. What differs is in :data:`MODELS`: ``gan`` and ``ns-gan`` have the learning rates under which the paper shows them
to collapse. (With a critic as quick as the generator, ``gan`` finds all eight modes too, from seed 1.)
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor, nn
from tinydl.benchmarks import harness
from tinydl.cli import _errors
from tinydl.cli._output import note, say, say_json, say_table
from tinydl.cli.parser import Command, Parser, add_json, choice, integer
from tinydl.models.adversarial import Adversarial
from tinydl.models.imle import Nearest
from tinydl.random import Generator
from tinydl.training import Batch, Trainer
from tinydl.utils import tensorfile

TITLE = "mode collapse, shown and cured: GANs and IMLE on a ring of eight Gaussians (minutes; with its own -h)"

CENTRES = 2 * np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)
SPREAD = 0.02
SAMPLES = 2500
COVERED = 0.1
SEEDS = (1, 2, 3)
UNITS = 128
POINTS = 256  # of a batch
BATCHES = 100  # of an epoch


def data(rng: Generator) -> list[NDArray[np.float32]]:
    """Points of the ring, float32 [256, 2] for every batch of an epoch."""
    modes = rng.integers(0, 8, (BATCHES, POINTS))
    return list((CENTRES[modes] + SPREAD * rng.normal((BATCHES, POINTS, 2), np.float64)).astype(np.float32))


def measure(points: NDArray[Any]) -> dict[str, Any]:
    """``modes`` and ``good`` of samples, [N, 2]."""
    distance = np.linalg.norm(points[:, None] - CENTRES, axis=-1)
    good = distance.min(1) < 3 * SPREAD
    each = np.bincount(distance.argmin(1)[good], minlength=8)
    return {"modes": int((each >= COVERED * len(points) / 8).sum()), "good": float(good.mean())}


def net(inputs: int, outputs: int, activation: type[nn.Module]) -> nn.Sequential:
    """Two hidden layers."""
    return nn.Sequential(
        nn.Linear(inputs, UNITS), activation(), nn.Linear(UNITS, UNITS), activation(), nn.Linear(UNITS, outputs)
    )


def points_of(batch: Batch) -> Tensor:
    """A batch's points, float32 [N, 2]."""
    return tinydl.from_numpy(batch.data[batch.mask])


class RingGan(Adversarial):
    """A game on the plane."""

    model_name = "ring"

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.generator, self.critic = net(config.latent, 2, nn.ReLU), net(2, 1, nn.LeakyReLU)

    def real(self, batch: Batch) -> Tensor:
        """The points."""
        return points_of(batch)


class RingImle(Nearest):
    """IMLE on the plane."""

    model_name = "ring"

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.generator = net(config.latent, 2, nn.ReLU)

    def real(self, batch: Batch) -> Tensor:
        """The points."""
        return points_of(batch)


Model = RingGan | RingImle

# The rates of Metz et al.: a critic ten times slower than the generator, which runs from it around the ring. An average
# of weights that wander is nowhere, so those two are measured as they stand.
COLLAPSING: dict[str, Any] = {"lr": 1e-3, "critic_lr": 1e-4, "updates": 1, "steps": 2500}
AVERAGED: dict[str, Any] = {"average": 0.99}
MODELS: Mapping[str, tuple[type[Model], dict[str, Any]]] = {
    "gan": (RingGan, {**COLLAPSING, "objective": "minimax"}),
    "ns-gan": (RingGan, {**COLLAPSING, "objective": "non-saturating"}),
    "wgan-gp": (RingGan, {**AVERAGED, "objective": "wgan-gp", "lr": 1e-3, "critic_lr": 1e-3, "updates": 5,
                          "penalty": 1.0, "steps": 1500}),
    "imle": (RingImle, {**AVERAGED, "samples": 64, "lr": 1e-2, "schedule": "cosine", "steps": 8000}),
}  # fmt: skip


def play(name: str, seed: int, **options: Any) -> dict[str, Any]:
    """Train one model from one seed, and measure it: ``{"model", "modes", "good", "seed"}``.

    ``options`` change those of :data:`MODELS`.
    """
    kind, chosen = MODELS[name]
    rng = Generator(seed).fork("ring")
    with tinydl.random.fork_rng():
        tinydl.manual_seed(seed)
        model = kind(kind.Config(**{"latent": 2, "batch": 1, "chunk": POINTS, **chosen, **options}))
        trainer = Trainer(model, data(rng.fork("data")), [], seed=seed)
        for _ in range(trainer.limit):
            trainer.advance()
        z = tinydl.from_numpy(rng.fork("samples").normal((SAMPLES, model.config.latent)))
        with trainer.averaged(), tinydl.no_grad():
            points = model.make(z).numpy()
    return {"model": name, **measure(points), "seed": seed}


def record(rows: Sequence[Mapping[str, Any]], where: Mapping[str, str]) -> None:
    """Write ``results/ring.json``: all models and seeds of one run, and the circumstances that it began in."""
    text = json.dumps({**where, "rows": list(rows)}, indent=1) + "\n"
    tensorfile.replace(harness.RESULTS / "ring.json", [text.encode()])


def _arguments(parser: Parser) -> None:
    parser.add_argument(
        "--only", metavar="MODEL", type=choice(tuple(MODELS)), action="append", default=[],
        help=f"this model: {', '.join(MODELS)}; may be repeated",
    )  # fmt: skip
    parser.add_argument("--seeds", metavar="N", type=integer(1, 100), default=len(SEEDS), help="seeds 1 ... N, of each")
    parser.add_argument("--no-record", action="store_true", help="do not write results/ring.json")
    add_json(parser, "a list with model, modes, good and seed of every training")


def _run(args: argparse.Namespace) -> int:
    rows, where = [], harness.circumstances()
    for name in args.only or MODELS:
        for seed in range(1, args.seeds + 1):
            note(f"ring: {name}, seed {seed}")
            rows.append(play(name, seed))
    if not args.only and args.seeds >= len(SEEDS) and not args.no_record:
        record(rows, where)
    if args.json:
        say_json(rows)
    else:
        say_table(
            ("model", "seed", "modes", "good"),
            [(row["model"], row["seed"], f"{row['modes']}/8", f"{row['good']:.1%}") for row in rows],
        )
        say(f"good: within 3 standard deviations of a centre; modes: centres with {COVERED:.0%} of their fair share or")
        say("more in good samples")
    return _errors.OK


COMMAND = Command(
    description=(
        "Train adversarial models and IMLE on a ring of eight Gaussians, and count the modes that they find.\n"
        "gan (minimax) and ns-gan (non-saturating) collapse, wgan-gp and imle find all eight.\n"
        f"It writes benchmarks/results/ring.json when all models are trained from {len(SEEDS)} seeds or more."
    ),
    examples=["python -m tinydl.benchmarks ring", "python -m tinydl.benchmarks ring --only imle --seeds 1 --json"],
    arguments=_arguments,
    run=_run,
)


def parser() -> Parser:
    """The parser of the command line, whose help and errors speak of ``python -m tinydl.benchmarks ring``."""
    made = Parser("ring", COMMAND)
    made.prog = "python -m tinydl.benchmarks ring"
    return made


def main(argv: Sequence[str]) -> int:
    """Run one command line; the exit code is as :mod:`tinydl.cli._errors` has it."""
    return _errors.guard(lambda: COMMAND.run(parser().parse(argv)))
