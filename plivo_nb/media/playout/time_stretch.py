"""Playing slightly faster or slower without a change of pitch (waveform similarity overlap-add).

In one decoded packet, a part is removed or repeated whose length is the lag of the highest similarity, with a
cross-fade at the transition.
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
_SIMILAR = 0.7  # in speech a transition with a lower correlation is audible
_QUIET = 0.003  # -50 dBFS; below, no transition is audible


def shorten(pcm: Pcm, rate: int, at_most: int, force: bool = False) -> Pcm:
    """Remove a part of a packet.

    Args:
        pcm: at least 15 ms; a shorter packet is returned unchanged.
        rate: sample rate in Hz.
        at_most: largest number of samples to remove.
        force: remove a part even if the transition may be audible.

    Returns:
        The remaining samples; all of them if no transition is inaudible.
    """
    seam = int(_SEAM_S * rate)
    lag = _lag(pcm, rate, seam, min(at_most, len(pcm) - 2 * seam), force)
    if not lag:
        return pcm
    joint = to_int16(crossfade(pcm[:seam], pcm[lag : lag + seam]))
    return np.concatenate([joint, pcm[lag + seam :]])


def lengthen(pcm: Pcm, rate: int, at_most: int) -> Pcm:
    """Repeat the part of a packet with the most similar transition.

    Args:
        pcm: at least 15 ms; a shorter packet is returned unchanged.
        rate: sample rate in Hz.
        at_most: largest number of samples to add.
    """
    seam = int(_SEAM_S * rate)
    lag = _lag(pcm, rate, seam, min(at_most, len(pcm) - 2 * seam), force=True)
    if not lag:
        return pcm
    # play up to `lag`, cross-fade from there back to the beginning, and continue from there
    joint = to_int16(crossfade(pcm[lag : lag + seam], pcm[:seam]))
    return np.concatenate([pcm[:lag], joint, pcm[seam:]])


def _lag(pcm: Pcm, rate: int, seam: int, longest: int, force: bool) -> int:
    """Return the lag at which the signal is most similar to its first `seam` samples; 0 if not enough."""
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
