"""The ladder: one product seven times, each rung one idea, in the order in which the ideas become worth something.

``loop``       three loops, as the equation is written
``order``      the inner loop runs along memory
``unrolled``   four steps of k for each visit of C
``blocked``    a part of B is used up while it is in the cache
``packed``     that part is copied, so that its rows follow one another
``tiled``      4 x 4 sums stay in registers
``ir``         the tile is written as vectors, and the cores share the work: what products run on
``blas``       NumPy's, in :mod:`tinydl.kernels.matmul.spec`

What each gains, and how that was measured: docs/matmul.md. ``python -m tinydl.benchmarks ladder`` measures it again.
"""

from __future__ import annotations

from tinydl.kernels.matmul import blocked, ir, loop, order, packed, tiled, unrolled

RUNGS = (loop, order, unrolled, blocked, packed, tiled, ir)
