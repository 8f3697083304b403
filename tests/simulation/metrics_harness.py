"""A client's mediaMetrics and statistics reports for sessions without a wire, as in call_world."""

import asyncio
import math
from dataclasses import fields

from call_world import SessionHarness, answered, dialled

from plivo_nb.engine.call_session import CallSession
from plivo_nb.engine.media_metrics import MediaMetrics
from plivo_nb.engine.records import Records
from plivo_nb.options import read_options
from plivo_nb.plane import wire
from plivo_nb.quality.sampler import SampleRow

NOWHERE = {"statsUrl": "http://127.0.0.1:9/", "insightsUrl": "ws://127.0.0.1:9/"}


class MetricsHarness(SessionHarness):
    """The mediaMetrics of one client, and calls that are followed."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        self.records = Records(self.engine)
        self.tracking = MediaMetrics(
            self.engine, read_options(None, {**NOWHERE, **options}), self.emit, self.records
        )

    def follow(self, session: CallSession) -> None:
        self.tracking.follow(session)

    @property
    def metrics(self) -> list[dict]:
        return self.fired("mediaMetrics")

    def queued(self) -> list[dict]:
        assert self.tracking.service is not None
        return list(self.tracking.service._queue)

    async def close(self) -> None:
        await super().close()
        await self.tracking.logged_out()


async def answered_call(harness: MetricsHarness) -> CallSession:
    session = answered(dialled(harness.call()))
    await asyncio.sleep(0)  # the callbacks of `answered`
    return session


def row(at: float, **values: float | str | bool) -> SampleRow:
    missing = {field.name: math.nan for field in fields(SampleRow)}
    good = {"time_utc_ns": 0, "codec": "OPUS", "muted": False, "packets_out": 50.0}
    return SampleRow(**{**missing, **good, "time_monotonic_s": at, **values})


def state(session: CallSession, what: str, state: str, detail: str = "") -> None:
    session.media._report(wire.SessionState(1, what, state, session.over.get_loop().time(), detail))
