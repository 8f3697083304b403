"""The key figures of a call as shown in tiles: now, over the whole call, or none.

How they are kept from flickering: the MOS, and with it its word, is the lowest of the last five samples, so
that it becomes worse at once and better after five seconds, as the mediaMetrics warnings do; the loss of what
is received is that of the last five samples together. Digits have one width. A dead direction is shown at
once, whatever came before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.quality.limits import LOOP_STALL_MS, verdict
from plivo_nb.widgets.phone_view import clock
from plivo_nb.widgets.plain_warnings import RULE_WINDOW, percent

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from plivo_nb.quality.limits import Verdict

    Columns = Mapping[str, NDArray[np.float64]]

#: The columns of `samples` that the figures need.
USED_COLUMNS = (
    "interval_s", "rtt_ms", "rtt_age_s", "report_age_s", "jitter_in_ms", "jitter_out_ms", "loss_in",
    "loss_out", "packets_expected_in", "packets_expected_out", "mos", "mos_in", "mos_out", "bitrate_in_kbps",
    "bitrate_out_kbps", "level_in_dbfs", "level_out_dbfs", "loop_lag_ms",
)  # fmt: skip
#: How many of the last samples `current` uses; held values of the far end's reports are older.
RECENT_ROWS = 40
_OLD_S = 1.5  # the age of a value is shown from here on
_ALIKE = 0.1  # directions whose MOS differs by less than this are not told apart
_CODECS = {"OPUS": "Opus"}
_TO_YOU, _FROM_YOU = "to you", "from you"
_DEAD = {
    (True, True): "nothing gets through",
    (True, False): "nothing reaches you",
    (False, True): "nothing from you arrives",
}


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure.

    Attributes:
        name: what it is.
        value: the number or word, "–" where it is missing.
        unit: after the value, or "".
        detail, more: two short lines below it.
    """

    name: str
    value: str = "–"
    unit: str = ""
    detail: str = ""
    more: str = ""


@dataclass(frozen=True, slots=True)
class KeyFigures:
    """What the tiles show.

    Attributes:
        mos: the score as a tile; its `detail` is the word.
        verdict: word and colour of the score.
        tiles: the other tiles.
        dead: what does not get through, in words; "" while both directions work.
    """

    mos: Tile
    verdict: Verdict
    tiles: tuple[Tile, ...]
    dead: str = ""


