"""Playing a little faster or slower without a change of pitch (waveform similarity overlap-add).

One decoded packet at a time: a stretch of one similarity lag is cut out or played twice, where the signal
resembles itself best, with a cross-fade over the seam.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.audio_types import to_int16
from plivo_nb.media.playout.concealment import crossfade, rms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plivo_nb.audio_types import Pcm

_SEAM_S = 0.004
_LAG_MIN_S = 0.0025
_SIMILAR = 0.7  # a seam below this correlation could be heard in speech
_QUIET = 0.003  # -50 dBFS: any seam will do


def shorten(pcm: Pcm, rate: int, at_most: int, force: bool = False) -> Pcm:
    """Cut a stretch out of a packet.

    Args:
        pcm: at least 15 ms; shorter ones are returned as they are.
        rate: Hz.
        at_most: samples to remove at most.
        force: also where the seam could be heard.

    Returns:
        The shortened samples; all of them where there is no good place.
    """
    seam = int(_SEAM_S * rate)
    lag = _lag(pcm, rate, seam, min(at_most, len(pcm) - 2 * seam), force)
    if not lag:
        return pcm
    joint = to_int16(crossfade(pcm[:seam], pcm[lag : lag + seam]))
    return np.concatenate([joint, pcm[lag + seam :]])


def lengthen(pcm: Pcm, rate: int, at_most: int) -> Pcm:
    """Play a stretch of a packet twice: the one of the most similar seam, always.

    Args:
        pcm: at least 15 ms; shorter ones are returned as they are.
        rate: Hz.
        at_most: samples to add at most.
    """
    seam = int(_SEAM_S * rate)
    lag = _lag(pcm, rate, seam, min(at_most, len(pcm) - 2 * seam), force=True)
    if not lag:
        return pcm
    # play up to `lag`, fade from what follows it back to the beginning, and play on from there
    joint = to_int16(crossfade(pcm[lag : lag + seam], pcm[:seam]))
    return np.concatenate([pcm[:lag], joint, pcm[seam:]])


def _lag(pcm: Pcm, rate: int, seam: int, longest: int, force: bool) -> int:
    """Find how far on the signal resembles its first `seam` samples best; 0 where nowhere well enough."""
    shortest = int(_LAG_MIN_S * rate)
    if longest < shortest:
        return 0
    if rms(pcm) < _QUIET:
        return longest
    step = max(1, rate // 8000)
    signal: NDArray[np.float32] = pcm[: (longest + seam) // step * step].astype(np.float32)
    coarse = signal.reshape(-1, step).mean(axis=1) if step > 1 else signal
    best, score = _search(coarse, seam // step, range(shortest // step, (len(coarse) - seam // step) + 1))
    if score < _SIMILAR and not force:
        return 0
    if step == 1:
        return best
    best *= step
    near = range(max(shortest, best - step), min(longest, best + step, len(signal) - seam) + 1)
    return _search(signal, seam, near)[0] if len(near) else min(best, longest)


def _search(signal: NDArray[np.float32], seam: int, lags: range) -> tuple[int, float]:
    head = signal[:seam]
    past = signal[lags[0] : lags[-1] + seam]
    products = np.correlate(past, head, "valid")
    energy = np.concatenate(([0.0], np.cumsum(past.astype(np.float64) ** 2)))
    energies = energy[seam:] - energy[:-seam]
    own = float(np.dot(head, head))
    scores = products / np.sqrt((energies + 1.0) * (own + 1.0))
    index = int(np.argmax(scores))
    return lags[index], float(scores[index])
