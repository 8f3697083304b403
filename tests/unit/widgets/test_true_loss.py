"""The loss that the lab's network caused, from its counters."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from waiting import until

from plivo_nb.errors import LabError
from plivo_nb.widgets import true_loss
from plivo_nb.widgets.true_loss import TrueLoss, share_dropped


class Network:
    """Its counters grow with each reading, as those of a call with 50 packets a second."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.lost = {"to_caller": 0, "to_callee": 0}
        self.total = {"to_caller": 0, "to_callee": 0}
        self.gone = False

    async def counters(self, call_uuid: str | None = None) -> dict[str, Any]:
        self.asked.append(call_uuid)
        if self.gone:
            raise LabError("The lab is gone.")
        call = {}
        for way, lost in self.lost.items():
            self.total[way] += lost
            call[way] = {"rtp_seen": 50 * len(self.asked), "rtp_dropped": self.total[way]}
        return {"calls": [call]}


@pytest.fixture
async def network(monkeypatch) -> Network:
    monkeypatch.setattr(true_loss, "_INTERVAL_S", 0.001)
    return Network()


async def watched(client: Any, network: Network, shown: list[Any]) -> asyncio.Task[None]:
    return asyncio.create_task(TrueLoss(client, network, shown.append).run())


async def test_each_second_of_a_call_has_its_share(client: Any, network: Network) -> None:
    shown: list[Any] = []
    task = await watched(client, network, shown)
    await asyncio.sleep(0.02)
    assert network.asked == []  # no call
    network.lost = {"to_caller": 5, "to_callee": 1}
    client.answered()
    await until(lambda: len(shown) >= 3)
    columns = shown[-1]
    assert set(network.asked) == {"uuid-1"}
    assert set(columns["loss_in"]) == {0.1}
    assert set(columns["loss_out"]) == {0.02}
    assert (columns["time"][1:] >= columns["time"][:-1]).all()
    client.ended()
    task.cancel()


async def test_who_is_called_receives_the_other_direction(
    client: Any, network: Network, make_call: Any
) -> None:
    shown: list[Any] = []
    task = await watched(client, network, shown)
    network.lost = {"to_caller": 5, "to_callee": 1}
    client.answered(make_call("bob", "INCOMING"))
    await until(lambda: shown)
    assert (shown[-1]["loss_in"][0], shown[-1]["loss_out"][0]) == (0.02, 0.1)
    task.cancel()


async def test_a_second_call_starts_anew(client: Any, network: Network, make_call: Any) -> None:
    shown: list[Any] = []
    task = await watched(client, network, shown)
    client.answered()
    await until(lambda: len(shown) >= 3)
    client.ended()
    shown.clear()
    client.answered(make_call("echo", uuid="uuid-2"))
    await until(lambda: shown)
    assert len(shown[0]["time"]) == 1
    task.cancel()


async def test_a_lab_that_is_gone_shows_nothing_and_breaks_nothing(client: Any, network: Network) -> None:
    shown: list[Any] = []
    network.gone = True
    task = await watched(client, network, shown)
    client.answered()
    await until(lambda: len(network.asked) > 2)
    assert (shown, task.done()) == ([], False)
    task.cancel()


def test_without_packets_the_share_is_missing() -> None:
    same = {"rtp_seen": 100, "rtp_dropped": 3}
    assert math.isnan(share_dropped(same, same))
