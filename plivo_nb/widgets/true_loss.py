"""TrueLoss: the packets that a lab's network really dropped in the present call, once a second."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from plivo_nb.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from numpy.typing import NDArray

    from plivo_nb.call import Call
    from plivo_nb.client import Client

_INTERVAL_S = 1.0
_KEPT = 72_000  # 20 h of a call


class Counting(Protocol):
    """The interface that `TrueLoss` needs of a lab's network; `lab.network` has it."""

    def counters(self, call_uuid: str | None = None) -> Awaitable[dict[str, Any]]:
        """Count packets."""


class TrueLoss:
    """The loss of the present call as the network counts it, to be compared with what the call measures.

    Args:
        client: the client whose calls are counted.
        network: a lab's network, such as `lab.network`.
        show: called with the columns each second in an answered call: ``time`` (UTC, in nanoseconds),
            ``loss_in`` and ``loss_out`` (0..1; NaN when no packet was sent in this second).
    """

    def __init__(
        self,
        client: Client,
        network: Counting,
        show: Callable[[Mapping[str, NDArray[Any]]], None],
    ) -> None:
        self._client = client
        self._network = network
        self._show = show
        self._call: Call | None = None
        self._before: Mapping[str, Any] | None = None
        self._rows: deque[tuple[int, float, float]] = deque(maxlen=_KEPT)

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """What `show` is given."""
        rows = list(self._rows)
        return {
            "time": np.array([row[0] for row in rows], np.int64),
            "loss_in": np.array([row[1] for row in rows], np.float64),
            "loss_out": np.array([row[2] for row in rows], np.float64),
        }

    async def run(self) -> None:
        """Count until cancelled."""
        while True:
            call = self._client.current_call
            if call is not None and call.call_uuid is not None and "answered" in call.timings:
                await self._count(call, call.call_uuid)
            await asyncio.sleep(_INTERVAL_S)

    async def _count(self, call: Call, call_uuid: str) -> None:
        if call is not self._call:
            self._call, self._before = call, None
            self._rows.clear()
        try:
            counters = (await self._network.counters(call_uuid))["calls"]
        except LabError:
            return  # a call outside this lab, or the lab has ended
        if not counters:
            return
        if self._before is not None:
            received, sent = ("to_callee", "to_caller")
            if call.info.direction == "OUTGOING":
                received, sent = sent, received
            loss_in = share_dropped(self._before[received], counters[0][received])
            loss_out = share_dropped(self._before[sent], counters[0][sent])
            self._rows.append((time.time_ns(), loss_in, loss_out))
            self._show(self.columns)
        self._before = counters[0]


def share_dropped(before: Mapping[str, int], now: Mapping[str, int]) -> float:
    """The share of the RTP packets between two readings of the counters that was dropped, or NaN.

    Example:
        >>> share_dropped({"rtp_seen": 100, "rtp_dropped": 0}, {"rtp_seen": 150, "rtp_dropped": 5})
        0.1
    """
    seen = now["rtp_seen"] - before["rtp_seen"]
    return (now["rtp_dropped"] - before["rtp_dropped"]) / seen if seen > 0 else math.nan
