"""The speech codecs: one row each. Everything else that depends on the codec is looked up here.

To add a codec, add its row, its name to `CodecName`, and its coder to `plivo_nb.media.codecs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CodecName = Literal["OPUS", "PCMU", "PCMA"]

_G113 = "ITU-T G.113 (11/2007) Appendix I, G.711"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecRow:
    """What is fixed for one codec.

    Attributes:
        name: as in the option `codecs` and the column `codec` of the samples.
        encoding: encoding name of ``a=rtpmap``, as registered with IANA.
        payload_type: RTP payload type that an offer gives it (RFC 3551 for static ones).
        clock_rate_hz: RTP clock; the decoded sound has the same rate.
        channels: channels of ``a=rtpmap``. What is coded is mono (RFC 7587 section 7: Opus always says 2).
        look_ahead_ms: what the encoder waits for beyond the frame.
        r0: transmission rating of an undisturbed call in the Browser SDK's MOS formula.
        loss_limit: packet loss above which mediaMetrics warns (`high_packetloss`), 0..1.
        ie: equipment impairment factor of the E-model (ITU-T G.107), on the narrowband R scale.
        bpl: packet-loss robustness factor of the E-model with concealment, percent.
        bpl_without_concealment: the same without concealment.
        source: where `ie` and `bpl` come from.
        offered: whether it is offered by default.
    """

    name: CodecName
    encoding: str
    payload_type: int
    clock_rate_hz: int
    channels: int
    look_ahead_ms: float
    r0: float
    loss_limit: float
    ie: float
    bpl: float
    bpl_without_concealment: float
    source: str
    offered: bool


_ROWS = (
    CodecRow(
        name="OPUS",
        encoding="opus",
        payload_type=111,
        clock_rate_hz=48_000,
        channels=2,
        look_ahead_ms=6.5,  # RFC 6716 section 2
        r0=95.0,
        loss_limit=0.10,
        # G.113 has no Opus. On the narrowband scale used here the figures for narrowband Opus at its highest
        # rate are the nearest published ones. Opus always conceals.
        ie=2.03,
        bpl=15.95,
        bpl_without_concealment=15.95,
        source="M. AlAhmadi, P. Pocta, H. Melvin (2021): Opus narrowband, 11 kb/s constant, random loss",
        offered=True,
    ),
    CodecRow(
        name="PCMU",
        encoding="PCMU",
        payload_type=0,
        clock_rate_hz=8_000,
        channels=1,
        look_ahead_ms=0.0,
        r0=93.2,
        loss_limit=0.20,
        ie=0.0,
        bpl=25.1,
        bpl_without_concealment=4.3,
        source=_G113,
        offered=True,
    ),
    # Not offered by default: Plivo's Browser SDK, as the other side, refuses more than two codecs.
    CodecRow(
        name="PCMA",
        encoding="PCMA",
        payload_type=8,
        clock_rate_hz=8_000,
        channels=1,
        look_ahead_ms=0.0,
        r0=93.2,
        loss_limit=0.20,
        ie=0.0,
        bpl=25.1,
        bpl_without_concealment=4.3,
        source=_G113,
        offered=False,
    ),
)

#: The codecs by name.
CODECS: dict[str, CodecRow] = {row.name: row for row in _ROWS}

#: The names that are offered by default, in order of preference.
DEFAULT_CODECS: tuple[str, ...] = tuple(row.name for row in _ROWS if row.offered)


def codec_row(name: str) -> CodecRow:
    """The row of a codec.

    Args:
        name: a codec's name, or the encoding name of ``a=rtpmap``, in any case.

    Raises:
        ValueError: there is no such codec.
    """
    row = CODECS.get(name.upper())
    if row is None:
        raise ValueError(f"There is no codec {name!r}; choose among {', '.join(CODECS)}.")
    return row
