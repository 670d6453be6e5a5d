"""Fourier transforms of real signals: PyTorch's ``torch.fft``, as far as it needs no complex numbers.

A spectrum is a real tensor whose last dimension holds (real, imaginary), as ``torch.view_as_real`` shows it.

>>> import tinydl
>>> tinydl.fft.rfft(tinydl.tensor([1.0, 0.0, 0.0, 0.0]))
tensor([[1., 0.],
        [1., 0.],
        [1., 0.]])
"""

from __future__ import annotations

from tinydl.errors import say_absent
from tinydl.functions import _converting
from tinydl.ops import spectral

say_absent(__name__)

rfft, irfft = _converting(spectral.rfft), _converting(spectral.irfft)
fftshift, ifftshift = _converting(spectral.fftshift), _converting(spectral.ifftshift)
fftfreq, rfftfreq = spectral.fftfreq, spectral.rfftfreq

__all__ = ["fftfreq", "fftshift", "ifftshift", "irfft", "rfft", "rfftfreq"]
