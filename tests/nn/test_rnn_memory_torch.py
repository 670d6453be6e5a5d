"""The memory of an LSTM's training step beside PyTorch's, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="compares with PyTorch")

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 1.1

# A first step of two frames loads what a library loads when first used (compiled kernels here, oneDNN there): this is
# not the step's memory. Then the peak of the resident memory over what was resident before the data were made.
STEP = """
import importlib, os, sys
import numpy as np

name, T, B, I, H = sys.argv[1], 100, 32, 88, 256
library = importlib.import_module(name)
net = library.nn.LSTM(I, H)

def step(frames):
    x = library.from_numpy(np.ones((frames, B, I), np.float32))
    output, _ = net(x)
    (output * output).mean().backward()
    net.zero_grad()

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

step(2)
open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew
before = resident()
for _ in range(3):
    step(T)
peak = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads Linux's account of memory")
def test_a_training_step_needs_no_more_memory_than_pytorchs() -> None:
    peaks = {}
    for name in ("tinydl", "torch"):
        done = subprocess.run(
            [sys.executable, "-c", STEP, name], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        peaks[name] = int(done.stdout)
    assert peaks["tinydl"] <= LIMIT * peaks["torch"], peaks
