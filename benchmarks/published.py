"""What papers report on the four polyphonic sets, and on the binarised digits of MNIST: test negative log-likelihood,
natural logarithm, nats per frame (per image).

Every figure says where it comes from. Tag ``V``: it was *read* in the text of the paper, or of the paper that quotes
it. Tag ``M``: it is *recalled* from the paper, whose full text was not at hand, and not verified. The words for both
are :data:`TAGS`; nothing prints a figure without them, or without a mark that a legend explains.

All use the canonical split of Boulanger-Lewandowski et al. They average differently, and on one and the same model that
moves a figure by a few hundredths; :attr:`Paper.average` says which average of ours
(:mod:`tinydl.training.evaluation`) a paper's figures stand beside.

Boulanger-Lewandowski 2012
    N. Boulanger-Lewandowski, Y. Bengio, P. Vincent, "Modeling temporal dependencies in high-dimensional sequences:
    application to polyphonic music generation and transcription", ICML 2012, arXiv:1206.6392. Every frame counts, the
    first one too. The figures of RBM, RTRBM and RNN-RBM are estimates (annealed importance sampling).
Bayer 2014
    J. Bayer, C. Osendorfer, "Learning stochastic recurrent networks" (STORN), 2014, arXiv:1411.7610.
Chung 2014
    J. Chung, C. Gulcehre, K. Cho, Y. Bengio, "Empirical evaluation of gated recurrent neural networks on sequence
    modeling", 2014, arXiv:1412.3555. Models of about 20,000 parameters.
Gan 2015
    Z. Gan, C. Li, R. Henao, D. Carlson, L. Carin, "Deep temporal sigmoid belief networks for sequence modeling" (TSBN),
    NIPS 2015, arXiv:1509.07087.
Gu 2015
    S. Gu, Z. Ghahramani, R. E. Turner, "Neural adaptive sequential Monte Carlo" (LV-RNN), NIPS 2015, arXiv:1506.03338.
Krishnan 2017
    R. G. Krishnan, U. Shalit, D. Sontag, "Structured inference networks for nonlinear state space models" (DMM), AAAI
    2017, arXiv:1609.09869. Estimates by importance sampling (it also reports a bound, and the bound's mean over
    pieces). It quotes the RNN and the best RNN-NADE of 2012, the latter on JSB as 5.19, where the 2012 paper has 5.56.
Huang 2017
    C.-Z. A. Huang, T. Cooijmans, A. Roberts, A. Courville, D. Eck, "Counterpoint by convolution" (Coconet), ISMIR 2017,
    arXiv:1903.07227. It quotes three figures of 2012 on JSB, RNN-NADE as 5.56.
Bai 2018
    S. Bai, J. Z. Kolter, V. Koltun, "An empirical evaluation of generic convolutional and recurrent networks for
    sequence modeling" (TCN), 2018, arXiv:1803.01271. x[1:] is predicted from x[:-1]: the first frame does not count.
Salakhutdinov 2008
    R. Salakhutdinov, I. Murray, "On the quantitative analysis of deep belief networks", ICML 2008, 872-879. An RBM of
    500 hidden units, its ln Z by annealed importance sampling.
Larochelle 2011
    H. Larochelle, I. Murray, "The neural autoregressive distribution estimator", AISTATS 2011, PMLR 15:29-37. The fixed
    binarisation and its split are from here; the authors' own later figure of the same model is lower.
Germain 2015
    M. Germain, K. Gregor, I. Murray, H. Larochelle, "MADE: masked autoencoder for distribution estimation", ICML 2015,
    arXiv:1502.03509. It has the later figure of NADE, and models of the same kind with more layers.
Burda 2016
    Y. Burda, R. Grosse, R. Salakhutdinov, "Importance weighted autoencoders", ICLR 2016, arXiv:1509.00519. A VAE of two
    layers of 200 units and 50 latent numbers, its bound of 5000 draws; the digits were binarised anew all the time, so
    it had other data to learn from than the fixed ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

DATA = ("jsb", "nottingham", "musedata", "piano-midi", "binarized-mnist")
TAGS = {"V": "read", "M": "recalled, not verified"}


@dataclass(frozen=True)
class Paper:
    """What all figures of one paper have in common.

    Attributes:
        label: first author and year; the full citation stands under it in the docstring of this module.
        average: the average of ours that is computed as the paper's figures are; None where that is not known to us.
        note: what else a reader who compares must know.
    """

    label: str
    average: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """One published number.

    Attributes:
        paper: whose model it is; a key of :data:`PAPERS`.
        model: its name there.
        data: a name in :data:`DATA`.
        value: nats per frame; of images, which are frames, per image.
        tag: ``V`` (read) or ``M`` (recalled, not verified).
        kind: ``exact`` or ``estimate``; empty where it is not known.
        quoted_by: the paper that the figure was read in, when that is another one.
    """

    paper: str
    model: str
    data: str
    value: float
    tag: str
    kind: str = ""
    quoted_by: str = ""

    @property
    def average(self) -> str:
        """The average of ours to compare with; that of all frames where the paper's own is not known."""
        return PAPERS[self.paper].average or "nll_per_frame"

    @property
    def text(self) -> str:
        """The value with two decimals, or three where the paper has them."""
        return f"{self.value:.2f}" if round(self.value, 2) == self.value else f"{self.value:.3f}"

    @property
    def words(self) -> str:
        """``read`` or ``recalled, not verified``."""
        return TAGS[self.tag]

    @property
    def origin(self) -> str:
        """``Chung 2014``, or ``Boulanger-Lewandowski 2012 as quoted in Krishnan 2017``."""
        return self.paper + (f" as quoted in {self.quoted_by}" if self.quoted_by else "")


