"""The device manager: one thread that opens, moves, closes and watches all sound devices of this process.

PortAudio must not be used by two threads at once, its calls take up to hundreds of milliseconds, and it
lists the hardware again only when all streams are closed. So all calls are made in this thread, and no other
thread waits for them.
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
_IDLE_CHECK_S = 2.0  # while none is
_SETTLE_S = 0.03  # one new device causes several events

DeviceChange = tuple[str, "Device"]


class DeviceManager:
    """Opens the devices of a sound system for the routes to them, and reports changes.

    Args:
        system: PortAudio, or a fake sound system.

    Attributes:
        error: why no device can be used; None while devices can be used, or before the system was started.
    """

    def __init__(self, system: SoundSystem) -> None:
        self.system = system
        self.error: MediaError | None = None
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._routes: list[DeviceRoute] = []
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
        """Start the thread, which loads the sound system and lists its devices."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="plivo_nb device manager", daemon=True)
            self._thread.start()

    def stop(self) -> concurrent.futures.Future[None]:
        """Close all devices and end the thread. Returns at once; the future is done when the thread ends."""
        if self._thread is None:
            self._ended.set_result(None)
        elif not self._stopping:
            self._stopping = True
            self._jobs.put(None)
        return self._ended

    def do(self, work: Callable[[], _T]) -> concurrent.futures.Future[_T]:
        """Run `work` on the device manager's thread; the future gets its result or exception."""
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
        """Update the routes soon."""
        self._jobs.put(_nothing)

    def add(self, route: DeviceRoute, on_change: Callable[[DeviceChange], None] | None = None) -> None:
        """Add a route; `on_change` is called on the manager's thread when a device was added or removed."""

        def job() -> None:
            self._routes.append(route)
            if on_change is not None:
                self._listeners.append(on_change)

        self._jobs.put(job)

    def remove(
        self, routes: list[DeviceRoute], on_change: Callable[[DeviceChange], None]
    ) -> concurrent.futures.Future[None]:
        """Close and remove these routes."""

        def job() -> None:
            for route in routes:
                route.close()
                if route in self._routes:
                    self._routes.remove(route)
            if on_change in self._listeners:
                self._listeners.remove(on_change)

        return self.do(job)

    def has(self, kind: Kind, device_id: str | None = None) -> bool:
        """Return whether this device, or any device of that kind, was in the last list of devices."""
        devices = self._devices  # replaced as a whole, never changed
        if device_id is not None:
            return device_id in devices and devices[device_id].kind == kind
        return any(device.kind == kind for device in devices.values())

    def label(self, device_id: str) -> str | None:
        """Return the label that this device had in the last list of devices; None if it was not there."""
        device = self._devices.get(device_id)
        return None if device is None else device.label

    # ------------------------------------------------------------ on the device manager's thread

    def ready(self) -> None:
        """Check that devices can be used.

        Raises:
            MediaError: they cannot; the sentence says what to install.
        """
        if self.error is not None:
            raise self.error

    def devices(self) -> list[Device]:
        """Return the devices present now."""
        self.ready()
        self._refresh()
        return list(self._devices.values())

    def try_device(self, route: DeviceRoute) -> None:
        """Open the route's device and close it again, unless it is open.

        Raises:
            MediaError: it cannot be opened.
        """
        self.ready()
        self._refresh()
        device = route.chosen if route.chosen in self._devices else self._defaults[route.kind]
        route.try_device(self.system, device)

    def choose(self, route: DeviceRoute, device_id: str | None) -> None:
        """Switch the route to another device; None: the system's default.

        Raises:
            MediaError: ``NotFoundError``: there is no such device; the route is not changed.
        """
        self.ready()
        self._refresh()
        device = self._devices.get(device_id) if device_id is not None else None
        if device_id is not None and (device is None or device.kind != route.kind):
            what = "microphone" if route.kind == "audioinput" else "speaker"
            raise MediaError(
                f"There is no {what} {device_id!r}; see client.audio.available_devices().", "NotFoundError"
            )
        route.chosen = device_id

    def _run(self) -> None:
        self._load()
        failed = False
        while True:
            job: Callable[[], None] | None = _nothing
            with contextlib.suppress(queue.Empty):
                in_use = any(route.stream is not None or route.wanted for route in self._routes)
                job = self._jobs.get(timeout=_CHECK_S if in_use else _IDLE_CHECK_S)
            if job is None:
                break
            job()
            try:
                self._update()
                failed = False
            except Exception:
                if not failed:  # it is tried again many times a second
                    _logger.exception("The device manager failed in one update; it continues.")
                failed = True
        for route in self._routes:
            route.close()
        if self._started:
            self.system.stop()
        self._ended.set_result(None)

    def _load(self) -> None:
        try:
            self.system.start(self._changed)
            self._started = True
            self._refresh()
        except MediaError as error:
            self.error = error
        except Exception as error:
            _logger.debug("The sound system does not start.", exc_info=error)
            self.error = MediaError(f"Sound does not start ({error}).", "NotFoundError")

    def _changed(self) -> None:
        """Note that devices were added or removed; called by the sound system, from any thread."""
        if not self._stale.is_set():
            self._stale.set()
            self._jobs.put(_nothing)

    def _update(self) -> None:
        if self.error is not None:
            return
        if self._stale.is_set():
            time.sleep(_SETTLE_S)
            self._stale.clear()
            self._refresh()
        if self._update_routes():
            if self.system.must_restart():  # this closes every stream; they are opened again below
                for route in self._routes:
                    route.close()
            self._refresh()
            self._update_routes()

    def _update_routes(self) -> bool:
        """Update each route; return whether one has lost its device."""
        present, now = set(self._devices), time.monotonic()
        lost = [
            route.update(self.system, present, self._defaults[route.kind], now)
            for route in list(self._routes)
        ]
        return any(lost)

    def _refresh(self) -> None:
        """List the devices, and report what changed."""
        if self.error is not None:
            return
        if self.system.must_restart() and not any(route.stream for route in self._routes):
            self.system.restart()
        now = {device.deviceId: device for device in self.system.devices()}
        kinds: tuple[Kind, ...] = ("audioinput", "audiooutput")
        self._defaults = {kind: self.system.default(kind) for kind in kinds}
        was, self._devices = self._devices, now
        changes: list[DeviceChange] = [("removed", was[key]) for key in was.keys() - now.keys()]
        changes += [("added", now[key]) for key in now.keys() - was.keys()]
        if changes:
            for route in self._routes:
                route.retry()
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
        """Return the manager for this value of the option `sound`; None if the client uses no devices."""
        if sound == "none":
            return None
        key = 0 if sound in (None, "device") else id(sound)
        manager, users = self._in_use.get(key, (None, 0))
        if manager is None:
            manager = DeviceManager(PortAudio() if key == 0 else sound)
            manager.start()
        self._in_use[key] = (manager, users + 1)
        return manager

    def release(self, manager: DeviceManager) -> concurrent.futures.Future[None]:
        """Release a manager, which stops with its last user. The future is done when that has happened."""
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
    """Do nothing: the routes are updated after each job."""
