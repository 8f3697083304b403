"""Sound desks in use: one a sound system, shared by all clients of it."""

from __future__ import annotations

import concurrent.futures
from typing import Any

from plivo_nb.sound.device_manager import DeviceManager
from plivo_nb.sound.portaudio import PortAudio


class DeviceManagers:
    """One sound desk for each sound system: PortAudio is one for the whole process."""

    def __init__(self) -> None:
        self._desks: dict[int, tuple[DeviceManager, int]] = {}

    def take(self, sound: Any) -> DeviceManager | None:
        """The desk of this choice of the option sound; None: no devices are wanted."""
        if sound in ("none", "browser"):
            return None
        key = 0 if sound in (None, "device") else id(sound)
        desk, users = self._desks.get(key, (None, 0))
        if desk is None:
            desk = DeviceManager(PortAudio() if key == 0 else sound)
            desk.start()
        self._desks[key] = (desk, users + 1)
        return desk

    def give_back(self, desk: DeviceManager) -> concurrent.futures.Future[None]:
        """The desk ends with its last user; the future tells when that is done."""
        key, users = next((key, users) for key, (item, users) in self._desks.items() if item is desk)
        if users > 1:
            self._desks[key] = (desk, users - 1)
            done: concurrent.futures.Future[None] = concurrent.futures.Future()
            done.set_result(None)
            return done
        del self._desks[key]
        return desk.stop()


desks = DeviceManagers()
