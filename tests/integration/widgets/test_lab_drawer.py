"""The lab drawer with the real lab; what only a browser displays is in tests/browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from waiting import until

from plivo_nb.lab import Lab
from plivo_nb.widgets.lab_drawer import LabDrawer

if TYPE_CHECKING:
    from plivo_nb.client import Client


async def test_the_network_is_changed_by_knobs_scenarios_and_code_and_all_show_it(
    lab: Lab, alice: Client
) -> None:
    drawer = LabDrawer(lab, alice)
    drawer.open()
    knobs = drawer.knobs
    assert knobs is not None
    await lab.network.set(direction="to_caller", loss=0.1, rate_kbps=200)
    assert (knobs.loss.value, knobs.burst.value) == (10.0, 1.0)
    knobs.direction.value = "to me"
    knobs.delay.value = 120.0
    await until(lambda: lab.network.current["to_caller"]["delay_ms"] == 120)
    settings = await lab.network.settings()
    assert (settings["to_caller"]["loss"], settings["to_caller"]["rate_kbps"]) == (0.1, 200)
    assert settings["to_callee"]["delay_ms"] == 0
    await drawer.play("satellite")
    await until(lambda: knobs.delay.value == 270.0)
    assert "scenario satellite" in drawer._summary.value
    await drawer.play("satellite")
    assert lab.network.playing is None
    knobs.clean()
    await until(lambda: ">clean network<" in drawer._summary.value)
    drawer.close()


async def test_three_robots_ring_where_several_calls_may_ring(lab: Lab) -> None:
    async with lab.client(allow_multiple_incoming_calls=True) as carol:
        await carol.login("carol", lab.password("carol"))
        drawer = LabDrawer(lab, carol)
        await drawer.ring_me()
        assert drawer.status == "3 robots are calling carol."
        assert len(carol.incoming_calls) == 3


async def test_where_one_call_may_ring_the_others_are_said_to_be_refused(lab: Lab, alice: Client) -> None:
    drawer = LabDrawer(lab, alice)
    await drawer.ring_me()
    assert drawer.status.startswith("1 robot is calling alice; 2 were refused (Busy).")
    assert len(alice.incoming_calls) == 1


async def test_the_true_loss_is_that_of_the_relay(lab: Lab, alice: Client) -> None:
    shown: list[Any] = []
    drawer = LabDrawer(lab, alice, show_true_loss=shown.append)
    await lab.network.set(direction="to_caller", loss=0.5)
    await drawer._call("tone-1000")
    await until(lambda: shown and len(shown[-1]["time"]) >= 3)
    columns = shown[-1]
    assert 0.3 < columns["loss_in"][-2:].mean() < 0.7
    assert (columns["loss_out"] == 0).all()
    await alice.hangup()
