"""What the file of a call keeps beside its samples for a look at that one call: packets and SIP messages.

It stands in the metadata of the Parquet file under a key of its own, compressed, so that reading many calls
does not read it.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from plivo_nb.engine.fate_record import fates_frame
from plivo_nb.engine.sip_trace import SipMessage, trace_frame

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

KEY = b"plivo_nb.details"
_EARLIER_WORDS = {"lost": "missing"}  # of calls that were stored before the fate had the name it has now
_LARGEST_BYTES = 64_000_000  # after decompression: a file may come from anywhere


@dataclass(frozen=True, slots=True)
class CallDetails:
    """Packets and SIP messages of a call that has ended.

    Attributes:
        fates: what became of packets that were not simply played: ns since 1970, and the fate, as in
            `plivo_nb.schema("packet_fates")`.
        messages: its SIP messages, credentials masked.
        timings: when it reached each stage, in seconds of the clock of `SipMessage.time_monotonic_s`.

    Example:
        >>> details = CallDetails(fates=((1_000_000_000, "missing"),))
        >>> CallDetails.from_bytes(details.to_bytes()) == details
        True
    """

    fates: tuple[tuple[int, str], ...] = ()
    messages: tuple[SipMessage, ...] = ()
    timings: dict[str, float] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The same for the metadata of a file."""
        values = {
            "fates": self.fates,
            "messages": [asdict(message) for message in self.messages],
            "timings": self.timings,
        }
        return zlib.compress(json.dumps(values).encode())

    @classmethod
    def from_bytes(cls, data: bytes) -> CallDetails:
        """What `to_bytes` made.

        Raises:
            ValueError: it is damaged.
        """
        try:
            unpacking = zlib.decompressobj()
            text = unpacking.decompress(data, _LARGEST_BYTES)
            if unpacking.unconsumed_tail:
                raise ValueError("it is too long")
            values = json.loads(text)
            return cls(
                tuple((int(at_ns), _EARLIER_WORDS.get(fate, str(fate))) for at_ns, fate in values["fates"]),
                tuple(_message(message) for message in values["messages"]),
                {str(name): float(at_s) for name, at_s in values["timings"].items()},
            )
        except (zlib.error, KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"The packets and SIP messages of the call cannot be read ({error}).") from None

    def packet_fates(self, call_uuid: str | None) -> pd.DataFrame:
        """The fates as a frame, see `plivo_nb.schema("packet_fates")`."""
        return fates_frame(self.fates, call_uuid)

    def sip_trace(self) -> pd.DataFrame:
        """The messages as a frame, see `plivo_nb.schema("sip_trace")`."""
        return trace_frame(self.messages)


def _message(values: dict[str, Any]) -> SipMessage:
    times = (float(values["time_utc_s"]), float(values["time_monotonic_s"]))
    words = (str(values[name]) for name in ("direction", "start", "call", "cseq", "text"))
    return SipMessage(*times, *words)


def read_details(path: Path) -> CallDetails:
    """The details of the call of a Parquet file; none where it has none.

    Raises:
        ValueError: they are damaged.
        OSError: the file cannot be read.
    """
    try:
        metadata = pq.read_schema(str(path)).metadata or {}
    except pa.ArrowException as error:
        raise ValueError(f"{path} is no Parquet file ({error}).") from None
    data = metadata.get(KEY)
    return CallDetails() if data is None else CallDetails.from_bytes(data)
