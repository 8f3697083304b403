"""BrowserSoundPanel: the sound of the pages that display a phone, and what the phone shows of it.

The JavaScript is browser_sound.js, with sound_worklets.js and page_peer.js in it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from plivo_nb.widgets.phone_view import close_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from plivo_nb.client import Client
    from plivo_nb.sound.page_transport import Message
    from plivo_nb.widgets.loop_tasks import LoopTasks

_FOLDER = Path(__file__).parent


def _script() -> str:
    """The JavaScript as one module, which is what anywidget takes."""
    worklets = (_FOLDER / "sound_worklets.js").read_text("utf-8")
    peer = (_FOLDER / "page_peer.js").read_text("utf-8")
    script = (_FOLDER / "browser_sound.js").read_text("utf-8")
    return f"const WORKLETS = {json.dumps(worklets)};\n{peer}\n{script}"


class _PageSound(anywidget.AnyWidget):
    _esm = _script()
    active = traitlets.Bool(False).tag(sync=True)
    constraints = traitlets.Dict().tag(sync=True)


class BrowserSoundPanel:
    """A part of the phone, and the `PageLink` between the client's sound and the pages that display it.

    The panel is visible while the client uses the sound of a page. It asks for permission, says what prevents
    the sound, and by which way and with which round-trip time it goes.

    Args:
        client: the client whose `audio` gets the link as soon as a page has opened the phone.
        loop_tasks: run what pages begin.
    """

    def __init__(self, client: Client, loop_tasks: LoopTasks) -> None:
        self._client = client
        self._loop_tasks = loop_tasks
        self._receive: Callable[[str, Message, Sequence[memoryview]], None] | None = None
        self._connected = self._closed = False
        self.widget: Any = _PageSound(constraints=dict(client.options.audio_constraints))
        self.widget.layout.display = "none"
        self.widget.on_msg(self._message)

    def refresh(self) -> None:
        """Show the panel while the sound of a page is used."""
        active = self._client.audio.mode == "browser"
        if active != self.widget.active:
            self.widget.active = active
            self.widget.layout.display = "" if active else "none"

    def close(self) -> None:
        """Close the widget: the pages stop their sound."""
        self._closed = True
        self._receive = None
        self._client.audio.disconnect_page(self)
        close_tree(self.widget)

    # ------------------------------------------------------------ the link; from any thread

    def send(self, page: str, message: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> None:
        """Send a message to a page; other pages of this kernel get it too and ignore it."""
        if not self._closed:
            self.widget.send({**message, "page": page}, buffers=list(buffers) or None)

    def listen(self, receive: Callable[[str, Message, Sequence[memoryview]], None]) -> None:
        """Call `receive` with each message of a page from now on."""
        self._receive = receive

    def _message(self, _widget: Any, content: Any, buffers: Any) -> None:
        page = content.get("page") if isinstance(content, dict) else None
        if not isinstance(page, str):
            return
        if not self._connected:
            self._connected = True
            self._loop_tasks.call_soon(self._connect)
        receive = self._receive
        if receive is not None:
            receive(page, content, buffers or ())

    def _connect(self) -> None:
        self._client.audio.connect_page(self)
        self.refresh()
