"""Cases that share a test: one that fails stops no other, and is named."""

from __future__ import annotations

import pytest

from tests.each import each


def test_every_case_that_fails_is_named() -> None:
    seen: list[int] = []

    def check(number: int) -> None:
        seen.append(number)
        if number == 3:
            with pytest.raises(ValueError, match="never"):
                pass
        assert number != 1, "one"

    with pytest.raises(AssertionError, match=r"(?s)2 of 4 cases\nfirst: Assert.*one.*\nthird: Failed: ") as caught:
        each([("first", 1), ("second", 2), ("third", 3), ("fourth", 4)], check)
    assert seen == [1, 2, 3, 4] and isinstance(caught.value.__cause__, AssertionError)


def test_no_case_is_no_success() -> None:
    with pytest.raises(AssertionError, match="there is no case"):
        each([], lambda case: None)
