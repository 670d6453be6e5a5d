"""Rows of chains, of linear layers and tables, of dropout where it is not random."""

from __future__ import annotations

import numpy as np

from tests.differential.rows import draw, ints, module, row

module("Identity", 54, unused=True, inputs=[draw(3, 4)])
module("Flatten", inputs=[draw(2, 3, 4)])
module("Flatten", 0, 1, inputs=[draw(2, 3, 4)])
module("Flatten", 0, inputs=[draw()], note="0-d")
module("Unflatten", 1, (2, 3), inputs=[draw(4, 6, 2)])
module("Unflatten", -1, (3, -1), inputs=[draw(4, 6)])

module("Linear", 3, 4, inputs=[draw(2, 3)])
module("Linear", 3, 4, False, inputs=[draw(2, 5, 3)])
module("Linear", 3, 4, inputs=[draw(3)], note="a vector")
module("Linear", 3, 4, inputs=[draw(0, 3)], note="empty")
module("Bilinear", 3, 2, 4, inputs=[draw(5, 3), draw(5, 2)])
module("Bilinear", 3, 2, 4, False, inputs=[draw(2, 5, 3), draw(2, 5, 2)])

module("CosineSimilarity", inputs=[draw(4, 3), draw(4, 3)])
module("CosineSimilarity", 0, 1e-4, inputs=[draw(4, 3), draw(4, 1)])
module("PairwiseDistance", inputs=[draw(4, 3), draw(4, 3)])
module("PairwiseDistance", 1.0, keepdim=True, inputs=[draw(4, 3), draw(4, 3)])

# ------------------------------------------------------------------------------------------------------------- tables

_INDEX = np.array([[0, 2, 1], [2, 2, 4]])
module("Embedding", 5, 3, inputs=[_INDEX])
module("Embedding", 5, 3, padding_idx=2, inputs=[_INDEX])
module("Embedding", 5, 3, -1, inputs=[ints(0, 2)], note="empty")
module("Embedding", 5, 3, inputs=[np.array(3)], note="0-d")
module("Embedding", 5, 3, scale_grad_by_freq=True, inputs=[_INDEX])
module("Embedding", 5, 3, max_norm=1.0, inputs=[_INDEX], call=lambda m, x: (m(x), m.weight * 1))
module("Embedding", 5, 3, max_norm=0.7, norm_type=1.0, inputs=[_INDEX], call=lambda m, x: (m(x), m.weight * 1))
row("nn.functional.embedding", _INDEX, draw(5, 3))
row("nn.functional.embedding", _INDEX, draw(5, 3), padding_idx=2)
row("nn.functional.embedding", _INDEX, draw(5, 3), padding_idx=-1, note="counted from the end")
row("nn.functional.embedding", _INDEX, draw(5, 3), scale_grad_by_freq=True, padding_idx=4)
row("nn.functional.embedding", _INDEX.astype(np.int32), draw(5, 3), note="int32")

_FLAT, _OFFSETS = np.array([0, 2, 1, 2, 2, 4]), np.array([0, 2, 2, 5])
for mode in ("sum", "mean", "max"):
    # PyTorch has no second derivative of embedding_bag in any mode.
    for options in ({}, {"padding_idx": 2}, {"padding_idx": -1}):
        row(
            "nn.functional.embedding_bag", _INDEX, draw(5, 3), mode=mode, smooth=False, note=f"{mode} matrix", **options
        )
        row(
            "nn.functional.embedding_bag", _FLAT, draw(5, 3), _OFFSETS, mode=mode, smooth=False, note=f"{mode} offsets",
            **options,
        )  # fmt: skip
    row(
        "nn.functional.embedding_bag",
        ints(0),
        draw(5, 3),
        np.array([0, 0]),
        mode=mode,
        smooth=False,
        note=f"{mode} empty",
    )
    row(
        "nn.functional.embedding_bag", _FLAT, draw(5, 3), np.array([0, 2, 2, 6]), mode=mode, include_last_offset=True,
        smooth=False, note=f"{mode} last offset",
    )  # fmt: skip
    module("EmbeddingBag", 5, 3, mode=mode, inputs=[_FLAT, _OFFSETS], smooth=False)
    module("EmbeddingBag", 5, 3, mode=mode, padding_idx=2, inputs=[_INDEX], smooth=False)
for mode in ("sum", "mean"):
    # The frequent index comes last: PyTorch divides each row by the frequency of another one else.
    row(
        "nn.functional.embedding_bag", np.array([[0, 3, 1], [2, 3, 3]]), draw(5, 3), mode=mode, smooth=False,
        scale_grad_by_freq=True,
        note=f"{mode} by frequency",
    )  # fmt: skip
for options in ({}, {"padding_idx": 2}):
    row(
        "nn.functional.embedding_bag", _FLAT, draw(5, 3), _OFFSETS, draw(6), smooth=False, note="weighted",
        call=lambda t, i, w, o, s, **options: t.nn.functional.embedding_bag(
            i, w, o, mode="sum", per_sample_weights=s, **options
        ),
        **options,
    )  # fmt: skip
module("EmbeddingBag", 5, 3, mode="sum", inputs=[_FLAT, _OFFSETS, draw(6)], smooth=False)
module("EmbeddingBag", 5, 3, max_norm=1.0, inputs=[_INDEX], smooth=False, call=lambda m, x: (m(x), m.weight * 1))

# ------------------------------------------------------------------------- dropout: what is random stands elsewhere

for layer, shape in (
    ("Dropout", (3, 4)),
    ("Dropout1d", (2, 3, 4)),
    ("Dropout2d", (2, 3, 2, 2)),
    ("Dropout3d", (2, 3, 2, 2, 2)),
    ("AlphaDropout", (3, 4)),
    ("FeatureAlphaDropout", (2, 3, 4)),
):
    module(layer, inputs=[draw(*shape)], modes=("eval",))
    module(layer, 0.0, inputs=[draw(*shape)])
    module(layer, 1.0, inputs=[draw(*shape)])
    module(layer, p=0.25, inplace=True, inputs=[draw(*shape)], modes=("eval",), call=lambda m, x: m(x * 2))
