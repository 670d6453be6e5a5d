"""The version, written once: packaging and ``tinydl.__version__`` both read it here."""

__version__ = "0.1.0"
