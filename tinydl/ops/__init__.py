"""Operations: primitives (arrays in, arrays out, with their rules) and PyTorch's functions on top of them.

======================  =========================================================================
:mod:`casting`          dtype, identity, copy
:mod:`elementwise`      arithmetic, exponentials, circles, choice
:mod:`formulas`         elementwise functions with options or three operands: ``alpha=``, lerp, addcmul
:mod:`rounding`         floor, round, remainders, ``rounding_mode=``
:mod:`comparing`        comparisons, logic, bits
:mod:`special`          the error function, gamma and its kin, sinc, Bessel functions
:mod:`shaping`          reshape, permute, expand, join, split
:mod:`indexing`         slices, gather and scatter, embedding rows
:mod:`reducing`         sums, means, variances, norms, products, softmax
:mod:`extrema`          maxima and minima, and where they stand
:mod:`scanning`         cumulative sums, products, extrema; differences
:mod:`sorting`          order, ranks, medians, quantiles
:mod:`counting`         unique values, histograms, places in a sorted sequence
:mod:`products`         matrix products, linear layers
:mod:`axes`, :mod:`ufuncs`   ``dim`` and ``axis``; NumPy's functions on tensors
:mod:`rnn`, :mod:`losses`, :mod:`norm`   fused operations on the kernels
======================  =========================================================================
"""

from tinydl.ops import casting, elementwise, indexing, products, reducing, shaping

__all__ = ["casting", "elementwise", "indexing", "products", "reducing", "shaping"]
