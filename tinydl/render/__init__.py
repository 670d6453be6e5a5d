"""Hearing and seeing a score: WAV files; piano-rolls in the terminal, as PNG and as SVG. And images, as PNG."""

from __future__ import annotations

from tinydl.render.heat import Heat
from tinydl.render.pianoroll import render_png, render_svg, terminal
from tinydl.render.png import render_images
from tinydl.render.wav import WavInfo, render_wav

__all__ = ["Heat", "WavInfo", "render_images", "render_png", "render_svg", "render_wav", "terminal"]
