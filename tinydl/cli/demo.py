"""``tinydl demo``: from nothing to new music in about a minute, with no network and no files of one's own."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinydl.cli._errors import Interrupted, UsageError
from tinydl.cli._files import Outputs
from tinydl.cli._output import clock, note, quoted, say
from tinydl.cli.parser import Command, Parser, folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The recipe: chosen once, by ear and by the clock. Everything is seeded, so two runs write the same music.
MODEL, DATA, SEED = "melody-lstm", "demo-tunes", 0
OPTIONS: dict[str, Any] = {"hidden": 192, "chunk": 128, "dropout": 0.2}
STEPS = 400
BARS, TEMPERATURE = 16, 0.7


def _arguments(parser: Parser) -> None:
    parser.add_argument("--out", metavar="DIR", type=folder, default="demo", help="where to write (default: demo)")


def _run(args: argparse.Namespace) -> int:
    import tinydl
    from tinydl import registry, render
    from tinydl.cli._progress import Introduced
    from tinydl.cli.data import load
    from tinydl.data import midi
    from tinydl.generation import generate
    from tinydl.training import fit, log, loop, progress_for

    out = Path(args.out)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file: choose another folder with --out")
    run = _clear(out)
    note(f"1/3  composing the training music: {DATA}, by rule")
    tinydl.manual_seed(SEED)
    model = registry.build(MODEL, **OPTIONS)
    splits = load(DATA, model.representation, seed=SEED)
    training = f"2/3  training {MODEL} on {len(splits.train)} pieces, {STEPS} steps"
    progress = Introduced(progress_for(), lambda: note(training))
    try:
        result = fit(model, splits, run, steps=STEPS, seed=SEED, log_every=20, progress=progress)
    except loop.Interrupted:
        raise Interrupted("interrupted; the same command starts the demo again") from None
    assert result.valid is not None  # the corpus has validation pieces
    note("3/3  writing new music")
    score, facts = generate(run, bars=BARS, temperature=TEMPERATURE, seed=SEED)[0]
    with Outputs(force=True) as outputs:  # its own files of last time
        midi.write(score, outputs.new(out / "demo.mid"))
        render.render_wav(score, outputs.new(out / "demo.wav"))
        render.render_png(score, outputs.new(out / "demo.png"), title="tinydl demo")
        outputs.commit()

    say(render.terminal(score))
    say()
    losses = [row["loss"] for row in log.read(run / "log.jsonl") if "loss" in row]
    unigram = unigram_nll(splits.train, splits.valid, len(model.output.bias))
    verdict = "beats" if result.valid < unigram else "does not beat"
    say(
        f"loss {losses[0]:.3f} -> {losses[-1]:.3f} nats/token; validation {result.valid:.3f} {verdict} the unigram's "
        f"{unigram:.3f}"
    )
    say(f"trained {MODEL} for {result.step} steps in {clock(result.seconds)}")
    say(f"wrote {out / 'demo.mid'} ({facts['notes']} notes, {clock(facts['seconds'])}), demo.wav, demo.png")
    say()
    say("next, more of it, then your own music:")
    folder, program = quoted(str(run)), _program()
    how = f"--bars {BARS} --temperature {TEMPERATURE} --seed 1 --wav"
    say(f"  {program} generate {folder} --out more.mid --num 4 {how}")
    say(f"  {program} evaluate {folder}")
    say(f"  {program} train lstm-nade my_midis/ --out run --minutes 5")
    return 0


def _clear(out: Path) -> Path:
    """Remove the run of the demo before; what another program or person put there is left alone, and refused."""
    from tinydl.errors import CheckpointError
    from tinydl.training import checkpoint
    from tinydl.utils.files import temporary

    run = out / "run"
    names = (checkpoint.CONFIG, checkpoint.LOG, checkpoint.LAST, checkpoint.BEST)
    ours = {run / name for name in names} | {temporary(run / name) for name in names}
    present = set(run.iterdir()) if run.is_dir() else set()
    strangers = sorted(present - ours)
    found = [out / f"demo{ending}" for ending in (".mid", ".wav", ".png") if (out / f"demo{ending}").exists()]
    if not strangers and (present or found):
        try:
            before = checkpoint.read_config(run)
            made_here = (before["model"], before.get("source")) == (MODEL, DATA)
        except CheckpointError:
            made_here = False
        if not made_here:
            strangers = [*found, *sorted(present)]
    if strangers:
        raise UsageError(f"{strangers[0]} is not the demo's: choose another folder with --out")
    for path in present:
        path.unlink()
    return run


def _program() -> str:
    """How to call tinydl from this shell: by its path where the environment it lives in is not active."""
    here = Path(sys.executable).with_name("tinydl")
    if shutil.which("tinydl") or not here.exists():
        return "tinydl"
    return quoted(os.path.relpath(here))


def unigram_nll(train: Sequence[NDArray[Any]], held_out: Sequence[NDArray[Any]], vocabulary: int) -> float:
    """Nats per token of held-out tunes, int64 [L], each token drawn alone: p_v = (count_v + 1) / (tokens + V).

    As for the model, a tune's first token (BOS) is given and not predicted.
    """
    import numpy as np

    count = np.bincount(np.concatenate([tune[1:] for tune in train]), minlength=vocabulary) + 1
    nll = -np.log(count / count.sum())
    return float(np.concatenate([nll[tune[1:]] for tune in held_out]).mean())


DEMO = Command(
    description=(
        "Compose a corpus by rule, train a model on it, and write a new piece: demo.mid, demo.wav, demo.png, and\n"
        "the run that made them. No network. Two runs write the same music; the second replaces the files of the first."
    ),
    examples=["tinydl demo", "tinydl demo --out somewhere"],
    arguments=_arguments,
    run=_run,
)
