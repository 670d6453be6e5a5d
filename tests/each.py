"""Many small cases in one test. A case may take a millisecond; a test of its own takes nearly three more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


def each(cases: Iterable[tuple[str, T]], check: Callable[[T], None]) -> None:
    """``check`` every (label, case), and fail at the end with the label and the words of every case that failed."""
    failed: list[tuple[str, BaseException]] = []
    count = 0
    for label, case in cases:
        count += 1
        try:
            check(case)
        except (Exception, pytest.fail.Exception) as error:  # the latter is what ``pytest.raises`` raises
            failed.append((label, error))
    assert count, "there is no case"
    if failed:
        words = "\n\n".join(f"{label}: {type(error).__name__}: {error}" for label, error in failed)
        raise AssertionError(f"{len(failed)} of {count} cases\n{words}") from failed[0][1]


def grouped(cases: Iterable[T], name: Callable[[T], str]) -> Any:
    """``parametrize`` with one test for all cases of a name, as the argument ``cases``."""
    groups: defaultdict[str, list[T]] = defaultdict(list)
    for case in cases:
        groups[name(case)].append(case)
    return pytest.mark.parametrize("cases", list(groups.values()), ids=list(groups))
