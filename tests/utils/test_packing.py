"""States survive the way through JSON, exactly."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinydl
from tinydl.errors import CheckpointError
from tinydl.utils.packing import pack, unpack


def through_json(state):
    arrays = {}
    packed = json.loads(json.dumps(pack(state, "state", arrays), allow_nan=False))
    return unpack(packed, arrays), arrays


scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5)
states = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(["$array", "$tuple", "$pairs"]), inner, max_size=3)
        | st.dictionaries(st.integers() | st.tuples(st.integers(), st.text(max_size=2)), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(states)
def test_round_trip(state):
    back, _ = through_json(state)
    assert back == state
    assert repr(back) == repr(state)  # types, order of keys and signs of zero too


def test_arrays_tensors_and_numpy_scalars():
    state = {
        "state": {0: {"step": tinydl.tensor(3.0), "exp_avg": np.arange(3.0)}},
        "n": np.float32(0.1),
        "nan": math.nan,
    }
    back, arrays = through_json(state)
    assert set(arrays) == {"state/state/0/step", "state/state/0/exp_avg"}
    np.testing.assert_array_equal(back["state"][0]["exp_avg"], np.arange(3.0))
    assert back["state"][0]["step"].shape == ()
    assert back["n"] == float(np.float32(0.1))
    assert math.isnan(back["nan"])


def test_what_cannot_be_read_back_is_refused():
    with pytest.raises(TypeError, match="state/x/1"):
        pack({"x": [1, object()]}, "state", {})


def test_a_missing_array_is_named():
    with pytest.raises(CheckpointError, match="'w'"):
        unpack({"a": {"$array": "w"}}, {})
