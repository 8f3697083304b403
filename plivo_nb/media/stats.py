"""The numbers of an audio stream: cumulative counters for the sampler, and W3C webrtc-stats names for people."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SILENCE_DBFS = -100.0
NAN = math.nan


@dataclass(frozen=True, slots=True)
class StreamCounters:
    """One reading of an audio stream. What is unknown yet is NaN.

    Cumulative (difference two readings): all `packets_*`, `*_bytes_*`, `*_samples`, `concealment_events`,
    `jitter_buffer_delay_s`, `remote_packets_lost`, `remote_packets_expected`. Momentary: the rest.

    in: what we receive; out: what we send. remote: what the far end reports about what we send.
    """

    codec: str = ""  # of what is sent: 'OPUS', 'PCMU', '' before the negotiation
    codec_in: str = ""  # of what is received
    muted: bool = False
    # sent
    packets_sent: int = 0
    bytes_sent: int = 0  # payload
    header_bytes_sent: int = 0
    source_bytes: int = 0  # payload made of what the source gave; no filler, nothing while muted
    # received
    packets_received: int = 0
    bytes_received: int = 0  # payload
    header_bytes_received: int = 0
    packets_expected: int = 0
    packets_lost: int = 0  # expected - received, RFC 3550 A.3; duplicates can make it fall
    packets_late: int = 0  # came, but after their time
    packets_discarded: int = 0  # late ones, and those dropped by the buffer; duplicates are not in it
    packets_duplicated: int = 0
    fec_packets_received: int = 0
    fec_packets_used: int = 0
    jitter_in_s: float = NAN
    # play-out
    sample_rate: int = 0  # Hz, of the sample counts here
    total_samples: int = 0  # played out since the first packet
    concealed_samples: int = 0
    silent_concealed_samples: int = 0
    concealment_events: int = 0
    inserted_samples: int = 0
    removed_samples: int = 0
    jitter_buffer_delay_s: float = 0.0  # sum over emitted samples
    jitter_buffer_emitted: int = 0
    playout_delay_s: float = NAN  # now: how long a packet of an undisturbed network waits
    target_delay_s: float = NAN
    # the far end's reports
    rtt_s: float = NAN
    rtt_at: float = NAN  # monotonic seconds of the report that gave it
    jitter_out_s: float = NAN
    remote_packets_lost: int = 0
    remote_packets_expected: int = 0  # of ours, by the highest sequence number that it has seen
    remote_fraction_lost: float = NAN  # of its last report interval
    remote_report_at: float = NAN
    # levels: highest peak since the reading before, dBFS
    level_in_dbfs: float = SILENCE_DBFS
    level_out_dbfs: float = SILENCE_DBFS


def dbfs(level: float) -> float:
    """Convert a level (1 is full scale) to dBFS, from -100 (silence) to 0."""
    return max(SILENCE_DBFS, 20 * math.log10(level)) if level > 0 else SILENCE_DBFS


class LevelMeter:
    """Peak and energy of 20 ms frames, by numpy.

    `level` is the RMS of the last frame, 0..1 (W3C audioLevel); `energy` and `duration_s` are cumulative
    (totalAudioEnergy, totalSamplesDuration): mean power over a while is the quotient of their differences.
    """

    __slots__ = ("_peaks", "duration_s", "energy", "level")

    def __init__(self) -> None:
        self.level = 0.0
        self.energy = 0.0
        self.duration_s = 0.0
        self._peaks = [0.0, 0.0]

    def measure(self, frame: NDArray[np.int16], rate: int) -> float:
        """Take a frame in; return its RMS, 0..1."""
        scaled = frame.astype(np.float32)
        seconds = len(frame) / rate
        power = float(np.dot(scaled, scaled)) / (len(frame) * 1_073_741_824)
        self.level = math.sqrt(power)
        self.energy += power * seconds
        self.duration_s += seconds
        peak = float(np.abs(scaled, out=scaled).max())
        if peak > self._peaks[0]:
            self._peaks[0] = peak
        if peak > self._peaks[1]:
            self._peaks[1] = peak
        return self.level

    def silence(self, seconds: float) -> None:
        """Take in a frame that is known to be silent."""
        self.level = 0.0
        self.duration_s += seconds

    def take_peak_dbfs(self, reader: int) -> float:
        """Return the highest peak since this reader's last call. Readers: 0 the sampler, 1 the level display."""
        peak, self._peaks[reader] = self._peaks[reader], 0.0
        return dbfs(peak / 32768)
