"""What is around the sound: the kernel, the server, the codec, the set-up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from plivo_nb.analysis.diagnosis.causes import SET_UP_WORDS, words_of
from plivo_nb.analysis.diagnosis.findings import Evidence, Finding, Severity
from plivo_nb.analysis.diagnosis.series import mean
from plivo_nb.audio_types import FRAMES_PER_S
from plivo_nb.codec_table import CODECS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from plivo_nb.analysis.diagnosis.series import BoolArray, CallSeries, FloatArray

#: A lag of the kernel's loop from which on a user notices it, ms.
NOTICED_LAG_MS = 250.0
_LAGS_S = 1.0  # such lags together
_LONG_LAG_MS = 2000.0
_IN_TIME = 0.9  # share of the packets of an interval
_AWAY_S = 3.0
_LATE_SHARE, _OFTEN_LATE_SHARE = 0.1, 0.5  # of the ticks of an interval
_LATE_S = 4.0
#: Longest usual steps of a set-up, ms. Post-dial delay: ITU-T E.721, mean of local connections.
SET_UP_LIMITS_MS: dict[str, float] = {
    "socket_ms": 1000.0,
    "register_ms": 2000.0,
    "post_dial_delay_ms": 3000.0,
    "ice_ms": 2000.0,
    "dtls_ms": 2000.0,
    "media_setup_ms": 2000.0,
}


def busy_rows(series: CallSeries) -> BoolArray:
    """Rows in which the kernel's loop stood still for so long that a user notices it."""
    return series.number("loop_lag_ms") >= NOTICED_LAG_MS


def starved_rows(series: CallSeries) -> BoolArray:
    """Rows in which this machine was too busy to send each packet in time: it is late in receiving as well.

    Only of samples of this package (`loop_lag_ms` is known), whose sender skips no packet by itself.
    """
    rate = series.number("packets_out") / np.where(series.interval_s > 0.0, series.interval_s, np.nan)
    known = np.isfinite(rate) & np.isfinite(series.number("loop_lag_ms")) & series.sends
    return known & (rate < _IN_TIME * FRAMES_PER_S)


def late_share(series: CallSeries) -> FloatArray:
    """Share of the ticks of each interval that were late, 0..1; NaN where it is not known."""
    due = np.where(series.interval_s > 0.0, series.interval_s * FRAMES_PER_S, np.nan)
    return np.minimum(series.number("late_ticks") / due, 1.0)


def late_rows(series: CallSeries) -> BoolArray:
    """Rows in which this process played and sent sound late."""
    return late_share(series) >= _LATE_SHARE


def overloaded(series: CallSeries) -> Iterator[Finding]:
    """A process that is late for seconds, and not because a cell stopped it for once."""
    share = late_share(series)
    rows = (share >= _LATE_SHARE) & ~busy_rows(series)
    if not rows.any() or series.span(rows).seconds < _LATE_S:
        return
    mean_share = mean(share, rows)
    severity: Severity = "major" if mean_share >= _OFTEN_LATE_SHARE else "minor"
    evidence = Evidence("late_ticks", mean_share, "0..1", _LATE_SHARE)
    yield Finding.of("overloaded", "", severity, series.span(rows), evidence)


def busy_kernel(series: CallSeries) -> Iterator[Finding]:
    """A kernel whose loop often stands still, or for long."""
    rows = busy_rows(series)
    lags_ms = series.number("loop_lag_ms")[rows]
    if lags_ms.sum() < 1000.0 * _LAGS_S:
        return
    longest = float(lags_ms.max())
    severity: Severity = "major" if longest >= _LONG_LAG_MS or len(lags_ms) >= 4 else "minor"
    evidence = Evidence("loop_lag_ms", longest, "ms", NOTICED_LAG_MS)
    yield Finding.of("busy_kernel", "", severity, series.span(rows), evidence)


def server_away(series: CallSeries) -> Iterator[Finding]:
    """A signalling connection that is lost, and not back at once."""
    rows = series.flag("server_away")
    if not rows.any() or series.span(rows).seconds < _AWAY_S:
        return
    span = series.span(rows)
    yield Finding.of("server_away", "", "major", span, Evidence("server_away", span.seconds, "s"))


def codec_fall_back(series: CallSeries, call: Any) -> Iterator[Finding]:
    """Another codec than the preferred one, or a change to a codec with less bandwidth."""
    codecs = [word if isinstance(word, str) else "" for word in series.words("codec")]
    rates = np.array([CODECS[name.upper()].clock_rate_hz if name.upper() in CODECS else 0 for name in codecs])
    best = np.maximum.accumulate(rates) if len(rates) else rates
    rows = (rates > 0) & (rates < best)
    preferred = _word(call, "codec_preferred")
    if preferred:
        used = np.array([bool(name) for name in codecs], dtype=bool)
        rows |= used & np.array([name.upper() != preferred.upper() for name in codecs], dtype=bool)
    if not rows.any():
        return
    evidence = [Evidence("codec", codecs[int(np.flatnonzero(rows)[-1])])]
    if preferred:
        evidence.append(Evidence("codec_preferred", preferred))
    yield Finding.of("codec_fall_back", "", "minor", series.span(rows), *evidence)


def slow_set_up(call: Any) -> Iterator[Finding]:
    """Steps of the set-up that took longer than usual, in one finding, by the first of them."""
    if call is None:
        return
    took = {name: float(call[name]) for name in SET_UP_LIMITS_MS if np.isfinite(call[name])}
    slow = {name: value for name, value in took.items() if value > SET_UP_LIMITS_MS[name]}
    if not slow:
        return
    first = next(iter(slow))
    words = SET_UP_WORDS[first]
    seconds = sum(slow.values()) / 1000.0
    longest = max(value / SET_UP_LIMITS_MS[name] for name, value in slow.items())
    yield Finding(
        cause="slow_set_up",
        severity="major" if longest >= 2.0 else "minor",
        what=f"{words_of('slow_set_up').what}: {words.what[0].lower()}{words.what[1:]}",
        since=call.name,
        until=call.name + pd.Timedelta(seconds=min(seconds, 86_400.0)),
        seconds=seconds,
        evidence=tuple(Evidence(name, value, "ms", SET_UP_LIMITS_MS[name]) for name, value in slow.items()),
        remedy=words.remedy,
    )


def _word(call: Any, name: str) -> str:
    value = None if call is None else call[name]
    return value if isinstance(value, str) else ""
