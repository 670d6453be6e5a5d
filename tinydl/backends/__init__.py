"""Switches of libraries that PyTorch calls and tinydl does not: a script may set them, and nothing changes."""

from tinydl.backends import cuda, cudnn, mps
from tinydl.errors import say_absent

say_absent(__name__)

__all__ = ["cuda", "cudnn", "mps"]
