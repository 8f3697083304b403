"""Knobs: controls for the network of a lab, such as sliders for packet loss, delay and jitter."""

from __future__ import annotations

import asyncio
import html
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, Protocol, Unpack, get_args

import ipywidgets as W

from plivo_nb.lab.network.knobs import Direction, DirectionOrBoth, NetworkKnobs, default_knobs
from plivo_nb.widgets import voila
from plivo_nb.widgets.code_log import code_log_of
from plivo_nb.widgets.loop_tasks import LoopTasks
from plivo_nb.widgets.page import Page
from plivo_nb.widgets.phone_view import close_tree, live_region
from plivo_nb.widgets.theme import style

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from plivo_nb.client import Client

Way = Literal["both ways", "to me", "from me"]
_DEFAULTS = default_knobs()


class Network(Protocol):
    """The interface that `Knobs` needs of a lab's network; `lab.network` has it."""

    @property
    def current(self) -> Mapping[Direction, Mapping[str, Any]]:
        """The knobs now, by direction."""

    def on_change(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call `callback` after each change; returns a function that removes it."""

    def set(self, *, direction: DirectionOrBoth, **knobs: Unpack[NetworkKnobs]) -> Awaitable[Any]:
        """Set these knobs, and no others."""

    def clear(self) -> Awaitable[Any]:
        """Reset every knob."""


class Control:
    """One knob and its widget.

    Args:
        knob: the name of the knob, as `Network.set` takes it.
        widget: an ipywidgets slider or checkbox.
        factor: the widget's value per unit of the knob, such as 100 for a fraction shown in percent.
    """

    def __init__(self, knob: str, widget: Any, factor: float = 1.0) -> None:
        self.knob, self.widget, self.factor = knob, widget, factor
        self.shown: Any = widget.value

    def to_knob(self, value: Any) -> Any:
        """The value for the network of a widget's value."""
        return value if isinstance(value, bool) else value / self.factor

    def show(self, value: Any) -> None:
        """Display the value of the network; the range grows if it is out of range."""
        self.shown = value if isinstance(value, bool) else value * self.factor
        if not isinstance(value, bool) and self.shown > self.widget.max:
            self.widget.max = self.shown
        self.widget.value = self.shown


class Knobs:
    """Controls for a lab's network. A cell whose last expression is a `Knobs` displays it.

    The controls follow the network, whatever changes it: this widget, code, or a scenario. A control that is
    moved changes its own knob only, in the direction chosen.

    Args:
        network: a lab's network, such as `lab.network`.
        client: the client whose calls say which direction is "to me". Without it, "to me" is what a caller
            receives.
        loop: the event loop on which the network is called; by default the running loop.

    Attributes:
        direction: the choice of ``"both ways"``, ``"to me"`` and ``"from me"``.
        loss, burst, delay, jitter, duplicate: the sliders.
        reorder, black_hole: the checkboxes.

    Example:
        >>> import asyncio
        >>> from plivo_nb import Lab
        >>> async def main():
        ...     async with Lab() as lab:
        ...         knobs = Knobs(lab.network)      # as a cell's last expression it is displayed
        ...         knobs.set(loss=0.05)            # same effect as moving the slider
        ...         await lab.network.set(delay_ms=120)
        ...         return knobs.loss.value, knobs.delay.value
        >>> asyncio.run(main())
        (5.0, 120.0)
    """

    def __init__(
        self, network: Network, *, client: Client | None = None, loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self._network = network
        self._client = client
        self._status, self._note = live_region(), live_region()
        loop = loop or asyncio.get_running_loop()
        self._loop_tasks = LoopTasks(loop, self._show_status, "knobs")
        self._page = Page(loop, "Network of the lab")
        self._sending: Counter[str] = Counter()  # commands under way, by knob
        self.loss = _slider("Packet loss, %", 0, 30, 0.5)
        self.burst = _slider("Burst, packets", 1, 20, 1)
        self.delay = _slider("Delay one way, ms", 0, 400, 10)
        self.jitter = _slider("Jitter, ± ms", 0, 100, 5)
        self.duplicate = _slider("Duplicates, %", 0, 20, 0.5)
        self.reorder = _checkbox("Jitter may change the order of packets")
        self.black_hole = _checkbox("Black hole: no packet arrives")
        self._controls = {
            control.knob: control
            for control in (
                Control("loss", self.loss, 100.0), Control("burst_packets", self.burst),
                Control("delay_ms", self.delay), Control("jitter_ms", self.jitter),
                Control("duplicate", self.duplicate, 100.0), Control("reorder", self.reorder),
                Control("black_hole", self.black_hole),
            )
        }  # fmt: skip
        self.direction = W.ToggleButtons(
            options=get_args(Way), style={"button_width": "auto"}, layout=W.Layout(width="auto")
        )
        self.direction.add_class("plivo-choice")
        self._clean = W.Button(
            description="Clean network", tooltip="Reset every knob, and stop the scenario",
            layout=W.Layout(width="auto", height="32px", margin="0"),
        )  # fmt: skip
        self.widget: Any = self._arranged()
        self._clean.on_click(lambda _button: self._loop_tasks.run_soon(self.clean))
        self.direction.observe(lambda _change: self.refresh(), "value")
        for control in self._controls.values():
            control.widget.observe(lambda change, moved=control: self._moved(moved, change["new"]), "value")
        self._remove_callback = network.on_change(self.refresh)
        self._show_status("")
        self.refresh()
        if voila.opened_as_app():
            self._loop_tasks.create_task(voila.end_with_page(self._page))

    def _arranged(self) -> Any:
        head = W.HBox([self.direction, self._clean])
        head.add_class("plivo-knobs-head")
        controls = W.Box([control.widget for control in self._controls.values()])
        controls.add_class("plivo-knobs-controls")
        sheet = W.HTML(style(), layout=W.Layout(display="none"))
        box = W.VBox([sheet, head, controls, self._note, self._status, self._page.widget])
        box.add_class("plivo")
        box.add_class("plivo-knobs")
        return box

    def set(self, **knobs: Unpack[NetworkKnobs]) -> None:
        """Move the controls and apply their values to the network. Knobs that are not given do not change.

        Args:
            knobs: the knobs of `lab.network.set` in its units, such as ``loss=0.05`` (fraction) or
                ``delay_ms=120``. They apply to the direction chosen.
        """
        self._sending.update(dict.fromkeys(knobs, 1))
        for name, value in knobs.items():
            if name in self._controls:
                self._controls[name].show(value)
        self._loop_tasks.run_soon(lambda: self._send(knobs))

    def clean(self) -> None:
        """Reset every knob of the network, and stop the scenario that plays."""
        for name, control in self._controls.items():
            control.show(_DEFAULTS[name])
        self._add_code("clear", {})
        self._loop_tasks.run_soon(self._clear)

    def refresh(self) -> None:
        """Display the knobs of the network."""
        current = self._network.current
        names = self._directions()
        for name, control in self._controls.items():
            values = [current[direction][name] for direction in names]
            if not self._sending[name]:  # what is under way would be overwritten by what was before it
                control.show(max(values))
        note = _note(current["to_caller"], current["to_callee"], receives=self._receiving())
        self._note.value = _line(note, "plivo-dim plivo-knobs-note")

    def close(self) -> None:
        """Close the controls. The network keeps its settings."""
        self._remove_callback()
        self._loop_tasks.close()
        close_tree(self.widget)

    def __repr__(self) -> str:
        return "<Knobs>"

    def _repr_mimebundle_(self, **arguments: Any) -> Any:
        return {**self.widget._repr_mimebundle_(**arguments), "text/plain": repr(self)}

    def _receiving(self) -> Direction:
        """The direction in which this client receives."""
        call = self._client.current_call if self._client is not None else None
        return "to_callee" if call is not None and call.info.direction == "INCOMING" else "to_caller"

    def _directions(self) -> tuple[Direction, ...]:
        receiving = self._receiving()
        sending: Direction = "to_caller" if receiving == "to_callee" else "to_callee"
        chosen: dict[Way, tuple[Direction, ...]] = {
            "both ways": (receiving, sending), "to me": (receiving,), "from me": (sending,)
        }  # fmt: skip
        return chosen[self.direction.value]

    def _moved(self, control: Control, value: Any) -> None:
        if value == control.shown:
            return  # it follows the network
        control.shown = value
        self._sending[control.knob] += 1
        self._loop_tasks.run_soon(lambda: self._send({control.knob: control.to_knob(value)}))

    async def _send(self, knobs: Mapping[str, Any]) -> None:
        names = self._directions()
        direction: DirectionOrBoth = "both" if len(names) == 2 else names[0]
        self._add_code("set", {**({} if direction == "both" else {"direction": direction}), **knobs})
        try:
            await self._network.set(direction=direction, **knobs)
        finally:
            self._sending.subtract(dict.fromkeys(knobs, 1))
            self.refresh()

    async def _clear(self) -> None:
        try:
            await self._network.clear()
        finally:
            self.refresh()

    def _add_code(self, method: str, arguments: Mapping[str, Any]) -> None:
        if self._client is not None:
            given = ", ".join(f"{name}={{!r}}" for name in arguments)
            code_log_of(self._client).add(f"await lab.network.{method}({given})", *arguments.values())

    def _show_status(self, sentence: str) -> None:
        self._status.value = _line(sentence, "plivo-status")


def _line(text: str, kind: str) -> str:
    """Text of fixed height, as HTML; a line that is too long is cut."""
    text = html.escape(text)
    return f'<div class="plivo-knobs-line plivo-cut {kind}" title="{text}">{text}</div>'


def _note(to_caller: Mapping[str, Any], to_callee: Mapping[str, Any], *, receives: Direction) -> str:
    """The network in words, with what the controls do not show: the other direction, and other knobs."""
    to_me, from_me = (to_caller, to_callee) if receives == "to_caller" else (to_callee, to_caller)
    if to_me == from_me:
        return network_in_words(to_me)
    return f"To me: {network_in_words(to_me)}.\nFrom me: {network_in_words(from_me)}."


#: How each knob that is not at its default is said, except those that qualify another.
_WORDS: dict[str, Callable[[Any], str]] = {
    "black_hole": lambda _: "no packet arrives",
    "loss": lambda value: f"{value * 100:g} % loss",
    "burst_packets": lambda value: f"in bursts of {value:g}",
    "delay_ms": lambda value: f"{value:g} ms delay",
    "jitter_ms": lambda value: f"± {value:g} ms jitter",
    "duplicate": lambda value: f"{value * 100:g} % duplicates",
    "rate_kbps": lambda value: f"{value:g} kbit/s at most",
    "reorder": lambda _: "order kept",
}


def network_in_words(knobs: Mapping[str, Any]) -> str:
    """The knobs of one direction that differ from a clean network, in words.

    Example:
        >>> network_in_words({"loss": 0.05, "delay_ms": 120.0, "reorder": True})
        '5 % loss, 120 ms delay'
    """
    changed = [name for name in _WORDS if knobs.get(name, _DEFAULTS[name]) != _DEFAULTS[name]]
    if "loss" not in changed:
        changed = [name for name in changed if name != "burst_packets"]
    return ", ".join(_WORDS[name](knobs[name]) for name in changed) or "clean network"


def _slider(description: str, least: float, most: float, step: float) -> Any:
    return W.FloatSlider(
        value=least, min=least, max=most, step=step, description=description, continuous_update=False,
        readout_format=".0f" if step >= 1 else ".1f", style={"description_width": "136px"},
        layout=W.Layout(width="auto", margin="0"),
    )  # fmt: skip


def _checkbox(description: str) -> Any:
    return W.Checkbox(description=description, indent=False, layout=W.Layout(width="auto", margin="0"))
