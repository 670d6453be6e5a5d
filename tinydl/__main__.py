"""``python -m tinydl``: the same as the ``tinydl`` command."""

from __future__ import annotations

import sys

from tinydl.cli import main

if __name__ == "__main__":
    sys.exit(main())
