"""Recurrent layers: ``RNN``, ``LSTM`` and ``GRU``, stacked and bidirectional, over whole sequences.

Each layer and direction is one operation of :mod:`tinydl.ops.rnn`, where the equations stand. What they have that
PyTorch's lack: ``lengths=``, sequences of different length in one padded batch, without packing; and the options
``peephole``, ``forget_bias``, ``recurrent_dropout`` and ``zoneout``. A layer whose option is at work (and one with a
projection) runs the definition of its operation, step by step, instead of the kernel.
"""

from __future__ import annotations

import math
import warnings
from typing import Any, ClassVar

import numpy as np

from tinydl.devices import on_host
from tinydl.nn import functional as F
from tinydl.nn import init
from tinydl.nn.module import Module, new_parameter
from tinydl.nn.parameter import Parameter
from tinydl.nn.utils.rnn import PackedSequence, places
from tinydl.ops import rnn as _ops
from tinydl.ops.indexing import take_slice
from tinydl.ops.packing import pack_steps, pad_steps
from tinydl.ops.shaping import cat, stack, transpose, unsqueeze
from tinydl.random import default_generator
from tinydl.tensor import Tensor


class RNNBase(Module):
    """What the three share: parameters, shapes, stacking.

    ``L`` layers, ``D`` directions (2 when ``bidirectional``), ``H`` hidden units, ``I`` inputs, ``R`` outputs (H, or
    an LSTM's ``proj_size``); layer k > 0 has D R inputs. Parameters of layer k, PyTorch's names and shapes, with G = 1
    (RNN), 4 (LSTM) or 3 (GRU) gates::

        weight_ih_l{k} [G H, I]    weight_hh_l{k} [G H, R]    bias_ih_l{k} [G H]    bias_hh_l{k} [G H]

    and the same with ``_reverse`` for the second direction; all drawn from U(-1/sqrt(H), 1/sqrt(H)).

    Options of all three, beyond PyTorch's:

    - ``recurrent_dropout`` p: in training, h_{t-1} meets W_hh times a mask that is drawn once for each sequence and
      stays the same at all steps (the variational dropout of Gal and Ghahramani, arXiv:1512.05287); ``dropout`` between
      layers then also drops the same units at all steps, as there;
    - ``zoneout`` z: in training each unit of the state keeps its old value at each step with probability z, in
      evaluation the new state is the expectation z old + (1 - z) new (Krueger et al., arXiv:1606.01305); for an LSTM
      also a pair, z of h and z of c.
    """

    _gates: ClassVar[int]
    _states: ClassVar[int] = 1  # tensors in the state: h, or h and c

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: str | None = None,
        dtype: Any = None,
        *,
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
        peephole: bool = False,
    ) -> None:
        super().__init__()
        for what, flag in (("bias", bias), ("batch_first", batch_first)):
            if type(flag) is not bool:
                raise TypeError(f"{what} should be of type bool, got: {type(flag).__name__}")
        for what, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{what} should be of type int, got: {type(value).__name__}")
            if value <= 0:
                raise ValueError(f"{what} must be greater than zero, got {value}")
        if proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if proj_size >= hidden_size:
            raise ValueError(
                f"proj_size has to be smaller than hidden_size, got proj_size={proj_size} and hidden_size={hidden_size}"
            )
        held = zoneout if isinstance(zoneout, tuple) else (zoneout,) * self._states
        if len(held) != self._states:
            raise ValueError(f"zoneout should be one number, or one for each of {self._states} states, got {zoneout}")
        for what, p in (
            ("dropout", dropout),
            ("recurrent_dropout", recurrent_dropout),
            *(("zoneout", z) for z in held),
        ):
            if isinstance(p, bool) or not isinstance(p, (int, float)) or not 0 <= p <= 1:
                meaning = "keeping its old value" if what == "zoneout" else "being zeroed"
                raise ValueError(
                    f"{what} should be a number in range [0, 1] representing the probability of an element {meaning}, "
                    f"but got {p}"
                )
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=3,
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.proj_size = proj_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.peephole = peephole
        self.recurrent_dropout = float(recurrent_dropout)
        self.zoneout = zoneout
        self._held = tuple(float(z) for z in held)
        self._suffixes = [
            f"_l{layer}{direction}"
            for layer in range(num_layers)
            for direction in (("", "_reverse") if bidirectional else ("",))
        ]
        self._parts: list[str] = ["weight_ih", "weight_hh"]
        directions, rows, outputs = 2 if bidirectional else 1, self._gates * hidden_size, proj_size or hidden_size
        for number, suffix in enumerate(self._suffixes):
            columns = input_size if number < directions else directions * outputs
            shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, columns), "weight_hh": (rows, outputs)}
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
            shapes |= {"weight_hr": (proj_size, hidden_size)} if proj_size else {}
            shapes |= dict.fromkeys(("weight_ci", "weight_cf", "weight_co"), (hidden_size,)) if peephole else {}
            for part, shape in shapes.items():
                self.register_parameter(part + suffix, new_parameter(shape, device, dtype))
            self._parts = list(shapes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing: there is no layout to restore. Here for PyTorch's sake."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [[self.__dict__[part + suffix] for part in self._parts] for suffix in self._suffixes]

    # ------------------------------------------------------------------------------------------- one layer

    def _op(self) -> Any:
        """The fused operation of one layer and direction: (output, *last state)."""
        raise NotImplementedError

    def _options(self, suffix: str, state: tuple[Tensor, ...], steps: int) -> dict[str, Any]:
        """What only the definition of the operation knows how to do, where it is wanted."""
        options: dict[str, Any] = {}
        if self.training and self.recurrent_dropout:
            options["mask"] = F.dropout(Tensor._wrap(np.ones_like(state[0].array)), self.recurrent_dropout)
        if any(self._held):
            options["held"] = tuple(
                (self._stays(z, steps, h) if self.training else z) if z else None for z, h in zip(self._held, state)
            )
        return options

    @staticmethod
    def _stays(z: float, steps: int, state: Tensor) -> np.ndarray[Any, Any]:
        """Which units keep their old value at which step."""
        return default_generator.random((steps, *state.shape), np.float32) < z

    def _layer(
        self, suffix: str, input: Tensor, state: tuple[Tensor, ...], lengths: Any, reverse: bool
    ) -> tuple[Tensor, ...]:
        """Output [T, B, R] and last state of one layer and direction."""
        fields, op = self.__dict__, self._op()
        weights = [fields["weight_ih" + suffix], fields["weight_hh" + suffix]]
        weights += [fields[part + suffix] if self.bias else None for part in ("bias_ih", "bias_hh")]
        options = self._options(suffix, state, input.shape[0])
        function = op.op.composite if options else op
        return function(input, *state, *weights, lengths=lengths, reverse=reverse, **options)  # type: ignore[no-any-return]

    def _drop(self, input: Tensor) -> Tensor:
        """Dropout of what one layer hands to the next, [T, B, D R]."""
        if not (self.dropout and self.training):
            return input
        if not self.recurrent_dropout:
            return F.dropout(input, self.dropout)
        return input * F.dropout(Tensor._wrap(np.ones_like(input.array, shape=(1, *input.shape[1:]))), self.dropout)  # type: ignore[no-any-return]

    # ------------------------------------------------------------------------------------------- all layers

    def _run(self, input: Any, states: tuple[Tensor, ...] | None, lengths: Any) -> tuple[Any, tuple[Tensor, ...]]:
        """All layers: the output of the last, in the input's layout, and the last states [L D, (B,) R or H]."""
        if isinstance(input, PackedSequence):
            return self._run_packed(input, states, lengths)
        if input.ndim not in (2, 3):
            raise ValueError(
                f"{type(self).__name__}: Expected input to be 2D or 3D, got {input.ndim}D"
                f"{' tensor' if self._gates == 1 else ''} instead: its shape is {tuple(input.shape)}"
            )
        batched = input.ndim == 3
        if states is not None:
            states = self._batched_states(states, batched)
        self._check_input(input)
        if not batched:
            input = unsqueeze(input, 1)
        elif self.batch_first:
            input = transpose(input, 0, 1)
        output, finals = self._stack(input, states, _checked_lengths(lengths, input, batched))
        if not batched:
            return take_slice(output, index=(slice(None), 0)), tuple(
                take_slice(state, index=(slice(None), 0)) for state in finals
            )
        return (transpose(output, 0, 1) if self.batch_first else output), finals

    def _run_packed(
        self, input: PackedSequence, states: tuple[Tensor, ...] | None, lengths: Any
    ) -> tuple[PackedSequence, tuple[Tensor, ...]]:
        """Pad, run, pack. The batch stands in the caller's order meanwhile, and so do the states."""
        data = input.data
        if lengths is not None:
            raise ValueError("a PackedSequence knows its lengths: give either one or lengths=, not both")
        if data.ndim != 2:
            raise RuntimeError(f"input must have 2 dimensions, got {data.ndim}: the data has shape {tuple(data.shape)}")
        self._check_input(data)
        *at, found = places(input)
        steps, batch = len(input.batch_sizes), len(found)
        padded = pad_steps(data, at=tuple(at), sizes=(steps, batch), value=0)
        output, finals = self._stack(padded, states, None if (found == steps).all() else found)
        return PackedSequence(pack_steps(output, at=tuple(at)), *input[1:]), finals

    def _stack(
        self, input: Tensor, states: tuple[Tensor, ...] | None, lengths: Any
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """[T, B, I] -> [T, B, D R] and the last states [L D, B, R or H]."""
        steps, batch = input.shape[:2]
        if steps == 0:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        sizes = (self.proj_size or self.hidden_size, self.hidden_size)[: self._states]
        if states is None:
            zeros = {size: Tensor._wrap(np.zeros_like(input.array, shape=(batch, size))) for size in sizes}
            per_cell = [tuple(zeros[size] for size in sizes)] * len(self._suffixes)
        else:
            for number, (state, size) in enumerate(zip(states, sizes)):
                self._check_state(state, number, (len(self._suffixes), batch, size), input.dtype)
            per_cell = [
                tuple(take_slice(state, index=(cell,)) for state in states) for cell in range(len(self._suffixes))
            ]
        directions = 2 if self.bidirectional else 1
        last: list[tuple[Tensor, ...]] = []
        for layer in range(self.num_layers):
            outputs: list[Tensor] = []
            for direction in range(directions):
                cell = layer * directions + direction
                output, *final = self._layer(self._suffixes[cell], input, per_cell[cell], lengths, direction == 1)
                outputs.append(output)
                last.append(tuple(final))
            input = outputs[0] if directions == 1 else cat(outputs, 2)
            if layer < self.num_layers - 1:
                input = self._drop(input)
        if len(last) == 1:
            return input, tuple(unsqueeze(state, 0) for state in last[0])
        return input, tuple(stack(states) for states in zip(*last, strict=True))

    # ------------------------------------------------------------------------------------------- checks

    def _check_input(self, input: Tensor) -> None:
        weight = self.__dict__["weight_hh_l0"]
        if input.array.dtype != weight.array.dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). Convert input: "
                f"input.to({weight.dtype}), or convert model: model.to({input.dtype})"
            )
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}: the "
                f"input has shape {tuple(input.shape)}"
            )

    def _batched_states(self, states: tuple[Tensor, ...], batched: bool) -> tuple[Tensor, ...]:
        """The states with a batch dimension, after a look at how many dimensions they have."""
        wanted = 3 if batched else 2
        if any(state.ndim != wanted for state in states):
            found = ", ".join(f"{state.ndim}-D" for state in states)
            what, found = ("hx", f"{found} tensor") if self._states == 1 else ("hx and cx", f"({found}) tensors")
            kind = "batched" if batched else "unbatched"
            raise RuntimeError(f"For {kind} {wanted}-D input, {what} should also be {wanted}-D but got {found}")
        return states if batched else tuple(unsqueeze(state, 1) for state in states)

    def _check_state(self, state: Tensor, number: int, wanted: tuple[int, ...], dtype: Any) -> None:
        what = "hidden" if self._states == 1 else f"hidden[{number}]"
        if state.shape != wanted:
            raise RuntimeError(f"Expected {what} size {wanted}, got {list(state.shape)}")
        if state.dtype != dtype:
            raise RuntimeError(
                f"mat1 and mat2 must have the same dtype, but got {state.dtype} and {dtype}: convert {what} with .to()"
            )

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        for name, default in (
            ("proj_size", 0), ("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0.0),
            ("bidirectional", False), ("peephole", False), ("forget_bias", None), ("recurrent_dropout", 0.0),
            ("zoneout", 0.0),
        ):  # fmt: skip
            value = getattr(self, name, default)
            if value != default:
                parts.append(f"{name}={value}")
        return ", ".join(parts)


class RNN(RNNBase):
    """Elman's net: h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), f = tanh or relu (``nonlinearity``).

    ``forward(input, hx=None, lengths=None) -> (output, h_n)``; shapes as in :class:`LSTM`.
    """

    _gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: str | None = None,
        dtype: Any = None,
        *,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype,
            recurrent_dropout=recurrent_dropout, zoneout=zoneout,
        )  # fmt: skip
        self.nonlinearity = nonlinearity

    def _op(self) -> Any:
        return _ops.rnn_tanh if self.nonlinearity == "tanh" else _ops.rnn_relu

    def forward(self, input: Any, hx: Tensor | None = None, lengths: Any = None) -> tuple[Any, Tensor]:
        """The outputs of the last layer and the last state of every layer."""
        output, (h_n,) = self._run(input, None if hx is None else (hx,), lengths)
        return output, h_n


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber 1997); equations in :func:`tinydl.ops.rnn.lstm_definition`.

    ``forward(input, hx=None, lengths=None) -> (output, (h_n, c_n))``

    - ``input`` [T, B, I], with ``batch_first`` [B, T, I], unbatched [T, I], or a
      :class:`~tinydl.nn.utils.rnn.PackedSequence`;
    - ``hx``: (h_0 [L D, B, R], c_0 [L D, B, H]), unbatched without B; zeros by default;
    - ``lengths`` int [B]: the sequences' lengths, 0 to T; beyond them outputs are zero and states are kept, and the
      reverse direction starts at each sequence's own end (as with packed sequences);
    - ``output`` [T, B, D R] in the input's layout, or packed as the input; ``h_n``, ``c_n`` as ``hx``.

    ``dropout`` acts on the outputs of every layer but the last, in training only. ``proj_size`` R adds
    ``weight_hr_l{k}`` [R, H] behind the cell. ``peephole`` adds the weights ``weight_ci_l{k}``, ``weight_cf_l{k}`` and
    ``weight_co_l{k}`` [H] by which the gates see the cell. ``forget_bias`` is what the forget gates' bias, b_ih + b_hh,
    starts with: 1 is the advice of Gers et al. (2000) and of Jozefowicz, Zaremba and Sutskever (ICML 2015); None draws
    it as all others. Raises RuntimeError, naming the shapes, for an input or state that does not fit.
    """

    _gates = 4
    _states = 2
    forget_bias: float | None = None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: str | None = None,
        dtype: Any = None,
        *,
        peephole: bool = False,
        forget_bias: float | None = None,
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype,
            recurrent_dropout=recurrent_dropout, zoneout=zoneout, peephole=peephole,
        )  # fmt: skip
        if forget_bias is not None:
            if not bias:
                raise ValueError(f"forget_bias={forget_bias} needs a bias to be put into: leave bias=True")
            self.forget_bias = float(forget_bias)
            self._fill_forget_bias()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        super().reset_parameters()
        if self.forget_bias is not None:
            self._fill_forget_bias()

    def _fill_forget_bias(self) -> None:
        for suffix in self._suffixes:
            for part, value in (("bias_ih", self.forget_bias), ("bias_hh", 0.0)):
                bias = self.__dict__[part + suffix]
                bias.array[self.hidden_size : 2 * self.hidden_size] = value
                bias.bump()

    def _op(self) -> Any:
        return _ops.lstm

    def _options(self, suffix: str, state: tuple[Tensor, ...], steps: int) -> dict[str, Any]:
        options = super()._options(suffix, state, steps)
        fields = self.__dict__
        if self.peephole:
            options["peepholes"] = tuple(fields[part + suffix] for part in ("weight_ci", "weight_cf", "weight_co"))
        if self.proj_size:
            options["w_hr"] = fields["weight_hr" + suffix]
        return options

    def forward(
        self, input: Any, hx: tuple[Tensor, Tensor] | None = None, lengths: Any = None
    ) -> tuple[Any, tuple[Tensor, Tensor]]:
        """The outputs of the last layer and the last states of every layer."""
        if hx is not None and (not isinstance(hx, (tuple, list)) or len(hx) != 2):
            raise RuntimeError("LSTM: the initial state must be a pair (h_0, c_0)")
        output, (h_n, c_n) = self._run(input, None if hx is None else tuple(hx), lengths)
        return output, (h_n, c_n)


class GRU(RNNBase):
    """Gated recurrent unit (Cho et al. 2014); equations in :func:`tinydl.ops.rnn.gru_definition`.

    ``forward(input, hx=None, lengths=None) -> (output, h_n)``; shapes as in :class:`LSTM`.
    """

    _gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: str | None = None,
        dtype: Any = None,
        *,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype,
            recurrent_dropout=recurrent_dropout, zoneout=zoneout,
        )  # fmt: skip

    def _op(self) -> Any:
        return _ops.gru

    def forward(self, input: Any, hx: Tensor | None = None, lengths: Any = None) -> tuple[Any, Tensor]:
        """The outputs of the last layer and the last state of every layer."""
        output, (h_n,) = self._run(input, None if hx is None else (hx,), lengths)
        return output, h_n


def _checked_lengths(lengths: Any, input: Tensor, batched: bool) -> np.ndarray[Any, Any] | None:
    """``lengths`` as an int64 array [B], or None where every sequence of the input [T, B, I] has all steps.

    A copy: the backward pass reads it, and the caller may refill his own for the next batch before that.
    """
    if lengths is None:
        return None
    steps, batch = input.shape[:2]
    array = np.asarray(on_host(lengths.array) if isinstance(lengths, Tensor) else lengths)
    if array.dtype.kind not in "iu" or array.shape != (batch,) or not batched:
        raise ValueError(
            f"lengths should be one integer for each of the {batch} sequences of a batch, but got shape {array.shape} "
            f"and dtype {array.dtype}"
        )
    if array.size and (array.min() < 0 or array.max() > steps):
        raise ValueError(
            f"lengths should be between 0 and the {steps} steps of the input, but go from {array.min()} to "
            f"{array.max()}"
        )
    return None if (array == steps).all() else array.astype(np.int64)
