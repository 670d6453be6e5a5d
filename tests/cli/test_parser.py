"""The command line as such: help, unknown words, typed values."""

from __future__ import annotations

import argparse

import pytest

from tests.cli.conftest import Run
from tinydl.cli import COMMANDS
from tinydl.cli.parser import choice, integer, nearest, number, path_ending, spread_overrides


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_the_overview_names_every_command(run: Run, words: list[str]) -> None:
    outcome = run(*words)
    assert (outcome.code, outcome.err) == (0, "")
    for name in COMMANDS:
        assert f"\n  {name} " in outcome.out


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_the_help_of_every_command_has_an_example_that_parses(run: Run, name: str, flag: str) -> None:
    outcome = run(*name.split(), flag)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"usage: tinydl {name}")
    assert f"examples:\n  tinydl {name}" in outcome.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_in_the_help_is_a_command_line_that_parses(name: str) -> None:
    import importlib
    import shlex

    from tinydl.cli.parser import Command, Parser

    module, _, attribute = COMMANDS[name][0].partition(":")
    command: Command = getattr(importlib.import_module(module), attribute)
    assert command.examples
    for example in command.examples:
        line = example.partition(" |")[0].partition("  #")[0]
        words = shlex.split(line)
        assert words[: 1 + len(name.split())] == ["tinydl", *name.split()]
        Parser(name, command).parse(spread_overrides(words[1 + len(name.split()) :]))


@pytest.mark.parametrize("group", ["data", "midi"])
def test_a_group_alone_lists_its_commands(run: Run, group: str) -> None:
    for words in ([group], [group, "-h"]):
        outcome = run(*words)
        assert outcome.code == 0
        assert all((f"\n  {name} " in outcome.out) == name.startswith(group) for name in COMMANDS)


def test_version(run: Run) -> None:
    from tinydl.version import __version__

    assert run("--version").out == f"tinydl {__version__}\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["trian"], "unknown command 'trian'; did you mean 'train'?"),
        (["data", "shwo"], "unknown command 'data shwo'; did you mean 'data show'?"),
        (["midi", "xyzzyxyzzy"], "unknown command 'midi xyzzyxyzzy'; tinydl --help lists the commands"),
        (["xyzzy"], "unknown command 'xyzzy'; tinydl --help lists the commands"),
        (["--jsno"], "tinydl has no option '--jsno' before a command; tinydl --help lists the commands"),
        (["info", "--jsn"], "tinydl info has no option '--jsn'; did you mean '--json'?"),
        (["info", "--js"], "tinydl info has no option '--js'; did you mean '--json'?"),
        (["info", "more"], "tinydl info takes no further argument 'more'; tinydl info -h shows its usage"),
        (["train"], "tinydl train needs MODEL, DATA; tinydl train -h shows its usage"),
        (
            ["train", "lstm", "demo"],
            "tinydl train needs --out, the folder for the run; tinydl train -h shows its usage",
        ),
        (["evaluate"], "tinydl evaluate needs RUN; tinydl evaluate -h shows its usage"),
        (["generate", "run"], "tinydl generate needs --out; tinydl generate -h shows its usage"),
        (["midi", "info"], "tinydl midi info needs FILE; tinydl midi info -h shows its usage"),
    ],
)
def test_a_wrong_word_is_named_with_what_to_do(run: Run, words: list[str], sentence: str) -> None:
    assert run(*words).error() == sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("train lstm demo --out r --steps 0", "--steps: must be a whole number of at least 1, not '0'"),
        ("train lstm demo --out r --epochs 1.5", "--epochs: must be a whole number of at least 1, not '1.5'"),
        ("train lstm demo --out r --minutes 0", "--minutes: must be a number above 0, not '0'"),
        ("train lstm demo --out r --minutes nan", "--minutes: must be a number above 0, not 'nan'"),
        ("train lstm demo --out r --minutes inf", "--minutes: must be a number above 0, not 'inf'"),
        ("train lstm demo --out r --seed -1", "--seed: must be a whole number from 0 to 9223372036854775807, not '-1'"),
        ("train lstm demo --out r --log-every x", "--log-every: must be a whole number of at least 1, not 'x'"),
        ("generate r --out a.mid --temperature 0", "--temperature: must be a number above 0, not '0'"),
        ("generate r --out a.mid --temperature -1", "--temperature: must be a number above 0, not '-1'"),
        ("generate r --out a.mid --num 0", "--num: must be a whole number from 1 to 1000, not '0'"),
        ("generate r --out a.mid --bars 0", "--bars: must be a whole number from 1 to 1000, not '0'"),
        ("generate r --out a.mid --top-k 0", "--top-k: must be a whole number of at least 1, not '0'"),
        ("generate r --out a.mid --top-p 1.5", "--top-p: must be a number above 0 and at most 1, not '1.5'"),
        ("generate r --out a.wav", "--out: must end in .mid or .midi or .png, not 'a.wav'"),
        ("evaluate r --split tset", "--split: 'tset' is unknown; did you mean 'test'?"),
    ],
)
def test_values_are_typed_and_in_range(run: Run, words: str, sentence: str) -> None:
    error = run(*words.split()).error()
    assert error == f"{sentence}; tinydl {words.split()[0]} -h shows its usage" or error == sentence


def test_an_option_without_its_value(run: Run) -> None:
    assert run("evaluate", "r", "--split").error().startswith("--split: expected one argument")


def test_types_accept_their_bounds() -> None:
    assert integer(1, 3)("1") == 1 and integer(1, 3)("3") == 3
    assert number(0, 1)("1") == 1.0 and number(0, open_low=False)("0") == 0.0
    assert choice(["a"])("a") == "a" and path_ending(".mid")("X.MID") == "X.MID"
    for convert, text in [
        (integer(1, 3), "4"),
        (number(0, 1), "1.01"),
        (choice(["a"]), "b"),
        (path_ending(".mid", ".midi"), "x.wav"),
    ]:
        with pytest.raises(argparse.ArgumentTypeError):
            convert(text)


def test_nearest_ignores_case_and_says_nothing_when_nothing_is_near() -> None:
    assert nearest("LSMT", ["lstm", "melody-lstm"]) == "; did you mean 'lstm'?"
    assert nearest("xyzzy", ["lstm", "melody-lstm"]) == ""
    assert nearest("anything", []) == ""


def test_overrides_may_stand_together_and_before_the_arguments() -> None:
    assert spread_overrides("-o a=1 b=2 --out r".split()) == "-o a=1 -o b=2 --out r".split()
    assert spread_overrides("-o a=1 lstm demo b=3".split()) == "-o a=1 lstm demo b=3".split()
    assert spread_overrides("lstm demo=1 --out r=2".split()) == "lstm demo=1 --out r=2".split()
