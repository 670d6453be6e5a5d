"""The published figures: the right number, under the right name, with the right tag, beside the right model of ours."""

from __future__ import annotations

import re

import pytest

from tinydl import registry
from tinydl.benchmarks import papers, published
from tinydl.training import evaluation

BL, DMM = "Boulanger-Lewandowski 2012", "Krishnan 2017"

# Typed anew from the tables, a figure of each row and every column: (paper, model, data, quoted by) -> (value, tag).
SPOTS = {
    (BL, "Random", "nottingham", ""): (61.00, "M"),
    (BL, "GMM", "piano-midi", ""): (15.84, "M"),
    (BL, "RBM", "jsb", ""): (7.43, "M"),
    (BL, "NADE", "musedata", ""): (10.06, "M"),
    (BL, "Note N-gram", "jsb", ""): (10.26, "M"),
    (BL, "GMM+HMM", "nottingham", ""): (6.17, "M"),
    (BL, "MLP", "jsb", ""): (8.70, "M"),
    (BL, "RNN", "piano-midi", ""): (8.37, "M"),
    (BL, "RNN (HF)", "musedata", ""): (7.19, "M"),
    (BL, "RTRBM", "nottingham", ""): (2.62, "M"),
    (BL, "RTRBM", "musedata", ""): (6.35, "M"),
    (BL, "RTRBM", "piano-midi", ""): (7.36, "M"),
    (BL, "RNN-RBM", "jsb", ""): (6.27, "M"),
    (BL, "RNN-RBM", "nottingham", ""): (2.39, "M"),
    (BL, "RNN-RBM", "musedata", ""): (6.01, "M"),
    (BL, "RNN-RBM", "piano-midi", ""): (7.09, "M"),
    (BL, "RNN-NADE", "jsb", ""): (5.83, "M"),
    (BL, "RNN-NADE (HF)", "jsb", ""): (5.56, "M"),
    (BL, "RNN-NADE (HF)", "nottingham", ""): (2.31, "M"),
    (BL, "RNN-NADE (HF)", "jsb", DMM): (5.19, "V"),
    (BL, "RNN-NADE (HF)", "piano-midi", DMM): (7.05, "V"),
    (BL, "RNN", "jsb", DMM): (8.71, "V"),
    (BL, "RNN-NADE (HF)", "jsb", "Huang 2017"): (5.56, "V"),
    (BL, "RNN-RBM", "jsb", "Huang 2017"): (6.27, "V"),
    (BL, "NADE", "jsb", "Huang 2017"): (7.19, "V"),
    ("Chung 2014", "tanh RNN", "jsb", ""): (9.10, "M"),
    ("Chung 2014", "GRU", "musedata", ""): (5.99, "M"),
    ("Chung 2014", "LSTM", "nottingham", ""): (3.20, "M"),
    ("Bai 2018", "LSTM", "jsb", ""): (8.45, "V"),
    ("Bai 2018", "GRU", "nottingham", ""): (3.46, "V"),
    ("Bai 2018", "RNN", "nottingham", ""): (4.05, "V"),
    ("Bai 2018", "TCN", "jsb", ""): (8.10, "V"),
    (DMM, "DMM", "piano-midi", ""): (7.835, "V"),
    (DMM, "DMM-Aug", "musedata", ""): (6.356, "V"),
    (DMM, "DMM-Aug-NADE", "jsb", ""): (5.118, "V"),
    ("Bayer 2014", "STORN", "nottingham", DMM): (2.85, "V"),
    ("Gan 2015", "TSBN", "musedata", DMM): (6.81, "V"),
    ("Gu 2015", "LV-RNN", "jsb", DMM): (3.99, "V"),
    ("Salakhutdinov 2008", "RBM (CD-25)", "binarized-mnist", ""): (86.34, "M"),
    ("Larochelle 2011", "NADE", "binarized-mnist", ""): (88.86, "M"),
    ("Larochelle 2011", "NADE", "binarized-mnist", "Germain 2015"): (88.33, "M"),
    ("Germain 2015", "MADE", "binarized-mnist", ""): (88.40, "M"),
    ("Burda 2016", "VAE", "binarized-mnist", ""): (86.76, "M"),
}
OF_IMAGES = {"Salakhutdinov 2008", "Larochelle 2011", "Germain 2015", "Burda 2016"}


def key(figure: published.Figure) -> tuple[str, str, str, str]:
    return figure.paper, figure.model, figure.data, figure.quoted_by


