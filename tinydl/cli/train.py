"""``tinydl train MODEL DATA --out RUN``: a corpus goes in, a run's folder comes out."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinydl.cli import _output
from tinydl.cli._errors import Interrupted, UsageError
from tinydl.cli._output import clock, note, say, say_pairs, say_table
from tinydl.cli.data import load, note_off_grid, report_columns, report_rows, say_report, say_splits, unit
from tinydl.cli.parser import SEED, Command, Parser, add_device, folder, integer, number

if TYPE_CHECKING:
    from tinydl.data.splits import Splits
    from tinydl.training import Result

SHOWN_ROWS = 12  # of files that were not simply kept; `tinydl data show` shows them all


def _arguments(parser: Parser) -> None:
    models = "such as lstm-nade (polyphony) or melody-lstm (tunes); `tinydl models` lists them"
    parser.add_argument("model", metavar="MODEL", help=models)
    parser.add_argument("data", metavar="DATA", help="a folder of MIDI files, a .mid file, or a dataset's name")
    parser.add_argument(
        "--out", metavar="RUN", type=folder, help="the run's folder, new or empty (with --dry-run not needed)"
    )
    parser.add_argument(
        "--minutes", metavar="M", type=number(0),
        help="stop after so many minutes of this call, its first step, which compiles kernels, not counted",
    )  # fmt: skip
    parser.add_argument("--epochs", metavar="N", type=integer(1), help="stop after so many passes over the data")
    parser.add_argument("--steps", metavar="N", type=integer(1), help="stop after so many steps (default: the model's)")
    parser.add_argument("--seed", metavar="S", type=SEED, help="of weights, data order and split (default: 0)")
    parser.add_argument(
        "--resume", action="store_true",
        help="go on with the run in RUN, to the same bits; where it has no checkpoint yet, begin",
    )  # fmt: skip
    parser.add_argument("--checkpoint-every", metavar="STEPS", type=integer(1), help="steps between checkpoints")
    parser.add_argument(
        "--log-every", metavar="K", type=integer(1), default=10, help="steps between log lines (default: 10)"
    )
    add_device(parser)
    parser.add_argument(
        "-o", dest="options", metavar="KEY=VALUE", action="append", default=[], help="an option of the model"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show data, options, size and speed; train nothing and write nothing"
    )


def _run(args: argparse.Namespace) -> int:
    import tinydl
    from tinydl import registry
    from tinydl.cli._progress import Introduced
    from tinydl.creation import there
    from tinydl.data.datasets import image_size
    from tinydl.training import checkpoint, loop, progress_for

    if args.out is None and not args.dry_run:
        raise UsageError("tinydl train needs --out, the folder for the run; tinydl train -h shows its usage")
    out = Path(args.out or "")
    there(args.device)  # one that is not there is said before anything is read
    size = image_size(args.data)
    usual = registry.for_images(args.model, *size) if size else {}
    given = overrides(args.options)
    options: dict[str, Any] = {**usual, **given}
    registry.configure(args.model, **options)  # a wrong name or value is said before anything is read
    seed = args.seed
    last = out / checkpoint.LAST
    if args.out and args.resume and last.exists():  # what is not given again is as it was
        card = checkpoint.card(last)
        if card.model == args.model:
            options = {**card.config, **given}
            seed = card.seed if seed is None else seed
    seed = 0 if seed is None else seed
    if not args.dry_run:
        loop.check_folder(out, args.resume)
    tinydl.manual_seed(seed)
    model = registry.build(args.model, **options).to(args.device)
    splits = load(_located(args.data), model.representation, seed=seed)
    limits = {"steps": args.steps, "epochs": args.epochs}
    if args.dry_run:
        return _dry_run(model, splits, seed, **limits)
    progress = Introduced(progress_for(), lambda: _introduce(model, splits))
    try:
        result = loop.fit(
            model,
            splits,
            out,
            **limits,
            minutes=args.minutes,
            seed=seed,
            resume=args.resume,
            checkpoint_every=args.checkpoint_every,
            log_every=args.log_every,
            progress=progress,
        )
    except loop.Interrupted as stop:
        raise Interrupted(str(stop)) from None
    _conclude(result, model, splits, args.out)
    return 0


def overrides(pairs: list[str]) -> dict[str, str]:
    """``["hidden=64", "lr=0.01"]`` as a dictionary; their types and names are the registry's business."""
    options: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip().replace("-", "_")
        if not key or not equals or not value:
            raise UsageError(f"-o: must be KEY=VALUE, not {pair!r}")
        if key in options:
            raise UsageError(f"-o: {key} is given twice ({options[key]!r} and {value!r})")
        options[key] = value.strip()
    return options


def _located(data: str) -> str:
    """A path made absolute, so that ``tinydl evaluate`` finds the data again from any folder; names as they are."""
    from tinydl.data.splits import known_names

    path = Path(data).expanduser()
    return str(path.resolve()) if data not in known_names() and path.exists() else data


