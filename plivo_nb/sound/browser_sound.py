"""BrowserSound: the microphones and speakers of the page that displays a phone, as a sound system.

The kernel may be far away: on Binder, JupyterHub or a server it has no sound card. Pages appear, are
reloaded, hidden and closed at any time; for the device manager each of that is a device that is plugged in or
unplugged. Of several pages one at a time is used: the one in which the user clicked last.
"""

from __future__ import annotations

import concurrent.futures
import logging
import math
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from plivo_nb.audio_types import to_int16
from plivo_nb.errors import MediaError
from plivo_nb.sound.comm_transport import CommTransport
from plivo_nb.sound.devices import NOT_ALLOWED, NOT_FOUND, Device, Kind
from plivo_nb.sound.page_stream import PageInput, PageOutput, PageStream
from plivo_nb.sound.page_transport import best_open

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from plivo_nb.audio_types import Pcm
    from plivo_nb.sound.page_transport import (
        MakeTransport,
        Message,
        PageLink,
        PageTransport,
        TransportName,
    )

_logger = logging.getLogger("plivo_nb.sound")

_FRESH_S = 3.0  # a page reports each second; one that did so lately is preferred
_GONE_S = 30.0  # hidden pages report late, and a busy kernel reads late
_CHECK_S = 5.0
#: The ids of the default devices here, since all devices of a device manager need different ones. Chromium
#: calls both "default", and before permission they have none.
_DEFAULTS: dict[Kind, str] = {"audioinput": "default", "audiooutput": "default-output"}
_LABELS: dict[Kind, str] = {"audioinput": "Microphone of the page", "audiooutput": "Speaker of the page"}
_NO_PAGE = "No page displays the phone, so that there is no sound: display it in a notebook."
_INSECURE = (
    "The page has neither microphone nor speaker, because it is not served over https: open the notebook by "
    "https, or on this machine by http://localhost."
)
_REFUSED = "The page may not use the microphone: allow it in the browser's settings of the page."
_NO_MICROPHONE = "The page's machine has no microphone that the browser can open ({})."


@dataclass(slots=True)
class _Page:
    """What is known of a page."""

    id: str
    seen_s: float
    appeared_s: float
    clicked_s: float = -math.inf
    secure: bool = True
    permission: str = "prompt"  # prompt, granted or denied
    devices: list[Device] = field(default_factory=list)
    error: str = ""  # why its microphone cannot be opened, by the browser's names
    excused: bool = False  # a time without any message has been left out of its silence

    def learn(self, message: Message) -> None:
        """Take what the page says about itself."""
        self.secure = message.get("secure", self.secure) is not False
        permission = message.get("permission")
        if permission in ("prompt", "granted", "denied"):
            if permission != self.permission and permission != "denied":
                self.error = ""
            self.permission = permission
        if isinstance(message.get("devices"), list):
            self.devices = _devices(message["devices"])
            if self.error == NOT_FOUND:
                self.error = ""

    def microphone_error(self) -> MediaError | None:
        """Why the page's microphone cannot be opened; None where that is not known."""
        if not self.secure:
            return MediaError(_INSECURE, NOT_ALLOWED)
        if self.permission == "denied" or self.error == NOT_ALLOWED:
            return MediaError(_REFUSED, NOT_ALLOWED)
        if self.error:
            return MediaError(_NO_MICROPHONE.format(self.error), self.error)
        return None


