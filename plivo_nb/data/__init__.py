"""Data files of the package; README.md in this folder says how they were made."""

from __future__ import annotations

from pathlib import Path


def speech_path() -> Path:
    """Path of the spoken sample: 14 s of English, Opus in Ogg, mono.

    Example:
        >>> speech_path().name
        'speech.opus'
    """
    return Path(__file__).with_name("speech.opus")
