"""The knobs: controls, lines of code and the lab's network agree, whichever of them changes."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from plivo_nb.errors import LabError
from plivo_nb.lab.network.knobs import DIRECTIONS, default_knobs
from plivo_nb.widgets.code_log import code_log_of
from plivo_nb.widgets.knobs import Knobs, network_in_words

if TYPE_CHECKING:
    from collections.abc import Callable


class Network:
    """A lab's network, as the knobs see it. It publishes each change before the command is done."""

    def __init__(self) -> None:
        self.current: dict[Any, dict[str, Any]] = {name: default_knobs() for name in DIRECTIONS}
        self.asked: list[dict[str, Any]] = []
        self.callbacks: list[Callable[[], object]] = []
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    def on_change(self, callback: Callable[[], object]) -> Callable[[], None]:
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    async def set(self, *, direction: Any, **knobs: Any) -> None:
        self.asked.append({"direction": direction, **knobs})
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.change(direction, **knobs)

    async def clear(self) -> None:
        self.asked.append({"clear": True})
        if self.error is not None:
            raise self.error
        self.change("both", **default_knobs())

    def change(self, direction: str, **knobs: Any) -> None:
        """A change by whoever it is: this or another client of the lab, or a scenario."""
        for name in DIRECTIONS if direction == "both" else (direction,):
            self.current[name] |= knobs
        for callback in list(self.callbacks):
            callback()


@pytest.fixture
async def network() -> Network:
    return Network()


@pytest.fixture
async def knobs(network: Network):
    knobs = Knobs(network)
    yield knobs
    knobs.close()
    assert network.callbacks == []


async def turns() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def test_what_was_moved_is_python_for_the_lab(network: Network, client: Any) -> None:
    knobs = Knobs(network, client=client)
    knobs.loss.value = 5.0
    await turns()
    knobs.direction.value = "from me"
    knobs.delay.value = 120.0
    await turns()
    knobs.clean()
    await turns()
    knobs.close()
    assert code_log_of(client).lines == [
        "await lab.network.set(loss=0.05)",
        "await lab.network.set(direction='to_callee', delay_ms=120.0)",
        "await lab.network.clear()",
    ]


async def test_a_slider_changes_its_own_knob_only(knobs: Knobs, network: Network) -> None:
    network.change("both", delay_ms=80.0, rate_kbps=64.0)
    knobs.loss.value = 5.0
    await turns()
    knobs.black_hole.value = True
    await turns()
    knobs.reorder.value = False
    await turns()
    assert network.asked == [
        {"direction": "both", "loss": 0.05},
        {"direction": "both", "black_hole": True},
        {"direction": "both", "reorder": False},
    ]
    assert network.current["to_caller"]["delay_ms"] == 80.0


async def test_the_controls_follow_the_network_and_send_nothing_then(knobs: Knobs, network: Network) -> None:
    network.change("both", loss=0.1, burst_packets=4.0, delay_ms=200.0, jitter_ms=30.0, duplicate=0.02)
    network.change("both", reorder=False, black_hole=True)
    shown = [knobs.loss, knobs.burst, knobs.delay, knobs.jitter, knobs.duplicate]
    assert [slider.value for slider in shown] == [10.0, 4.0, 200.0, 30.0, 2.0]
    assert (knobs.reorder.value, knobs.black_hole.value) == (False, True)
    await turns()
    assert network.asked == []


async def test_knobs_made_later_show_the_network_as_it_is(network: Network) -> None:
    network.change("both", loss=0.1)
    knobs = Knobs(network)
    assert knobs.loss.value == 10.0
    knobs.close()


async def test_a_value_beyond_the_slider_is_shown_as_it_is(knobs: Knobs, network: Network) -> None:
    network.change("both", loss=0.8, delay_ms=2500.0)
    assert (knobs.loss.value, knobs.delay.value) == (80.0, 2500.0)
    await turns()
    assert network.asked == []