class BrowserSound:
    """The sound system of the pages that display a phone; see `SoundSystem`.

    Args:
        constraints: audioConstraints, given to the page's getUserMedia (W3C Media Capture) as they are.
        transports: make the ways to carry sound, the best first.
        on_microphone: called on any thread after a page has opened its microphone (None), or could not.
        clock: returns monotonic seconds.

    Example:
        >>> BrowserSound({}).devices()
        []
    """

    def __init__(
        self,
        constraints: Mapping[str, Any],
        transports: Sequence[MakeTransport] = (CommTransport,),
        on_microphone: Callable[[MediaError | None], None] = lambda error: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._constraints = dict(constraints)
        self._makers = tuple(transports)
        self._on_microphone = on_microphone
        self._clock = clock
        self._link: PageLink | None = None
        self._lock = threading.RLock()
        self._changed: Callable[[], None] = _nothing
        self._pages: dict[str, _Page] = {}
        self._page: _Page | None = None
        self._input: PageInput | None = None
        self._outputs: list[PageOutput] = []
        self._transports: list[PageTransport] = []
        self._used: PageTransport | None = None
        self._underruns_before = 0  # of transports that are stopped
        self._asking: list[concurrent.futures.Future[None]] = []
        self._tones: dict[str, tuple[Message, bytes]] = {}
        self._checked_s = 0.0
        self._heard_s = clock()  # when the last message of any page was read

    # ------------------------------------------------------------ from any thread

    def attach(self, link: PageLink) -> None:
        """Use the pages of this link from now on."""
        with self._lock:
            self._forget_pages()
            self._link = link
        link.listen(self.receive)
        link.send("", {"type": "who"})

    def detach(self) -> None:
        """Use no page until a link is attached."""
        with self._lock:
            self._forget_pages()
            self._link = None

    @property
    def transport(self) -> TransportName | None:
        """How sound is carried now; None while none is."""
        used = self._used
        return None if used is None else used.name

    @property
    def rtt_ms(self) -> float:
        """Round-trip time between the page and the kernel, ms; NaN while it is not known."""
        used = self._used
        return math.nan if used is None else used.rtt_ms

    @property
    def underruns(self) -> int:
        """How many times page or kernel had nothing to play, so far."""
        return self._underruns_before + sum(item.underruns for item in self._transports)

    @property
    def has_page(self) -> bool:
        """Whether a page is used."""
        return self._page is not None

    def permission(self) -> MediaError | bool | None:
        """Whether the page may use a microphone: True, an error, or None before the user has decided."""
        with self._lock:
            page = self._page
            if page is None:
                return None
            error = page.microphone_error()
            return error if error is not None else page.permission == "granted" or None

    def ask(self) -> concurrent.futures.Future[None]:
        """Have the page open its microphone once, for which the browser asks the user.

        Returns:
            A future that is done when the user has decided; it has a `MediaError` if there is no microphone.
        """
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        with self._lock:
            if self._page is None:
                future.set_exception(MediaError(_NO_PAGE, NOT_FOUND))
            elif self._input is not None and not self._input.waiting:
                future.set_result(None)
            else:
                self._asking.append(future)
                self._send({"type": "reveal", "constraints": self._constraints})
        return future

    def play(self, name: str, sound: bytes, *, loop: bool, volume: float, device_id: str | None) -> None:
        """Have the page play a tone by itself, from the beginning.

        Args:
            name: of the tone; another tone of that name is replaced.
            sound: the content of a sound file that browsers can read.
            loop: repeat it until `pause`.
            volume: factor, 0 to 1.
            device_id: the page's speaker; None: the default.
        """
        message = {"type": "tone", "name": name, "on": True, "loop": loop, "volume": volume}
        message["device"] = _browser_id(device_id)
        with self._lock:
            if loop:
                self._tones[name] = (message, sound)
            self._send(message, [sound])

    def pause(self, name: str) -> None:
        """Have the page stop playing the tone of that name."""
        with self._lock:
            self._tones.pop(name, None)
            self._send({"type": "tone", "name": name, "on": False})

    def receive(self, page_id: str, message: Message, buffers: Sequence[memoryview]) -> None:
        """Take a message of a page. Anything that a page should not send is ignored."""
        with self._lock:
            self._allow_for_busy_kernel()
            page = self._page_of(page_id, message)
            if page is None:
                return
            if "transport" in message:
                used = [item for item in self._transports if item.name == message["transport"]]
                if page is self._page and used:
                    used[0].receive(message, buffers)
            else:
                self._learn(page, message)
            self._choose_page()

    # ------------------------------------------------------------ pages

    def _allow_for_busy_kernel(self) -> None:
        """Count no time against a page in which no message was read, at most once: the kernel was busy."""
        now = self._clock()
        missed_s, self._heard_s = now - self._heard_s, now
        if missed_s > _FRESH_S:
            for page in self._pages.values():
                if not page.excused:
                    page.seen_s += missed_s
                    page.excused = True

    def _page_of(self, page_id: str, message: Message) -> _Page | None:
        """The page that sent a message; None for one that has not said yet what it is."""
        now = self._clock()
        page = self._pages.get(page_id)
        if page is None:
            if message.get("type") != "hello":
                self._send_to(page_id, {"type": "who"})
                return None
            page = self._pages[page_id] = _Page(page_id, now, now)
        page.seen_s, page.excused = now, False
        return page

    def _learn(self, page: _Page, message: Message) -> None:
        match message.get("type"):
            case "hello" | "devices":
                before = (page.permission, page.devices)
                page.learn(message)
                first = page.clicked_s == -math.inf  # a page says hello again when others are asked, too
                if message["type"] == "hello" and message.get("clicked") is True and first:
                    page.clicked_s = page.seen_s
                if page is self._page and before != (page.permission, page.devices):
                    self._changed()
                    self._tell_permission(page)
            case "click":
                page.clicked_s = page.seen_s
            case "microphone":
                self._microphone(page, str(message.get("error") or ""))
            case "bye":
                del self._pages[page.id]

    def _tell_permission(self, page: _Page) -> None:
        error = page.microphone_error()
        if error is not None or page.permission == "granted":
            self._on_microphone(error)

    def _microphone(self, page: _Page, error: str) -> None:
        """The page has opened its microphone, or could not, or it was unplugged."""
        page.error = error
        if page is not self._page:
            return
        if not error:
            page.permission = "granted"
        problem = page.microphone_error()
        stream = self._input
        if stream is not None and problem is None:
            stream.granted()
        elif stream is not None:
            stream.gone = True
        asking, self._asking = self._asking, []
        for future in asking:
            if problem is None:
                future.set_result(None)
            else:
                future.set_exception(problem)
        self._on_microphone(problem)

    def _choose_page(self) -> None:
        """Use the page that was clicked in last, among those that report."""
        now = self._clock()
        for page in list(self._pages.values()):
            if now - page.seen_s > _GONE_S and not self._is_heard(page):
                del self._pages[page.id]
        best = max(
            self._pages.values(),
            key=lambda page: (
                now - page.seen_s < _FRESH_S,
                page.clicked_s,
                page is self._page,  # it is not clicked in to take what it has
                page.appeared_s,
            ),
            default=None,
        )
        if best is not self._page:
            self._use(best)

    def _is_heard(self, page: _Page) -> bool:
        """Whether the page's sound arrives past the kernel's loop, which may be too busy for its messages."""
        used = self._used
        return page is self._page and used is not None and used.pulls and used.state == "open"

    def _use(self, page: _Page | None) -> None:
        if self._page is not None:
            self._stop_transports()
            self._send({"type": "use", "on": False})
        self._page = page
        for future in self._asking:
            future.set_exception(MediaError(_NO_PAGE, NOT_FOUND))
        self._asking = []
        if page is None:
            _logger.info("No page displays the phone any more: there is no sound until one does.")
        else:
            self._send({"type": "use", "on": True})
            for message, sound in self._tones.values():
                self._send(message, [sound])
            if self._input is not None:
                self._open_microphone()
            self._open_speaker()
            self._start_transports()
            self._tell_permission(page)
        self._changed()

    def _forget_pages(self) -> None:
        self._pages.clear()
        if self._page is not None:
            self._use(None)

    def _send(self, message: Message, buffers: Sequence[bytes] = ()) -> None:
        if self._page is not None:
            self._send_to(self._page.id, message, buffers)

    def _send_to(self, page_id: str, message: Message, buffers: Sequence[bytes] = ()) -> None:
        if self._link is not None:
            self._link.send(page_id, message, buffers)

    # ------------------------------------------------------------ transports

    def _start_transports(self) -> None:
        """Connect to the page, if there is sound to carry."""
        page, link = self._page, self._link
        if page is None or link is None or self._transports or not (self._input or self._outputs):
            return
        self._transports = [make(link, page.id) for make in self._makers]
        for transport in list(self._transports):
            transport.start(
                partial(self._take, transport), partial(self._fill, transport), self._choose_transport
            )

    def _stop_transports(self) -> None:
        transports, self._transports, self._used = self._transports, [], None
        for transport in transports:
            self._underruns_before += transport.underruns
            transport.stop()

    def _choose_transport(self) -> None:
        """Use the best transport that is open."""
        with self._lock:
            best = best_open(self._transports)
            before, self._used = self._used, best
            if best is before:
                return
            if before is not None:
                before.use(False)
            for stream in (self._input, *self._outputs):
                self._set_punctual(stream)
            if best is not None:
                best.use(True)
                self._send({"type": "way", "name": best.name})

    def _set_punctual(self, stream: PageStream | None) -> None:
        if stream is not None and self._used is not None:
            stream.punctual, stream.rate = self._used.pulls, self._used.rate

    def _take(self, transport: PageTransport, pcm: Pcm) -> None:
        stream = self._input
        if transport is self._used and stream is not None:
            stream.take(pcm, transport.rate)

    def _fill(self, transport: PageTransport, out: Pcm) -> None:
        """Fill an array with the sum of what the open speakers play."""
        out[:] = 0
        outputs = [*self._outputs] if transport is self._used else []
        if len(outputs) == 1:
            outputs[0].fill(out)
            return
        total = np.zeros(len(out), np.float32)
        for stream in outputs:
            stream.fill(out)
            total += out
        out[:] = to_int16(total)

    def _write(self, pcm: Pcm) -> None:
        used = self._used
        if used is not None:
            used.write(pcm)

    # ------------------------------------------------------------ for the device manager

    def start(self, changed: Callable[[], None]) -> None:
        """See `SoundSystem`."""
        self._changed = changed

    def devices(self) -> list[Device]:
        """Return the devices of the page that is used; none without one."""
        with self._lock:
            self._check_pages()
            page = self._page
            return list(page.devices) if page is not None and page.secure else []

    def default(self, kind: Kind) -> str | None:
        """Return the id of the page's default device."""
        ids = [device.deviceId for device in self.devices() if device.kind == kind]
        return _DEFAULTS[kind] if _DEFAULTS[kind] in ids else next(iter(ids), None)

    def open_input(self, device_id: str | None, rate: int, take: Callable[[Pcm], None]) -> PageInput:
        """Open the page's microphone. The stream is returned while the browser asks for permission."""
        with self._lock:
            page = self._usable_page()
            error = page.microphone_error()
            if error is not None:
                raise error
            if not any(device.kind == "audioinput" for device in page.devices):
                raise MediaError(_NO_MICROPHONE.format("there is none"), NOT_FOUND)
            self._input = PageInput(device_id, take, self._open_microphone, self._closed)
            self._set_punctual(self._input)
            self._open_microphone()
            self._start_transports()
            return self._input

    def open_output(self, device_id: str | None, rate: int, fill: Callable[[Pcm], None]) -> PageOutput:
        """Open the page's speaker."""
        with self._lock:
            if not self._usable_page().secure:
                raise MediaError(_INSECURE, NOT_ALLOWED)
            stream = PageOutput(device_id, fill, self._write, self._open_speaker, self._closed)
            self._set_punctual(stream)
            self._outputs.append(stream)
            self._open_speaker()
            self._start_transports()
            return stream

    def must_restart(self) -> bool:
        """See `SoundSystem`; the page reports changes."""
        return False

    def restart(self) -> None:
        """See `SoundSystem`; does nothing."""

    def stop(self) -> None:
        """Use no page any more."""
        with self._lock:
            self._changed = _nothing
            self._tones.clear()
            self.detach()

    def _usable_page(self) -> _Page:
        self._check_pages()
        if self._page is None:
            raise MediaError(_NO_PAGE, NOT_FOUND)
        return self._page

    def _check_pages(self) -> None:
        """Forget pages that have not reported for long, which no message tells."""
        now = self._clock()
        if now - self._checked_s > _CHECK_S:
            self._checked_s = now
            self._choose_page()

    def _open_microphone(self) -> None:
        with self._lock:
            stream = self._input
            if stream is not None:
                message = {"type": "microphone", "on": True, "device": _browser_id(stream.device_id)}
                self._send({**message, "constraints": self._constraints})

    def _open_speaker(self) -> None:
        with self._lock:
            if self._outputs:
                self._send({"type": "speaker", "on": True, "device": _browser_id(self._outputs[0].device_id)})

    def _closed(self, stream: PageStream) -> None:
        with self._lock:
            if stream is self._input:
                self._input = None
                self._send({"type": "microphone", "on": False})
            elif isinstance(stream, PageOutput) and stream in self._outputs:
                self._outputs.remove(stream)
                if not self._outputs:
                    self._send({"type": "speaker", "on": False})
            if self._input is None and not self._outputs:
                self._stop_transports()

    def __repr__(self) -> str:
        return f"<BrowserSound of {len(self._pages)} pages>"


def _devices(items: list[Any]) -> list[Device]:
    """The devices that a page listed.

    Before permission browsers hide names and ids, so that one of each kind is left.
    """
    found: dict[str, Device] = {}
    for item in items:
        kind = item.get("kind") if isinstance(item, dict) else None
        if kind in _DEFAULTS and item.get("deviceId") != "communications":  # the same device again
            key = str(item.get("deviceId") or "default")
            key = _DEFAULTS[kind] if key == "default" else key
            label = str(item.get("label") or _LABELS[kind])
            found.setdefault(key, Device(key, kind, label, str(item.get("groupId") or "")))
    if not any(device.kind == "audiooutput" for device in found.values()):
        # Firefox and Safari list no speakers, and have one
        key = _DEFAULTS["audiooutput"]
        found[key] = Device(key, "audiooutput", _LABELS["audiooutput"], "")
    return list(found.values())


def _browser_id(device_id: str | None) -> str | None:
    """The id by which the page knows a device; None: its default device."""
    return None if device_id in _DEFAULTS.values() else device_id


def _nothing() -> None:
    """Do nothing: the device manager does not listen."""
