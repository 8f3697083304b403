"""Tones: frequencies, cadences and levels of ITU-T E.180 and Q.23."""

import numpy as np
import pytest

from plivo_nb.audio_types import Source
from plivo_nb.media.audio import tones

RATES = [8_000, 48_000]


def spectrum_peaks(pcm: np.ndarray, rate: int, count: int) -> list[float]:
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    width = len(pcm) / rate
    found = []
    for _ in range(count):
        index = int(spectrum.argmax())
        found.append(index / width)
        spectrum[max(0, round(index - 30 * width)) : round(index + 30 * width) + 1] = 0
    return sorted(found)


def played(source: Source, rate: int, seconds: float) -> np.ndarray:
    source.open(rate)
    return np.concatenate([source.read(rate // 50) for _ in range(round(seconds * 50))])


def loud_spans(pcm: np.ndarray, rate: int) -> list[tuple[float, float]]:
    """Where it sounds, to a millisecond."""
    step = rate // 1000
    loud = np.abs(pcm[: len(pcm) // step * step].astype(int)).reshape(-1, step).max(axis=1) > 30
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
    gaps = [(edges[i], edges[i + 1]) for i in range(0, len(edges), 2)]
    joined: list[tuple[int, int]] = []
    for begin, end in gaps:
        if joined and begin - joined[-1][1] < 20:  # a sum of two sines passes zero
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return [(begin / 1000, end / 1000) for begin, end in joined]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("make", "hertz", "on_s", "off_s"),
    [
        (tones.ringback_tone, (440, 480), 2.0, 4.0),
        (tones.ring_tone, (1000, 1250), 1.0, 2.0),
    ],
)
def test_cadence_and_frequencies(make, hertz: tuple[int, int], on_s: float, off_s: float, rate: int) -> None:
    pcm = played(make(), rate, 2 * (on_s + off_s) + 0.2)
    spans = loud_spans(pcm, rate)
    assert len(spans) == 3
    for number, (begin, end) in enumerate(spans[:2]):
        assert begin == pytest.approx(number * (on_s + off_s), abs=0.005)
        assert end - begin == pytest.approx(on_s, abs=0.01)
    one = pcm[round(0.05 * rate) : round((on_s - 0.05) * rate)]
    assert spectrum_peaks(one, rate, 2) == pytest.approx(hertz, abs=2)


@pytest.mark.parametrize("rate", RATES)
def test_dial_tone_goes_on_without_a_seam(rate: int) -> None:
    pcm = played(tones.dial_tone(), rate, 3.0)
    assert loud_spans(pcm, rate) == [(0.0, 3.0)]
    assert spectrum_peaks(pcm, rate, 2) == pytest.approx([350, 440], abs=1)
    seam = np.abs(np.diff(pcm[rate - 5 : rate + 5].astype(int))).max()
    assert seam <= np.abs(np.diff(pcm[: rate // 2].astype(int))).max()


@pytest.mark.parametrize("digit", "0123456789*#ABCD")
def test_each_digit_has_its_two_frequencies(digit: str) -> None:
    rows = {"123A": 697, "456B": 770, "789C": 852, "*0#D": 941}
    columns = {"147*": 1209, "2580": 1336, "369#": 1477, "ABCD": 1633}
    hertz = [next(hz for keys, hz in table.items() if digit in keys) for table in (rows, columns)]
    pcm = tones.dtmf(digit, 48_000, seconds=0.2)
    assert spectrum_peaks(pcm, 48_000, 2) == pytest.approx(hertz, abs=6)
    assert 20 * np.log10(np.sqrt(np.mean((pcm / 32768.0) ** 2))) == pytest.approx(-20, abs=0.3)


@pytest.mark.parametrize("rate", RATES)
def test_digits_in_a_row_are_played_once(rate: int) -> None:
    voice = tones.DtmfTones("19#")
    voice.open(rate)
    frames = []
    while not voice.ended:
        frames.append(voice.read(rate // 50))
    pcm = np.concatenate(frames)
    assert len(pcm) / rate == pytest.approx(3 * 0.17, abs=0.021)
    spans = loud_spans(pcm, rate)
    assert [begin for begin, _ in spans] == pytest.approx([0.0, 0.17, 0.34], abs=0.004)
    assert [end - begin for begin, end in spans] == pytest.approx([0.1] * 3, abs=0.008)
    assert not voice.read(rate // 50).any(), "silence follows"
    voice.close()


def test_no_tone_begins_or_ends_with_a_click() -> None:
    pcm = tones.tone((440.0, 480.0), 0.5, 48_000)
    assert np.abs(pcm[:5]).max() < 40
    assert np.abs(pcm[-5:]).max() < 40


def test_an_unknown_digit_is_an_error() -> None:
    with pytest.raises(KeyError):
        tones.dtmf("E", 8_000)
