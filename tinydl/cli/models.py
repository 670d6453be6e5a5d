"""``tinydl models``: every model, what it reads, and what it can say and be told."""

from __future__ import annotations

import argparse

from tinydl.cli._output import say, say_json, say_table
from tinydl.cli.parser import Command, Parser, add_json


def _arguments(parser: Parser) -> None:
    add_json(parser, "the models")


def _run(args: argparse.Namespace) -> int:
    from tinydl import registry

    found = [
        {
            "name": name,
            "paper": model.paper,
            "density": model.density,
            "conditions": list(model.conditions),
            "data": model.data,
        }
        for name, model in ((name, registry.model_class(name)) for name in registry.models())
    ]
    if args.json:
        say_json({"models": found})
        return 0
    say_table(
        ("name", "data", "likelihood", "takes", "paper"),
        [(m["name"], m["data"], m["density"], ", ".join(m["conditions"]), m["paper"]) for m in found],
    )
    say()
    say("likelihood: exact, a bound of it, an estimate, or none. takes: what it can be told, by `tinydl generate`;")
    say("melody: by `tinydl harmonise`; notes: by `tinydl infill`, too; interpolate: by `tinydl interpolate`.")
    return 0


MODELS = Command(
    description="List every model: what it learns from, how sure its likelihood is, what it can be told, its paper.",
    examples=["tinydl models", "tinydl models --json"],
    arguments=_arguments,
    run=_run,
)
