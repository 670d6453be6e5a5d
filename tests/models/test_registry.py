"""Models by name; options typed, checked, and with the nearest name when unknown."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tinydl import registry
from tinydl.errors import ConfigError
from tinydl.training import ElementDensity, GenerativeModel


def test_all_shipped_models_are_listed_and_import_lazily():
    code = "import sys; from tinydl import registry; print(registry.models(), 'tinydl.models.rnn' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    names = ["anticipation-rnn", "chorale-lstm", "deep-bach", "denoising", "gan", "gru", "hmm", "lstm", "lstm-nade"]
    names += ["melody-lstm", "midinet", "mini-bach", "music-transformer", "music-vae"]
    names += ["nade", "rbm", "rnn-rbm", "rtrbm", "tanh-rnn", "vae", "vrae"]
    assert said.strip() == f"{names} False"


@pytest.mark.parametrize("name", sorted(registry._SHIPPED))
def test_models_offer_the_interface(name):
    model = registry.build(name, pitches=5) if "pitches" in vars(registry.configure(name)) else registry.build(name)
    assert isinstance(model, GenerativeModel)
    assert model.model_name == name
    assert model.density in ("exact", "bound", "estimate", "none")
    assert isinstance(model, ElementDensity) or model.density != "exact"


def test_nearest_names():
    with pytest.raises(ConfigError, match="no model is named 'lsmt'; did you mean 'lstm'"):
        registry.build("lsmt")
    with pytest.raises(ConfigError, match=f"no model is named 'zzz'; the models are {', '.join(registry.models())}"):
        registry.build("zzz")
    with pytest.raises(ConfigError, match="model 'lstm' has no option 'hiden'; did you mean 'hidden'"):
        registry.build("lstm", hiden=3)


def test_options_are_read_as_their_fields_type():
    config = registry.configure("lstm", hidden="32", lr="1e-2", step=0.5, weight_decay=1, schedule="cosine")
    assert (config.hidden, config.lr, config.step, config.schedule) == (32, 0.01, "0.5", "cosine")
    assert type(config.weight_decay) is float


@pytest.mark.parametrize(
    "option",
    [
        {"hidden": "many"},
        {"hidden": "2.5"},
        {"hidden": 2.5},
        {"hidden": True},
        {"lr": "fast"},
        {"lr": "nan"},
        {"lr": None},
    ],
)
def test_values_that_do_not_fit_are_named(option):
    ((name, value),) = option.items()
    with pytest.raises(
        ConfigError, match=f"option '{name}' of model 'lstm' must be a (whole )?number, but got {value!r}"
    ):
        registry.configure("lstm", **option)


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="'lstm' is registered already"):

        @registry.register_model("lstm")
        class Another:
            pass

    registry.model_class("lstm")
