"""Operations: primitives (arrays in, arrays out, with their rules) and PyTorch's functions on top of them.

======================  =========================================================================
:mod:`casting`          dtype, identity, copy
:mod:`elementwise`      arithmetic, exponentials, choice, comparison
:mod:`shaping`          reshape, permute, expand, join, split
:mod:`indexing`         slices, gather and scatter, embedding rows
:mod:`reducing`         sums, means, extrema, softmax, cumulative sums
:mod:`products`         matrix products, linear layers
:mod:`rnn`, :mod:`losses`, :mod:`norm`   fused operations on the kernels
======================  =========================================================================
"""

from tinydl.ops import casting, elementwise, indexing, products, reducing, shaping

__all__ = ["casting", "elementwise", "indexing", "products", "reducing", "shaping"]
