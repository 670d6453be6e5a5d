"""``tinydl report RUN --html FILE.html``: everything about a run on one page, to hear and to see."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinydl.cli._files import Outputs
from tinydl.cli._output import clock, note, say
from tinydl.cli._page import add_force_and_html, piece, sampling_words, settings, unit_of
from tinydl.cli._runs import add_data
from tinydl.cli.evaluate import figures, held_out
from tinydl.cli.generate import add_sampling
from tinydl.cli.parser import Command, Parser
from tinydl.errors import DataError

if TYPE_CHECKING:
    from tinydl.data.splits import Splits
    from tinydl.page import Page, Piece, Table
    from tinydl.training.checkpoint import Card

_MEANING = {
    "model": "its name in tinydl train",
    "data": "what it was trained on, and measured on a part of",
    "split": "which part; whole pieces, carried state",
    "kind": "what the likelihood is: exact, a bound, an estimate, or none",
    "per_frame": "summed over all frames, the first included, over the number of frames",
    "skip_first": "the same without every piece's first frame",
    "per_sequence": "the mean over pieces of each piece's own mean",
    "accuracy": "of the thresholded prediction: TP / (TP + FP + FN) of notes, or the share of right tokens",
    "reconstruction": "the share of steps that come back from their latent vector, the most probable events",
    "reconstruction_sampled": "the same, with events drawn",
    "reconstruction_forced": "the same, the most probable event if all before it had come back",
    "recovered": "F1 of notes after notes were silenced and put back",
    "unrecovered": "the same of the silenced piece as it is",
    "frames": "predicted frames, or tokens",
    "params": "numbers that were learned",
    "train_seconds": "time spent training",
    "seed": "of weights, data order and split",
}
_SCORED = {  # what is averaged, by the name of the figure
    "nll": "-ln p",
    "nll_bound": "a bound, no less than -ln p,",
    "nll_estimate": "an estimate of -ln p",
    "pseudo_nll": "-ln p of every note given all others: no likelihood;",
    "cross_entropy": "-ln p of what was silenced given the rest: no likelihood;",
}
_SURELY = {"exact": "", "bound": "at most ", "estimate": "about "}  # by density, what a figure of it is


def _arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of tinydl train")
    add_sampling(parser, 4, "new pieces on the page")
    add_data(parser)
    add_force_and_html(parser, required=True)


def _run(args: argparse.Namespace) -> int:
    from tinydl.page import write

    with Outputs(force=args.force) as outputs:
        target = outputs.new(args.html, long=True)  # a place that cannot be used is said before any work
        page = _page(args)
        write(page, target)
        outputs.commit()
    size = Path(args.html).stat().st_size
    say(f"wrote {args.html} ({size / 1e6:.1f} MB): {', '.join(section.title.lower() for section in page.sections)}")
    say("to listen, open it in a browser")
    return 0


def _page(args: argparse.Namespace) -> Page:
    from tinydl.generation import generate
    from tinydl.page import Curves, Music, Page, Tables
    from tinydl.render.layout import count
    from tinydl.training import checkpoint, log, score_name

    model, card, config, splits = held_out(args.run, args.data)
    if splits.representation.name == "image":
        raise DataError(
            f"{args.run} makes images, and a report is of music: tinydl evaluate and tinydl generate --out FILE.png "
            f"say what it does"
        )
    split = "test" if splits.test else "valid"  # a corpus of two pieces has no test split
    note(f"measuring on the {split} split: {count(len(splits[split]), 'piece')}")
    name = score_name(model)
    found = figures(model, card, config, splits, split) if name else None
    note(f"writing new music: {count(args.num, 'piece')}")
    made = generate(args.run, num=args.num, bars=args.bars, temperature=args.temperature, seed=args.seed)
    unit = unit_of(card.representation["name"]) if found else "no unit"
    samples = [
        piece(f"Sample {k}", score, model, card, file=f"sample-{k}.mid", nll=facts.get("nll_per_frame"))
        for k, (score, facts) in enumerate(made, start=1)
    ]
    drawn = f"seed {args.seed}, temperature {args.temperature:g}"
    sections: list[Any] = [
        Music("New music", samples, f"Drawn from the model ({drawn}): nothing was chosen by hand."),
        Music("A real piece", [_real(args, model, card, splits, split)], "To compare with."),
    ]
    folder = Path(args.run) if Path(args.run).is_dir() else Path(args.run).parent
    rows = log.read(folder / checkpoint.LOG) if (folder / checkpoint.LOG).exists() else []
    if rows:
        intro = (
            f"The mean training loss since the row before, and the validation loss of the averaged weights, in {unit}."
            if found
            else "The mean training loss since the row before (of a game, the last player's), and the distance of new "
            "music from validation pieces."
        )
        sections.append(
            Curves(
                "Learning",
                rows,
                unit,
                intro if card.config.get("average") else intro.replace(" of the averaged weights", ""),
            )
        )
    if found:
        title = "Likelihood" if model.density != "none" else "Figures"
        sections.append(Tables(title, [_likelihood(found, name, unit)]))
    sections += _compared(args, model, splits, split)
    command = ["tinydl", "report", "run", "--html", Path(args.html).name, *sampling_words(args)]
    values = [("seed of the music", args.seed), ("temperature", f"{args.temperature:g}")]
    sections.append(settings(card, config.get("limits"), command, values))
    size = sum(parameter.numel() for parameter in model.parameters())
    trained = f"trained for {card.step:,} steps ({clock(config.get('train_seconds') or 0.0)}),"
    finds = (
        f"finds music that it has not seen {_SURELY[model.density]}{found[f'{name}_per_frame']:.3f} {unit} surprising "
        f"({split} split), and "
        if found and model.density in _SURELY
        else ""
    )
    return Page(
        f"{card.model} on {Path(card.source).name}",
        f"A model of {size:,} parameters, {trained} {finds}writes music of its own.",
        sections,
    )


def _real(args: argparse.Namespace, model: Any, card: Card, splits: Splits, split: str) -> Piece:
    """The first piece of the split that is as long as the samples, cut to their length where it has frames."""
    from tinydl.generation.generate import BARS

    pieces, names, encoding = splits[split], splits.names[split], splits.representation
    steps = encoding.steps(args.bars or BARS)
    frames = unit_of(encoding.name) == "nats/frame"
    long = [k for k, data in enumerate(pieces) if not frames or len(data) >= steps]
    chosen = long[0] if long else max(range(len(pieces)), key=lambda k: len(pieces[k]))
    data = pieces[chosen]
    metre = ": without its metre, in bars of 4/4" if frames else ""
    about = f"From the {split} split, as the model reads it{metre}."
    if frames and len(data) > steps:
        data, about = data[:steps], f"{about[:-1]}, the first {args.bars or BARS} of them."
    return piece(names[chosen], encoding.decode(data), model, card, about=about, file="real.mid")


def _compared(args: argparse.Namespace, model: Any, splits: Splits, split: str) -> list[Any]:
    """Measures and copying of samples beside real pieces; a sentence on stderr instead where these are too few."""
    from tinydl import measures
    from tinydl.measures.report import DOUBTFUL, ORIGINAL
    from tinydl.page import Interval, Table, Tables

    how = {"split": split, "seed": args.seed, "temperature": args.temperature}
    note("measuring new music beside real pieces")
    try:
        samples = measures.draw_samples(model, splits, **how)
        measured = measures.measure_report(model, splits, samples=samples, **how)
        copied = measures.copying_report(model, splits, samples=samples, **how)
    except DataError as error:
        note(f"no measures on the page: {error}")
        return []

    def interval(group: dict[str, float]) -> Interval:
        return Interval(group["distance"], group["low"], group["high"])

    pieces, unit = measured["pieces"], copied["unit"]
    distances = [
        (m["title"], *(interval(m[group]) for group in ("samples", "real", "markov", "noise")), m["verdict"])
        for m in measured["measures"]
    ]
    titles = {
        "longest_copy": f"longest passage that stands in the training music, {unit}",
        "longest_melody": "the same of the upper line alone, notes",
        "near_copy_share": "share of bars that are nearly a training bar",
    }
    columns = [(group, figure) for group in ("samples", "real", "markov") for figure in ("median", "p95")]
    shares = [
        (title, *(copied[group][name][figure] for group, figure in columns), copied["beyond"][name])
        for name, title in titles.items()
    ]
    return [
        Tables(
            "Like the corpus?",
            [
                Table(
                    "tinydl evaluate --measures",
                    ("measure", "samples", "real pieces", "Markov model", "noise", "verdict"),
                    distances,
                    caption=f"Distance from the {pieces['corpus']} training pieces, with the interval of 95 in 100 "
                    "resamples: 0 where two sets are of one kind, 1 where they have nothing in common. The verdict is "
                    "'real' where the samples are no farther than real pieces, else 'better' or 'worse' than the "
                    "order-3 Markov model, which repeats what it has seen.",
                )
            ],
            f"{pieces['samples']} new pieces beside {pieces['real']} real ones ({split} split), as many of an order-3 "
            "Markov model, and as many of noise.",
        ),
        Tables(
            "Copied?",
            [
                Table(
                    "tinydl evaluate --copying",
                    ("measure", *(f"{group}, {figure}" for group, figure in columns), "beyond"),
                    shares,
                    caption="Median and 95th percentile (p95) over pieces. 'beyond' is the share of new pieces above "
                    "the p95 of real ones, or above what everybody may share.",
                    digits=2,
                )
            ],
            f"What new and real pieces share with the training music, in any key. The verdict: {copied['verdict']}. "
            f"(Original: at most {ORIGINAL:.0%} of new pieces go beyond what is usual; doubtful: at most "
            f"{DOUBTFUL:.0%}.)",
        ),
    ]


def _likelihood(found: dict[str, Any], name: str | None, unit: str) -> Table:
    from tinydl.page import Table

    def meaning(key: str) -> str:
        average = key.removeprefix(f"{name}_")
        said = _MEANING.get(average, "")
        return f"{_SCORED.get(name or '', name)} {said}" if average == "per_frame" else said

    rows = [(key, str(value) if key == "seed" else value, meaning(key)) for key, value in found.items()]
    return Table(
        "tinydl evaluate",
        ("figure", "value", "what it is"),
        rows,
        caption=f"{name} is in {unit}; lower is better.",
        digits=4,
    )


REPORT = Command(
    description=(
        "Write one page about a run: new music and real music to hear and to see, learning curves, likelihood,\n"
        "measures beside real pieces, what is copied, and the settings to make all of it again. The page is one file,\n"
        "works offline, and needs a browser to listen."
    ),
    examples=["tinydl report run --html run.html", "tinydl report run --html run.html --num 8 --bars 32 --seed 1"],
    arguments=_arguments,
    run=_run,
)
