"""Operations: primitives (arrays in, arrays out, with their rules) and PyTorch's functions on top of them.

======================  =========================================================================
:mod:`casting`          dtype, identity, copy
:mod:`elementwise`      arithmetic, exponentials, circles, choice
:mod:`formulas`         elementwise functions with options or three operands: ``alpha=``, lerp, addcmul
:mod:`rounding`         floor, round, remainders, ``rounding_mode=``
:mod:`comparing`        comparisons, logic, bits
:mod:`special`          the error function, gamma and its kin, sinc, Bessel functions
:mod:`shaping`          reshape, permute, expand, join
:mod:`slicing`          parts: select, narrow, split, diagonals
:mod:`arranging`        flip, roll, repeat, triangles
:mod:`joining`          stacks by row and column, block diagonals
:mod:`padding`          pad, sliding windows, image columns, pixel shuffle
:mod:`indexing`         index arrays, gather, masks, embedding rows
:mod:`scattering`       scatter, scatter_reduce, index_add, index_put
:mod:`reducing`         sums, means, products, logical reductions, softmax
:mod:`variance`         variances and standard deviations, alone and beside the mean
:mod:`extrema`          maxima and minima, and where they stand
:mod:`scanning`         cumulative sums, products, extrema; differences
:mod:`sorting`          order, ranks, medians, quantiles
:mod:`counting`         unique values, histograms, places in a sorted sequence
:mod:`products`         matrix products, linear layers
:mod:`einsum`           Einstein's summation
:mod:`vector_norms`     norms of vectors
:mod:`norms`            norms of matrices, distances, covariance
:mod:`factors`          inverses, determinants, factorisations, with their rules
:mod:`linalg`           linear algebra under PyTorch's names
:mod:`spectral`         Fourier transforms of real signals
:mod:`axes`, :mod:`ufuncs`   ``dim`` and ``axis``; NumPy's functions on tensors
:mod:`rnn`, :mod:`losses`, :mod:`norm`, :mod:`sampling`   fused operations on the kernels
======================  =========================================================================
"""

from tinydl.ops import (
    arranging,
    casting,
    einsum,
    elementwise,
    indexing,
    joining,
    linalg,
    norms,
    padding,
    products,
    reducing,
    scattering,
    shaping,
    slicing,
    spectral,
)

__all__ = [
    "arranging", "casting", "einsum", "elementwise", "indexing", "joining", "linalg", "norms", "padding", "products",
    "reducing", "scattering", "shaping", "slicing", "spectral",
]  # fmt: skip
