"""Datasets of images: what is in the files, whose split it is, and what of music they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.pictures import BARS, HEIGHT, LABELLED, WIDTH, bars, enter
from tinydl.data import datasets, load
from tinydl.data.corpus import demo_scores
from tinydl.data.representations import Image, representation
from tinydl.errors import ConfigError, DataError

OF_BARS = {"name": "image", "height": HEIGHT, "width": WIDTH}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    enter(monkeypatch, tmp_path / "mirror")


@pytest.mark.skipif(not datasets.local("binarized-mnist"), reason="binarized-mnist is not at hand")
def test_the_facts_of_binarized_mnist() -> None:
    facts = datasets.show("binarized-mnist")
    assert tuple(facts["images"].values()) == (50_000, 10_000, 10_000)
    assert tuple(facts["mean_on"].values()) == pytest.approx((102.36082, 102.8036, 103.8896), abs=1e-9)
    data = datasets.images("binarized-mnist")
    assert all(rows.dtype == np.bool_ and rows.shape[1] == 784 for rows in data.values())
    # each pixel by itself: what a model must know more than
    p = (data["train"].sum(0) + 1) / (len(data["train"]) + 2)
    nats = -(np.where(data["test"], np.log(p), np.log1p(-p)).sum(1).mean())
    assert nats == pytest.approx(205.793, abs=0.001)
    picture = data["test"][0].reshape(28, 28)  # a digit stands upright: row by row, its margins are empty
    assert not picture[:3].any() and not picture[:, :3].any() and picture[10:18, 8:20].any()
    splits = load("binarized-mnist", "image")
    assert splits.train[7].shape == (1, 784) and np.array_equal(np.concatenate(splits.valid), data["valid"])
    with pytest.raises(DataError, match="the images of 'binarized-mnist' have no labels; those of mnist-t10k have"):
        datasets.labels("binarized-mnist")


@pytest.mark.skipif(not datasets.local("mnist-t10k"), reason="mnist-t10k is not at hand")
def test_the_facts_of_the_labelled_digits() -> None:
    images, labels = datasets.images("mnist-t10k"), datasets.labels("mnist-t10k")
    assert [len(rows) for rows in images.values()] == [len(row) for row in labels.values()] == [8000, 1000, 1000]
    counts = np.bincount(np.concatenate(list(labels.values())))
    assert counts.tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]  # as published
    # labels belong to their images: the nearest mean of a class is right far more often than one in ten
    means = np.stack([images["train"][labels["train"] == k].mean(0) for k in range(10)])
    nearest = ((images["test"][:, None] - means) ** 2).sum(-1).argmin(1)
    assert (nearest == labels["test"]).mean() > 0.75


def test_images_come_back_as_they_were_written(small: None) -> None:
    found = datasets.images(BARS)
    for k, (split, count) in enumerate({"train": 200, "valid": 20, "test": 20}.items()):
        assert np.array_equal(found[split], bars(count, k)[0])
    images, labels = datasets.images(LABELLED), datasets.labels(LABELLED)
    expected, rows = bars(200, 3)
    assert [len(part) for part in images.values()] == [160, 20, 20]
    pairs = {(image.tobytes(), int(label)) for image, label in zip(expected, rows)}
    for split in datasets.SPLITS:
        assert {(image.tobytes(), int(label)) for image, label in zip(images[split], labels[split])} <= pairs


def test_every_image_is_a_piece_with_its_label_where_one_is_asked_for(small: None) -> None:
    plain, told = load(LABELLED, OF_BARS), load(LABELLED, {**OF_BARS, "labels": HEIGHT}, seed=3)
    assert [len(told[part]) for part in told.names] == [160, 20, 20]
    assert plain.train[0].shape == (1, 20) and told.train[0].shape == (1, 24) and told.train[0].dtype == np.bool_
    label = datasets.labels(LABELLED)["test"]
    assert np.array_equal(np.concatenate(told.test)[:, 20:].argmax(1), label)
    assert all(piece[0, 20:].sum() == 1 for piece in told.train)
    assert plain.fingerprint != told.fingerprint == load(LABELLED, {**OF_BARS, "labels": HEIGHT}).fingerprint
    assert plain.names["valid"][0] == "bars-labelled/valid/00000"


def test_files_are_all_there_or_the_dataset_is_not(small: None, tmp_path: Path) -> None:
    assert datasets.local(BARS) == tmp_path / "mirror" / "bars_train.mat" == datasets.fetch(BARS)
    (tmp_path / "mirror" / "bars_test.mat").write_bytes(b"damaged")
    assert datasets.local(BARS) is None
    with pytest.raises(DataError, match="bars_test.mat of dataset 'bars' could not be downloaded"):
        datasets.fetch(BARS)


def test_the_representation_is_its_configuration_and_no_music() -> None:
    image = representation({"name": "image", "height": 4, "width": 5, "labels": 3})
    assert isinstance(image, Image) and image.pixels == 20 and str(image) == "4x5"
    assert json.loads(json.dumps(image.config())) == {"name": "image", "height": 4, "width": 5, "labels": 3}
    assert representation(image.config()) == image == Image.of_size("4x5", 3)
    with pytest.raises(DataError, match="reads images of 4x5 pixels, and no music"):
        image.encode(demo_scores(n=1)[0])
    for call in (lambda: image.decode(np.zeros((1, 23), bool)), lambda: image.steps(4)):
        with pytest.raises(DataError, match="makes images of 4x5 pixels, and no music"):
            call()
    pieces = [np.arange(23)[None] % 2 == k for k in (0, 1)]
    assert image.pictures(pieces).shape == (2, 4, 5) and image.pictures(pieces)[1, 0].tolist() == [0, 1, 0, 1, 0]
    for size in ("28", "x28", "28x", "28x28x3", "0x3", "-2x3"):
        with pytest.raises(ConfigError):
            Image.of_size(size)


def test_music_and_images_are_not_mixed_up(small: None) -> None:
    for call, sentence in (
        (lambda: load(BARS, "roll"), "'bars' holds images, and no music that could be written as roll"),
        (lambda: load("demo", "image"), "'demo' is to be read as music, and a model of images"),
        (lambda: load(BARS, "image"), "the images of 'bars' have 4x5 pixels, and the model's have 28x28"),
        (lambda: load(BARS, {**OF_BARS, "labels": 4}), "'bars' have no labels, and the model is told one of 4"),
        (lambda: load(LABELLED, {**OF_BARS, "labels": 9}), "have 4 labels, and the model is told one of 9"),
        (lambda: datasets.rolls(BARS), "the dataset 'bars' holds images, and no piano-rolls"),
        (lambda: datasets.voices(BARS), "'bars' holds images, and no voices; those with voices are jsb16"),
        (lambda: datasets.images("jsb"), "'jsb' holds piano-rolls, and no images; those with images are binarized-mn"),
    ):
        with pytest.raises(DataError, match=sentence):
            call()
    assert datasets.image_size(BARS) == (4, 5)
    assert datasets.image_size("jsb") is None and datasets.image_size("./no/name") is None
