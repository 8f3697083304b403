"""The formats of other programs that are read, recognised by their content and not by their name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from plivo_nb.analysis.importers import (
    getstats_reports,
    packet_capture,
    plivo_statistics,
    rtcstats,
    twilio_samples,
    webrtc_internals,
)
from plivo_nb.analysis.importers.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.analysis.call_frames import CallFrames


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        name: what it is called in messages.
        recognises: whether a file has it; does not raise.
        read: makes the frames; does not raise, what cannot be read is in their warnings.
    """

    name: str
    recognises: Callable[[Source], bool]
    read: Callable[[Source], CallFrames]


#: In the order in which they are tried.
FORMATS: tuple[Format, ...] = (
    Format("pcap and pcapng captures", packet_capture.recognises, packet_capture.read),
    Format("chrome://webrtc-internals dumps", webrtc_internals.recognises, webrtc_internals.read),
    Format("Plivo statistics messages", plivo_statistics.recognises, plivo_statistics.read),
    Format("rtcstats dumps", rtcstats.recognises, rtcstats.read),
    Format("Twilio Voice samples", twilio_samples.recognises, twilio_samples.read),
    Format("getStats() reports", getstats_reports.recognises, getstats_reports.read),
)


def read_foreign(path: Path | str) -> CallFrames:
    """Read the calls of a file that another program wrote.

    Args:
        path: the file, plain or gzip. Its content tells what it is.

    Returns:
        The calls with their samples, one row a second, or one a report where they are further apart; the
        dtypes are those of `plivo_nb.schema()`, and what the file does not say is NaN. `warnings` names what
        could not be read: the rest of a truncated file, damaged lines, video, gaps, clocks that were set.

    Raises:
        ValueError: the file is none of the kinds known; the sentence names them.
        OSError: the file cannot be opened.

    Example:
        >>> import tempfile
        >>> sample = '{"timestamp": 1700000000000, "mos": 4.4, "rtt": 40, "codecName": "opus", "jitter": 2}'
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "call.json"
        ...     _ = path.write_text(sample)
        ...     read_foreign(path).samples["rtt_ms"].tolist()
        [40.0]
    """
    path = Path(path)
    source = Source(path.name.split(".")[0] or path.name, path.read_bytes())
    for kind in FORMATS:
        if kind.recognises(source):
            return kind.read(source)
    known = ", ".join(item.name for item in FORMATS)
    raise ValueError(
        f"{path.name!r} is no such file: its content is none of {known}, nor a file of plivo_nb."
    )
