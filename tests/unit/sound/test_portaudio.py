"""PortAudio without devices: what is said where it, or a device, is missing."""

import builtins
from types import SimpleNamespace

import pytest

from plivo_nb.errors import MediaError
from plivo_nb.sound import portaudio
from plivo_nb.sound.portaudio import load, not_found


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (ImportError("No module named 'sounddevice'"), "pip install sounddevice"),
        (OSError("PortAudio library not found"), "apt install libportaudio2"),
    ],
)
def test_a_missing_library_is_an_error_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, error: Exception, advice: str
) -> None:
    real = builtins.__import__

    def refuse(name: str, *arguments: object, **options: object) -> object:
        if name == "sounddevice":
            raise error
        return real(name, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MediaError, match=advice) as caught:
        load()
    assert caught.value.code == "NotFoundError"


def test_a_device_that_does_not_exist_is_named() -> None:
    assert str(not_found("audioinput", None)) == "This machine has no microphone."
    assert "no speaker 'abc'; see client.audio.available_devices()" in str(not_found("audiooutput", "abc"))


def test_the_number_of_an_error_is_its_second_argument() -> None:
    assert portaudio._code(Exception("Invalid device", -9996)) == -9996
    assert portaudio._code(Exception("Unknown")) is None
    assert portaudio._code(None) is None


def test_alsa_is_left_alone_where_its_messages_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLIVO_NB_ALSA_ERRORS", "1")
    monkeypatch.setattr(portaudio, "ctypes", SimpleNamespace())  # whatever is used of it raises
    portaudio._silence_alsa()


def test_without_proc_asound_there_is_no_list_of_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portaudio, "_CARDS", "/proc/no/such/file")
    assert portaudio._cards() == ""
