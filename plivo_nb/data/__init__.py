"""Data that ships with the package; README.md beside this file says how it was made."""

from __future__ import annotations

from pathlib import Path


def speech_path() -> Path:
    """Where the spoken sample is: about 14 s of English, Opus in Ogg, mono. Play it with `call.play`."""
    return Path(__file__).with_name("speech.opus")