async def test_a_line_of_code_moves_several_with_one_command(knobs: Knobs, network: Network) -> None:
    knobs.set(loss=0.1, delay_ms=200.0, rate_kbps=64.0)
    assert (knobs.loss.value, knobs.delay.value, knobs.jitter.value) == (10.0, 200.0, 0.0)
    await turns()
    assert network.asked == [{"direction": "both", "loss": 0.1, "delay_ms": 200.0, "rate_kbps": 64.0}]
    knobs._clean.click()
    await turns()
    assert network.asked[1:] == [{"clear": True}]
    assert (knobs.loss.value, knobs.delay.value) == (0.0, 0.0)
    assert "clean network" in knobs._note.value


async def test_a_slider_moved_again_does_not_jump_back_in_between(knobs: Knobs, network: Network) -> None:
    network.gate.clear()
    knobs.loss.value = 5.0
    await turns()
    knobs.loss.value = 9.0
    network.change("both", jitter_ms=10.0)
    assert knobs.loss.value == 9.0
    network.gate.set()
    await turns()
    assert (knobs.loss.value, knobs.jitter.value) == (9.0, 10.0)
    assert network.current["to_callee"]["loss"] == 0.09


async def test_one_direction_is_changed_and_shown(
    network: Network, client: Any, make_call: Callable[..., Any]
) -> None:
    knobs = Knobs(network, client=client)
    knobs.direction.value = "to me"
    knobs.loss.value = 5.0
    await turns()
    knobs.direction.value = "from me"
    assert knobs.loss.value == 0.0
    knobs.delay.value = 100.0
    await turns()
    assert network.asked == [
        {"direction": "to_caller", "loss": 0.05},
        {"direction": "to_callee", "delay_ms": 100.0},
    ]
    assert "To me: 5 % loss.\nFrom me: 100 ms delay." in knobs._note.value
    knobs.direction.value = "both ways"
    assert (knobs.loss.value, knobs.delay.value) == (5.0, 100.0)  # the worse one; the note has both
    client.current_call = make_call("bob", "INCOMING")
    knobs.refresh()
    assert "To me: 100 ms delay.\nFrom me: 5 % loss." in knobs._note.value
    knobs.direction.value = "to me"
    knobs.loss.value = 7.0
    await turns()
    assert network.asked[-1] == {"direction": "to_callee", "loss": 0.07}
    knobs.close()


async def test_a_slider_moved_on_another_thread_turns_the_network(knobs: Knobs, network: Network) -> None:
    thread = threading.Thread(target=lambda: setattr(knobs.loss, "value", 3.0))
    thread.start()
    await asyncio.to_thread(thread.join)
    await turns()
    assert network.asked == [{"direction": "both", "loss": 0.03}]


async def test_a_failure_is_said_and_the_slider_goes_back(knobs: Knobs, network: Network) -> None:
    network.error = LabError("The lab is not running any more; start it again with Lab().")
    knobs.loss.value = 1.0
    await turns()
    assert "The lab is not running any more" in knobs._status.value
    assert knobs.loss.value == 0.0
    knobs.clean()
    await turns()
    assert "The lab is not running any more" in knobs._status.value
    network.error = None
    knobs.loss.value = 2.0
    await turns()
    assert "not running" not in knobs._status.value


async def test_its_repr_is_stable_and_it_closes(network: Network) -> None:
    from ipywidgets.widgets import widget

    before = len(widget._instances)
    knobs: Any = Knobs(network)
    bundle = knobs._repr_mimebundle_()
    assert bundle["text/plain"] == "<Knobs>"
    assert "application/vnd.jupyter.widget-view+json" in bundle
    knobs.close()
    assert len(widget._instances) == before


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "clean network"),
        ({"loss": 0.005}, "0.5 % loss"),
        ({"loss": 0.05, "burst_packets": 3.0}, "5 % loss, in bursts of 3"),
        ({"burst_packets": 3.0}, "clean network"),
        ({"delay_ms": 120.0, "jitter_ms": 20.0}, "120 ms delay, ± 20 ms jitter"),
        ({"rate_kbps": 64.0, "duplicate": 0.02}, "2 % duplicates, 64 kbit/s at most"),
        ({"black_hole": True, "reorder": False}, "no packet arrives, order kept"),
    ],
)
def test_the_network_in_words(changed: dict[str, Any], words: str) -> None:
    assert network_in_words(default_knobs() | changed) == words
