"""How well received sound is, beside the sound that was sent: PESQ (ITU-T P.862) and ViSQOL.

Both need a package that is not installed by default: ``pip install "plivo-nb[listen]"``. The package `pesq`
contains the reference code of P.862, whose owners permit evaluation and no commercial use.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from plivo_nb.analysis import compare
from plivo_nb.audio_types import Pcm
from plivo_nb.media.audio.encoding import resampled

if TYPE_CHECKING:
    from types import ModuleType

    import numpy.typing as npt

#: The sound that was sent: the path of a sound file, or (rate in Hz, int16 samples), such as a clip.
Reference: TypeAlias = str | os.PathLike[str] | tuple[int, Pcm] | Iterable[Any]

_PESQ_RATE, _VISQOL_RATE = 8_000, 16_000
_MIN_S = 1.0
_MIN_CORRELATION = 0.2
_INSTALL = 'pip install "plivo-nb[listen]"'


def pesq(rate: int, samples: Pcm, reference: Reference) -> float:
    """MOS-LQO by PESQ, narrowband (ITU-T P.862, mapped by P.862.1).

    Args:
        rate: sample rate of the received sound in Hz.
        samples: the received sound, int16; P.862.3 section 7 asks for 8 to 20 s, half of it speech.
        reference: what was sent: the path of a sound file, a clip, or (rate, samples). The part of it that
            was received is found by correlation; it may have been repeated.

    Returns:
        1.0 to 4.55.

    Raises:
        ModuleNotFoundError: the package `pesq` is not installed.
        ValueError: the received sound is too short, or is not that of the reference.
    """
    package = _imported("pesq")
    said, heard = _aligned(rate, samples, reference, _PESQ_RATE)
    return float(package.pesq(_PESQ_RATE, said, heard, "nb"))


def visqol(rate: int, samples: Pcm, reference: Reference) -> float:
    """MOS-LQO by ViSQOL, speech mode at 16 kHz (Chinen et al., QoMEX 2020).

    Args, Raises:
        as `pesq`; the package is `visqol-python`.

    Returns:
        1.0 to 5.0.
    """
    package = _imported("visqol")
    said, heard = _aligned(rate, samples, reference, _VISQOL_RATE)
    measure = package.VisqolApi()
    measure.create(mode="speech", use_lattice_model=True, search_window=4)
    return float(measure.measure_from_arrays(said / 32768.0, heard / 32768.0, _VISQOL_RATE).moslqo)


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{name.upper()} needs the package {name}, which is not installed: {_INSTALL}", name=name
        ) from error


def _aligned(
    rate: int, samples: Pcm, reference: Reference, at_rate: int
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """The part of the reference that was received, and the received sound, at the same rate and length."""
    if rate <= 0 or len(samples) < _MIN_S * rate:
        raise ValueError(f"A comparison needs at least {_MIN_S:.0f} s of received sound, better 8 to 20 s.")
    heard = resampled(samples, rate, at_rate)
    said = _sound_of(reference, at_rate)
    found = compare.match(
        resampled(heard, at_rate, compare.RATE_HZ) / 32768.0,
        resampled(said, at_rate, compare.RATE_HZ) / 32768.0,
    )
    if not len(found.correlations) or found.correlation < _MIN_CORRELATION:
        raise ValueError("The received sound is not that of the reference: no part of it is found there.")
    best = int(np.argmax(found.correlations))
    start = round((found.offsets_s[best] - found.at_s[best]) * at_rate)
    return np.take(said, np.arange(start, start + len(heard)), mode="wrap"), heard


def _sound_of(reference: Reference, rate: int) -> Pcm:
    if isinstance(reference, (str, os.PathLike)):
        sound = np.clip(np.rint(compare.load(os.fspath(reference), rate) * 32768.0), -32768, 32767)
        return sound.astype(np.int16)
    pair: Any = reference
    own_rate, samples = pair
    return resampled(np.asarray(samples, dtype=np.int16), int(own_rate), rate)
