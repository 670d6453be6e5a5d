"""``tinydl evaluate RUN``: how likely held-out music is under a trained model, and how its own music compares."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinydl.cli._errors import UsageError
from tinydl.cli._output import say, say_json, say_pairs, say_table
from tinydl.cli._runs import add_data, data_of
from tinydl.cli.parser import SEED, Command, Parser, add_device, add_json, choice, integer, number

if TYPE_CHECKING:
    from tinydl.data.splits import Splits
    from tinydl.training.checkpoint import Card

KEYS = ("model", "data", "split", "kind", "nll_per_frame", "nll_skip_first", "nll_per_sequence", "accuracy") + (
    "frames", "params", "train_seconds", "seed")  # fmt: skip
OF_SAMPLES = {"samples": None, "seed": 0, "temperature": 1.0}  # options of --measures and --copying, and their defaults
OF_COPYING = {"time_scale": False, "transpose": False}


def _arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of tinydl train")
    parser.add_argument(
        "--split", type=choice(("train", "valid", "test")), default="test", help="train, valid or test (default: test)"
    )
    add_data(parser)
    add_device(parser)
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--measures", action="store_true", help="instead: how far new pieces lie from the training pieces, by measure"
    )
    instead.add_argument(
        "--copying", action="store_true", help="instead: how much of new pieces stands in the training pieces"
    )
    instead.add_argument(
        "--voices", action="store_true",
        help="instead: how often a model of four voices names the right note, by voice, beside simpler predictors",
    )  # fmt: skip
    instead.add_argument(
        "--given", action="store_true",
        help="instead: what it is worth to a model that takes notes of a tune to know some of them ahead",
    )  # fmt: skip
    parser.add_argument(
        "--samples", metavar="K", type=integer(5, 1000),
        help="new pieces to look at (default: as many as the split has, at most 100)",
    )  # fmt: skip
    parser.add_argument("--seed", metavar="S", type=SEED, help="of the new pieces (default: 0)")
    parser.add_argument("--temperature", metavar="T", type=number(0), help="of the new pieces (default: 1)")
    parser.add_argument("--time-scale", action="store_true", help="--copying: passages at another speed are copies too")
    parser.add_argument("--transpose", action="store_true", help="--copying: bars in another key are near-copies too")
    add_json(parser, f"the keys {', '.join(KEYS)}, or all figures of the option given instead,")


def held_out(run: str, data: str | None, device: str = "cpu") -> tuple[Any, Card, dict[str, Any], Splits]:
    """A run's best model, its card and config.json, and its data, checked to be those it was trained on.

    Args:
        run: the folder, or its ``best.safetensors``.
        data: where the data are now, when they have moved.
        device: where the model is to compute.
    """
    from tinydl.training import checkpoint

    model, card = checkpoint.load_model(run, device)
    folder = Path(run)
    config = checkpoint.read_config(folder if folder.is_dir() else folder.parent)
    return model, card, config, data_of(run, card, data)


def figures(model: Any, card: Card, config: dict[str, Any], splits: Splits, split: str) -> dict[str, Any]:
    """What the command prints: ``KEYS``, in their order, and what the model measures itself by; where it has no exact
    likelihood, the names of the averages say what they are of, and where it scores nothing there are none."""
    from tinydl.training import evaluate, score_name

    found = {
        **evaluate(model, splits[split], split),
        "data": splits.source,
        "train_seconds": config.get("train_seconds"),
        "seed": card.seed,
    }
    keys = [f"{score_name(model)}{key.removeprefix('nll')}" if key.startswith("nll_") else key for key in KEYS]
    keys = [key for key in keys if key in found]  # a model without scores has no averages
    return {key: found[key] for key in (*keys, *(key for key in found if key not in keys))}


def _run(args: argparse.Namespace) -> int:
    for name in (*OF_SAMPLES, *OF_COPYING):
        value = getattr(args, name)
        given = value is not None and value is not False  # a seed of 0 is given
        if given and not (args.copying or (args.measures and name in OF_SAMPLES)):
            owner = "--measures or --copying" if name in OF_SAMPLES else "--copying"
            raise UsageError(f"--{name.replace('_', '-')} belongs to {owner}: add that, or leave it out")
    if args.measures or args.copying:
        return _compare(args)
    if args.voices:
        return _voices(args)
    if args.given:
        return _given(args)
    model, card, config, splits = held_out(args.run, args.data, args.device)
    found = figures(model, card, config, splits, args.split)
    if args.json:
        say_json(found)
    else:
        say_pairs((key, _shown(value)) for key, value in found.items())
        if splits.representation.name == "image":
            say("a frame is an image: nats per frame are nats per image")
    return 0


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


# -- voice by voice ----------------------------------------------------------------------------------------------------


def _voices(args: argparse.Namespace) -> int:
    from tinydl.data.representations import Chorale
    from tinydl.generation.steering import MELODY
    from tinydl.measures.voices import voice_report

    model, card, _, splits = held_out(args.run, args.data, args.device)
    if not isinstance(splits.representation, Chorale):
        raise UsageError(
            f"--voices is for models of four voices, and {card.model} reads {splits.representation.name}: leave it out"
        )
    if not splits[args.split]:
        raise UsageError(f"the {args.split} split is empty: there is nothing to evaluate on")
    rows = voice_report(model, splits.representation, splits.train, splits[args.split])
    if args.json:
        facts = {"model": card.model, "data": splits.source, "split": args.split, "seed": card.seed}
        say_json({**facts, "voices": rows})
        return 0
    shown = [(row["predictor"], row["voice"], *(_share(row[key]) for key in ("accuracy", "onsets"))) for row in rows]
    say_table(("predictor", "voice", "accuracy", "onsets"), shown)
    say()
    say("accuracy: the share of all steps in which the note is right; onsets: of those at which one begins")
    if any(row["predictor"] == "shuffled" for row in rows):
        say(f"shuffled: {card.model} told of another piece; the others learned from the same training pieces")
    elif MELODY in model.conditions:
        say("no shuffled row: the pieces of the split are alike, and there is no other one to tell of")
    else:
        say(f"no shuffled row: {card.model} is told nothing of a piece, it reads its own past")
    return 0


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _given(args: argparse.Namespace) -> int:
    from tinydl.measures.given import given_report

    model, card, _, splits = held_out(args.run, args.data, args.device)
    if not hasattr(model, "constrained"):
        raise UsageError(f"--given is for models that take notes of a tune, and {card.model} takes none: leave it out")
    if not splits[args.split]:
        raise UsageError(f"the {args.split} split is empty: there is nothing to evaluate on")
    rows = given_report(model, splits[args.split])
    if args.json:
        facts = {"model": card.model, "data": splits.source, "split": args.split, "seed": card.seed}
        say_json({**facts, "given": rows})
        return 0
    columns = ("told", "untold", "misled")
    say_table(
        ("share given", "free steps", *columns),
        [(f"{row['share']:.0%}", row["free"], *(_share(row[key]) for key in columns)) for row in rows],
    )
    say()
    say("nats per free step: told of the given ones ahead, not told, and told what another tune has in their places")
    if all(row["told"] == row["untold"] for row in rows):
        say(f"told and not told are the same: this {card.model} reads nothing of what is given ahead")
    elif any(row["misled"] is None for row in rows):
        say("no misled figures: the tune of the split is the same however it is turned")
    return 0


# -- new pieces beside real ones ---------------------------------------------------------------------------------------


def _compare(args: argparse.Namespace) -> int:
    from tinydl import measures

    if args.split == "train":
        raise UsageError("--split train leaves nothing to compare with: the real pieces must be valid or test ones")
    model, card, _, splits = held_out(args.run, args.data, args.device)
    if splits.representation.name == "image":
        raise UsageError(f"{splits.source} holds images, and --measures and --copying are of music: leave them out")
    options: dict[str, Any] = {name: default if getattr(args, name) is None else getattr(args, name)
               for name, default in OF_SAMPLES.items()}  # fmt: skip
    options["num"] = options.pop("samples")
    facts = {"model": card.model, "data": splits.source}
    if args.measures:
        report = measures.measure_report(model, splits, split=args.split, **options)
    else:
        options.update({name: getattr(args, name) for name in OF_COPYING})
        report = measures.copying_report(model, splits, split=args.split, **options)
    if args.json:
        say_json({**facts, **report})
    elif args.measures:
        _say_measures(report)
    else:
        _say_copying(report)
    return 0


def _say_measures(report: dict[str, Any]) -> None:
    rows = []
    for entry in report["measures"]:
        row = [entry["name"]]
        for group in ("samples", "real"):
            found = entry[group]
            row += [f"{found['distance']:.3f}", f"{found['low']:.3f} to {found['high']:.3f}"]
        row += [f"{entry[group]['distance']:.3f}" for group in ("markov", "noise")]
        rows.append((*row, entry["verdict"], entry["title"]))
    heads = ("measure", "samples", "95 in 100", "real", "95 in 100", "markov", "noise", "verdict", "of")
    say_table(heads, rows)
    say()
    pieces = report["pieces"]
    say(
        f"distances from the {pieces['corpus']} training pieces: 0 where two sets are of one kind, 1 where they have "
        f"nothing in common"
    )
    say(
        f"{pieces['samples']} samples; {pieces['real']} real pieces ({report['split']}); {pieces['markov']} pieces of "
        f"an order-3 Markov model; {pieces['noise']} of noise"
    )


def _say_copying(report: dict[str, Any]) -> None:
    rows = []
    for key in ("longest_copy", "longest_melody", "near_copy_share"):
        row: list[str] = [key]
        for group in ("samples", "real", "markov"):
            row += [_figure(report[group][key][name]) for name in ("median", "p95", "max")]
        rows.append((*row, _figure(report["usual"][key]), f"{report['beyond'][key]:.0%}"))
    heads = [f"{group} {name}" for group in ("samples", "real", "markov") for name in ("median", "p95", "max")]
    say_table(("figure", *heads, "usual", "beyond"), rows)
    say()
    say(f"longest_copy counts {report['unit']}, longest_melody notes; near_copy_share is of bars")
    say(
        f"usual: the p95 of {len(report['real']['detail'])} real pieces ({report['split']}), or what everybody may "
        f"share; beyond: the share of {len(report['samples']['detail'])} samples above that"
    )
    for group, what in (("samples", "sample"), ("real", f"{report['split']} piece")):
        details = report[group]["detail"]
        number = max(range(len(details)), key=lambda i: details[i]["longest_copy"])
        passage = details[number]["passage"]
        if passage:
            say(
                f"the longest copy of a {what}: {passage['events']} {report['unit']}, {what} {number + 1} from beat "
                f"{passage['at']:g}, as {passage['source']} from beat {passage['source_at']:g}"
            )
    figure = max(("longest_copy", "near_copy_share"), key=report["beyond"].__getitem__)
    many = report["beyond"][figure]
    because = f" (by {figure}: {many:.0%} of the samples go beyond what is usual)" if many else ""
    say(f"verdict  {report['verdict']}{because}")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


EVALUATE = Command(
    description=(
        "Measure a run's best weights on a split of its data, whole pieces with carried state.\n"
        "nll_per_frame: -ln p summed over all frames, the first included, over the number of frames (nats).\n"
        "nll_skip_first leaves out every piece's first frame; nll_per_sequence averages the pieces' own means.\n"
        "Where the likelihood is not exact, the names say what is averaged instead: nll_bound (no less than nll),\n"
        "nll_estimate, and of models without a density pseudo_nll (every note given all others) or cross_entropy\n"
        "(of what was silenced, given the rest).\n"
        "accuracy: of rolls TP / (TP + FP + FN) of the notes predicted with a probability above 1/2, of tokens and\n"
        "voices the share that was the most probable; not of what was given, and by deep-bach given all other notes.\n"
        "reconstruction, of models with a latent vector: the share of steps that come back when every phrase is\n"
        "encoded and decoded, by the most probable events; reconstruction_sampled: by ones drawn at temperature 1;\n"
        "reconstruction_forced: of each step, if all before it had come back. No accuracy: the code has seen it all.\n"
        "recovered, of denoising: the F1 of all cells when silenced notes are put back; unrecovered: when not.\n\n"
        "--measures compares new pieces with the training pieces, beside real pieces of the split, an order-3 Markov\n"
        "model and noise: real is no farther than real pieces are, better and worse are than the Markov model.\n"
        "--copying says what new pieces share with the training pieces, beside what real ones do: the longest passage\n"
        "of chords (in any key) and of the upper line, and the share of bars with a double. original: at most 10 % of\n"
        "the samples go beyond what is usual (95 % of the real pieces stay below it); doubtful: at most 25 %.\n"
        "--voices compares a model of four voices with its voices' most frequent note, with what most often follows,\n"
        "and with the training bars whose soprano is nearest. --given: nats per free step of a tune of which some\n"
        "steps are known ahead."
    ),
    examples=[
        "tinydl evaluate run",
        "tinydl evaluate run --split valid --json",
        "tinydl evaluate run --measures --samples 50",
        "tinydl evaluate run --copying --json",
    ],
    arguments=_arguments,
    run=_run,
)
