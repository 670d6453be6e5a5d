"""The same seed gives the same bits: in five processes, and on one thread as on two."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.meta.tree import ROOT

# Large enough that every kernel in it runs in parallel where it may.
PROGRAM = """
import hashlib, tinydl
from tinydl import nn
from tinydl.kernels.threads import max_threads
tinydl.manual_seed(1)
lstm, norm, head = nn.LSTM(88, 96, num_layers=2, dropout=0.1), nn.LayerNorm(96), nn.Linear(96, 88)
parameters = [p for module in (lstm, norm, head) for p in module.parameters()]
optimizer = tinydl.optim.Adam(parameters, lr=1e-3)
seen = hashlib.sha256()
for _ in range(3):
    x = (tinydl.rand(40, 32, 88) < 0.1).float()
    optimizer.zero_grad()
    loss = nn.functional.binary_cross_entropy_with_logits(head(norm(lstm(x)[0])), x)
    loss.backward()
    nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    seen.update(loss.array.tobytes())
for p in parameters:
    seen.update(p.array.tobytes())
print(max_threads(), seen.hexdigest())
"""


def digest(threads: int | None) -> tuple[int, str]:
    environment = dict(os.environ)
    for name in ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        environment.pop(name, None)
        if threads is not None:
            environment[name] = str(threads)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    count, digest = done.stdout.split()
    return int(count), digest


def test_five_processes_and_one_thread_or_two() -> None:
    counts, digests = zip(*(digest(threads) for threads in (None, None, None, None, None, 1, 2)))
    assert counts[-2] == 1
    assert len(set(digests)) == 1, digests