def columns_of(samples: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """The columns that the figures need, as arrays; NaN where the frame lacks one."""
    missing = np.full(len(samples), np.nan)
    return {
        name: samples[name].to_numpy(float, na_value=np.nan) if name in samples else missing
        for name in USED_COLUMNS
    }


def last_word(samples: pd.DataFrame, column: str) -> str:
    """The last value of a column of words, or ""."""
    value = samples[column].iloc[-1] if column in samples and len(samples) else None
    return value if isinstance(value, str) else ""


def nothing() -> KeyFigures:
    """No figures: before a call, or when a call was not answered."""
    names = ("round trip", "packet loss", "jitter", "codec", "this kernel")
    return KeyFigures(
        Tile("MOS", detail=verdict(math.nan).word), verdict(math.nan), tuple(Tile(name) for name in names)
    )


def steady_score(columns: Columns) -> float:
    """The score of this moment: the lowest MOS of the last five samples, and 1 where a direction is dead.

    Args:
        columns: ``mos``, ``loss_in`` and ``loss_out`` of the last samples.
    """
    return 1.0 if _dead(columns) else _lowest(columns["mos"][-RULE_WINDOW:])


def current(columns: Columns, codec: str, direction: str = "sendrecv") -> KeyFigures:
    """The figures of this moment.

    Args:
        columns: the last samples of the call, as `columns_of` gives them.
        codec: the codec of the last sample, or "".
        direction: of the SDP in the last sample; a call on hold has no score.
    """
    if not len(columns["mos"]):
        return nothing()
    dead = _dead(columns)
    score = steady_score(columns)
    held = direction in ("sendonly", "recvonly", "inactive") and not dead
    word = "on hold" if held else verdict(score).word
    shown = verdict(math.nan if held else score)
    last = {name: float(values[-1]) for name, values in columns.items()}
    age = _age(columns, "rtt_age_s")
    lag_ms = _highest(columns["loop_lag_ms"][-RULE_WINDOW:])
    return KeyFigures(
        Tile("MOS", _number(math.nan if held else score, 2), "", word, dead or _worse_direction(columns)),
        shown,
        (
            Tile("round trip", _number(last["rtt_ms"]), "ms", "there and back", f"{age} ago" if age else ""),
            _two_ways("packet loss", "%", _recent_loss(columns), 100 * last["loss_out"], columns, 1),
            _two_ways("jitter", "ms", last["jitter_in_ms"], last["jitter_out_ms"], columns, 0),
            _codec_tile(codec, last["bitrate_in_kbps"], last["bitrate_out_kbps"]),
            _kernel_tile(lag_ms),
        ),
        dead,
    )


def of_call(columns: Columns, codec: str, duration_s: float) -> KeyFigures:
    """The figures of a whole call that has ended.

    Args:
        columns: all samples of the call, as `columns_of` gives them.
        codec: the codec of the last sample, or "".
        duration_s: from the answer to the end.

    Returns:
        The mean MOS, the worst second, the loss of all packets, the mean round trip, codec and duration: the
        numbers that `client.calls` has too.
    """
    scores = columns["mos"]
    mean = float(np.nanmean(scores)) if np.isfinite(scores).any() else math.nan
    stall_ms = _highest(columns["loop_lag_ms"])
    busy = f"kernel lag {stall_ms / 1000:.1f} s" if stall_ms > LOOP_STALL_MS else ""
    return KeyFigures(
        Tile("MOS", _number(mean, 2), "", verdict(mean).word, "mean of the call"),
        verdict(mean),
        (
            _worst_second(columns),
            _loss_of_call(columns),
            _mean_rtt(columns),
            _codec_tile(codec, _mean(columns["bitrate_in_kbps"]), _mean(columns["bitrate_out_kbps"])),
            Tile("duration", clock(duration_s), "", "answer to end", busy),
        ),
    )


def call_loss(columns: Columns) -> tuple[float, float]:
    """The loss of a whole call to you and from you, 0..1: of all packets, each report counted once."""
    return _lost_share(columns, "in"), _lost_share(columns, "out")


# ---------------------------------------------------------------- parts


def _dead(columns: Columns) -> str:
    """Which direction is dead, in words; empty where none is."""
    return _DEAD.get((_last(columns, "loss_in") == 1.0, _last(columns, "loss_out") == 1.0), "")


def _last(columns: Columns, name: str) -> float:
    values = columns[name]
    return float(values[-1]) if len(values) else math.nan


def _known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[~np.isnan(values)]


def _lowest(values: NDArray[np.float64]) -> float:
    known = _known(values)
    return float(known.min()) if len(known) else math.nan


def _highest(values: NDArray[np.float64]) -> float:
    known = _known(values)
    return float(known.max()) if len(known) else math.nan


def _mean(values: NDArray[np.float64]) -> float:
    known = _known(values)
    return float(known.mean()) if len(known) else math.nan


def _number(value: float, digits: int = 0) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _age(columns: Columns, name: str) -> str:
    seconds = _last(columns, name)
    return f"{seconds:.0f} s" if seconds >= _OLD_S else ""


def _new(columns: Columns, age: str) -> NDArray[np.bool_]:
    """Which samples have a new report."""
    return ~(columns[age] >= columns["interval_s"])


def _recent_loss(columns: Columns) -> float:
    """Loss to you in percent, of the last samples together; 100 at once when nothing arrives."""
    if _last(columns, "loss_in") == 1.0:
        return 100.0
    shares, packets = columns["loss_in"][-RULE_WINDOW:], columns["packets_expected_in"][-RULE_WINDOW:]
    known = ~np.isnan(shares)
    weights = np.where(packets[known] > 0, packets[known], 0.0)
    if not weights.sum() > 0:
        return 100 * _mean(shares)
    return 100 * float(np.average(shares[known], weights=weights))


def _lost_share(columns: Columns, direction: str) -> float:
    shares, packets = columns[f"loss_{direction}"], columns[f"packets_expected_{direction}"]
    missing = shares * packets
    if direction == "out":
        missing = np.where(_new(columns, "report_age_s"), missing, 0.0)
    expected = float(np.nansum(packets))
    return min(max(float(np.nansum(missing)) / expected, 0.0), 1.0) if expected > 0 else math.nan


def _worse_direction(columns: Columns) -> str:
    received, sent = (_lowest(columns[name][-RULE_WINDOW:]) for name in ("mos_in", "mos_out"))
    if math.isnan(received) or math.isnan(sent):
        return ""
    if abs(received - sent) < _ALIKE:
        return "both ways alike"
    return "worse to you" if received < sent else "worse from you"


def _two_ways(name: str, unit: str, received: float, sent: float, columns: Columns, digits: int) -> Tile:
    """A figure of both directions: the worse one large, the other one below it."""
    if math.isnan(received) and math.isnan(sent):
        return Tile(name)
    age = _age(columns, "report_age_s") if not math.isnan(sent) else ""
    if math.isnan(sent) or received >= sent:
        other = f"{_number(sent, digits)} {_FROM_YOU}{f' · {age}' if age else ''}"
        return Tile(name, _number(received, digits), unit, _TO_YOU, other)
    here = f"{_FROM_YOU} · {age} ago" if age else _FROM_YOU
    return Tile(name, _number(sent, digits), unit, here, f"{_number(received, digits)} {_TO_YOU}")


def _codec_tile(codec: str, received_kbps: float, sent_kbps: float) -> Tile:
    if not codec:
        return Tile("codec")
    detail = "" if math.isnan(received_kbps) else f"{received_kbps:.0f} {_TO_YOU}"
    more = "" if math.isnan(sent_kbps) else f"{sent_kbps:.0f} {_FROM_YOU}"
    return Tile("codec, kbit/s" if detail or more else "codec", _CODECS.get(codec, codec), "", detail, more)


def _kernel_tile(lag_ms: float) -> Tile:
    """The lag of the kernel's loop, named so that nobody takes it for the network's."""
    if math.isnan(lag_ms):
        return Tile("this kernel")
    if lag_ms <= LOOP_STALL_MS:
        return Tile("this kernel", "fine", "", f"{lag_ms:.0f} ms late")
    return Tile("this kernel", f"{lag_ms / 1000:.1f}", "s", "late, was busy", "not the network")


def _worst_second(columns: Columns) -> Tile:
    scores = columns["mos"]
    if not np.isfinite(scores).any():
        return Tile("worst second")
    row = int(np.nanargmin(scores))
    at_s = float(np.nansum(columns["interval_s"][: row + 1])) or float(row + 1)
    return Tile(
        "worst second",
        _number(float(scores[row]), 2),
        "",
        verdict(float(scores[row])).word,
        f"at {clock(at_s)}",
    )


def _loss_of_call(columns: Columns) -> Tile:
    received, sent = call_loss(columns)
    if math.isnan(received) and math.isnan(sent):
        return Tile("packet loss")
    name, value, other_name, other = _TO_YOU, received, _FROM_YOU, sent
    if math.isnan(received) or sent > received:
        name, value, other_name, other = _FROM_YOU, sent, _TO_YOU, received
    more = "" if math.isnan(other) else f"{percent(other)} {other_name}"
    return Tile("packet loss", _number(100 * value, 1), "%", name, more)


def _mean_rtt(columns: Columns) -> Tile:
    measured = _known(columns["rtt_ms"][_new(columns, "rtt_age_s")])
    if not len(measured):
        return Tile("round trip")
    return Tile("round trip", _number(float(measured.mean())), "ms", "mean", f"up to {measured.max():.0f} ms")
