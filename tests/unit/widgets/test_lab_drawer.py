"""The lab drawer with a stand-in lab; with the real one: tests/integration/widgets/test_lab_drawer.py."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from waiting import until

from plivo_nb.errors import LabError
from plivo_nb.lab.network.knobs import DIRECTIONS, default_knobs
from plivo_nb.lab.network.scenarios import SCENARIOS
from plivo_nb.lab.robots.roles import ROBOTS
from plivo_nb.widgets.code_log import code_log_of
from plivo_nb.widgets.lab_drawer import LabDrawer


class Network:
    def __init__(self) -> None:
        self.current = {name: default_knobs() for name in DIRECTIONS}
        self.playing: str | None = None
        self.callbacks: list[Any] = []

    def on_change(self, callback: Any) -> Any:
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    def changed(self) -> None:
        for callback in list(self.callbacks):
            callback()

    async def play(self, scenario: str) -> None:
        self.playing = scenario
        self.changed()

    async def stop(self) -> None:
        self.playing = None
        self.changed()


class Lab:
    def __init__(self) -> None:
        self.network = Network()
        self.calls: list[tuple[str, int]] = []
        self.causes: list[str] = []
        self.error: Exception | None = None

    async def call(self, user: str, n: int = 1) -> list[dict[str, Any]]:
        self.calls.append((user, n))
        if self.error is not None:
            raise self.error
        failed = [{"state": "failed", "cause": cause} for cause in self.causes]
        return [*failed, *({"state": "ringing", "cause": None} for _ in range(n - len(failed)))]


@pytest.fixture
async def lab() -> Lab:
    return Lab()


@pytest.fixture
async def drawer(lab: Lab, client: Any):
    drawer = LabDrawer(lab, client)  # type: ignore[arg-type]
    yield drawer
    drawer.close()
    assert lab.network.callbacks == []
    assert client.closers == []
    assert client.listeners() == 0


def buttons(widget: Any) -> dict[str, Any]:
    """The buttons in a box, by their descriptions."""
    found = {}
    for child in getattr(widget, "children", ()):
        found.update(buttons(child))
        if hasattr(child, "click"):
            found[child.description] = child
    return found


async def test_it_is_folded_at_first_and_made_when_it_opens(drawer: LabDrawer, widget_count: Any) -> None:
    folded = widget_count()
    assert not drawer.is_open
    drawer._title.click()
    await until(lambda: drawer.is_open)
    assert widget_count() > folded + 50
    opened = widget_count()
    drawer._title.click()
    await until(lambda: not drawer.is_open)
    drawer.open()
    assert widget_count() == opened
    assert set(buttons(drawer.widget)) >= {*SCENARIOS, *ROBOTS, "Ring me", "Ring me × 3", "Clean network"}


async def test_the_summary_says_what_the_network_does_while_it_is_folded(drawer: LabDrawer, lab: Lab) -> None:
    assert ">clean network<" in drawer._summary.value
    lab.network.current["to_caller"]["loss"] = lab.network.current["to_callee"]["loss"] = 0.05
    lab.network.changed()
    assert ">5 % loss<" in drawer._summary.value
    lab.network.current["to_caller"]["delay_ms"] = 100.0
    lab.network.playing = "<b>"
    lab.network.changed()
    assert ">scenario &lt;b&gt; · a different network in each direction<" in drawer._summary.value


async def test_a_scenario_is_started_and_stopped_by_its_button(drawer: LabDrawer, lab: Lab) -> None:
    drawer.open()
    vpn = buttons(drawer.widget)["vpn"]
    assert "VPN" in vpn.tooltip
    vpn.click()
    await until(lambda: lab.network.playing == "vpn")
    assert (vpn.description, vpn.tooltip) == ("■ vpn", "Stop the scenario vpn")
    assert "scenario vpn" in drawer._summary.value
    buttons(drawer.widget)["satellite"].click()
    await until(lambda: lab.network.playing == "satellite")
    assert vpn.description == "vpn"
    buttons(drawer.widget)["■ satellite"].click()
    await until(lambda: lab.network.playing is None)


async def test_robots_ring_and_the_result_is_said(drawer: LabDrawer, lab: Lab, client: Any) -> None:
    drawer.open()
    buttons(drawer.widget)["Ring me"].click()
    await until(lambda: drawer.status == "1 robot is calling alice.")
    lab.causes = ["Busy", "Busy"]
    buttons(drawer.widget)["Ring me × 3"].click()
    await until(lambda: "2 were refused" in drawer.status)
    assert drawer.status == (
        "1 robot is calling alice; 2 were refused (Busy). "
        "With the option allow_multiple_incoming_calls=True several calls ring."
    )
    assert lab.calls == [("alice", 1), ("alice", 3)]
    lab.error = LabError("This lab has no robots.")
    buttons(drawer.widget)["Ring me"].click()
    await until(lambda: drawer.status == "This lab has no robots.")
    client.username = None
    await drawer.ring_me()
    assert drawer.status.startswith("Nobody is logged in")
    assert len(lab.calls) == 3


async def test_a_robot_is_called_by_its_button(lab: Lab, client: Any) -> None:
    dialled: list[str] = []
    drawer = LabDrawer(lab, client, call=dialled.append)  # type: ignore[arg-type]
    drawer.open()
    buttons(drawer.widget)["echo-delay"].click()
    await until(lambda: dialled == ["echo-delay"])
    drawer.close()


async def test_what_was_clicked_is_python_for_the_lab(drawer: LabDrawer, lab: Lab, client: Any) -> None:
    drawer.open()
    for name, done in (
        ("vpn", lambda: lab.network.playing == "vpn"),
        ("■ vpn", lambda: lab.network.playing is None),
        ("Ring me × 3", lambda: lab.calls),
        ("echo", lambda: client.asked),
    ):
        buttons(drawer.widget)[name].click()
        await until(done)
    assert code_log_of(client).lines == [
        "await lab.network.play('vpn')",
        "await lab.network.stop()",
        "await lab.call('alice', n=3)",
        "call = await client.call('echo')",
    ]


async def test_its_knobs_follow_the_calls_of_the_client(
    drawer: LabDrawer, client: Any, lab: Lab, make_call: Any
) -> None:
    drawer.open()
    assert drawer.knobs is not None
    lab.network.current["to_callee"]["loss"] = 0.05
    lab.network.changed()
    assert "From me: 5 % loss." in drawer.knobs._note.value
    client.answered(make_call("bob", "INCOMING"))
    await asyncio.sleep(0.01)
    assert "To me: 5 % loss." in drawer.knobs._note.value


async def test_it_closes_with_everything_it_made(lab: Lab, client: Any, widget_count: Any) -> None:
    before = widget_count()
    drawer: Any = LabDrawer(lab, client, show_true_loss=lambda columns: None)  # type: ignore[arg-type]
    assert drawer._repr_mimebundle_()["text/plain"] == "<LabDrawer>"
    drawer.open()
    drawer.close()
    drawer.close()
    await asyncio.sleep(0)
    assert widget_count() == before
    assert drawer._repr_mimebundle_() == {"text/plain": "<LabDrawer, closed>"}
