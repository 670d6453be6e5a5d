"""Trains the toy model in a process of its own, and kills it (SIGKILL) at the n-th file operation of the run.

python -m tests.training.kill_me RUN N [RESUME]
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from tests.training import toys
from tinydl.training import Silent, fit


def main(run: str, fatal: int, resume: bool) -> None:
    """Train; the ``fatal``-th call of one of these functions is this process's last, half of the times before it
    acts."""
    count = 0

    def deadly(function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == fatal and fatal % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*args, **kwargs)
            if count == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    for name in ("open", "fsync", "replace", "close"):
        setattr(os, name, deadly(getattr(os, name)))
    fit(toys.build(), toys.splits(), run, seed=3, resume=resume, checkpoint_every=2, progress=Silent())
    print(count)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), len(sys.argv) > 3)