def _introduce(model: Any, splits: Splits) -> None:
    """What is about to be trained, on what: on stderr."""
    if splits.report:
        rows = report_rows(splits.report, every=False)
        if rows:
            say_table(report_columns(splits), rows[:SHOWN_ROWS], stream=sys.stderr)
            if len(rows) > SHOWN_ROWS:
                note(f"... and {len(rows) - SHOWN_ROWS} more; tinydl data show {splits.source} lists every file")
        note(splits.report.summary())
        if splits.report.remark:
            note(splits.report.remark)
        note_off_grid(splits)
    what = "images" if splits.representation.name == "image" else "pieces"
    pieces = " / ".join(str(len(splits[split])) for split in ("train", "valid", "test"))
    note(f"{model.model_name}: {_parameters(model):,} parameters; train / valid / test: {pieces} {what}")
    _warn_if_small(model, splits)


def _warn_if_small(model: Any, splits: Splits) -> None:
    if len(splits.train) < model.config.batch:
        from tinydl.render.layout import count

        note(
            f"tinydl: warning: {count(len(splits.train), 'training piece')} for a batch of {model.config.batch}: the "
            f"model may learn them by heart; more MIDI files help"
        )


def _parameters(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _conclude(result: Result, model: Any, splits: Splits, run: str) -> None:
    from tinydl.generation.steering import INTERPOLATE, MELODY
    from tinydl.training import Criterion, score_name

    why = {"steps": "", "minutes": " (time is up)", "patience": " (validation no longer improves)"}[result.reason]
    say(f"{run}: {result.step} steps in {clock(result.seconds)}{why}")
    name = score_name(model)
    if result.valid is not None:
        figure = f"{result.valid:.4f}"
        what = "" if isinstance(model, Criterion) or name == "nll" else f" ({name})"
        loss = f"validation loss {figure} nats/{unit(splits)[:-1]}{what}"
        say(f"best {loss if name else f'distance from validation {figure}'}, at step {result.best_step}")
    say("next:")
    if MELODY in model.conditions:
        say(f"  tinydl harmonise {_output.quoted(run)} melody.mid --out four.mid --wav")
    if INTERPOLATE in model.conditions:
        say(f"  tinydl interpolate {_output.quoted(run)} a.mid b.mid --out way --wav")
    if splits.representation.name == "image":
        say(f"  tinydl generate {_output.quoted(run)} --out new.png")
    else:
        say(f"  tinydl generate {_output.quoted(run)} --out new.mid --wav")
        say(f"  tinydl report {_output.quoted(run)} --html new.html")
    say(f"  tinydl evaluate {_output.quoted(run)}{'' if name else ' --measures'}")


def _dry_run(model: Any, splits: Splits, seed: int, *, steps: int | None, epochs: int | None) -> int:
    """Everything that training would start with, and how long a step takes; nothing is written."""
    import dataclasses

    from tinydl.cli._progress import compilation_said
    from tinydl.training import Trainer

    if splits.report:
        say_report(splits)
        say()
    say_splits(splits)
    say()
    say(f"options of {model.model_name} (-o KEY=VALUE)")
    say_pairs((f"  {key}", value) for key, value in dataclasses.asdict(model.config).items())
    say()
    model.prepare(splits.train)
    trainer = Trainer(model, splits.train, splits.valid, seed=seed, steps=steps, epochs=epochs)
    _warn_if_small(model, splits)
    note("timing a step ...")
    started = time.perf_counter()
    with compilation_said(note):
        loss, _ = trainer.advance()
    first = time.perf_counter() - started
    times: list[float] = []
    while len(times) < 3 or (sum(times) < 1.0 and len(times) < 20):
        started = time.perf_counter()
        trainer.advance()
        times.append(time.perf_counter() - started)
    step = sorted(times)[len(times) // 2]
    say_pairs(
        [
            ("parameters", f"{_parameters(model):,}"),
            ("steps per epoch", trainer.epoch_length),
            ("steps at most", f"{trainer.limit} ({trainer.limit / trainer.epoch_length:.1f} epochs)"),
            ("first step", f"{first:.2f} s, loss {loss:.3f}"),
            ("a step", f"{step * 1e3:.1f} ms"),
            ("all steps", f"about {clock(step * trainer.limit)}, validation not counted"),
        ]
    )
    return 0


TRAIN = Command(
    description=(
        "Train a model and keep the best weights, by validation, in the folder RUN:\n"
        "config.json, log.jsonl, last.safetensors (to resume from), best.safetensors (to generate from).\n"
        "Training ends at the first of --steps, --epochs, --minutes, or when validation stops improving.\n"
        "Ctrl-C saves; the same command with --resume goes on, to the same bits as without the break.\n"
        "--dry-run lists the model's options (-o), with their values."
    ),
    examples=[
        "tinydl train lstm-nade my_midis/ --out run --minutes 5",
        "tinydl train melody-lstm song.mid --out run --steps 500 -o hidden=64 lr=0.002",
        "tinydl train lstm jsb --out run --resume",
        "tinydl train lstm jsb --out run --device cuda",
        "tinydl train lstm-nade my_midis/ --out run --dry-run",
        "tinydl train nade binarized-mnist --out digits --minutes 30",
    ],
    arguments=_arguments,
    run=_run,
)
