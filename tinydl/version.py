"""The version, written once: packaging and ``tinydl.__version__`` both read it here."""

__version__ = "0.1.0"
cuda = None  # the version of CUDA that this was built with, as in PyTorch
