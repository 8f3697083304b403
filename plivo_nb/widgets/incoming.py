"""The list of calls that are ringing here: each can be answered, rejected or ignored."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import ipywidgets as W

from plivo_nb.errors import InvalidState
from plivo_nb.widgets.code_log import code_log_of
from plivo_nb.widgets.phone_view import button, close_tree, peer_of, row

if TYPE_CHECKING:
    from plivo_nb.call import Call
    from plivo_nb.client import Client
    from plivo_nb.widgets.loop_tasks import LoopTasks

_KEPT_ROWS = 3


class IncomingCalls:
    """The ringing calls of one client, the most recent first. The height is fixed; more calls scroll.

    Args:
        client: the client.
        loop_tasks: run what is clicked.
    """

    def __init__(self, client: Client, loop_tasks: LoopTasks) -> None:
        self._client = client
        self._loop_tasks = loop_tasks
        self._rows: dict[str, _Row] = {}
        self._unused: list[_Row] = []
        self._title = W.HTML()
        self._list = W.VBox()
        self._list.add_class("plivo-ringing")
        self.widget: Any = W.VBox([self._title, self._list])
        self.widget.add_class("plivo-incoming")

    def refresh(self) -> None:
        """Display the calls that are ringing now."""
        ringing = {str(call.info.callUUID): call for call in reversed(self._client.incoming_calls)}
        for uuid in self._rows.keys() - ringing.keys():
            self._unused.append(self._rows.pop(uuid))
        in_call = self._client.current_call is not None
        for uuid, call in ringing.items():
            shown = self._rows.get(uuid)
            if shown is None:
                shown = self._rows[uuid] = self._unused.pop() if self._unused else _Row(self._act)
            shown.show(uuid, call, in_call=in_call)
        order = [self._rows[uuid].widget for uuid in ringing]
        if list(self._list.children) != order:
            self._list.children = order
        while len(self._unused) > _KEPT_ROWS:
            self._unused.pop().close()
        count = len(ringing)
        words = "No incoming call." if not count else f"Incoming call{'s' if count > 1 else ''} ({count})"
        self._title.value = f'<div class="plivo-line plivo-dim" role="status">{words}</div>'

    def close(self) -> None:
        """Close the widgets."""
        for unused in [*self._rows.values(), *self._unused]:
            unused.close()
        self._rows.clear()
        self._unused.clear()
        close_tree(self.widget)

    def _act(self, what: str, uuid: str, peer: str) -> None:
        """Answer, reject or ignore that call and no other, also where it ended just before the click."""

        def act() -> Any:
            if all(call.info.callUUID != uuid for call in self._client.incoming_calls):
                raise InvalidState(f"The call from {peer} is not ringing any more.")
            code_log_of(self._client).add(f"await client.{what}({{!r}})", uuid)
            return getattr(self._client, what)(uuid)

        self._loop_tasks.run_soon(act)


class _Row:
    """One ringing call; used again for a later call."""

    def __init__(self, act: Any) -> None:
        self._uuid = self._peer = ""
        self._caller = W.HTML()
        self.answer = button("Answer", "plivo-go")
        self.reject = button("Reject", "plivo-stop")
        self.ignore = button("Ignore", "plivo-plain")
        for made, what in ((self.answer, "answer"), (self.reject, "reject"), (self.ignore, "ignore")):
            made.on_click(lambda _button, what=what: act(what, self._uuid, self._peer))
        self.widget: Any = W.VBox([self._caller, row(self.answer, self.reject, self.ignore)])
        self.widget.add_class("plivo-call")

    def show(self, uuid: str, call: Call, *, in_call: bool) -> None:
        """Display this call."""
        self._uuid, self._peer = uuid, peer_of(call.info)
        self.answer.description = "End current & answer" if in_call else "Answer"
        self._caller.value = f'<div class="plivo-caller plivo-cut"><b>{html.escape(self._peer)}</b></div>'

    def close(self) -> None:
        """Close the widgets."""
        close_tree(self.widget)
