"""Warning limits, and the word of a MOS: the only place where they are written.

The limits are those of the mediaMetrics events of Plivo's Browser SDK V2.1; those named `SDK_2_2_...` are the
ones that the published packages 2.1.29 to 2.2.21 use instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from plivo_nb.codec_table import CODECS
from plivo_nb.palette import BAD_COLOUR, FAIR_COLOUR, GOOD_COLOUR, POOR_COLOUR, UNKNOWN_COLOUR

#: high_jitter: interarrival jitter above this, ms.
JITTER_LIMIT_MS = 30.0
#: high_rtt: round-trip time above this, ms.
RTT_LIMIT_MS = 400.0
#: low_mos: MOS below this.
MOS_LIMIT = 3.0
#: no_audio_received: peak level at or below this, dBFS.
SILENCE_LIMIT_DBFS = -70.0
#: no_microphone_access: fewer bytes of audio than this from the source in `MICROPHONE_SPAN_S` seconds.
MICROPHONE_LIMIT_BYTES = 80
MICROPHONE_SPAN_S = 3.0
#: ice_timeout: ICE gathering takes longer than this, ms.
ICE_GATHERING_LIMIT_MS = 2000
#: high_packetloss: loss above this share (0..1), by codec.
LOSS_LIMITS: dict[str, float] = {row.name: row.loss_limit for row in CODECS.values()}

#: The kernel's loop counts as stalled when it runs later than this, ms.
LOOP_STALL_MS = 100.0

SDK_2_2_MOS_LIMIT = 3.5
#: Loss of at least this share, by codec; ``""`` for the codecs that are not named.
SDK_2_2_LOSS_LIMITS: dict[str, float] = {"OPUS": 0.10, "": 0.02}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A MOS in a word and a colour.

    Attributes:
        word: such as ``good``.
        colour: ``#RRGGBB``, dark enough for white text.
        terminal_colour: the name of a colour that terminals have (`rich`).
    """

    word: str
    colour: str
    terminal_colour: str


# The steps of ITU-T G.107 table B.1 (user satisfaction); the last one is the low_mos limit.
_VERDICTS = (
    (4.3, Verdict("excellent", GOOD_COLOUR, "green")),
    (4.0, Verdict("good", GOOD_COLOUR, "green")),
    (3.6, Verdict("fair", FAIR_COLOUR, "yellow")),
    (MOS_LIMIT, Verdict("poor", POOR_COLOUR, "dark_orange")),
)
_BAD = Verdict("bad", BAD_COLOUR, "red")
_UNKNOWN = Verdict("no figure yet", UNKNOWN_COLOUR, "default")


def verdict(mos: float) -> Verdict:
    """The word and the colours of a MOS.

    Args:
        mos: 1 to 4.5; NaN gives "no figure yet".

    Example:
        >>> verdict(4.35).word
        'excellent'
    """
    if mos != mos:
        return _UNKNOWN
    return next((found for least, found in _VERDICTS if mos >= least), _BAD)


def loss_limit(codec: str | None) -> float:
    """The share of lost packets (0..1) above which mediaMetrics warns.

    Args:
        codec: the codec's name; None or an unknown one gives the highest limit.
    """
    return LOSS_LIMITS.get(codec or "", max(LOSS_LIMITS.values()))
