"""How likely held-out pieces are under a model, by every averaging convention in use.

For pieces i with n_i predicted frames and L_it = -ln p(x_t | x_<t) in nats (whole pieces, carried state):

- ``nll_per_frame``     sum_it L_it / sum_i n_i, the first frame included (Boulanger-Lewandowski et al., ICML 2012);
- ``nll_skip_first``    the same without every piece's first frame (Bai, Kolter, Koltun 2018, arXiv:1803.01271, predict
  x[1:] from x[:-1]);
- ``nll_per_sequence``  mean over i of sum_t L_it / n_i (one of the three that Krishnan et al. 2017, arXiv:1609.09869,
  report).

They differ by a few hundredths of a nat on one and the same model, so a figure without its convention says little. Nor
does one that does not say what it is of: ``nll`` stands for an exact likelihood, and the names of other figures say so
(:func:`score_name`): ``nll_bound_per_frame``, ``nll_estimate_per_frame``, ``pseudo_nll_per_frame``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.errors import DataError
from tinydl.random import Generator
from tinydl.training.recipe import Criterion, Figures, GenerativeModel, LatentModel, collate

NLL = {"exact": "nll", "bound": "nll_bound", "estimate": "nll_estimate"}  # what -log_prob is, by a model's density
PHRASES_AT_ONCE = 512
FRAMES_AT_ONCE = 8192  # in a padded batch: enough to fill the matrix products, little enough for any memory


def score_name(model: Any) -> str | None:
    """What minus the ``log_prob`` of a model, or of its class, is called: ``nll``; ``nll_bound``, which is no less than
    that but for chance; ``nll_estimate``; of a model without a density what it says itself (its ``score_name``), and
    None where it has no ``log_prob`` at all."""
    name: str | None = NLL.get(model.density) or getattr(model, "score_name", None)
    return name


def log_likelihoods(model: GenerativeModel, pieces: Sequence[NDArray[Any]]) -> list[NDArray[np.float64]]:
    """Per piece, in the given order: ln p(x_t | x_<t) of every predicted frame, in nats, float64 [n_i]."""
    return [likelihood for likelihood, _ in _scored(model, pieces)]


def mean_nll(model: GenerativeModel, pieces: Sequence[NDArray[Any]]) -> float:
    """``nll_per_frame`` alone."""
    likelihoods = log_likelihoods(model, pieces)
    return -float(sum(x.sum() for x in likelihoods)) / sum(map(len, likelihoods))


def validation_loss(model: GenerativeModel, pieces: Sequence[NDArray[Any]]) -> float | None:
    """What weights are compared by: the model's own criterion where it has one, else ``nll_per_frame``; None where
    there is no likelihood either."""
    if not isinstance(model, Criterion):
        return mean_nll(model, pieces) if model.density != "none" else None
    with _evaluating(model):
        return model.criterion(pieces)


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Inside, the model is in the mode of evaluation."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def reconstruction(model: LatentModel, pieces: Sequence[NDArray[Any]], temperature: float = 0.0) -> float:
    """The share of steps that come back when every phrase is encoded and its code, the mean of q(z | x), decoded.

    The decoder reads nothing but the code and its own events. At temperature 0 these are the most probable ones, at 1
    they are drawn (always from the same random stream), as in Roberts et al. 2018, arXiv:1803.05428, table 2,
    "sampling". Where nothing happens in most steps, a model that writes nothing has a high share, too: compare.
    """
    phrases = [piece[i : i + model.phrase] for piece in pieces for i in range(0, len(piece), model.phrase)]
    rng, right = Generator(0).fork("reconstruction"), 0
    with _evaluating(model):
        for first in range(0, len(phrases), PHRASES_AT_ONCE):
            some = phrases[first : first + PHRASES_AT_ONCE]
            decoded = model.decode(model.encode(some), temperature, rng)
            right += sum(int((row[: len(phrase)] == phrase).sum()) for row, phrase in zip(decoded, some))
    return right / sum(map(len, phrases))


def evaluate(model: GenerativeModel, pieces: Sequence[NDArray[Any]], split: str = "test") -> dict[str, Any]:
    """Score pieces under a model.

    Returns a dictionary with ``model``, ``split``, ``kind`` (the model's ``density``), the three averages of this
    module in nats by the name of what they are (:func:`score_name`), ``accuracy``, ``frames`` (predicted ones) and
    ``params``; and what else the model measures itself by (:class:`tinydl.training.Figures`). Where a model scores
    nothing but has such figures, there are no averages.

    ``accuracy`` of piano-rolls is TP / (TP + FP + FN) over all notes of all frames, the frame-level accuracy of Bay,
    Ehmann and Downie (ISMIR 2009) that Boulanger-Lewandowski et al. report, of the *thresholded* prediction: a note is
    predicted where its probability is above 1/2 (by a NADE: given the notes of the frame that it predicted before). Of
    tokens, and of the entries of chorales that are not given, it is the share of those that were the most probable one.
    None where the model predicts nothing without having seen it.

    Raises:
        DataError: there are no pieces.
    """
    if not len(pieces):
        raise DataError(f"the {split} split is empty: there is nothing to evaluate on")
    found: dict[str, Any] = {"model": model.model_name, "split": split, "kind": model.density}
    if score_name(model) is None and isinstance(model, Figures):
        found.update(accuracy=None, frames=sum(map(len, pieces)))
    else:
        found.update(_averages(model, pieces))
    found["params"] = sum(p.numel() for p in model.parameters())  # type: ignore[attr-defined]
    if isinstance(model, Figures):
        with _evaluating(model):
            found.update(model.figures(pieces))
    return found


def _averages(model: GenerativeModel, pieces: Sequence[NDArray[Any]]) -> dict[str, Any]:
    """What the scores of all pieces come to, and how often the prediction is right."""
    scored, name = _scored(model, pieces), score_name(model)
    sums = np.array([likelihood.sum() for likelihood, _ in scored])
    firsts = np.array([likelihood[0] for likelihood, _ in scored])
    counts = np.array([len(likelihood) for likelihood, _ in scored])
    frames = int(counts.sum())
    hits, misses = (sum(outcome[k] for _, outcome in scored) for k in (0, 1))
    later = frames - len(counts)
    return {
        f"{name}_per_frame": -float(sums.sum()) / frames,
        f"{name}_skip_first": -float((sums - firsts).sum()) / later if later else None,
        f"{name}_per_sequence": -float((sums / counts).mean()),
        "accuracy": hits / (hits + misses) if hits + misses else None,
        "frames": frames,
    }


def _scored(
    model: GenerativeModel, pieces: Sequence[NDArray[Any]]
) -> list[tuple[NDArray[np.float64], tuple[int, int]]]:
    """Per piece, in order: its log-likelihoods, and (hits, misses) of the prediction."""
    results: dict[int, tuple[NDArray[np.float64], tuple[int, int]]] = {}
    with _evaluating(model):
        for members in _batches([len(piece) for piece in pieces]):
            batch = collate([pieces[i] for i in members])
            score = model.score(batch)
            given = np.zeros_like(batch.data, np.bool_) if score.given is None else score.given
            for row, i in enumerate(members):
                mask = score.mask[row]
                asked = ~given[row][mask]
                truth = batch.data[row][mask][asked]
                outcome = (0, 0) if score.prediction is None else _outcome(score.prediction[row][mask][asked], truth)
                results[i] = score.log_prob[row][mask].astype(np.float64), outcome
    return [results[i] for i in range(len(pieces))]


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Pieces of similar length together, at most ``FRAMES_AT_ONCE`` frames after padding (or one piece)."""
    batches: list[list[int]] = []
    for i in np.argsort(lengths, kind="stable").tolist():  # the newest piece is the longest of its batch
        if batches and (len(batches[-1]) + 1) * lengths[i] <= FRAMES_AT_ONCE:
            batches[-1].append(i)
        else:
            batches.append([i])
    return batches


def _outcome(prediction: NDArray[Any], truth: NDArray[Any]) -> tuple[int, int]:
    if truth.dtype == np.bool_:
        return int((prediction & truth).sum()), int((prediction ^ truth).sum())  # TP, FP + FN
    right = int((prediction == truth).sum())
    return right, truth.size - right
