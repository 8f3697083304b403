"""The sound desk: one thread that opens, moves, closes and watches all devices of this process.

PortAudio is not to be used by two threads at once, takes its time, and looks at the hardware anew only when
all streams are closed; so everything goes through here, and nobody waits.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from plivo_nb.errors import MediaError
from plivo_nb.sound.portaudio import PortAudio

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.sound.devices import Device, Kind, SoundSystem
    from plivo_nb.sound.route import DeviceRoute

_logger = logging.getLogger("plivo_nb.sound")
_T = TypeVar("_T")

_CHECK_S = 0.1  # while a device is open
_LOOK_S = 2.0  # while none is
_SETTLE_S = 0.03  # one device that comes makes several events

DeviceChange = tuple[str, "Device"]


class DeviceManager:
    """The devices of a sound system, and the lines to them.

    Args:
        system: PortAudio, or a fake one.

    Attributes:
        error: why there is no sound at all; None while there is, or nobody has looked.
    """

    def __init__(self, system: SoundSystem) -> None:
        self.system = system
        self.error: MediaError | None = None
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lines: list[DeviceRoute] = []
        self._listeners: list[Callable[[DeviceChange], None]] = []
        self._devices: dict[str, Device] = {}
        self._defaults: dict[Kind, str | None] = {}
        self._stale = threading.Event()
        self._started = False
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._ended: concurrent.futures.Future[None] = concurrent.futures.Future()

    # ------------------------------------------------------------ from any thread

    def start(self) -> None:
        """Begin to serve; devices are looked up on the desk's thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="plivo_nb sound desk", daemon=True)
            self._thread.start()

    def stop(self) -> concurrent.futures.Future[None]:
        """Close everything and end the thread; returns at once, the future tells when it is done."""
        if self._thread is None:
            self._ended.set_result(None)
        elif not self._stopping:
            self._stopping = True
            self._jobs.put(None)
        return self._ended

    def do(self, work: Callable[[], _T]) -> concurrent.futures.Future[_T]:
        """Run `work` on the desk's thread; the future tells what came of it."""
        future: concurrent.futures.Future[_T] = concurrent.futures.Future()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

        self._jobs.put(job)
        return future

    def wake(self) -> None:
        """Tend to the lines soon."""
        self._jobs.put(_nothing)

    def add(self, line: DeviceRoute, on_change: Callable[[DeviceChange], None] | None = None) -> None:
        """Serve this line too; `on_change` hears, on the desk's thread, of devices that come and go."""

        def job() -> None:
            self._lines.append(line)
            if on_change is not None:
                self._listeners.append(on_change)

        self._jobs.put(job)

    def remove(
        self, lines: list[DeviceRoute], on_change: Callable[[DeviceChange], None]
    ) -> concurrent.futures.Future[None]:
        """Close these lines and forget them."""

        def job() -> None:
            for line in lines:
                line.close()
                if line in self._lines:
                    self._lines.remove(line)
            if on_change in self._listeners:
                self._listeners.remove(on_change)

        return self.do(job)

    def has(self, kind: Kind, device_id: str | None = None) -> bool:
        """Whether there is that device, or any of that kind, as far as is known now."""
        devices = self._devices  # replaced as a whole, never changed
        if device_id is not None:
            return device_id in devices and devices[device_id].kind == kind
        return any(device.kind == kind for device in devices.values())

    # ------------------------------------------------------------ on the desk's thread

    def ready(self) -> None:
        """Make sure that there is sound.

        Raises:
            MediaError: there is none; the sentence says what to install.
        """
        if self.error is not None:
            raise self.error

    def devices(self) -> list[Device]:
        """What there is now."""
        self.ready()
        self._look()
        return list(self._devices.values())

    def try_device(self, line: DeviceRoute) -> None:
        """Open the line's device for a moment, if it is not open.

        Raises:
            MediaError: it cannot be opened.
        """
        self.ready()
        self._look()
        device = line.chosen if line.chosen in self._devices else self._defaults[line.kind]
        line.try_device(self.system, device)

    def choose(self, line: DeviceRoute, device_id: str | None) -> None:
        """Lead the line to another device; None: the system's default.

        Raises:
            MediaError: ``NotFoundError``: there is no such device; nothing is changed.
        """
        self.ready()
        self._look()
        device = self._devices.get(device_id) if device_id is not None else None
        if device_id is not None and (device is None or device.kind != line.kind):
            what = "microphone" if line.kind == "audioinput" else "speaker"
            raise MediaError(
                f"There is no {what} {device_id!r}; see client.audio.available_devices().", "NotFoundError"
            )
        line.chosen = device_id

    def _run(self) -> None:
        self._load()
        failed = False
        while True:
            job: Callable[[], None] | None = _nothing
            with contextlib.suppress(queue.Empty):
                in_use = any(line.stream is not None or line.wanted for line in self._lines)
                job = self._jobs.get(timeout=_CHECK_S if in_use else _LOOK_S)
            if job is None:
                break
            job()
            try:
                self._tend()
                failed = False
            except Exception:
                if not failed:  # it is tried again many times a second
                    _logger.exception("The sound desk failed at something; it goes on.")
                failed = True
        for line in self._lines:
            line.close()
        if self._started:
            self.system.stop()
        self._ended.set_result(None)

    def _load(self) -> None:
        try:
            self.system.start(self._changed)
            self._started = True
            self._look()
        except MediaError as error:
            self.error = error
        except Exception as error:
            _logger.debug("The sound system does not start.", exc_info=error)
            self.error = MediaError(f"Sound does not start ({error}).", "NotFoundError")

    def _changed(self) -> None:
        """The sound system's word that devices came or went; from any thread."""
        if not self._stale.is_set():
            self._stale.set()
            self._jobs.put(_nothing)

    def _tend(self) -> None:
        if self.error is not None:
            return
        if self._stale.is_set():
            time.sleep(_SETTLE_S)
            self._stale.clear()
            self._look()
        if self._tend_lines():
            if self.system.must_restart():  # it closes every stream: they come back right after
                for line in self._lines:
                    line.close()
            self._look()
            self._tend_lines()

    def _tend_lines(self) -> bool:
        """Give each line what is due; True when one has lost its device."""
        present, now = set(self._devices), time.monotonic()
        lost = [line.tend(self.system, present, self._defaults[line.kind], now) for line in list(self._lines)]
        return any(lost)

    def _look(self) -> None:
        """See which devices there are, and tell what changed."""
        if self.error is not None:
            return
        if self.system.must_restart() and not any(line.stream for line in self._lines):
            self.system.restart()
        now = {device.deviceId: device for device in self.system.devices()}
        kinds: tuple[Kind, ...] = ("audioinput", "audiooutput")
        self._defaults = {kind: self.system.default(kind) for kind in kinds}
        was, self._devices = self._devices, now
        changes: list[DeviceChange] = [("removed", was[key]) for key in was.keys() - now.keys()]
        changes += [("added", now[key]) for key in now.keys() - was.keys()]
        if changes:
            for line in self._lines:
                line.retry()
        for change in changes:
            for listener in list(self._listeners):
                listener(change)


