"""Pages without a browser: a link that tests drive, and pages that answer as browser_sound.js does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from plivo_nb.sound.page_transport import Message

DESK = {"deviceId": "desk", "kind": "audioinput", "label": "Desk", "groupId": "g"}
BOX = {"deviceId": "box", "kind": "audiooutput", "label": "Box", "groupId": "g"}
UNNAMED = [
    {"deviceId": "", "kind": kind, "label": "", "groupId": ""} for kind in ("audioinput", "audiooutput")
]


class FakeLink:
    """A `PageLink` to simulated pages.

    Attributes:
        sent: (page, message, buffers) of each message that was sent.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any], list[bytes]]] = []
        self._receive: Callable[[str, Message, Sequence[memoryview]], None] = lambda *_: None

    def send(self, page: str, message: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> None:
        self.sent.append((page, dict(message), list(buffers)))

    def listen(self, receive: Callable[[str, Message, Sequence[memoryview]], None]) -> None:
        self._receive = receive

    def say(self, page: str, message: Message, *buffers: bytes) -> None:
        """Send a message as that page."""
        self._receive(page, message, [memoryview(data) for data in buffers])

    def hello(self, page: str = "one", **more: Any) -> None:
        """Appear as a page with a microphone and a speaker that may be used."""
        about = {"secure": True, "permission": "granted", "devices": [DESK, BOX], "clicked": True}
        self.say(page, {"type": "hello", **about, **more})

    def of(self, type_: str, page: str = "one") -> list[dict[str, Any]]:
        """The messages of that type that the page got."""
        return [message for to, message, _ in self.sent if to == page and message["type"] == type_]

    def clear(self) -> None:
        self.sent.clear()
