"""Audio files that can be played at every moment while they are written, whatever ends the writing.

What was written is in the file, not in a buffer of this process, and the file's header is right for it. So a
process that is killed, or a disk that is full, costs the sound of less than a second, never the file.
"""

from __future__ import annotations

import contextlib
import os
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from pathlib import Path

    import av

    from plivo_nb.audio_types import Pcm

_RIFF_LIMIT = 0xFFFFFFFF  # bytes; a longer WAV file is RF64 (EBU Tech 3306)


@dataclass(frozen=True, slots=True)
class Format:
    """How a file of one extension is written.

    Attributes:
        container: FFmpeg's name of the file format.
        codec: FFmpeg's name of the encoder.
        options: of the file format, such that it is complete at every moment.
    """

    container: str
    codec: str
    options: dict[str, str] = field(default_factory=dict)


_OGG = Format("ogg", "libopus", {"page_duration": "200000"})  # us; a page is written when it is complete
#: By extension; None: written here.
FORMATS: dict[str, Format | None] = {
    ".wav": None,
    ".flac": Format("flac", "flac"),
    ".mp3": Format("mp3", "libmp3lame"),
    ".ogg": _OGG,
    ".opus": _OGG,
    # us; at the end the fragments are made an ordinary file
    ".m4a": Format("mp4", "aac", {"movflags": "hybrid_fragmented", "frag_duration": "250000"}),
}


class RecordingFile(Protocol):
    """A file to which samples are written."""

    @property
    def seconds(self) -> float:
        """How much of the sound is in the file."""

    def write(self, samples: Pcm) -> None:
        """Write samples of shape (count, channels). Raises OSError when the disk does not take them."""

    def close(self) -> None:
        """Complete the file, also after an error. Raises OSError when that fails."""


def create(path: Path, rate: int, channels: int) -> RecordingFile:
    """Create the file; replace one that exists.

    Args:
        path: its extension, one of `FORMATS`, selects the format.
        rate: sample rate in Hz.
        channels: 1 or 2.

    Raises:
        OSError, av.FFmpegError: it cannot be created.
    """
    chosen = FORMATS[path.suffix.lower()]
    if chosen is None:
        return WaveFile(path, rate, channels)
    return EncodedFile(path, rate, channels, chosen)


class _Disk:
    """A file without a buffer, which FFmpeg too can write to.

    After an error nothing more is written, and `write` says that all was: FFmpeg ends as after a success, and
    the file stays as it was at the last `commit`.
    """

    def __init__(self, path: Path) -> None:
        self.error: OSError | None = None
        self.size = 0
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o666)
        self._at = 0
        self._good = 0

    def write(self, data: bytes) -> int:
        if self.error is None:
            try:
                self._write_all(memoryview(data))
            except OSError as error:
                self.error = error
        return len(data)

    def _write_all(self, data: memoryview) -> None:
        os.lseek(self._fd, self._at, os.SEEK_SET)
        while data:
            written = os.write(self._fd, data)  # less than all where the disk is nearly full
            self._at += written
            data = data[written:]
        self.size = max(self.size, self._at)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def check(self) -> None:
        """Raise the error that a write had."""
        if self.error is not None:
            raise self.error

    def commit(self) -> None:
        """What has been written is good as it is."""
        self.check()
        self._good = self.size

    def close(self) -> None:
        """Close the file, after an error without what follows the last `commit`."""
        with contextlib.suppress(OSError):  # a device cannot be cut
            if self.error is not None:
                os.ftruncate(self._fd, self._good)
        os.close(self._fd)


