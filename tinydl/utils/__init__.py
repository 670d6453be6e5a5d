"""Utilities around training: :mod:`tinydl.utils.data`."""
