"""Connectionist temporal classification: the sum over all alignments, and its gradient."""
