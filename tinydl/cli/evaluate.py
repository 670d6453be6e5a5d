"""``tinydl evaluate RUN``: how likely held-out music is under a trained model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tinydl.cli._output import say_json, say_pairs
from tinydl.cli.parser import Command, Parser, add_json, choice
from tinydl.errors import DataError

KEYS = ("model", "data", "split", "kind", "nll_per_frame", "nll_skip_first", "nll_per_sequence", "accuracy") + (
    "frames", "params", "train_seconds", "seed")  # fmt: skip


def _arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of tinydl train")
    parser.add_argument(
        "--split", type=choice(("train", "valid", "test")), default="test", help="train, valid or test (default: test)"
    )
    parser.add_argument("--data", metavar="DATA", help="where the run's data are now, when they have moved")
    add_json(parser, f"the keys {', '.join(KEYS)}")


def _run(args: argparse.Namespace) -> int:
    from tinydl.cli.data import load
    from tinydl.training import checkpoint, evaluate

    model, card = checkpoint.load_model(args.run)
    run = Path(args.run)
    config = checkpoint.read_config(run if run.is_dir() else run.parent)
    source = args.data or card.source
    try:
        splits = load(source, card.representation, seed=card.seed)
    except DataError as error:
        if args.data:
            raise
        raise DataError(f"the data of {args.run} cannot be read: {error} (--data names their new place)") from None
    if splits.fingerprint != card.fingerprint:
        raise DataError(
            f"the data at {source!r} are not those that {args.run} was trained on, so its splits cannot be told apart; "
            f"put the files back as they were, or train anew"
        )
    found = evaluate(model, splits[args.split], args.split)
    figures: dict[str, Any] = {
        **found,
        "data": card.source,
        "train_seconds": config.get("train_seconds"),
        "seed": card.seed,
    }
    figures = {key: figures[key] for key in KEYS}
    if args.json:
        say_json(figures)
    else:
        say_pairs((key, _shown(value)) for key, value in figures.items())
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
