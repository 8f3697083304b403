"""AudioSettings: selects microphone, speaker and ring-tone device, and sets the volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as W

from plivo_nb.widgets.code_log import code_log_of
from plivo_nb.widgets.phone_view import button, close_tree, row

if TYPE_CHECKING:
    from plivo_nb.client import Client
    from plivo_nb.engine.audio.devices import DeviceChoice
    from plivo_nb.operation import Operation
    from plivo_nb.sound.devices import Device, Kind
    from plivo_nb.widgets.loop_tasks import LoopTasks

_DEFAULT = ("System default", "")  # a Dropdown's value; no device has an empty id


class AudioSettings:
    """Devices and volume of one client. They follow what is plugged in, and what code sets.

    Args:
        client: the client whose `audio` is set.
        loop_tasks: run what is chosen.
    """

    def __init__(self, client: Client, loop_tasks: LoopTasks) -> None:
        self._client = client
        self._loop_tasks = loop_tasks
        self._devices: list[Device] = []
        self._labels: dict[str, str] = {}  # of all devices seen, by id
        audio = client.audio
        self._choices = [
            _DeviceSelect(client, "microphone_devices", "Microphone", loop_tasks),
            _DeviceSelect(client, "speaker_devices", "Speaker", loop_tasks),
            _DeviceSelect(client, "ringtone_devices", "Ring tone", loop_tasks),
        ]
        self._refreshing = False
        self._volume = W.FloatSlider(
            min=0.0, max=1.0, step=0.05, value=1.0, readout=False, description="Volume",
            continuous_update=False, tooltip="Volume of the speaker",
            layout=W.Layout(flex="1 1 auto", width="auto", margin="0"),
        )  # fmt: skip
        self._volume.observe(self._volume_moved, "value")
        self._percent = W.HTML(layout=W.Layout(flex="0 0 56px"))
        volume = W.HBox([self._volume, self._percent], layout=W.Layout(width="100%"))
        rows = [choice.widget for choice in self._choices]
        self.widget: Any = W.VBox([*rows, volume], layout=W.Layout(grid_gap="6px"))
        self.widget.add_class("plivo-settings")
        self._remove_at_change = audio.at_change(self.refresh)
        client.on("onAudioDeviceChange", self._device_changed)
        loop_tasks.call_soon(self._list_devices)

    def refresh(self) -> None:
        """Display the devices that are there and chosen, and the volume."""
        usable = self._client.audio.mode != "none"
        for choice in self._choices:
            choice.show(self._devices, self._labels, enabled=usable)
        volume = self._client.audio.volume
        self._refreshing = True
        try:
            self._volume.value = min(volume, 1.0)
        finally:
            self._refreshing = False
        self._volume.disabled = not usable
        by_code = " (set by code)" if volume > 1.0 else ""
        self._percent.value = f'<div class="plivo-percent" title="{by_code}">{round(100 * volume)} %</div>'

    def close(self) -> None:
        """Close the widgets and remove the callbacks. What was chosen stays."""
        self._remove_at_change()
        self._client.off("onAudioDeviceChange", self._device_changed)
        self._volume.unobserve_all()
        for choice in self._choices:
            choice.close()
        close_tree(self.widget)

    async def _list_devices(self) -> None:
        self._devices = await self._client.audio.available_devices()
        self._labels |= {device.deviceId: device.label for device in self._devices}
        self.refresh()

    def _device_changed(self, _change: Any) -> None:
        self._loop_tasks.call_soon(self._list_devices)

    def _volume_moved(self, change: Any) -> None:
        if self._refreshing:
            return

        def set_volume() -> None:
            code_log_of(self._client).add("client.audio.volume = {!r}", change["new"])
            self._client.audio.volume = change["new"]

        if self._loop_tasks.on_loop:
            set_volume()  # at once: a later refresh would move the slider back while it is being dragged
        else:
            self._loop_tasks.run_soon(set_volume)


class _DeviceSelect:
    """A selector for one attribute of `client.audio`, with a button for a test tone if it is a speaker."""

    def __init__(self, client: Client, attribute: str, name: str, loop_tasks: LoopTasks) -> None:
        self._client = client
        self._attribute = attribute
        self._kind: Kind = "audioinput" if attribute == "microphone_devices" else "audiooutput"
        self._choice: DeviceChoice = getattr(client.audio, attribute)
        self._loop_tasks = loop_tasks
        self._refreshing = False
        self.select = W.Dropdown(
            options=[_DEFAULT], description=name, tooltip=f"{name} that is used",
            layout=W.Layout(flex="1 1 auto", width="auto", min_width="0", margin="0"),
        )  # fmt: skip
        self.select.observe(self._selected, "value")
        self.test: Any = None
        if self._kind == "audiooutput":
            self.test = button("Test", "plivo-plain", height="32px", tooltip=f"{name}: play a test tone")
            self.test.layout.flex = "0 0 52px"
            self.test.on_click(lambda _button: loop_tasks.run_soon(self._choice.play_test_tone))
        self.widget: Any = row(*filter(None, (self.select, self.test)))

    def show(self, devices: list[Device], labels: dict[str, str], *, enabled: bool) -> None:
        """Display these devices, and which of them is chosen."""
        chosen = self._choice.get() or ""
        options = [_DEFAULT, *((item.label, item.deviceId) for item in devices if item.kind == self._kind)]
        if all(value != chosen for _, value in options):
            options.append((f"{labels.get(chosen, 'Device')} (unplugged)", chosen))
        self._refreshing = True
        try:
            if list(self.select.options) != options:
                self.select.options = options
            self.select.value = chosen
        finally:
            self._refreshing = False
        for control in filter(None, (self.select, self.test)):
            control.disabled = not enabled

    def close(self) -> None:
        """Observe the selector no more."""
        self.select.unobserve_all()

    def _selected(self, change: Any) -> None:
        chosen = change["new"]
        if self._refreshing or chosen is None:
            return
        self._loop_tasks.run_soon(lambda: self._choose(chosen))

    def _choose(self, chosen: str) -> Operation[None]:
        code_log_of(self._client).add(
            f"await client.audio.{self._attribute}.{'set({!r})' if chosen else 'reset()'}",
            *filter(None, [chosen]),
        )
        return self._choice.set(chosen) if chosen else self._choice.reset()
