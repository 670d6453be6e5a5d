"""The data that a run was trained on, found again by what its checkpoint says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinydl.errors import DataError

if TYPE_CHECKING:
    from tinydl.cli.parser import Parser
    from tinydl.data.splits import Splits
    from tinydl.training import Card


def add_data(parser: Parser) -> None:
    """``--data``, the same in every command that reads a run's data again."""
    parser.add_argument("--data", metavar="DATA", help="where the run's data are now, when they have moved")


def data_of(run: str, card: Card, moved: str | None = None, *, download: bool = True) -> Splits:
    """The splits of the run of ``card``, at ``moved`` where they are no longer at their old place.

    Raises:
        DataError: in one sentence: they cannot be read, or are not those that the run was trained on. With
            ``download=False`` also when they would have to be downloaded.
    """
    from tinydl.cli.data import load
    from tinydl.data import datasets

    source = moved or card.source
    if not download and source in {entry.name for entry in datasets.list_datasets()} and not datasets.local(source):
        raise DataError(f"the data of {run} are not on this machine: tinydl data get {source} brings them")
    try:
        splits = load(source, card.representation, seed=card.seed)
    except DataError as error:
        if moved:
            raise
        raise DataError(f"the data of {run} cannot be read: {error} (--data names their new place)") from None
    if splits.fingerprint != card.fingerprint:
        raise DataError(
            f"the data at {source!r} are not those that {run} was trained on, so its splits cannot be told apart; "
            f"put the files back as they were, or train anew"
        )
    return splits
