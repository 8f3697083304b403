"""Page: what a box of the widgets needs of the page that shows it; the JavaScript is page.js.

Keyboard, focus, the mark on a click that waits for the kernel and the sign of a stopped kernel need nothing
of the kernel but an answer. Ring and tab title are asked for here; heartbeat and visibility are reported
here.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from plivo_nb.media.audio.tones import ring_tone

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_LONGEST_TEXT = 1000  # of the dial field
_LARGEST_FILE = 4 * 2**20  # bytes of a ring tone that are sent to the page


class _PageWidget(anywidget.AnyWidget):
    _esm = Path(__file__).with_name("page.js")
    label = traitlets.Unicode().tag(sync=True)
    keypad = traitlets.Bool(False).tag(sync=True)


class Page:
    """A widget without a look of its own; its `widget` is one of the children of a box of class ``plivo``.

    In that box the keyboard runs no command of the notebook, and a control that is disabled or removed hands
    its focus to another one. A click that the kernel has not handled after 150 ms marks its control with
    ``aria-busy``; the notice of a stopped kernel covers the box.

    Args:
        loop: the client's event loop; clicks are acknowledged there, and `on_beat` is called there.
        label: name of the box for screen readers.
        keypad: the box has a dial pad (class ``plivo-key``): digits, ``*`` and ``#`` typed in the box press
            its keys, Enter clicks Answer or Call, and Escape clears the dial field (class ``plivo-dial``).
            The kernel gets the clicks on keys while the pad has the class ``plivo-tones``; else they change
            the dial field in the page.

    Attributes:
        last_beat: when the page reported last that it is open, on the clock of `time.monotonic`; None before
            the first report. A page reports each 30 s; browsers make that a minute or more where the tab is
            hidden, and nothing while the computer sleeps.
        visible: False while the tab is hidden, as last reported.
        ring_blocked: True while the page may not ring because nobody has clicked in it yet. It offers the
            click itself.
        on_beat: called without arguments at each report.
        on_typed: called with the text of the dial field, and True if it was pasted: when something was
            pasted, and before a click on Call or Enter in the field. ipywidgets holds a text back while the
            kernel has not answered the one before: a call would go to a part of what was typed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, label: str, *, keypad: bool = False) -> None:
        self._loop = loop
        self.widget: Any = _PageWidget(label=label, keypad=keypad)
        self.widget.add_class("plivo-page")
        self.widget.on_msg(self._message)
        self.last_beat: float | None = None
        self.visible = True
        self.ring_blocked = False
        self.on_beat: Callable[[], None] = lambda: None
        self.on_typed: Callable[[str, bool], None] = lambda text, pasted: None
        self._tone: bool | str = False
        self._title = ""

    def ring(self, on: bool, tone: bool | str = True) -> None:
        """Start or stop ringing in the page. Doing it again changes nothing.

        Args:
            on: True to ring.
            tone: as in `Client.set_ring_tone`: True for the built-in tone, False for none, or the URL or path
                of an audio file. A file that cannot be read is replaced by the built-in tone.
        """
        tone = tone if on else False
        if tone != self._tone:
            self._tone = tone
            self._send_ring()

    def _send_ring(self) -> None:
        tone = self._tone
        buffers: list[bytes] = []
        message: dict[str, Any] = {"type": "ring", "on": tone is not False}
        if tone is not False:
            cadence = ring_tone()
            message |= {"frequencies": cadence.frequencies_hz, "on_s": cadence.on_s, "off_s": cadence.off_s}
            message["level"] = 10 ** (cadence.level_dbfs / 20) / len(cadence.frequencies_hz)
        if isinstance(tone, str):
            if "://" in tone:
                message["url"] = tone
            else:
                buffers = _file(tone)
        self.widget.send(message, buffers=buffers or None)

    def replace_typed(self, text: str, by: str) -> None:
        """Replace the text of the dial field, if it still is `text`."""
        self.widget.send({"type": "replace", "text": text, "by": by})

    def title(self, text: str) -> None:
        """Show `text` in the title of the browser's tab, by turns with the page's own title; "" ends it."""
        if text != self._title:
            self._title = text
            self.widget.send({"type": "title", "text": text})

    def close(self) -> None:
        """Stop ringing, restore the title, and close the widget."""
        self.widget.layout.close()
        self.widget.close()

    def _message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        # On the client's loop, after the clicks sent before: an answer means that they have been handled.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._received, content)

    def _received(self, content: Any) -> None:
        kind = content.get("type") if isinstance(content, dict) else None
        if kind == "ping":
            self.widget.send({"type": "pong", "id": content.get("id")})
        elif kind == "beat":
            self.last_beat = time.monotonic()
            self.visible = bool(content.get("visible"))
            if content.get("first"):
                self._restore()
            self.on_beat()
        elif kind == "typed":
            self.on_typed(str(content.get("text", ""))[:_LONGEST_TEXT], bool(content.get("pasted")))
        elif kind == "ring":
            self.ring_blocked = bool(content.get("blocked"))

    def _restore(self) -> None:
        """Tell a page that has just been loaded what the others know."""
        if self._tone is not False:
            self._send_ring()
        if self._title:
            self.widget.send({"type": "title", "text": self._title})


def _file(path: str) -> list[bytes]:
    """The content of a ring tone's file; nothing if it cannot be read or is large."""
    try:
        with Path(path).expanduser().open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError:
        return []
    return [content] if 0 < len(content) <= _LARGEST_FILE else []