PAPERS = {
    paper.label: paper
    for paper in (
        Paper("Boulanger-Lewandowski 2012", average="nll_per_frame"),
        Paper("Bayer 2014"),
        Paper("Chung 2014", note="about 20,000 parameters"),
        Paper("Gan 2015"),
        Paper("Gu 2015"),
        Paper("Krishnan 2017", note="estimates by importance sampling"),
        Paper("Huang 2017"),
        Paper("Bai 2018", average="nll_skip_first", note="the first frame of a piece does not count"),
        Paper("Salakhutdinov 2008", average="nll_per_frame"),
        Paper("Larochelle 2011", average="nll_per_frame"),
        Paper("Germain 2015", average="nll_per_frame"),
        Paper("Burda 2016", average="nll_per_frame", note="digits binarised anew all the time, a bound of 5000 draws"),
    )
}

Rows = Mapping[str, tuple[float | None, float | None, float | None, float | None]]  # in the order of DATA, music only


def _figures(paper: str, tag: str, rows: Rows, kind: str = "", quoted_by: str = "") -> Iterator[Figure]:
    for model, values in rows.items():
        for data, value in zip(DATA, values):
            if value is not None:
                yield Figure(paper, model, data, value, tag, kind, quoted_by)


_BL, _DMM, _COCONET = "Boulanger-Lewandowski 2012", "Krishnan 2017", "Huang 2017"

# Columns: JSB, Nottingham, MuseData, Piano-midi.
_BL_EXACT: Rows = {
    "Random": (61.00, 61.00, 61.00, 61.00),
    "GMM": (11.90, 7.87, 12.20, 15.84),
    "NADE": (7.19, 5.48, 10.06, 10.28),
    "Note N-gram": (10.26, 4.54, 7.91, 7.50),
    "GMM+HMM": (11.89, 6.17, 11.17, 15.30),
    "MLP": (8.70, 4.38, 7.94, 8.13),
    "RNN": (8.71, 4.46, 8.13, 8.37),
    "RNN (HF)": (8.58, 3.89, 7.19, 7.66),
    "RNN-NADE": (5.83, 2.91, 6.74, 7.48),
    "RNN-NADE (HF)": (5.56, 2.31, 5.60, 7.05),
}
_BL_ESTIMATES: Rows = {
    "RBM": (7.43, 5.25, 9.56, 10.17),
    "RTRBM": (6.35, 2.62, 6.35, 7.36),
    "RNN-RBM": (6.27, 2.39, 6.01, 7.09),
}
_QUOTED_IN_DMM: Rows = {"RNN": (8.71, 4.46, 8.13, 8.37), "RNN-NADE (HF)": (5.19, 2.31, 5.60, 7.05)}
_QUOTED_IN_COCONET_EXACT: Rows = {"NADE": (7.19, None, None, None), "RNN-NADE (HF)": (5.56, None, None, None)}
_QUOTED_IN_COCONET_ESTIMATES: Rows = {"RNN-RBM": (6.27, None, None, None)}
_CHUNG: Rows = {
    "tanh RNN": (9.10, 3.13, 6.23, 9.03),
    "GRU": (8.54, 3.23, 5.99, 8.82),
    "LSTM": (8.67, 3.20, 6.23, 9.03),
}
_BAI: Rows = {
    "LSTM": (8.45, 3.29, None, None),
    "GRU": (8.43, 3.46, None, None),
    "RNN": (8.91, 4.05, None, None),
    "TCN": (8.10, 3.07, None, None),
}
_DMM_OWN: Rows = {
    "DMM": (6.388, 2.770, 6.831, 7.835),
    "DMM-Aug": (6.288, 2.679, 6.356, 7.591),
    "DMM-Aug-NADE": (5.118, 2.305, 6.049, 7.048),
}

