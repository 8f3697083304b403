"""Sound devices: what one is, and what a sound system must do to be used here.

PortAudio's indexes change whenever something is plugged in; a deviceId here is made of names, so that it
stays over calls, enumerations and restarts.
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
    the microphone and the speaker of one piece of hardware, where that can be told.
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
    """Make an id that is the same wherever and whenever the names are."""
    return hashlib.sha256("\0".join(map(str, names)).encode()).hexdigest()[:32]


class DeviceStream(Protocol):
    """An open microphone or speaker. Its methods are called on one thread, the sound desk's."""

    rate: int  # Hz
    latency_s: float  # of the system and the device
    callbacks: int  # grows while the device is there
    device_id: str | None  # where it is; None where that cannot be told

    def lost(self) -> bool:
        """Whether it is known to be dead; one whose callbacks just cease is found by the desk."""

    def move(self, device_id: str | None) -> bool:
        """Go on on another device (None: the default one), without a gap. False: open a new one instead."""

    def close(self) -> None:
        """Stop and release it. After it, no callback runs."""


class SoundSystem(Protocol):
    """Where devices come from: PortAudio, or a fake one in tests. Used on one thread, the sound desk's."""

    def start(self, changed: Callable[[], None]) -> None:
        """Load it.

        Args:
            changed: to be called, from any thread, when devices came or went.

        Raises:
            MediaError: it cannot be used; the sentence says what to install.
        """

    def devices(self) -> list[Device]:
        """All devices that there are now."""

    def default(self, kind: Kind) -> str | None:
        """The id of the system's default device of that kind; None where there is none."""

    def open_input(self, device_id: str | None, rate: int, take: Callable[[Pcm], None]) -> DeviceStream:
        """Open a microphone.

        Args:
            device_id: None: the default one.
            rate: Hz, if it can.
            take: gets samples, in the sound system's thread; it must not wait, and must copy what it keeps.

        Raises:
            MediaError: ``NotFoundError`` or ``NotAllowedError`` (in use, refused).
        """

    def open_output(self, device_id: str | None, rate: int, fill: Callable[[Pcm], None]) -> DeviceStream:
        """Open a speaker; `fill` is to fill the array that it is given. Else like `open_input`."""

    def must_restart(self) -> bool:
        """Whether `restart` is the only way to see which devices there are now."""

    def restart(self) -> None:
        """Look at the hardware anew. All streams have been closed before."""

    def stop(self) -> None:
        """Unload it; nothing of it is used any more."""
