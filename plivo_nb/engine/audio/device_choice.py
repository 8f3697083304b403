"""Which device is used for what: `client.audio.microphone_devices` and its like."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.engine.audio.players import Player
    from plivo_nb.operation import Operation
    from plivo_nb.sound.route import DeviceRoute


class DeviceChoice:
    """One of `microphone_devices`, `speaker_devices` and `ringtone_devices`.

    Args:
        choose: leads the line to a device.
        line: what leads to it.
        players: what `media` gives.
    """

    def __init__(
        self, choose: Callable[[str | None], Operation[None]], line: DeviceRoute, players: dict[str, Player]
    ) -> None:
        self._choose = choose
        self._line = line
        self._players = players

    def set(self, device_id: str) -> Operation[None]:
        """Use this device, from now on; a call that goes on moves to it.

        Args:
            device_id: a `deviceId` of `AudioDevices.available_devices`.

        Raises (when awaited):
            MediaError: ``NotFoundError``: there is no such device; nothing is changed.
        """
        return self._choose(str(device_id))

    def get(self) -> str | None:
        """The id of the device that was chosen; None: the system's default is used."""
        return self._line.chosen

    def reset(self) -> Operation[None]:
        """Use the system's default device again."""
        return self._choose(None)

    def media(self, source: str) -> Player:
        """The player of a sound.

        Args:
            source: ``"dtmf"`` or ``"ringback"``.

        Raises:
            ValueError: another source.
        """
        if source not in self._players:
            raise ValueError(f"media takes 'dtmf' or 'ringback', not {source!r}.")
        return self._players[source]
