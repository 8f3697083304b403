"""What really happened to the packets of a call: by the log of the lab's relay, and by tshark on a capture.

Nothing of the product's own arithmetic is used. Jitter is worked out again from RFC 3550 section 6.4.1.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

FRAME_S = 0.020  # of sound in each packet


def seconds(times: pd.DatetimeIndex | pd.Series) -> np.ndarray:
    """UTC times as seconds since 1970."""
    return np.asarray(pd.DatetimeIndex(times).as_unit("ns").asi8, dtype=float) / 1e9


class PacketLog:
    """One direction of one call in the relay's log.

    Args:
        log: what `await lab.network.log()` returned.
        call_uuid: the call.
        direction: ``to_callee`` or ``to_caller``.

    Attributes:
        seen_s: when each RTP packet came to the relay, UTC seconds, in the order of sending.
        arrives_s: when it was due at the other side; infinite if it was dropped.
        rtcp_seen_s, rtcp_arrives_s: the same of RTCP.
    """

    def __init__(self, log: pd.DataFrame, call_uuid: str, direction: str) -> None:
        own = log[(log["call_uuid"] == call_uuid) & (log["direction"] == direction)]
        self.seen_s, self.arrives_s = self._times(own[own["kind"] == "rtp"])
        self.rtcp_seen_s, self.rtcp_arrives_s = self._times(own[own["kind"] == "rtcp"])

    @staticmethod
    def _times(part: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        seen = seconds(part.index)
        arrives = seen + part["delay_ms"].to_numpy() / 1e3
        return seen, np.where(part["fate"] == "forwarded", arrives, np.inf)

    def loss(self, until_s: float = np.inf, packets: int | None = None) -> float:
        """The share that was dropped, of those that came to the relay by a time, or of the first packets."""
        arrives = self.arrives_s[:packets] if packets is not None else self.arrives_s[self.seen_s <= until_s]
        return float(np.isinf(arrives).mean())

    def jitter_ms_after(self) -> np.ndarray:
        """The receiver's interarrival jitter after its n-th packet (element n - 1), ms."""
        order = np.argsort(self.arrives_s, kind="stable")
        order = order[np.isfinite(self.arrives_s[order])]
        return jitter(self.arrives_s[order], order * FRAME_S) * 1e3


def jitter(arrivals_s: np.ndarray, timestamps_s: np.ndarray) -> np.ndarray:
    """Interarrival jitter (RFC 3550 section 6.4.1) after each packet, in the order of arrival; seconds."""
    changes = np.abs(np.diff(arrivals_s - timestamps_s))
    value, values = 0.0, [0.0]
    for change in changes:
        value += (change - value) / 16
        values.append(value)
    return np.array(values)


def _unwrapped(timestamps: np.ndarray) -> np.ndarray:
    """RTP times of 32 bits, in the order of arrival, as numbers that do not wrap around."""
    steps = (np.diff(timestamps) + 0x8000_0000) % 0x1_0000_0000 - 0x8000_0000
    return np.concatenate([timestamps[:1], timestamps[0] + np.cumsum(steps)])


def round_trips_ms(out: PacketLog, back: PacketLog) -> pd.Series:
    """The delay that the relay gave to each report that came back and to the sender report it answers.

    Returns:
        ms by the time at which the report arrived, UTC seconds.
    """
    arrived = np.isfinite(out.rtcp_arrives_s)
    order = np.argsort(out.rtcp_arrives_s[arrived], kind="stable")
    there = out.rtcp_arrives_s[arrived][order]
    there_delay = (out.rtcp_arrives_s - out.rtcp_seen_s)[arrived][order]
    values: dict[float, float] = {}
    for seen, arrives in zip(back.rtcp_seen_s, back.rtcp_arrives_s, strict=True):
        answered = int(np.searchsorted(there, seen)) - 1
        if answered >= 0 and np.isfinite(arrives):
            values[float(arrives)] = 1e3 * float(there_delay[answered] + arrives - seen)
    return pd.Series(values, dtype=float).sort_index()


@dataclass(frozen=True)
class Stream:
    """What ``tshark -z rtp,streams`` says about one direction of a capture."""

    packets: int
    lost: int
    mean_jitter_ms: float


