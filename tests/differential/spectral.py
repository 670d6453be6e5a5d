"""Rows of Fourier transforms: real tensors of (real, imaginary) here, PyTorch's complex ones by ``view_as_real``."""

from __future__ import annotations

from typing import Any

from tests.differential.rows import draw, ints, row


def _parts(t: Any, spectrum: Any) -> Any:
    """(real, imaginary) in a last dimension, in either library."""
    return t.view_as_real(spectrum) if hasattr(t, "view_as_real") else spectrum


def _whole(t: Any, parts: Any) -> Any:
    """What the inverse takes, in either library."""
    return t.view_as_complex(parts.contiguous()) if hasattr(t, "view_as_complex") else parts


def _rfft(t: Any, x: Any, **options: Any) -> Any:
    return _parts(t, t.fft.rfft(x, **options))


def _irfft(t: Any, x: Any, **options: Any) -> Any:
    return t.fft.irfft(_whole(t, x), **options)


for _n in (1, 2, 7, 8):
    row("fft.rfft", draw(3, _n), call=_rfft, note=f"length {_n}")
    row("fft.irfft", draw(3, _n // 2 + 1, 2), call=_irfft, n=_n, note=f"length {_n}")
for _norm in ("backward", "ortho", "forward"):
    row("fft.rfft", draw(2, 6), call=_rfft, norm=_norm, note=_norm)
    row("fft.irfft", draw(2, 4, 2), call=_irfft, norm=_norm, note=_norm)
for _n in (4, 9):
    row("fft.rfft", draw(2, 6), call=_rfft, n=_n, note=f"to {_n}")
    row("fft.irfft", draw(2, 4, 2), call=_irfft, n=_n, note=f"to {_n}")
row("fft.rfft", draw(6, 2, 3), call=_rfft, dim=0, n=5, note="dim 0")
row("fft.irfft", draw(4, 3, 2), call=_irfft, dim=0, n=7, note="dim 0")
row("fft.irfft", draw(2, 4, 3, 2), call=_irfft, dim=-2, note="dim -2")
row("fft.rfft", ints(2, 4), call=_rfft, note="ints")  # of length 4: exact in any dtype
row("fft.rfft", draw(2, 5), call=lambda t, x: t.fft.irfft(t.fft.rfft(x), n=5), note="there and back")
row("fft.fftfreq", 8)
row("fft.fftfreq", call=lambda t: t.fft.fftfreq(7, d=0.5, dtype=t.float64), note="odd")
row("fft.rfftfreq", 8)
row("fft.rfftfreq", call=lambda t: t.fft.rfftfreq(7, d=0.5, dtype=t.float64), note="odd")
row("fft.fftshift", draw(5, 4))
row("fft.fftshift", draw(5, 4), dim=0)
row("fft.ifftshift", draw(5, 4))
row("fft.ifftshift", draw(5, 4), dim=(1,))


def _stft(t: Any, x: Any, n_fft: int, window: Any = None, **options: Any) -> Any:
    if hasattr(t, "view_as_real"):
        return t.view_as_real(t.stft(x, n_fft, window=window, return_complex=True, **options))
    return t.stft(x, n_fft, window=window, **options)


def _istft(t: Any, x: Any, n_fft: int, window: Any = None, **options: Any) -> Any:
    return t.istft(_whole(t, x), n_fft, window=window, **options)


row("stft", draw(20), 8, draw(8, low=0.5), call=_stft)
row("stft", draw(2, 20), 8, draw(8, low=0.5), call=_stft, hop_length=3, note="hop")
row("stft", draw(2, 20), 8, draw(6, low=0.5), call=_stft, win_length=6, note="window of 6")
row("stft", draw(20), 7, draw(7, low=0.5), call=_stft, note="odd")
row("stft", draw(20), 8, draw(8, low=0.5), call=_stft, center=False, note="not centred")
row("stft", draw(20), 8, draw(8, low=0.5), call=_stft, pad_mode="constant", note="constant")
row("stft", draw(20), 8, draw(8, low=0.5), call=_stft, normalized=True, note="normalized")
row("stft", draw(20), 8, draw(8, low=0.5), call=_stft, onesided=False, note="both sides")
row("stft", draw(20), 7, draw(7, low=0.5), call=_stft, onesided=False, note="both sides, odd")
row("istft", draw(5, 6, 2), 8, draw(8, low=0.5), call=_istft)
row("istft", draw(2, 5, 6, 2), 8, draw(8, low=0.5), call=_istft, hop_length=3, note="hop")
row("istft", draw(2, 5, 6, 2), 8, draw(6, low=0.5), call=_istft, win_length=6, hop_length=2, note="window of 6")
row("istft", draw(4, 6, 2), 7, draw(7, low=0.5), call=_istft, note="odd")
row("istft", draw(5, 6, 2), 8, draw(8, low=0.5), call=_istft, center=False, note="not centred")
row("istft", draw(5, 6, 2), 8, draw(8, low=0.5), call=_istft, normalized=True, note="normalized")
row("istft", draw(8, 6, 2), 8, draw(8, low=0.5), call=_istft, onesided=False, note="both sides")
for _length in (7, 9, 14):
    row("istft", draw(5, 6, 2), 8, draw(8, low=0.5), call=_istft, length=_length, note=f"length {_length}")
row(
    "istft",
    draw(2, 20),
    draw(8, low=0.5),
    call=lambda t, x, w: t.istft(t.stft(x, 8, window=w, **_complex(t)), 8, window=w),
    note="there and back",
)


def _complex(t: Any) -> dict[str, Any]:
    return {"return_complex": True} if hasattr(t, "view_as_real") else {}


def _windowed(t: Any, name: str, *args: Any) -> Any:
    """In float64; and the default dtype, whose rounding differs."""
    window = getattr(t, name)
    return window(*args, dtype=t.float64), str(window(*args).dtype).rpartition(".")[2]


for _name in ("hann_window", "hamming_window", "blackman_window", "bartlett_window", "kaiser_window"):
    for _length in (0, 1, 2, 7, 8):
        for _periodic in (True, False):
            row(
                _name,
                call=lambda t, name=_name, n=_length, p=_periodic: _windowed(t, name, n, p),
                note=f"{_length} {_periodic}",
            )
row("kaiser_window", call=lambda t: _windowed(t, "kaiser_window", 6, True, 3.0), note="beta")
row("hamming_window", call=lambda t: _windowed(t, "hamming_window", 6, True, 0.6, 0.3), note="alpha, beta")
row("hann_window", call=lambda t: t.hann_window(window_length=4, periodic=False, dtype=t.float64), note="by name")
