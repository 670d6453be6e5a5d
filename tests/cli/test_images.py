"""Models of frames on images, by the command line; models of music refuse images, and commands of music such a run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run, quietly
from tests.pictures import BARS, HEIGHT, WIDTH, enter
from tests.render.test_pianoroll import decode_png
from tinydl import registry
from tinydl.data import load, midi
from tinydl.data.corpus import demo_scores
from tinydl.errors import ConfigError
from tinydl.generation import generate_images
from tinydl.training import load_model

OPTIONS = {
    "nade": ["units=8", "lr=0.02"],
    "vae": ["units=8", "latent=2", "samples=20", "lr=0.02"],
    "rbm": ["units=8", "gibbs=2", "chains=20", "temperatures=50", "draws=50", "lr=0.02"],
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter(monkeypatch, tmp_path_factory.mktemp("mirror"))
        yield


@pytest.fixture(scope="module", params=OPTIONS)
def trained(request: pytest.FixtureRequest, small: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / str(request.param)
    words = ["-o", *OPTIONS[request.param], "batch=50", "eval_every=75", "average=0.9"]
    code, said, err = quietly("train", request.param, BARS, "--out", out, "--steps", "150", *words)
    assert code == 0, err
    assert "train / valid / test: 200 / 20 / 20 images" in err and "nats/image" in said
    assert "generate" in said and "new.png" in said and "report" not in said
    return out


def independent() -> float:
    """Test nats per image of a model that knows how often each pixel is on, and nothing else."""
    splits = load(BARS, {"name": "image", "height": HEIGHT, "width": WIDTH})
    train, test = np.concatenate(splits.train), np.concatenate(splits.test)
    p = (train.sum(0) + 1) / (len(train) + 2)
    return float(-np.where(test, np.log(p), np.log1p(-p)).sum(1).mean())


def test_nats_per_image_are_below_those_of_independent_pixels(trained: Path, run: Run) -> None:
    found = run("evaluate", trained, "--json").json
    name = {"nade": "nll", "vae": "nll_bound", "rbm": "nll_estimate"}[trained.name]
    assert found["frames"] == 20 and found["data"] == BARS and found[f"{name}_skip_first"] is None
    # one of four rows, and twenty pixels of which one in twenty is wrong, are 5.36 nats; independent pixels some 11
    entropy = math.log(4) - 20 * (0.05 * math.log(0.05) + 0.95 * math.log(0.95))
    assert entropy - 1.5 < found[f"{name}_per_frame"] < independent() - 2
    assert "nats per frame are nats per image" in run("evaluate", trained).out


def test_images_are_written_side_by_side(trained: Path, run: Run, tmp_path: Path) -> None:
    facts = run("generate", trained, "--out", tmp_path / "a.png", "--num", "7", "--json")
    (entry,) = facts.json
    assert entry["file"] == str(tmp_path / "a.png") and list(entry)[2].endswith("_per_image")
    assert list(entry)[:2] == ["file", "images"] and entry["images"] == 7 and 1 < list(entry.values())[2] < 12
    pixels = decode_png((tmp_path / "a.png").read_bytes())
    assert pixels.shape == (2 + 3 * (3 * HEIGHT + 2), 2 + 3 * (3 * WIDTH + 2), 3)
    images, own = generate_images(trained, 7)
    assert images.shape == (7, HEIGHT, WIDTH) and own == {key: entry[key] for key in list(entry)[2:]}
    for i, image in enumerate(images):  # each at its place, from the top left
        y, x = 2 + i // 3 * (3 * HEIGHT + 2), 2 + i % 3 * (3 * WIDTH + 2)
        assert np.array_equal(pixels[y : y + 3 * HEIGHT : 3, x : x + 3 * WIDTH : 3, 0] == 255, image)
    assert np.array_equal(generate_images(trained, 3)[0], images[:3])  # each from a stream of its own
    assert not np.array_equal(generate_images(trained, 7, seed=1)[0], images)
    assert run("generate", trained, "--out", tmp_path / "a.png").error().endswith("another name, or add --force")


def test_samples_look_like_the_data(trained: Path) -> None:
    images, _ = generate_images(trained, 200)
    share = ((images.sum(2) >= WIDTH - 1).sum(1) == 1).mean()  # of images in which one row is on
    shuffled = np.random.default_rng(0).permuted(images.reshape(200, -1), axis=0).reshape(images.shape)
    alone = ((shuffled.sum(2) >= WIDTH - 1).sum(1) == 1).mean()  # the same pixels, each from an image of its own
    assert share > 0.6 and alone < share - 0.25, (share, alone)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["generate", "RUN", "--out", "x.mid"], "makes images: --out must end in .png, not 'x.mid'"),
        (["generate", "RUN", "--out", "x.png", "--bars", "4"], "--bars is for music"),
        (["generate", "RUN", "--out", "x.png", "--wav"], "--wav is for music"),
        (["generate", "RUN", "--out", "x.png", "--key", "C"], "--key is for music"),
        (["evaluate", "RUN", "--measures"], "--measures and --copying are of music"),
        (["evaluate", "RUN", "--copying"], "--measures and --copying are of music"),
        (["evaluate", "RUN", "--voices"], "reads image"),
        (["evaluate", "RUN", "--given"], "takes none"),
        (["report", "RUN", "--html", "x.html"], "a report is of music"),
        (["surprise", "RUN", "MID"], "surprise"),
        (["harmonise", "RUN", "MID", "--out", "x.mid"], "cannot harmonise"),
        (["infill", "RUN", "MID", "--bars", "2-3", "--out", "x.mid"], "cannot fill"),
        (["interpolate", "RUN", "MID", "MID", "--out", "x.mid"], "cannot"),
    ],
)
def test_commands_of_music_refuse_such_a_run(
    trained: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    midi.write(demo_scores("chorales", 1)[0], tmp_path / "real.mid")
    said = run(*[{"RUN": str(trained), "MID": "real.mid"}.get(word, word) for word in words]).error()
    assert sentence in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["real.mid"]


def test_models_of_music_name_those_that_read_images(small: None, run: Run, tmp_path: Path) -> None:
    for name in ("lstm-nade", "melody-lstm", "denoising", "deep-bach"):
        said = run("train", name, BARS, "--out", tmp_path / "run").error()
        assert said == f"the model {name!r} learns from music alone, and not from images: nade, rbm, vae do"
    with pytest.raises(ConfigError, match="option 'image' must be none: the model 'denoising' is for music alone"):
        registry.build("denoising", image="4x5")


def test_options_of_images(small: None, run: Run, tmp_path: Path) -> None:
    for options, sentence in (
        (["image=4by5"], "option 'image' must be a height and a width such as 28x28, but is '4by5'"),
        (["image=28x28"], "the images of 'bars' have 4x5 pixels, and the model's have 28x28"),
        (["pitches=7"], "option 'pitches' must be 20 for images of 4x5, but is 7"),
    ):
        assert run("train", "nade", BARS, "--out", tmp_path / "run", "-o", *options).error() == sentence
    said = run("train", "nade", "demo", "--out", tmp_path / "run", "-o", "image=4x5").error()
    assert said.startswith("'demo' is to be read as music, and a model of images")
    assert registry.configure("nade").pitches == 88  # music is as it was
    assert (registry.configure("nade").units, registry.configure("nade").batch) == (200, 12)
    again = registry.configure("nade", image="4x5", pitches="20")  # as a checkpoint says it
    assert again.pitches == 20 and registry.for_images("nade", 4, 5)["image"] == "4x5"


def test_a_run_goes_on_with_the_options_it_began_with(small: None, run: Run, tmp_path: Path) -> None:
    words = ["train", "nade", BARS, "--out", tmp_path / "run"]
    assert run(*words, "--steps", "2", "-o", "units=7", "batch=9").code == 0
    assert run(*words, "--steps", "4", "--resume").code == 0  # not with the 100 images a batch that are usual
    model, card = load_model(tmp_path / "run")
    assert (model.config.units, model.config.batch, model.config.average) == (7, 9, 0.9995)
    assert card.representation == {"name": "image", "height": 4, "width": 5, "labels": 0}
    assert json.loads((tmp_path / "run" / "config.json").read_text())["config"]["image"] == "4x5"


def test_data_of_images(small: None, run: Run) -> None:
    out = run("data", "show", BARS).out
    assert out.splitlines()[0].split("  ")[0] == "split" and "representation  name=image, height=4, width=5" in out
    facts = run("data", "show", BARS, "--json").json["splits"]["train"]
    assert facts["pieces"] == 200 and 5 < facts["on"] < 6.5
    listed = {entry["name"]: entry for entry in run("data", "list", "--json").json["datasets"]}
    assert len(listed["binarized-mnist"]["beside"]) == 2 and listed["mnist-t10k"]["labels"] == 10
    assert run("data", "show", BARS, "--representation", "roll").error().startswith("'bars' holds images")


def test_a_run_of_music_draws_no_png(run: Run, tmp_path: Path) -> None:
    code, _, err = quietly("train", "nade", "demo-chorales", "--out", tmp_path / "run", "--steps", "1", "-o", "units=3")
    assert code == 0, err
    said = run("generate", tmp_path / "run", "--out", tmp_path / "x.png").error()
    assert "makes music: --out must end in .mid" in said
    with pytest.raises(ConfigError, match="makes music, and no images"):
        generate_images(tmp_path / "run")
