"""CallQuality: keeps tiles and banner in step with the client's call."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from plivo_nb.widgets import key_figures, plain_warnings
from plivo_nb.widgets.plain_warnings import WarningSpans
from plivo_nb.widgets.quality_view import NO_CALL, QualityView

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from plivo_nb.call import Call
    from plivo_nb.client import Client
    from plivo_nb.events import CallInfo, EventName
    from plivo_nb.widgets.loop_tasks import LoopTasks

STARTING = "The figures come with the first second of sound."
NOT_ANSWERED = "The call was not answered: there is nothing to measure."
_READ_COLUMNS = ("codec", "direction", *key_figures.USED_COLUMNS)
NO_SAMPLES_S = 4.0  # a call without a new sample for so long has no figures


class CallQuality:
    """The quality of the client's current call, and after its end that of the whole call.

    Args:
        client: the client whose calls are shown.
        loop_tasks: runs what waits for the end of a call.

    Attributes:
        view: tiles and banner.
        warnings: the warnings of the call that is shown.
    """

    def __init__(self, client: Client, loop_tasks: LoopTasks) -> None:
        self._client = client
        self._loop_tasks = loop_tasks
        self.view = QualityView()
        self.warnings = WarningSpans()
        self._call: Call | None = None
        self._ended = False
        self._rows = 0
        self._read_to = 0
        self._recent: dict[str, NDArray[Any]] = {}
        self._row_at_s = time.monotonic()
        self._subscriptions: list[tuple[EventName, Callable[..., None]]] = [
            ("onCalling", self._call_began),
            ("onCallAnswered", self._call_began),
            ("onCallTerminated", self._call_ended),
            ("onCallFailed", self._call_failed),
            ("mediaMetrics", self._warned),
        ]
        for name, callback in self._subscriptions:
            client.on(name, callback)
        if client.current_call is not None:
            self._take(client.current_call)
        self.refresh()

    @property
    def widget(self) -> Any:
        """The ipywidgets box."""
        return self.view.widget

    def refresh(self) -> None:
        """Display what is known now. Cheap; to be called once a second during a call."""
        call = self._call
        if call is None or self._ended:
            return
        now = time.monotonic()
        recent = self._read(call, now)
        columns = key_figures.columns_of(recent)
        missing_s = now - self._row_at_s
        if not self._rows or missing_s > NO_SAMPLES_S:
            self.view.show_figures(key_figures.nothing())
        else:
            codec, direction = (key_figures.last_word(recent, name) for name in ("codec", "direction"))
            self.view.show_figures(key_figures.current(columns, codec, direction))
        active = self.warnings.at(self._seconds())
        if active or self._rows:
            self.view.show_warnings(active, columns)
        if self._rows and missing_s > NO_SAMPLES_S and not active:
            self.view.show_sentence(f"Nothing was measured for {missing_s:.0f} s.")

    def unsubscribe(self) -> None:
        """Remove the event callbacks; what is displayed stays."""
        for name, callback in self._subscriptions:
            self._client.off(name, callback)

    def close(self) -> None:
        """Remove the event callbacks, and close the widgets."""
        self.unsubscribe()
        self.view.close()

    # ------------------------------------------------------------------ private; runs on the client's loop

    def _read(self, call: Call, now: float) -> pd.DataFrame:
        """The last samples. Only new ones are copied: a call has many after some hours."""
        self._read_to, new = call._samples_since(self._read_to, _READ_COLUMNS)
        count = len(new["mos"])
        if count:
            self._rows, self._row_at_s = self._rows + count, now
            before = self._recent
            self._recent = {
                name: np.concatenate([before[name], values] if before else [values])[
                    -key_figures.RECENT_ROWS :
                ]
                for name, values in new.items()
            }
        return pd.DataFrame(self._recent)

    def _seconds(self) -> float:
        """Seconds since the answer."""
        answered = None if self._call is None else self._call.timings.get("answered")
        return 0.0 if answered is None else time.monotonic() - answered

    def _call_began(self, *_arguments: Any) -> None:
        current = self._client.current_call
        if current is not None and current is not self._call:
            self._take(current)

    def _take(self, call: Call) -> None:
        self._call, self._ended, self._rows, self._row_at_s = call, False, 0, time.monotonic()
        self._read_to, self._recent = 0, {}
        self.warnings = WarningSpans()
        self.view.show_figures(key_figures.nothing())
        self.view.show_sentence(STARTING)

    def _is_shown(self, info: CallInfo) -> bool:
        return (
            self._call is not None and not self._ended and self._call.info.callUUID in (None, info.callUUID)
        )

    def _call_ended(self, info: CallInfo) -> None:
        if self._is_shown(info):
            self._ended = True
            self.warnings.end(self._seconds())
            assert self._call is not None
            self._loop_tasks.watch(self._sum_up(self._call))

    def _call_failed(self, _cause: str, info: CallInfo) -> None:
        if self._is_shown(info):
            self._ended = True
            self.warnings.end(self._seconds())
            self.view.show_figures(key_figures.nothing())
            self.view.show_sentence(NOT_ANSWERED)

    async def _sum_up(self, call: Call) -> None:
        await call.ended  # the last part of a second is measured at the end
        if call is not self._call:
            return
        _, columns = call._samples_since(0, _READ_COLUMNS)
        times = call.timings
        if not len(columns["mos"]):
            self.view.show_figures(key_figures.nothing())
            self.view.show_sentence("The call ended before the first second of sound.")
            return
        duration_s = times["ended"] - times["answered"]
        codec = columns["codec"][-1] or ""
        self.view.show_figures(key_figures.of_call(columns, codec, duration_s))
        self.view.show_sentence(plain_warnings.summary(self.warnings, duration_s))

    def _warned(self, event: dict[str, Any]) -> None:
        if self._call is not None and not self._ended:
            self.warnings.add(event, self._seconds())
            self.refresh()


__all__ = ["NO_CALL", "CallQuality"]
