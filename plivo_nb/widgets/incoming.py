"""The list of calls that are ringing here: each can be answered, rejected or ignored."""

from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING, Any, Literal

import ipywidgets as W

from plivo_nb.errors import InvalidState
from plivo_nb.widgets.code_log import code_log_of
from plivo_nb.widgets.phone_view import button, clock, close_tree, live_region, peer_of, row

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.call import Call
    from plivo_nb.client import Client
    from plivo_nb.widgets.loop_tasks import LoopTasks
    from plivo_nb.widgets.page import Page

Action = Literal["answer", "reject", "ignore"]
_KEPT_ROWS = 3  # for the calls to come


class IncomingCalls:
    """The ringing calls of one client, the most recent first. Three are seen at once; more scroll.

    The list takes no room of its own: while calls ring, it is laid over the dial pad.

    Args:
        client: the client.
        loop_tasks: run what is clicked.
        page: rings, where the kernel has no ring-tone device, and has the title of the tab; None: neither.

    Attributes:
        widget: the ipywidgets box.
    """

    def __init__(self, client: Client, loop_tasks: LoopTasks, page: Page | None = None) -> None:
        self._client = client
        self._page = page
        self._loop_tasks = loop_tasks
        self._rows: dict[str, _Row] = {}
        self._unused: list[_Row] = []
        self._title = live_region()
        self._title.add_class("plivo-announced")
        self._list = W.VBox()
        self._list.add_class("plivo-ringing")
        self.widget: Any = W.VBox([self._title, self._list])
        self.widget.add_class("plivo-incoming")

    def refresh(self) -> None:
        """Display the calls that are ringing now."""
        ringing = {str(call.info.callUUID): call for call in reversed(self._client.incoming_calls)}
        for uuid in self._rows.keys() - ringing.keys():
            self._unused.append(self._rows.pop(uuid))
        ends_current = self._client.current_call is not None
        for uuid, call in ringing.items():
            if uuid not in self._rows:
                self._rows[uuid] = self._unused.pop() if self._unused else _Row(self._act)
            self._rows[uuid].show(uuid, call, ends_current=ends_current)
        order = [self._rows[uuid].widget for uuid in ringing]
        if list(self._list.children) != order:
            self._list.children = order
        while len(self._unused) > _KEPT_ROWS:
            self._unused.pop().close()
        count = len(ringing)
        words = "" if not count else "1 call is ringing" if count == 1 else f"{count} calls are ringing"
        self._title.value = words
        self._call_attention(list(ringing.values()))

    def close(self) -> None:
        """Close the widgets."""
        for unused in [*self._rows.values(), *self._unused]:
            unused.close()
        self._rows.clear()
        self._unused.clear()
        close_tree(self.widget)

    def _call_attention(self, ringing: list[Call]) -> None:
        """Ring in the page and say in the tab's title who calls. The kernel's ring tone is not doubled."""
        if self._page is None:
            return
        audio = self._client.audio
        self._page.ring(bool(ringing) and audio.mode == "none", audio.ring_tone)
        others = f" and {len(ringing) - 1} more" if len(ringing) > 1 else ""
        self._page.title(f"Call from {peer_of(ringing[0].info)}{others}" if ringing else "")

    def _act(self, what: Action, uuid: str, peer: str) -> None:
        """Answer, reject or ignore that call and no other, also where it ended just before the click."""

        def act() -> Any:
            if all(call.info.callUUID != uuid for call in self._client.incoming_calls):
                raise InvalidState(f"The call from {peer} is not ringing any more.")
            code_log_of(self._client).add(f"await client.{what}({{!r}})", uuid)
            return getattr(self._client, what)(uuid)

        self._loop_tasks.run_soon(act)


class _Row:
    """One ringing call; used again for a later call."""

    def __init__(self, act: Callable[[Action, str, str], None]) -> None:
        self._uuid = self.peer = ""
        self._caller, self._time, self._headers = W.HTML(), W.HTML(), W.HTML()
        self.answer = button("Answer", "plivo-go", height="28px")
        self.reject = button("Reject", "plivo-stop", height="28px")
        self.ignore = button("Ignore", "plivo-plain", height="28px")
        self.answer.layout.flex = "1 1 auto"  # its text is long where it ends the current call
        self.reject.layout.flex = self.ignore.layout.flex = "0 0 54px"
        for made, what in ((self.answer, "answer"), (self.reject, "reject"), (self.ignore, "ignore")):
            made.on_click(lambda _button, what=what: act(what, self._uuid, self.peer))
        caller = W.HBox([self._caller, self._time])
        self.widget: Any = W.VBox([caller, row(self.answer, self.reject, self.ignore), self._headers])
        self.widget.add_class("plivo-call")

    def show(self, uuid: str, call: Call, *, ends_current: bool) -> None:
        """Display this call."""
        info, name = call.info, call.caller_name
        self._uuid, self.peer = uuid, peer_of(info)
        number = html.escape(self.peer)
        who = f"<b>{html.escape(name)}</b> {number}" if name and name != self.peer else f"<b>{number}</b>"
        self._caller.value = f'<div class="plivo-caller plivo-cut">{who}</div>'
        seconds = time.monotonic() - call.timings.get("ringing", time.monotonic())
        self._time.value = f'<div class="plivo-ringing-time">{clock(seconds)}</div>'
        self._headers.value = _headers_html(dict(info.extraHeaders))
        self.answer.description = "End current & answer" if ends_current else "Answer"
        self.answer.tooltip = (
            f"End the current call and answer the one from {self.peer}"
            if ends_current
            else f"Answer the call from {self.peer}"
        )
        self.reject.tooltip = f"Reject the call from {self.peer}, who gets a busy signal"
        self.ignore.tooltip = f"Stop ringing here; {self.peer} still hears ringing"

    def close(self) -> None:
        """Close the widgets."""
        close_tree(self.widget)


def _headers_html(headers: dict[str, str]) -> str:
    """The X-PH headers, folded."""
    if not headers:
        return ""
    rows = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in headers.items()
    )
    count = "1 header" if len(headers) == 1 else f"{len(headers)} headers"
    return f'<details class="plivo-headers"><summary>{count}</summary><dl>{rows}</dl></details>'
