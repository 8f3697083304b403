"""PulseAudio, or PipeWire in its place: the list of devices, its changes, and moving streams.

On systems without such a server `connect` returns None. The sound itself goes through PortAudio.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from plivo_nb.sound.devices import Device, Kind, stable_id

if TYPE_CHECKING:
    from collections.abc import Callable

_logger = logging.getLogger("plivo_nb.sound")
_CLIENT = "plivo_nb"
_APPEARS_S = 0.4
_RETRY_S = 2.0


class PulseServer:
    """A connection to the sound server. Made by `connect`; used on one thread.

    Args:
        library: the module pulsectl.
        pulse: an open connection made with it.
        changed: called in this object's thread when a device was added, removed or made the default.
    """

    def __init__(self, library: Any, pulse: Any, changed: Callable[[], None]) -> None:
        self._library = library
        self._pulse = pulse
        self._changed = changed
        self._closed = threading.Event()
        self._listener: Any = None
        self._thread = threading.Thread(target=self._listen, name="plivo_nb sound server", daemon=True)
        self._thread.start()

    @classmethod
    def connect(cls, changed: Callable[[], None]) -> PulseServer | None:
        """Connect to a running server; return None where there is none."""
        try:
            import pulsectl
        except (ImportError, OSError):  # not Linux, or the client library is missing
            return None
        pulse = _connected(pulsectl)
        return None if pulse is None else cls(pulsectl, pulse, changed)

    # ------------------------------------------------------------ devices

    def devices(self) -> list[Device]:
        """Return sources (without monitors of sinks) and sinks; none while the server does not answer."""
        found = []
        kinds: tuple[Kind, ...] = ("audioinput", "audiooutput")
        for kind in kinds:
            for raw in self._raw(kind):
                hardware = (
                    raw.proplist.get("device.string") or raw.proplist.get("device.bus_path") or raw.name
                )
                group = stable_id("pulse", raw.proplist.get("alsa.card", hardware))
                found.append(Device(stable_id("pulse", kind, raw.name), kind, raw.description, group))
        return found

    def _raw(self, kind: Kind) -> list[Any]:
        if kind == "audiooutput":
            sinks: list[Any] = self._ask(lambda pulse: pulse.sink_list(), [])
            return sinks
        sources: list[Any] = self._ask(lambda pulse: pulse.source_list(), [])
        return [source for source in sources if source.proplist.get("device.class") != "monitor"]

    def default(self, kind: Kind) -> str | None:
        """Return the id of the default device; if that is a monitor, of the first other one."""
        info = self._ask(lambda pulse: pulse.server_info(), None)
        name = info and (info.default_source_name if kind == "audioinput" else info.default_sink_name)
        ids = {raw.name: stable_id("pulse", kind, raw.name) for raw in self._raw(kind)}
        return ids.get(name) or next(iter(ids.values()), None)

    def has(self, kind: Kind, device_id: str) -> bool:
        """Return whether the device is present now."""
        return self._index(kind, device_id) is not None

    def _index(self, kind: Kind, device_id: str) -> int | None:
        for raw in self._raw(kind):
            if stable_id("pulse", kind, raw.name) == device_id:
                return int(raw.index)
        return None

    # ------------------------------------------------------------ our streams

    def own_streams(self, kind: Kind) -> dict[int, int]:
        """Return this process's streams: the index of each stream to the index of its device."""
        pid = str(os.getpid())
        if kind == "audioinput":
            raw = self._ask(lambda pulse: pulse.source_output_list(), [])
            return {r.index: r.source for r in raw if r.proplist.get("application.process.id") == pid}
        raw = self._ask(lambda pulse: pulse.sink_input_list(), [])
        return {r.index: r.sink for r in raw if r.proplist.get("application.process.id") == pid}

    def new_stream(self, kind: Kind, before: dict[int, int]) -> int | None:
        """Return the index of the stream that was not there before; None if it does not appear in 0.4 s."""
        deadline = time.monotonic() + _APPEARS_S
        while time.monotonic() < deadline:
            new = self.own_streams(kind).keys() - before.keys()
            if new:
                return max(new)
            time.sleep(0.005)
        return None

    def move(self, kind: Kind, stream: int, device_id: str) -> bool:
        """Move a stream to a device; return whether that succeeded."""
        index = self._index(kind, device_id)
        if index is None:
            return False
        if self.own_streams(kind).get(stream) == index:
            return True
        name = "source_output_move" if kind == "audioinput" else "sink_input_move"
        return bool(self._ask(lambda pulse: getattr(pulse, name)(stream, index) or True, False))

    # ------------------------------------------------------------ the connection

    def _ask(self, question: Callable[[Any], Any], otherwise: Any) -> Any:
        """Query the server; again over a new connection if the first one was lost."""
        for _ in range(2):
            if self._pulse is None:
                self._pulse = _connected(self._library)
                if self._pulse is None:
                    break
            try:
                return question(self._pulse)
            except self._library.PulseOperationFailed as error:
                _logger.debug("The sound server refused: %s", error)
                break
            except Exception as error:  # pulsectl raises three unrelated types for a lost connection
                _logger.debug("The connection to the sound server was lost: %s", error)
                _close(self._pulse)
                self._pulse = None
        return otherwise

    def _listen(self) -> None:
        """Wait for events on a separate connection until `close`, also over restarts of the server."""
        while not self._closed.is_set():
            pulse = _connected(self._library)
            if pulse is None:
                self._closed.wait(_RETRY_S)
                continue
            try:
                pulse.event_mask_set("sink", "source", "server")
                pulse.event_callback_set(self._event)
                self._listener = pulse
                self._changed()
                while not self._closed.is_set():
                    pulse.event_listen(timeout=60)
            except Exception as error:  # as in `_ask`
                _logger.debug("The sound server ended: %s", error)
                self._changed()
            finally:
                self._listener = None
                _close(pulse)

    def _event(self, event: Any) -> None:
        if self._closed.is_set():
            raise self._library.PulseLoopStop
        if event.t != "change" or event.facility == "server":  # changes of volume are ignored
            self._changed()

    def close(self) -> None:
        """Disconnect; the listening thread ends within a second."""
        self._closed.set()
        listener = self._listener
        if listener is not None:
            with contextlib.suppress(Exception):  # the server may have ended
                listener.event_listen_stop()
        self._thread.join(1.0)
        if self._pulse is not None:
            _close(self._pulse)
            self._pulse = None


def _close(pulse: Any) -> None:
    with contextlib.suppress(Exception):  # the server may have ended
        pulse.close()


def _connected(library: Any) -> Any:
    pulse = library.Pulse(_CLIENT, connect=False)
    try:
        pulse.connect(autospawn=False)
    except Exception as error:  # PulseError, or an error of libpulse
        _logger.debug("No sound server: %s", error)
        _close(pulse)
        return None
    return pulse
