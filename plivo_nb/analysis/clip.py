"""A piece of a call's sound, chosen by time, with what became of its packets."""

from __future__ import annotations

import base64
import html
import os
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import av
import numpy as np
import pandas as pd

from plivo_nb.analysis import listening, waveform
from plivo_nb.atomic_file import replaced
from plivo_nb.audio_types import FRAMES_PER_S, FULLBAND_RATE
from plivo_nb.media.audio.encoding import opus_bytes, wav_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from plivo_nb.analysis.figures import CallFigure
    from plivo_nb.analysis.listening import Reference
    from plivo_nb.audio_types import Pcm

#: Sound of a player in a cell or a report, in bytes, before base64 makes it longer by a third.
PLAYER_BYTES = 700_000
_WAV_BYTES = 200_000  # a longer one is played as Opus
_MIN_OPUS_BPS = 8_000
_AROUND_S = 2.0  # before and after a single moment
_MARGIN_S = 0.5  # before and after a finding


class Finding(Protocol):
    """Anything that has a beginning and an end, as a finding of a diagnosis has."""

    @property
    def since(self) -> Any:
        """Its beginning, UTC."""

    @property
    def until(self) -> Any:
        """Its end, UTC."""


#: What a clip can begin or end with; see `span_of`.
Moment = float | datetime | np.datetime64 | str | pd.Series | pd.DataFrame | pd.DatetimeIndex | Finding | None


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when: UTC or, if `in_seconds`, seconds from the first sample (None: its ends)."""

    start: Any
    end: Any
    in_seconds: bool


def span_of(t0: Moment, t1: Moment = None) -> Span:
    """The time that two moments mean.

    Args:
        t0: seconds from the first sample of the sound (negative: from its end; None: from its beginning);
            or a UTC time (a `datetime`, without a zone taken as UTC, an entry of `samples.index`, or a text
            such as "2026-11-25 14:03:21"); or, alone, a row or rows of `samples`, or a finding: what has
            `since` and `until`.
        t1: seconds or a UTC time likewise. None: with seconds the end of the sound; a UTC time alone means
            2 s before to 2 s after it.

    Raises:
        TypeError: one is in seconds and the other in UTC, or one is of another type.
        ValueError: `t1` is not after `t0`.

    Example:
        >>> span_of("2026-11-25 14:03:21").start
        Timestamp('2026-11-25 14:03:19+0000', tz='UTC')
        >>> span_of(-5).in_seconds
        True
    """
    if t1 is None and (whole := _own_span(t0)) is not None:
        return Span(*whole, in_seconds=False)
    if all(_is_seconds(moment) for moment in (t0, t1)):
        return Span(t0, t1, in_seconds=True)
    if t1 is None:
        middle, around = _utc(t0), pd.Timedelta(seconds=_AROUND_S)
        return Span(middle - around, middle + around, in_seconds=False)
    if _is_seconds(t0) or _is_seconds(t1):
        raise TypeError("clip: give both times in seconds from the first sample, or both in UTC.")
    start, end = _utc(t0), _utc(t1)
    if end <= start:
        raise ValueError(f"clip: the end, {end}, is not after the beginning, {start}.")
    return Span(start, end, in_seconds=False)


def _is_seconds(moment: Moment) -> bool:
    return moment is None or (isinstance(moment, (int, float, np.number)) and not isinstance(moment, bool))


def _own_span(moment: Moment) -> tuple[pd.Timestamp, pd.Timestamp] | None:
    """Beginning and end of what has both: rows of samples, a finding."""
    if isinstance(moment, pd.Series) and isinstance(moment.name, datetime):
        end = _utc(moment.name)
        return end - pd.Timedelta(seconds=float(moment.get("interval_s", 1.0))), end
    if isinstance(moment, (pd.DataFrame, pd.DatetimeIndex)):
        index = moment.index if isinstance(moment, pd.DataFrame) else moment
        if not len(index):
            raise ValueError("clip: these are no rows at all; choose at least one row of the call's samples.")
        return _utc(index[0]) - pd.Timedelta(seconds=1), _utc(index[-1])
    if moment is not None and hasattr(moment, "since") and hasattr(moment, "until"):
        margin = pd.Timedelta(seconds=_MARGIN_S)
        return _utc(moment.since) - margin, _utc(moment.until) + margin
    return None


def _utc(moment: Any) -> pd.Timestamp:
    if not isinstance(moment, (datetime, np.datetime64, str)):
        raise TypeError(
            f"clip: a {type(moment).__name__} is no time; give seconds, a UTC time, rows of the call's "
            "samples, or a finding."
        )
    time = pd.Timestamp(moment)
    return time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class CallClip:
    """A piece of a call's sound: ``rate, samples = clip``. A notebook shows its waveform and a player.

    Attributes:
        rate: sample rate in Hz.
        samples: mono, int16.
        began: when its first sample was played or sent, UTC.
        sent: whether it is the sound sent, and not the sound received.
        fates: rows of `Call.packet_fates` within it, with a column `at_s`: seconds into the clip.
    """

    rate: int
    samples: Pcm
    began: pd.Timestamp
    sent: bool = False
    fates: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"fate": [], "at_s": []}))

    @classmethod
    def of_frames(
        cls,
        rate: int,
        samples: Pcm,
        times: Sequence[pd.Timestamp],
        fates: pd.DataFrame | None = None,
        *,
        sent: bool = False,
    ) -> CallClip:
        """A clip from frames of 20 ms.

        Args:
            rate: sample rate in Hz.
            samples: of all frames, one behind the other.
            times: when each was played or sent, UTC, ascending; at least one.
            fates: rows of `Call.packet_fates`; those within the clip are kept.
            sent: whether it is the sound sent.
        """
        index = pd.DatetimeIndex(list(times))
        if fates is None or sent:
            return cls(rate, samples, index[0], sent)
        end = index[-1] + pd.Timedelta(seconds=1 / FRAMES_PER_S)
        own = fates[(fates.index >= index[0]) & (fates.index < end)]
        frames = np.clip(index.searchsorted(own.index, side="right") - 1, 0, len(index) - 1)
        return cls(rate, samples, index[0], sent, own.assign(at_s=frames / FRAMES_PER_S))

    def __iter__(self) -> Iterator[Any]:
        return iter((self.rate, self.samples))

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.rate if self.rate else 0.0

    def wav(self) -> bytes:
        """The bytes of a WAV file."""
        return wav_bytes(self.rate, self.samples)

    def player_sound(self, limit_bytes: int = PLAYER_BYTES) -> tuple[str, bytes] | None:
        """Its sound for a player in a page: media type and bytes; WAV if it is short, else Opus.

        Args:
            limit_bytes: at most so many; the bit rate is chosen for it.

        Returns:
            None if it is too long for that; 700 kB hold ten minutes.
        """
        if 2 * len(self.samples) <= min(_WAV_BYTES, limit_bytes):
            return "audio/wav", self.wav()
        bitrate_bps = int(0.8 * 8 * limit_bytes / self.seconds)
        if bitrate_bps < _MIN_OPUS_BPS:
            return None
        return "audio/ogg", opus_bytes(self.rate, self.samples, min(bitrate_bps, 32_000))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, .wav or .opus; an existing one is replaced when the new one is complete.

        Raises:
            ValueError: another extension.
        """
        extension = os.path.splitext(os.fspath(path))[1].lower()
        if extension not in (".wav", ".opus"):
            raise ValueError(f"{os.fspath(path)} cannot be written; the extension must be .wav or .opus.")
        content = self.wav() if extension == ".wav" else opus_bytes(self.rate, self.samples)
        with replaced(os.fspath(path)) as new:
            new.write_bytes(content)

    def figure(self) -> CallFigure:
        """Plot its waveform, with missing, late, recovered and concealed packets marked."""
        return waveform.figure(self)

    def pesq(self, reference: Reference) -> float:
        """MOS-LQO of the clip by PESQ; see `plivo_nb.analysis.listening.pesq`."""
        return listening.pesq(self.rate, self.samples, reference)

    def visqol(self, reference: Reference) -> float:
        """MOS-LQO of the clip by ViSQOL; see `plivo_nb.analysis.listening.visqol`."""
        return listening.visqol(self.rate, self.samples, reference)

    def fate_counts(self) -> dict[str, int]:
        """How many packets were missing, late, recovered and concealed in it, by these words."""
        counts = self.fates["fate"].astype(object).value_counts()
        return {fate: int(counts.get(fate, 0)) for fate in waveform.LANES}

    def describe(self) -> str:
        """Its direction, length, time and packets in a sentence."""
        counts = ", ".join(f"{count} {fate}" for fate, count in self.fate_counts().items() if count)
        direction = "sent" if self.sent else "received"
        packets = "" if self.sent else f"; packets: {counts or 'all played'}"
        return f"{self.seconds:.2f} s of sound {direction} from {self.began:%H:%M:%S} UTC{packets}"

    def __repr__(self) -> str:
        return f"<CallClip: {self.describe()}>"

    def _repr_html_(self) -> str:
        words = html.escape(self.describe())
        picture = base64.b64encode(self.figure()._repr_png_()).decode()
        shown = f"<img alt='Waveform: {words}' src='data:image/png;base64,{picture}'>"
        return f"<div>{shown}<br>{self.player_html()} {words}</div>"

    def player_html(self, limit_bytes: int = PLAYER_BYTES) -> str:
        """An HTML audio element with the sound in it, or a sentence if it is too long for that."""
        sound = self.player_sound(limit_bytes)
        if sound is None:
            return (
                f"A clip of {self.seconds / 60:.0f} minutes is too long for a player; choose a shorter one."
            )
        kind, content = sound
        data = base64.b64encode(content).decode()
        return f"<audio controls aria-label='Sound of the call' src='data:{kind};base64,{data}'></audio>"


