"""PCM conversion, and which objects are sources and sinks."""

import re
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plivo_nb import audio_types
from plivo_nb.audio_types import FRAME_S, FRAMES_PER_S, Sink, Source, padded, to_int16
from plivo_nb.media.audio.sinks import Null
from plivo_nb.media.audio.sources import Loopback, Silence


def test_a_frame_is_the_reciprocal_of_the_frame_rate() -> None:
    assert FRAME_S * FRAMES_PER_S == 1


def test_no_other_module_has_a_length_of_frames_of_its_own() -> None:
    package = Path(audio_types.__file__).parent
    own = re.compile(r"(TICK|BLOCK|FRAME|PTIME)_S = 0\.0|// 50\b|FRAMES_PER_S = |silence\(0\.0")
    found = {path.name for path in package.rglob("*.py") if own.search(path.read_text("utf-8"))}
    assert found == {"audio_types.py"}


def test_samples_are_rounded_and_clipped() -> None:
    floats = np.array([0.4, 0.6, -0.6, 40_000, -40_000, 32_767.4, -32_768.4], np.float32)
    assert to_int16(floats).tolist() == [0, 1, -1, 32_767, -32_768, 32_767, -32_768]
    assert to_int16(floats).dtype == np.int16


@given(hnp.arrays(np.int16, st.integers(0, 100)))
def test_integers_stay_what_they_are(pcm: np.ndarray) -> None:
    assert (to_int16(pcm.astype(np.float32)) == pcm).all()


@given(hnp.arrays(np.int16, st.integers(0, 100)), st.integers(0, 100))
def test_padding_appends_silence_and_cuts_nothing(pcm: np.ndarray, samples: int) -> None:
    longer = padded(pcm, samples)
    assert len(longer) == max(len(pcm), samples)
    assert (longer[: len(pcm)] == pcm).all()
    assert not longer[len(pcm) :].any()


def test_sources_and_sinks_are_told_by_their_methods() -> None:
    assert isinstance(Silence(), Source)
    assert not isinstance(Silence(), Sink)
    assert isinstance(Null(), Sink)
    assert not isinstance(Null(), Source)
    assert isinstance(Loopback(), Source)
    assert isinstance(Loopback(), Sink)
