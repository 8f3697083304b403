"""Knobs: sliders for packet loss, delay and jitter of a lab's network."""

from __future__ import annotations

import asyncio
import html
from typing import TYPE_CHECKING, Any, Protocol

import ipywidgets as W

from plivo_nb.widgets.loop_tasks import LoopTasks
from plivo_nb.widgets.phone_view import close_tree
from plivo_nb.widgets.theme import style

if TYPE_CHECKING:
    from collections.abc import Awaitable


class Network(Protocol):
    """The interface that `Knobs` needs of a lab's network."""

    def set(self, *, loss: float, delay_ms: float, jitter_ms: float) -> Awaitable[Any]:
        """Change the media path from now on."""


class Knobs:
    """Three sliders and a reset button. A cell whose last expression is a `Knobs` displays it.

    Args:
        network: a lab's network, such as `lab.network`.
        loop: the event loop on which the network is called; by default the running loop.

    Example:
        >>> import asyncio
        >>> from plivo_nb import Lab
        >>> async def main():
        ...     async with Lab() as lab:
        ...         knobs = Knobs(lab.network)   # as a cell's last expression it is displayed
        ...         knobs.set(loss=0.05)         # same effect as moving the slider
        ...         return knobs.loss.value
        >>> asyncio.run(main())
        5.0
    """

    def __init__(self, network: Network, *, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._network = network
        self._status = W.HTML()
        self._loop_tasks = LoopTasks(loop or asyncio.get_running_loop(), self._show_status, "knobs")
        self.loss = _slider("Packet loss, %", 30.0, 0.5)
        self.delay = _slider("Delay one way, ms", 400.0, 10.0)
        self.jitter = _slider("Jitter, ± ms", 100.0, 5.0)
        self._clean = W.Button(description="Clean network", layout=W.Layout(width="150px", height="32px"))
        self._moving_several = False
        self._clean.on_click(lambda _button: self._loop_tasks.run_soon(self.clean))
        for slider in (self.loss, self.delay, self.jitter):
            slider.observe(lambda _change: self._sliders_moved(), "value")
        rows = [W.HTML(style(), layout=W.Layout(display="none")), self.loss, self.delay, self.jitter,
                W.HBox([self._clean]), self._status]  # fmt: skip
        self.widget: Any = W.VBox(rows, layout=W.Layout(grid_gap="4px"))
        self.widget.add_class("plivo")
        self.widget.add_class("plivo-knobs")

    def set(
        self, *, loss: float | None = None, delay_ms: float | None = None, jitter_ms: float | None = None
    ) -> None:
        """Move the sliders and apply their values to the network. Values that are not given do not change.

        Args:
            loss: fraction of packets lost in each direction, 0 to 0.3.
            delay_ms: one-way delay in each direction, in milliseconds, 0 to 400.
            jitter_ms: half-width of the uniform variation of the delay, in milliseconds, 0 to 100.
        """
        self._moving_several = True  # one command to the network for all three sliders
        try:
            for slider, value in ((self.loss, None if loss is None else loss * 100.0), (self.delay, delay_ms),
                                  (self.jitter, jitter_ms)):  # fmt: skip
                if value is not None:
                    slider.value = value
        finally:
            self._moving_several = False
        self._sliders_moved()

    def clean(self) -> None:
        """Set loss, delay and jitter to 0."""
        self.set(loss=0.0, delay_ms=0.0, jitter_ms=0.0)

    def close(self) -> None:
        """Close the sliders. The network keeps its settings."""
        self._loop_tasks.close()
        close_tree(self.widget)

    def __repr__(self) -> str:
        return "<Knobs>"

    def _repr_mimebundle_(self, **arguments: Any) -> Any:
        return {**self.widget._repr_mimebundle_(**arguments), "text/plain": repr(self)}

    def _sliders_moved(self) -> None:
        if not self._moving_several:
            self._loop_tasks.run_soon(self._apply)

    async def _apply(self) -> None:
        await self._network.set(
            loss=self.loss.value / 100.0, delay_ms=self.delay.value, jitter_ms=self.jitter.value
        )

    def _show_status(self, sentence: str) -> None:
        self._status.value = f'<div class="plivo-status" role="status">{html.escape(sentence)}</div>'


def _slider(description: str, most: float, step: float) -> Any:
    return W.FloatSlider(
        value=0.0, min=0.0, max=most, step=step, description=description, continuous_update=False,
        readout_format=".0f" if step >= 1 else ".1f", style={"description_width": "140px"},
        layout=W.Layout(width="95%"),
    )  # fmt: skip
