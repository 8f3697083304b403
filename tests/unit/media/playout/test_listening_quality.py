"""Speech after loss: how much of it is still there, beside stock aiortc's receiver on the same packets.

`tests/bench/media_quality.py` scores the same speech with PESQ; that package needs a compiler, so a plain
measure stands in: for each 100 ms of speech, how well it is found again near its place in what was heard.
"""

from __future__ import annotations

import numpy as np
import pytest
from bench.media_quality import OPUS, aiortcs, ours, speech
from numpy.typing import NDArray

SEGMENT = 800  # 100 ms, at 8 kHz
REACH = 4800  # 600 ms: aiortc's delay wanders, and that alone is not held against it
SPOKEN_RMS = 300


def narrow(pcm: NDArray[np.int16]) -> NDArray[np.float64]:
    """48 kHz to 8 kHz, by the mean of six samples: the same for all that is compared."""
    return pcm[: len(pcm) // 6 * 6].reshape(-1, 6).mean(axis=1)


def found_again(spoken: NDArray[np.int16], heard: NDArray[np.int16]) -> float:
    """Mean over the spoken segments of their highest correlation with what was heard nearby, 0..1."""
    said, got = narrow(spoken), narrow(heard)
    got = np.concatenate([got, np.zeros(REACH + SEGMENT)])
    scores = []
    for at in range(0, len(said) - SEGMENT, SEGMENT):
        part = said[at : at + SEGMENT]
        if np.sqrt(np.mean(part**2)) < SPOKEN_RMS:
            continue
        near = got[max(0, at - SEGMENT) : at + REACH]
        energy = np.concatenate(([0.0], np.cumsum(near**2)))
        energies = energy[SEGMENT:] - energy[:-SEGMENT]
        products = np.correlate(near, part, "valid")
        scores.append(float(np.max(products / np.sqrt((energies + 1.0) * np.sum(part**2)))))
    return float(np.mean(scores))


@pytest.mark.parametrize("loss", [0.05, 0.10])
def test_lossy_speech_is_better_than_stock_aiortcs(loss: float) -> None:
    spoken = speech(48_000)
    undisturbed = found_again(spoken, ours(OPUS, spoken, 0.0, 0.0, seed=1)[0])
    heard, packets = ours(OPUS, spoken, loss, 0.0, seed=1)
    mine, stock = found_again(spoken, heard), found_again(spoken, aiortcs(packets))
    assert packets.count(None) > 20
    assert mine > 0.96 * undisturbed
    assert mine > stock + 0.05