_RTP = ("rtp.seq", "rtp.timestamp", "rtp.ssrc")
_SENDER_REPORT = ("rtcp.timestamp.ntp.msw", "rtcp.timestamp.ntp.lsw")
_BLOCK = tuple(f"rtcp.ssrc.{name}" for name in ("cum_nr", "ext_high", "jitter", "lsr", "dlsr"))
_FIELDS = ("frame.time_epoch", "frame.packet_flags_direction", *_RTP, *_SENDER_REPORT, *_BLOCK)
_HEADING = "RTP Streams"


class Wireshark:
    """A capture of one call, as tshark decodes it without any setting.

    Attributes:
        received: of each RTP packet received: arrival ``at`` (UTC s), ``sequence`` number and RTP time
            ``media_s`` (s).
        sent: of each RTP packet sent, the same.
        streams: what tshark's table says of each direction: ``received``, ``sent``.
        reports: of each report block received: arrival ``at``, packets ``lost``, ``highest`` sequence number,
            ``jitter_ms``, and ``rtt_ms`` from when the sender report that it answers was sent.
    """

    def __init__(self, path: Path, codec: str) -> None:
        clock = 48_000 if codec == "OPUS" else 8_000
        columns = [argument for name in _FIELDS for argument in ("-e", name)]
        command = ["tshark", "-n", "-r", str(path), "-Y", "rtp || rtcp", "-T", "fields", *columns]
        command += ["-z", "rtp,streams"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        lines = done.stdout.splitlines()
        table = next(number for number, line in enumerate(lines) if _HEADING in line)
        rows = pd.DataFrame([line.split("\t") for line in lines[:table]], columns=list(_FIELDS))
        hexadecimal = ["frame.packet_flags_direction", "rtp.ssrc"]
        rows[hexadecimal] = rows[hexadecimal].map(lambda text: int(text, 16) if text else 0)
        rows = rows.apply(pd.to_numeric).rename(columns={"frame.time_epoch": "at", "rtp.seq": "sequence"})
        inbound = rows["frame.packet_flags_direction"] == 1
        self.received, self.sent = (
            _packets(rows[way & (rows["rtp.ssrc"] > 0)], clock) for way in (inbound, ~inbound)
        )
        found = {stream[0]: stream[1] for stream in map(_stream, lines[table:]) if stream}
        self.streams = {
            name: found[int(packets["rtp.ssrc"].iloc[0])]
            for name, packets in (("received", self.received), ("sent", self.sent))
        }
        blocks = rows[inbound].dropna(subset=list(_BLOCK))
        self.reports = blocks[["at", *_BLOCK]].set_axis(
            ["at", "lost", "highest", "jitter_ms", "lsr", "dlsr"], axis=1
        )
        self.reports["jitter_ms"] *= 1e3 / clock
        self.reports["rtt_ms"] = _round_trips_ms(
            self.reports, rows[~inbound].dropna(subset=list(_SENDER_REPORT))
        )

    def jitter_ms(self) -> np.ndarray:
        """Interarrival jitter after each RTP packet received."""
        return jitter(self.received["at"].to_numpy(), self.received["media_s"].to_numpy()) * 1e3


def _packets(rows: pd.DataFrame, clock: int) -> pd.DataFrame:
    return rows.assign(media_s=_unwrapped(rows["rtp.timestamp"].to_numpy(dtype=np.int64)) / clock)


def _stream(line: str) -> tuple[int, Stream] | None:
    """A line of the table of streams: SSRC and figures."""
    words = line.replace("%)", "").replace("(", "").split()
    if len(words) < 16 or not words[6].startswith("0x"):
        return None
    return int(words[6], 16), Stream(int(words[8]), int(words[9]), float(words[15]))


def _round_trips_ms(reports: pd.DataFrame, sent: pd.DataFrame) -> list[float]:
    """By the capture's own times: arrival of the report, less its delay, less when its SR was sent."""
    seconds_, fractions = (sent[name].to_numpy(dtype=np.int64) for name in _SENDER_REPORT)
    middles = (seconds_ % 65536 << 16) + (fractions >> 16)
    sent_at = dict(zip(middles.tolist(), sent["at"], strict=True))
    return [
        1e3 * (at - dlsr / 65536 - sent_at.get(int(lsr), np.nan))
        for at, lsr, dlsr in reports[["at", "lsr", "dlsr"]].to_numpy()
    ]