class WaveFile:
    """A WAV file of 16 bits, whose header is written anew with each block of samples.

    Args:
        path: of the file.
        rate: sample rate in Hz.
        channels: 1 or 2.
        riff_limit: size in bytes from which on it is an RF64 file; for tests.
    """

    _HEADER_BYTES = 80

    def __init__(self, path: Path, rate: int, channels: int, riff_limit: int = _RIFF_LIMIT) -> None:
        self._rate, self._channels, self._riff_limit = rate, channels, riff_limit
        self._data_bytes = 0
        self._disk = _Disk(path)
        try:
            self._disk.write(self._header(0))
            self._disk.commit()
        except OSError:
            self._disk.close()
            raise

    @property
    def seconds(self) -> float:
        """How much of the sound is in the file."""
        return self._data_bytes / (2 * self._channels * self._rate)

    def write(self, samples: Pcm) -> None:
        """Append samples, then write the header that counts them."""
        data = samples.astype("<i2").tobytes()
        self._disk.seek(self._HEADER_BYTES + self._data_bytes)
        self._disk.write(data)
        self._disk.check()
        self._disk.seek(0)
        self._disk.write(self._header(self._data_bytes + len(data)))
        self._disk.commit()
        self._data_bytes += len(data)

    def close(self) -> None:
        """Close the file."""
        self._disk.close()

    def _header(self, data_bytes: int) -> bytes:
        riff_bytes = self._HEADER_BYTES - 8 + data_bytes
        frame = 2 * self._channels
        form = struct.pack("<HHIIHH", 1, self._channels, self._rate, self._rate * frame, frame, 16)
        if riff_bytes < self._riff_limit:
            head = struct.pack("<4sI4s4sI28x", b"RIFF", riff_bytes, b"WAVE", b"JUNK", 28)
            counted = data_bytes
        else:
            sizes = struct.pack("<QQQI", riff_bytes, data_bytes, data_bytes // frame, 0)
            head = struct.pack("<4sI4s4sI28s", b"RF64", 0xFFFFFFFF, b"WAVE", b"ds64", 28, sizes)
            counted = 0xFFFFFFFF
        return head + struct.pack("<4sI16s4sI", b"fmt ", 16, form, b"data", counted)


class EncodedFile:
    """A file that FFmpeg encodes and writes, packet by packet.

    Args:
        path: of the file.
        rate: sample rate in Hz.
        channels: 1 or 2.
        chosen: the format.
    """

    def __init__(self, path: Path, rate: int, channels: int, chosen: Format) -> None:
        import av  # late, as in `sources`

        self._layout = "stereo" if channels == 2 else "mono"
        self._rate = rate
        self._written = 0  # samples
        self._seconds = 0.0
        self._grown_at = 0.0  # end in seconds of the packet with which the file grew last
        self._disk = _Disk(path)
        try:
            self._container = av.open(
                self._disk, "w", format=chosen.container, options={**chosen.options, "flush_packets": "1"}
            )
            stream = self._container.add_stream(chosen.codec, rate=rate, layout=self._layout)
        except BaseException:
            self._disk.close()
            raise
        self._stream = cast("av.AudioStream", stream)

    @property
    def seconds(self) -> float:
        """How much of the sound is in the file."""
        return self._seconds

    def write(self, samples: Pcm) -> None:
        """Encode samples, and write the packets that are complete."""
        import av

        if not len(samples):
            return
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=self._layout)
        frame.sample_rate = self._rate
        frame.pts = self._written
        self._written += len(samples)
        for packet in self._stream.encode(frame):
            self._mux(packet)

    def _mux(self, packet: av.Packet[Any]) -> None:
        size = self._disk.size
        end_s = None  # a packet that is written has no times any more
        if packet.pts is not None and packet.time_base is not None:
            end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
        self._container.mux(packet)
        self._disk.commit()
        if self._disk.size > size and end_s is not None:
            self._seconds = self._grown_at  # some formats keep back the newest page or fragment
            self._grown_at = max(self._grown_at, end_s)

    def close(self) -> None:
        """Write the last packets and the end of the file, and close it."""
        try:
            if self._disk.error is None:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            self._disk.commit()
            self._seconds = self._written / self._rate
        finally:
            self._disk.close()
