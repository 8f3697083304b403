"""Export of a call to files: PNG, SVG, Parquet and WAV. No file is ever overwritten."""

from __future__ import annotations

import asyncio
import io
import re
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.analysis import store
from plivo_nb.atomic_file import replaced
from plivo_nb.errors import InvalidState
from plivo_nb.widgets.recorded_call import METRICS_SUFFIX

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable, Callable

    from plivo_nb.engine.audio.kept_audio import Clip
    from plivo_nb.widgets.recorded_call import RecordedCall

    Draw = Callable[[RecordedCall, str], Awaitable[bytes]]

FORMATS = ("png", "svg", "parquet", "wav")
NO_AUDIO = (
    "No sound of this call is kept: the option keepAudio says how many seconds are kept in the kernel, and a "
    "saved file has none."
)


def unused(path: Path) -> Path:
    """This path, or, if there is such a file, the first of ``name-2.png``, ``name-3.png``, ... that is free.

    Example:
        >>> unused(Path("no such folder", "call.png")).name
        'call.png'
    """
    found, number = path, 1
    while found.exists():
        number += 1
        found = path.with_stem(f"{path.stem}-{number}")
    return found


def default_name(call: RecordedCall, format_: str) -> str:
    """The name of a file for this call, such as ``echo-2026-11-25-140321.png``; the time is UTC."""
    name = re.sub(r"[^A-Za-z0-9+_-]+", "-", call.name).strip("-") or "call"
    return f"{name[:40]}-{call.began:%Y-%m-%d-%H%M%S}.{format_}"


async def export(call: RecordedCall, path: str | os.PathLike[str], draw: Draw) -> Path:
    """Write a call to a file.

    Args:
        call: the call.
        path: the extension selects what is written: ``.png`` or ``.svg``: a picture; ``.parquet``: the
            samples, and beside it the mediaMetrics events; ``.wav``: the sound that is kept, received left
            and sent right. A relative path is relative to the kernel's folder, which is the notebook's.
        draw: draws the call; its second argument is ``png`` or ``svg``.

    Returns:
        The path written; with a number at its end if there was such a file.

    Raises:
        ValueError: the extension is another one.
        InvalidState: there is no sound to write.
        OSError: the file cannot be written.
    """
    target, format_ = _target(path)
    if format_ == "parquet":
        return await asyncio.to_thread(_write_frames, call, target)
    content = await draw(call, format_) if format_ in ("png", "svg") else await _sound(call)
    return await asyncio.to_thread(_write, content, target)


def _target(path: str | os.PathLike[str]) -> tuple[Path, str]:
    target = Path(path).absolute()
    format_ = target.suffix.lower().lstrip(".")
    if format_ not in FORMATS:
        allowed = ", ".join(f".{name}" for name in FORMATS)
        raise ValueError(f"{path} cannot be written; the extension must be one of {allowed}.")
    return target, format_


def _write(content: bytes, target: Path) -> Path:
    target = unused(target)
    with replaced(target) as new:
        new.write_bytes(content)
    return target


def _write_frames(call: RecordedCall, target: Path) -> Path:
    target = unused(target)
    store.save(call.samples, target, "samples")
    if len(call.media_metrics):
        store.save(call.media_metrics, target.with_name(target.stem + METRICS_SUFFIX), "media_metrics")
    return target


async def _sound(call: RecordedCall) -> bytes:
    if call.audio is None:
        raise InvalidState(NO_AUDIO)
    received, sent = call.audio(), call.audio(sent=True)
    if not len(received.samples) and not len(sent.samples):
        raise InvalidState(NO_AUDIO)
    return await asyncio.to_thread(stereo_wav, received, sent)


def stereo_wav(left: Clip, right: Clip) -> bytes:
    """Two clips that end at the same time as the bytes of a WAV file; silence where one is shorter."""
    rate, length = left.rate or right.rate, max(len(left.samples), len(right.samples))
    frames = np.zeros((length, 2), "<i2")
    for channel, clip in enumerate((left, right)):
        if len(clip.samples):
            frames[-len(clip.samples) :, channel] = clip.samples
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(frames.tobytes())
    return target.getvalue()