def recorded_clip(
    path: str | os.PathLike[str],
    began: pd.Timestamp,
    span: Span,
    fates: pd.DataFrame | None = None,
    *,
    sent: bool,
) -> CallClip:
    """A clip of a recording with the received sound left and the sent sound right.

    Args:
        path: the recording.
        began: its beginning, UTC.
        span: the part that is wanted; what is outside of the recording is left out.
        fates: rows of `Call.packet_fates`; those within the clip are kept. None: none is known.
        sent: the sound sent instead of the sound received.

    Raises:
        ValueError: no part of it is in the recording.
        OSError: it cannot be read.
    """
    with av.open(os.fspath(path)) as container:
        resampler = av.AudioResampler(format="s16p", layout="stereo", rate=FULLBAND_RATE)
        frames = [piece for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
    parts = [frame.to_ndarray()[1 if sent else 0] for frame in frames]
    samples = np.concatenate(parts) if parts else np.zeros(0, np.int16)
    length_s = len(samples) / FULLBAND_RATE
    start_s, end_s = (_seconds_of(moment, span, began) for moment in (span.start, span.end))
    first = (
        0.0 if start_s is None else max(0.0, start_s + (length_s if span.in_seconds and start_s < 0 else 0.0))
    )
    last = length_s if end_s is None else end_s + (length_s if span.in_seconds and end_s < 0 else 0.0)
    chosen = samples[round(first * FULLBAND_RATE) : max(0, round(last * FULLBAND_RATE))]
    if not len(chosen):
        raise ValueError(
            f"clip: the recording has no sound of that time; it lasts {length_s:.1f} s "
            f"from {began:%H:%M:%S} UTC."
        )
    clip_began = began + pd.Timedelta(seconds=first)
    if fates is None:
        return CallClip(FULLBAND_RATE, chosen, clip_began, sent)
    at_s = (pd.DatetimeIndex(fates.index) - clip_began).total_seconds()
    within = (at_s >= 0) & (at_s < len(chosen) / FULLBAND_RATE)
    return CallClip(FULLBAND_RATE, chosen, clip_began, sent, fates[within].assign(at_s=at_s[within]))


def _seconds_of(moment: Any, span: Span, began: pd.Timestamp) -> float | None:
    """A moment of a span in seconds from the beginning of the recording."""
    if moment is None or span.in_seconds:
        return None if moment is None else float(moment)
    return float((moment - began).total_seconds())
