"""What a launch can be refused for: each finding is an exception of one sentence, with its facts as attributes."""

from __future__ import annotations

from typing import Any


class SimtError(RuntimeError):
    """A kernel cannot be run, or was caught doing what it must not.

    The message names the kernel, the instruction with its line, the thread and its block, and the address or the array.
    ``facts`` holds the same for programs (whatever of kernel, instruction, source, block, thread, address, array is
    known); ``kind`` is a word for the class.
    """

    kind = "error"

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts


class SyntaxProblem(SimtError):
    """The text is no PTX that is known here: the line and its text are named."""

    kind = "syntax"


class UnknownInstruction(SimtError):
    """An instruction, or a form of one, that the simulator does not model."""

    kind = "unknown instruction"


class LaunchProblem(SimtError):
    """Grid, block, shared memory or arguments do not fit the kernel."""

    kind = "launch"


class OutOfBounds(SimtError):
    """An access outside of every array, or over the end of one; or a store to an array that may only be read."""

    kind = "out of bounds"


class Misaligned(SimtError):
    """An address that is no multiple of the access's width."""

    kind = "misaligned"


class Uninitialised(SimtError):
    """A read of memory that nobody has written."""

    kind = "uninitialised"


class Race(SimtError):
    """Two accesses of one place, not ordered by any barrier, of which one writes."""

    kind = "race"


class BarrierDivergence(SimtError):
    """A barrier that not all threads reach, or not by the same instruction."""

    kind = "barrier divergence"


class Deadlock(SimtError):
    """No thread can go on, or all that can only poll what nobody will change."""

    kind = "deadlock"


class WarpMask(SimtError):
    """A warp instruction whose mask names a thread that cannot come, or leaves out one that executes it."""

    kind = "warp mask"


class TooLong(SimtError):
    """The launch executed more instructions than its limit."""

    kind = "too long"