def test_figures_are_those_of_the_papers() -> None:
    found = {key(figure): (figure.value, figure.tag) for figure in published.FIGURES}
    assert len(found) == len(published.FIGURES), "a figure stands twice"
    assert {spot: found.get(spot) for spot in SPOTS} == SPOTS
    models = {(paper, model) for paper, model, _, _ in found}
    assert models == {(paper, model) for paper, model, _, _ in SPOTS}, "every row has a spot check"


def test_what_was_recalled_says_so() -> None:
    assert published.TAGS == {"V": "read", "M": "recalled, not verified"}
    recalled = {figure.paper for figure in published.FIGURES if figure.tag == "M"}
    assert recalled == {BL, "Chung 2014", *OF_IMAGES}
    assert {f.paper for f in published.on("binarized-mnist")} == OF_IMAGES
    assert all(figure.quoted_by for figure in published.FIGURES if figure.paper == BL and figure.tag == "V")


def test_every_paper_is_cited_in_full() -> None:
    text = published.__doc__ or ""
    cited = dict(re.findall(r"^([A-Z][\w-]+ \d{4})\n((?:    .*\n)+)", text, re.MULTILINE))
    assert set(cited) == set(published.PAPERS)
    for label, citation in cited.items():
        assert re.search(r"arXiv:\d{4}\.\d{4,5}\b|PMLR \d+:\d+|ICML \d{4}, \d+-\d+", citation), label
    used = {figure.paper for figure in published.FIGURES} | {f.quoted_by for f in published.FIGURES} - {""}
    assert used == set(published.PAPERS)


def test_each_paper_has_its_average() -> None:
    averages = {*re.findall(r"``(nll_\w+)``", evaluation.__doc__ or ""), None}
    assert {paper.average for paper in published.PAPERS.values()} <= averages
    assert published.PAPERS["Boulanger-Lewandowski 2012"].average == "nll_per_frame"
    for figure in published.FIGURES:
        assert figure.average == ("nll_skip_first" if figure.paper == "Bai 2018" else "nll_per_frame")


def test_boltzmann_machines_are_estimates_and_recurrent_nets_exact() -> None:
    kinds = {(f.paper, f.model): f.kind for f in published.FIGURES}
    assert [kinds[BL, name] for name in ("RBM", "RTRBM", "RNN-RBM", "RNN-NADE", "RNN")] == [
        *["estimate"] * 3,
        *["exact"] * 2,
    ]
    assert kinds[DMM, "DMM-Aug-NADE"] == "estimate" and kinds["Chung 2014", "GRU"] == "exact"


def test_like_stands_beside_like() -> None:
    def names(model: str, data: str) -> list[str]:
        return [f"{f.origin}: {f.model} {f.text}" for f in published.beside(model, data)]

    assert names("lstm-nade", "jsb") == [
        f"{BL}: RNN-NADE (HF) 5.56",
        f"{BL} as quoted in {DMM}: RNN-NADE (HF) 5.19",
        f"{BL}: RNN-NADE 5.83",
        f"{BL}: RNN-RBM 6.27",
        f"{BL}: RTRBM 6.35",
        f"{DMM}: DMM-Aug-NADE 5.118",
        f"Gu 2015 as quoted in {DMM}: LV-RNN 3.99",
    ]
    assert names("lstm", "jsb") == ["Bai 2018: LSTM 8.45", "Chung 2014: LSTM 8.67", "Bai 2018: TCN 8.10"]
    assert names("nade", "binarized-mnist") == [
        "Larochelle 2011: NADE 88.86",
        "Larochelle 2011 as quoted in Germain 2015: NADE 88.33",
        "Germain 2015: MADE 88.40",
    ]
    assert names("gru", "musedata") == ["Chung 2014: GRU 5.99"]
    assert names("tanh-rnn", "nottingham")[0] == "Bai 2018: RNN 4.05"
    assert names("no such model", "jsb") == [] == names("lstm", "demo")


@pytest.mark.parametrize("entry", papers.PLAN, ids=str)
def test_every_row_of_the_plan_has_something_beside_it(entry: papers.Entry) -> None:
    """A published figure; on data that have none, another model of ours with as many parameters and minutes."""
    if entry.data in published.DATA:
        assert published.beside(entry.model, entry.data)
        return
    others = [e for e in papers.PLAN if e.data == entry.data and e != entry]
    assert others and {e.minutes for e in others} == {entry.minutes}
    sizes = [sum(p.numel() for p in registry.build(e.model).parameters()) for e in (entry, *others)]
    assert max(sizes) < 1.05 * min(sizes)