FIGURES = (
    *_figures(_BL, "M", _BL_EXACT, "exact"),
    *_figures(_BL, "M", _BL_ESTIMATES, "estimate"),
    *_figures(_BL, "V", _QUOTED_IN_DMM, "exact", quoted_by=_DMM),
    *_figures(_BL, "V", _QUOTED_IN_COCONET_EXACT, "exact", quoted_by=_COCONET),
    *_figures(_BL, "V", _QUOTED_IN_COCONET_ESTIMATES, "estimate", quoted_by=_COCONET),
    *_figures("Chung 2014", "M", _CHUNG, "exact"),
    *_figures("Bai 2018", "V", _BAI, "exact"),
    *_figures(_DMM, "V", _DMM_OWN, "estimate"),
    *_figures("Bayer 2014", "V", {"STORN": (6.91, 2.85, 6.16, 7.13)}, quoted_by=_DMM),
    *_figures("Gan 2015", "V", {"TSBN": (7.48, 3.67, 6.81, 7.98)}, quoted_by=_DMM),
    *_figures("Gu 2015", "V", {"LV-RNN": (3.99, 2.72, 6.89, 7.61)}, "estimate", quoted_by=_DMM),
    Figure("Salakhutdinov 2008", "RBM (CD-25)", "binarized-mnist", 86.34, "M", "estimate"),
    Figure("Larochelle 2011", "NADE", "binarized-mnist", 88.86, "M", "exact"),
    Figure("Larochelle 2011", "NADE", "binarized-mnist", 88.33, "M", "exact", quoted_by="Germain 2015"),
    Figure("Germain 2015", "MADE", "binarized-mnist", 88.40, "M", "exact"),
    Figure("Burda 2016", "VAE", "binarized-mnist", 86.76, "M", "estimate"),
)

# Like against like: which published models stand beside each of ours, the nearest of its kind first. Independent notes
# given the past (Bernoulli) beside the same; a NADE's frame beside models whose notes know of each other; frames
# without a past beside such.
BESIDE: Mapping[str, tuple[tuple[str, str], ...]] = {
    "tanh-rnn": (("Bai 2018", "RNN"), ("Chung 2014", "tanh RNN"), (_BL, "RNN (HF)"), (_BL, "RNN")),
    "gru": (("Bai 2018", "GRU"), ("Chung 2014", "GRU"), ("Bai 2018", "TCN")),
    "lstm": (("Bai 2018", "LSTM"), ("Chung 2014", "LSTM"), ("Bai 2018", "TCN")),
    "lstm-nade": ((_BL, "RNN-NADE (HF)"), (_BL, "RNN-NADE"), (_BL, "RNN-RBM"), (_BL, "RTRBM"), (_DMM, "DMM-Aug-NADE"),
                  ("Gu 2015", "LV-RNN")),
    "hmm": ((_BL, "GMM+HMM"),),
    "nade": ((_BL, "NADE"), ("Larochelle 2011", "NADE"), ("Germain 2015", "MADE")),
    "rbm": ((_BL, "RBM"), ("Salakhutdinov 2008", "RBM (CD-25)")),
    "vae": (("Burda 2016", "VAE"),),
    "rnn-rbm": ((_BL, "RNN-RBM"), (_BL, "RTRBM")),
    "rtrbm": ((_BL, "RTRBM"),),
}


def on(data: str) -> list[Figure]:
    """Every figure published on a data set."""
    return [figure for figure in FIGURES if figure.data == data]


def beside(model: str, data: str) -> list[Figure]:
    """The figures to set beside a model of ours, the nearest of its kind first; none for a model without a counterpart.

    A quotation is a figure of its own where it differs from the original, and follows it.
    """
    found: list[Figure] = []
    for paper, name in BESIDE.get(model, ()):
        same = [figure for figure in on(data) if (figure.paper, figure.model) == (paper, name)]
        own = [figure for figure in same if not figure.quoted_by]
        found += own + [figure for figure in same if figure.quoted_by and figure.value not in {f.value for f in own}]
    return found
