"""``tinydl evaluate RUN``: how likely held-out music is under a trained model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinydl.cli._output import say_json, say_pairs
from tinydl.cli.parser import Command, Parser, add_json, choice
from tinydl.errors import DataError

if TYPE_CHECKING:
    from tinydl.data.splits import Splits
    from tinydl.training.checkpoint import Card

KEYS = ("model", "data", "split", "kind", "nll_per_frame", "nll_skip_first", "nll_per_sequence", "accuracy") + (
    "frames", "params", "train_seconds", "seed")  # fmt: skip


def _arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of tinydl train")
    parser.add_argument(
        "--split", type=choice(("train", "valid", "test")), default="test", help="train, valid or test (default: test)"
    )
    add_data(parser)
    add_json(parser, f"the keys {', '.join(KEYS)}")


def add_data(parser: Parser) -> None:
    """``--data``, the same in every command that reads a run's data again."""
    parser.add_argument("--data", metavar="DATA", help="where the run's data are now, when they have moved")


def held_out(run: str, data: str | None) -> tuple[Any, Card, dict[str, Any], Splits]:
    """A run's best model, its card and config.json, and its data, checked to be those it was trained on.

    Args:
        run: the folder, or its ``best.safetensors``.
        data: where the data are now, when they have moved.
    """
    from tinydl.cli.data import load
    from tinydl.training import checkpoint

    model, card = checkpoint.load_model(run)
    folder = Path(run)
    config = checkpoint.read_config(folder if folder.is_dir() else folder.parent)
    source = data or card.source
    try:
        splits = load(source, card.representation, seed=card.seed)
    except DataError as error:
        if data:
            raise
        raise DataError(f"the data of {run} cannot be read: {error} (--data names their new place)") from None
    if splits.fingerprint != card.fingerprint:
        raise DataError(
            f"the data at {source!r} are not those that {run} was trained on, so its splits cannot be told apart; "
            f"put the files back as they were, or train anew"
        )
    return model, card, config, splits


def figures(model: Any, card: Card, config: dict[str, Any], splits: Splits, split: str) -> dict[str, Any]:
    """What the command prints: ``KEYS``, in their order."""
    from tinydl.training import evaluate

    found = {
        **evaluate(model, splits[split], split),
        "data": card.source,
        "train_seconds": config.get("train_seconds"),
        "seed": card.seed,
    }
    return {key: found[key] for key in KEYS}


def _run(args: argparse.Namespace) -> int:
    found = figures(*held_out(args.run, args.data), args.split)
    if args.json:
        say_json(found)
    else:
        say_pairs((key, _shown(value)) for key, value in found.items())
    return 0


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


EVALUATE = Command(
    description=(
        "Measure a run's best weights on a split of its data, whole pieces with carried state.\n"
        "nll_per_frame: -ln p summed over all frames, the first included, over the number of frames (nats).\n"
        "nll_skip_first leaves out every piece's first frame; nll_per_sequence averages the pieces' own means."
    ),
    examples=["tinydl evaluate run", "tinydl evaluate run --split valid --json"],
    arguments=_arguments,
    run=_run,
)
