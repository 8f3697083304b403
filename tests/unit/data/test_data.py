"""The spoken sample is in the package and is what its README says."""

from plivo_nb.analysis import compare
from plivo_nb.data import speech_path


def test_the_sample_is_fourteen_seconds_of_sound() -> None:
    sound = compare.load(speech_path())
    assert 13 < len(sound) / compare.RATE_HZ < 15
    assert 0.2 < abs(sound).max() <= 1.0
