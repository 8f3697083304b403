"""Sound devices: their description, and the protocols of sound systems and open devices.

PortAudio's indexes change whenever a device is plugged in. A deviceId here is made of names, so it is the
same in all lists and after restarts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from plivo_nb.audio_types import Pcm

Kind = Literal["audioinput", "audiooutput"]

#: Codes of a `MediaError` about sound devices, by the names that browsers give them.
NOT_FOUND, NOT_ALLOWED = "NotFoundError", "NotAllowedError"


@dataclass(frozen=True, slots=True)
class Device(Mapping[str, Any]):
    """A microphone (``audioinput``) or speaker (``audiooutput``), with the browser's keys.

    Read it by attribute (``device.label``) or like a dict (``device["label"]``). `groupId` is the same for
    the microphone and the speaker of one piece of hardware, where that is known.
    """

    deviceId: str
    kind: Kind
    label: str
    groupId: str

    def __getitem__(self, key: str) -> Any:
        if key not in _KEYS:
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(_KEYS)

    def __len__(self) -> int:
        return len(_KEYS)


_KEYS = tuple(item.name for item in fields(Device))


def stable_id(*names: object) -> str:
    """Return an id that depends on the names only."""
    return hashlib.sha256("\0".join(map(str, names)).encode()).hexdigest()[:32]


class DeviceStream(Protocol):
    """An open microphone or speaker. Its methods are called on the device manager's thread."""

    rate: int  # Hz
    latency_s: float  # of the system and the device
    callbacks: int  # number of callbacks so far; constant when the device is gone
    device_id: str | None  # the device it is open on; None where that is not known
    direct: bool  # its callbacks have the time to convert samples
    punctual: bool  # its callbacks are made by the I/O plane, at the pace of its calls

    def lost(self) -> bool:
        """Return whether the device is known to be gone; missing callbacks are noticed by the route."""

    def move(self, device_id: str | None) -> bool:
        """Continue on another device (None: the default) without a gap. False: open a new stream instead."""

    def close(self) -> None:
        """Stop and release the device. No callback runs after that."""


class SoundSystem(Protocol):
    """Lists and opens devices: PortAudio, or a fake in tests. Used on the device manager's thread."""

    def start(self, changed: Callable[[], None]) -> None:
        """Load the sound system.

        Args:
            changed: to be called, from any thread, when devices were added or removed.

        Raises:
            MediaError: the sound system cannot be used; the sentence says what to install.
        """

    def devices(self) -> list[Device]:
        """Return all devices present now."""

    def default(self, kind: Kind) -> str | None:
        """Return the id of the system's default device of that kind; None where there is none."""

    def open_input(self, device_id: str | None, rate: int, take: Callable[[Pcm], None]) -> DeviceStream:
        """Open a microphone.

        Args:
            device_id: None: the default one.
            rate: preferred sample rate in Hz; the stream's attribute `rate` is the actual one.
            take: called with samples in the sound system's thread; it must copy them, and must not wait.

        Raises:
            MediaError: ``NotFoundError`` or ``NotAllowedError`` (in use, refused).
        """

    def open_output(self, device_id: str | None, rate: int, fill: Callable[[Pcm], None]) -> DeviceStream:
        """Open a speaker; `fill` is called to fill an array with samples. Otherwise like `open_input`."""

    def must_restart(self) -> bool:
        """Return whether `restart` is needed to list the devices present now."""

    def restart(self) -> None:
        """List the hardware again. All streams must be closed before."""

    def stop(self) -> None:
        """Unload the sound system, which is not used any more."""
