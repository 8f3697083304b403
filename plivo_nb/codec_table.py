"""The speech codecs: one row each. Everything else that depends on the codec is looked up here.

To add a codec, add its row, its name to `CodecName`, and its coder to `plivo_nb.media.codecs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CodecName = Literal["OPUS", "PCMU", "PCMA"]


@dataclass(frozen=True, slots=True)
class Impairment:
    """What a codec costs on a scale of the E-model, by itself and under loss (ITU-T G.107 clause 7.5).

    Attributes:
        ie: equipment impairment factor Ie, in points of R.
        bpl: packet-loss robustness factor Bpl, in percent of loss.
        source: where the two come from.
    """

    ie: float
    bpl: float
    source: str


_G113 = Impairment(0.0, 25.1, "ITU-T G.113 (11/2007) Appendix I, G.711 with concealment")
_PESQ = "PESQ (ITU-T P.862) of this receiver, French voice: tests/bench/listening_quality.py"
_FULLBAND_OPUS = (
    "Ie: EVS at 32 kbit/s, the nearest codec in ITU-T G.113 (09/2024) Appendix V; "
    "Bpl: ViSQOL 3 of this receiver, French and Italian voices: tests/bench/listening_quality.py"
)
_FULLBAND_G711 = (
    "Ie: ITU-T G.113 Appendix IV (Ie,wb 36) and Appendix V (19 more); Bpl: as on the narrowband scale"
)


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
        narrowband: its figures on the scale of ITU-T G.107, measured with this package's receiver; the loss
            that they count is what is missing from the sound after in-band FEC.
        fullband: the same on the scale of ITU-T G.107.2.
        planning: published figures on the scale of ITU-T G.107, for any receiver that conceals.
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
    narrowband: Impairment
    fullband: Impairment
    planning: Impairment
    offered: bool


# the same for both laws: they share the concealment
_G711_NARROWBAND = Impairment(11.1, 12.7, _PESQ)
_G711_FULLBAND = Impairment(55.0, 12.7, _FULLBAND_G711)

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
        narrowband=Impairment(8.4, 12.1, _PESQ),
        fullband=Impairment(8.7, 16.0, _FULLBAND_OPUS),
        # G.113 has no Opus. Those of narrowband Opus at its highest rate are the nearest published ones.
        planning=Impairment(
            2.03, 15.95, "M. AlAhmadi, P. Pocta, H. Melvin (2021): Opus narrowband, 11 kb/s, random loss"
        ),
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
        narrowband=_G711_NARROWBAND,
        fullband=_G711_FULLBAND,
        planning=_G113,
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
        narrowband=_G711_NARROWBAND,
        fullband=_G711_FULLBAND,
        planning=_G113,
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
