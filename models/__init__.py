"""Generative models of music: one system per file, its paper on top. They join :mod:`tinydl.registry` by name."""
