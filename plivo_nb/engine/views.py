"""What can be seen of a client: its state, and its frames, by copy: reading them in mid-call is fine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from plivo_nb.engine.endpoint import Endpoint


class Views:
    """What `Client` shows."""

    _endpoint: Endpoint

    @property
    def is_connected(self) -> bool:
        """True while the signalling socket is open."""
        account = self._endpoint.account
        return account is not None and account.connected

    @property
    def muted(self) -> bool:
        """True while muted, or while a mute waits for the next call."""
        return self._endpoint.call_manager.muted

    @property
    def username(self) -> str | None:
        """Who is logged in, or None."""
        account = self._endpoint.account
        return account.username if account is not None else None

    @property
    def samples(self) -> pd.DataFrame:
        """One row per call and second, a copy; `plivo_nb.schema("samples")` tells columns and units."""
        return self._endpoint.records.samples()

    @property
    def media_metrics(self) -> pd.DataFrame:
        """Every mediaMetrics event with Plivo's keys, a copy."""
        return self._endpoint.records.media_metrics()

    @property
    def calls(self) -> pd.DataFrame:
        """One row a call that ended: who, when, set-up times, cause, mean and 5th percentile MOS."""
        return self._endpoint.records.calls()

    @property
    def log(self) -> pd.DataFrame:
        """What happened, in order: index `time` (UTC), event, call_uuid, text."""
        return self._endpoint.log.frame()

    @property
    def sip_trace(self) -> pd.DataFrame:
        """Every SIP message, credentials masked.

        Index `time` (UTC); columns direction (in, out), start (method, or status and reason), call (Call-ID),
        cseq, text.
        """
        return self._endpoint.trace.frame()

    @property
    def recent_log(self) -> list[str]:
        """The last 50 entries of the log as short lines, for widgets."""
        return [f"{entry.event} {entry.text}".strip() for entry in self._endpoint.log.tail(50)]
