"""What a client keeps of its calls: samples, mediaMetrics events, and a row for each call."""

from __future__ import annotations

import math
import numbers
import weakref
from typing import TYPE_CHECKING, Any

from plivo_nb.quality.call_totals import CallTotals
from plivo_nb.quality.frames import CALLS, MEDIA_METRICS, SAMPLES, ColumnStore, build_frame

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    import pandas as pd

    from plivo_nb.engine.call_session import CallSession
    from plivo_nb.engine.engine import Engine
    from plivo_nb.quality.sampler import SampleRow

_LONGEST_S = 1e9  # 30 years


class Records:
    """The column stores of one client.

    Args:
        engine: its clock is used, and the lag of its loop, which is a column of every sample.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._samples = ColumnStore(SAMPLES, by="call_uuid")
        self._media_metrics = ColumnStore(MEDIA_METRICS, by="call_uuid")
        self._calls: list[tuple[dict[str, Any], CallTotals]] = []
        self._ended: weakref.WeakKeyDictionary[CallSession, dict[str, Any]] = weakref.WeakKeyDictionary()
        self._totals: weakref.WeakKeyDictionary[CallSession, CallTotals] = weakref.WeakKeyDictionary()
        self.feedback: dict[str, tuple[int, str]] = {}
        #: The tags of the calls that ended, by id.
        self.tags: dict[str, dict[str, Any]] = {}

    def utc_ns(self) -> int:
        """The time now, ns since 1970, by the clock of all frames."""
        return self._engine.utc_ns()

    def utc_ns_at(self, monotonic_s: float) -> int:
        """A time of `time.monotonic()` (seconds) by the same clock."""
        return self._engine.utc_ns(monotonic_s)

    def _totals_of(self, session: CallSession) -> CallTotals:
        return self._totals.setdefault(session, CallTotals())

    def add_sample(self, session: CallSession, row: SampleRow) -> None:
        """Keep one second's numbers of a call; the last part of a second comes after `add_call`."""
        totals, until_s = self._totals_of(session), row.time_monotonic_s
        since_s = max(totals.last_at_s, session.timings.get("answered", -math.inf))
        lags_ms = self._engine.loop_lag.between_ms(since_s, until_s)
        totals.add(row, lags_ms)
        lag_ms = max(lags_ms, default=0.0)
        totals.last = {
            "call_uuid": session.uuid or session.key,
            "loop_lag_ms": lag_ms,
            "server_away": not session.account.connected,
            **row.values(),
        }
        self._samples.append(row.time_utc_ns, **totals.last)

    def add_media_metric(
        self, session: CallSession | None, event: dict[str, Any], at_ns: int | None = None
    ) -> None:
        """Keep one mediaMetrics event, of a call or of none. `at_ns`: ns since 1970; by default now."""
        at_ns = self.utc_ns() if at_ns is None else at_ns
        call_uuid = None if session is None else session.uuid or session.key
        self._media_metrics.append(at_ns, call_uuid=call_uuid, **event)
        if session is not None and event["active"]:
            self._totals_of(session).warnings += 1

    def add_call(self, session: CallSession) -> None:
        """Keep the row of a call that ended."""
        row = self._row_so_far(session)
        self._calls.append((row, self._totals_of(session)))
        self._ended[session] = row
        if session.tags:
            self.tags[str(row["call_uuid"])] = session.tags

    def _row_so_far(self, session: CallSession) -> dict[str, Any]:
        """What is known of a call without its samples."""
        info = session.now_info()
        times = session.timings
        return {
            "time": session.started_utc_s,
            "call_uuid": info.callUUID or session.key,
            "direction": info.direction,
            "src": info.src,
            "dest": info.dest,
            "state": info.state,
            "cause": session.cause,
            "code": info.code,
            "reason": info.reason,
            "originator": info.originator,
            "post_dial_delay_ms": _between_ms(times, "dialled", "ringing"),
            "answer_delay_ms": _between_ms(times, "ringing", "answered"),
            **_login_ms(session.account.timings, before_s=min(times.values(), default=-math.inf)),
            "ice_ms": _between_ms(times, "ice_checking", "ice_connected"),
            "dtls_ms": _between_ms(times, "ice_connected", "dtls_connected"),
            "media_setup_ms": _between_ms(times, "answered", "first_rtp_received"),
            "codec_preferred": session.media.preferred_codec,
            "duration_s": _between_ms(times, "answered", "ended") / 1000,
        }

    def last_sample(self, session: CallSession) -> dict[str, Any] | None:
        """The last row of a call in `samples`, by column; None before the first."""
        totals = self._totals.get(session)
        return None if totals is None else totals.last

    def call_row(self, session: CallSession) -> dict[str, Any] | None:
        """A call's row in `calls`, by column, with `time` in seconds since 1970; None before its end."""
        row = self._ended.get(session)
        return None if row is None else self._row_of(row, self._totals_of(session))

    def row_so_far(self, session: CallSession) -> dict[str, Any]:
        """The same before the end too; then without the end, and without figures from samples."""
        return self.call_row(session) or self._row_so_far(session)

    def _row_of(self, row: dict[str, Any], totals: CallTotals) -> dict[str, Any]:
        score, comment = self.feedback.get(str(row["call_uuid"]), (None, None))
        return {**row, **totals.values(), "feedback_score": score, "feedback_comment": comment}

    def samples(self) -> pd.DataFrame:
        """One row per call and second; `plivo_nb.schema("samples")` says what the columns mean."""
        return self._samples.frame()

    def recent_samples(self, seconds: float) -> pd.DataFrame:
        """The samples of the last `seconds`, of all calls, without a copy of those before.

        Raises:
            ValueError: `seconds` is not a number greater than 0.
        """
        given: object = seconds  # whatever the caller's types say
        if not isinstance(given, numbers.Real) or not seconds > 0:
            raise ValueError(f"recent_samples: seconds is {seconds!r}; give a number greater than 0.")
        since_ns = self.utc_ns() - round(min(seconds, _LONGEST_S) * 1e9)
        return self._samples.frame(self._samples.rows_since(since_ns))

    def call_samples(self, session: CallSession) -> pd.DataFrame:
        """A call's rows of `samples`, without a copy of others."""
        return self._samples.frame(self._samples.rows_of([session.uuid or session.key]))

    def call_media_metrics(self, session: CallSession) -> pd.DataFrame:
        """A call's rows of `media_metrics`, without a copy of others."""
        return self._media_metrics.frame(self._media_metrics.rows_of([session.uuid or session.key]))

    def samples_since(
        self, session: CallSession, row: int, names: Iterable[str]
    ) -> tuple[int, dict[str, npt.NDArray[Any]]]:
        """A call's samples from row `row` of the frame of all calls on, without a copy of others.

        Returns:
            The row to go on with next time; arrays by column, as `ColumnStore.since` gives them.
        """
        rows = self._samples.rows_of([session.uuid or session.key, session.key], row)
        return len(self._samples), self._samples.arrays(rows, names)

    def samples_of(self, session: CallSession) -> list[tuple[int, dict[str, Any]]]:
        """A call's samples: ns since 1970, and the values by column; without a copy of others."""
        names = ["time", *(column.name for column in SAMPLES)]
        _, columns = self.samples_since(session, 0, names)
        times_ns = columns.pop("time").astype("int64") * 1000
        rows = zip(*columns.values(), strict=True)
        return [
            (int(at_ns), dict(zip(columns, row, strict=True)))
            for at_ns, row in zip(times_ns, rows, strict=True)
        ]

    def media_metrics_since(
        self, session: CallSession, event: int
    ) -> tuple[int, list[tuple[int, dict[str, Any]]]]:
        """A call's mediaMetrics events from event number `event` of all calls on.

        Returns:
            The event to go on with next time; the events: ns since 1970, and the values by column.
        """
        names = ["time", *(column.name for column in MEDIA_METRICS)]
        rows = self._media_metrics.rows_of([session.uuid or session.key, session.key], event)
        columns = self._media_metrics.arrays(rows, names)
        events = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        times_ns = [int(row.pop("time").astype("int64")) * 1000 for row in events]
        return len(self._media_metrics), list(zip(times_ns, events, strict=True))

    def media_metrics(self) -> pd.DataFrame:
        """Every mediaMetrics event, with Plivo's keys."""
        return self._media_metrics.frame()

    def calls(self) -> pd.DataFrame:
        """One row for each call that ended, in the order of their beginnings (index `time`)."""
        rows = [self._row_of(row, totals) for row, totals in self._calls]
        return build_frame(
            "calls",
            [round(row["time"] * 1e9) for row in rows],
            {column.name: [row[column.name] for row in rows] for column in CALLS},
        )

    def calls_with_tags(self, sessions: Iterable[CallSession]) -> pd.DataFrame:
        """The same with the calls that go on, and the tags as columns behind those of the schema."""
        going_on = [
            (self._row_so_far(session), session.tags) for session in sessions if session not in self._ended
        ]
        rows = [
            (self._row_of(row, totals), self.tags.get(str(row["call_uuid"]), {}))
            for row, totals in self._calls
        ]
        rows += [({column.name: None for column in CALLS} | row, tags) for row, tags in going_on]
        frame = build_frame(
            "calls",
            [round(row["time"] * 1e9) for row, _ in rows],
            {column.name: [row[column.name] for row, _ in rows] for column in CALLS},
        )
        order = sorted(range(len(rows)), key=lambda number: rows[number][0]["time"])
        for name in dict.fromkeys(name for _, tags in rows for name in tags):
            column = f"tag_{name}" if name in _CALL_COLUMNS else name
            frame[column] = [rows[number][1].get(name) for number in order]
        return frame


_CALL_COLUMNS = {column.name for column in CALLS}


def _login_ms(times: dict[str, float], before_s: float) -> dict[str, float]:
    """How long the account's last login took; missing when that was not before the call."""
    if times.get("registered", math.inf) > before_s:
        times = {}
    return {
        "socket_ms": _between_ms(times, "socket_connecting", "socket_connected"),
        "register_ms": _between_ms(times, "register_sent", "registered"),
    }


def _between_ms(times: dict[str, float], start: str, end: str) -> float:
    if start not in times or end not in times:
        return float("nan")
    return (times[end] - times[start]) * 1000