class SharedManagers:
    """The device managers in use: one for each sound system, shared by all clients of it.

    PortAudio is one sound system for the whole process.
    """

    def __init__(self) -> None:
        self._in_use: dict[int, tuple[DeviceManager, int]] = {}

    def acquire(self, sound: Any) -> DeviceManager | None:
        """The manager for this value of the option `sound`; None where the client uses no devices."""
        if sound in ("none", "browser"):
            return None
        key = 0 if sound in (None, "device") else id(sound)
        manager, users = self._in_use.get(key, (None, 0))
        if manager is None:
            manager = DeviceManager(PortAudio() if key == 0 else sound)
            manager.start()
        self._in_use[key] = (manager, users + 1)
        return manager

    def release(self, manager: DeviceManager) -> concurrent.futures.Future[None]:
        """Give it back; it stops with its last user. The future is done when that has happened."""
        key, users = next((key, users) for key, (item, users) in self._in_use.items() if item is manager)
        if users > 1:
            self._in_use[key] = (manager, users - 1)
            done: concurrent.futures.Future[None] = concurrent.futures.Future()
            done.set_result(None)
            return done
        del self._in_use[key]
        return manager.stop()


managers = SharedManagers()


def _nothing() -> Any:
    """No job: the lines are tended to after each."""
