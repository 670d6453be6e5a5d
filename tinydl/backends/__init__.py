"""Switches of libraries that PyTorch calls and tinydl does not: a script may set them, and nothing changes."""

from tinydl.backends import cuda, cudnn, mps

__all__ = ["cuda", "cudnn", "mps"]
