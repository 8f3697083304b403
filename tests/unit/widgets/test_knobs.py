"""The knobs: sliders, lines of code and the clean button turn one network."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from plivo_nb.errors import LabError
from plivo_nb.widgets.knobs import Knobs


class Network:
    def __init__(self) -> None:
        self.settings: list[dict[str, float]] = []
        self.error: Exception | None = None

    async def set(self, **settings: float) -> None:
        if self.error is not None:
            raise self.error
        self.settings.append(settings)


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
async def knobs(network: Network):
    knobs = Knobs(network)
    yield knobs
    knobs.close()


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_slider_turns_the_network(knobs: Knobs, network: Network) -> None:
    knobs.loss.value = 5.0
    await turns()
    knobs.delay.value = 120.0
    await turns()
    assert network.settings == [
        {"loss": 0.05, "delay_ms": 0.0, "jitter_ms": 0.0},
        {"loss": 0.05, "delay_ms": 120.0, "jitter_ms": 0.0},
    ]


async def test_a_line_of_code_moves_all_three_with_one_command(knobs: Knobs, network: Network) -> None:
    knobs.set(loss=0.1, delay_ms=200.0, jitter_ms=30.0)
    await turns()
    assert network.settings == [{"loss": 0.1, "delay_ms": 200.0, "jitter_ms": 30.0}]
    assert (knobs.loss.value, knobs.delay.value, knobs.jitter.value) == (10.0, 200.0, 30.0)
    knobs._clean.click()
    await turns()
    assert network.settings[1:] == [{"loss": 0.0, "delay_ms": 0.0, "jitter_ms": 0.0}]


async def test_a_slider_moved_on_another_thread_turns_the_network(knobs: Knobs, network: Network) -> None:
    thread = threading.Thread(target=lambda: setattr(knobs.loss, "value", 3.0))
    thread.start()
    await asyncio.to_thread(thread.join)
    await turns()
    assert network.settings == [{"loss": 0.03, "delay_ms": 0.0, "jitter_ms": 0.0}]


async def test_a_lab_that_is_gone_is_told_in_a_sentence(knobs: Knobs, network: Network) -> None:
    network.error = LabError("The lab is not running any more; start it again with Lab().")
    knobs.loss.value = 1.0
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
