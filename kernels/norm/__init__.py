"""Normalisation: of rows (layer), of channels over a batch, of groups of channels."""
