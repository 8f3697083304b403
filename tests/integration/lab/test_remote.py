"""The notebook's side of the lab's network."""

from __future__ import annotations

import logging

import pytest
from waiting import until

from plivo_nb import Lab
from plivo_nb.errors import LabError


async def test_history_tells_what_was_set_and_when() -> None:
    async with Lab(robots=False) as lab:
        await lab.network.set(loss=0.05, delay_ms=120)
        await lab.network.set(direction="to_caller", jitter_ms=20)
        await lab.network.clear()
        frame = lab.network.history
        assert list(frame["what"].iloc[::2]) == ["clear", "set", "set", "clear"]
        assert frame.index.is_monotonic_increasing
        assert list(frame[frame.direction == "to_caller"]["jitter_ms"]) == [0, 0, 20, 0]
        assert (await lab.network.log()).empty


async def test_both_objects_show_what_they_are() -> None:
    lab = Lab(robots=False)
    assert repr(lab.network) == "<The lab's network: not started yet>"
    assert "drop_socket" in repr(lab.faults)
    async with lab:
        await lab.network.set(loss=0.05)
        assert "loss=0.05" in repr(lab.network)
        await lab.network.set(direction="to_caller", delay_ms=80)
        assert "to_callee loss=0.05, delay_ms=0" in repr(lab.network)
        assert "to_caller loss=0.05, delay_ms=80" in repr(lab.network)


async def test_changes_of_the_knobs_and_scenarios_are_published_to_callbacks() -> None:
    lab = Lab(robots=False, scenario="commute")
    assert lab.network.current["to_caller"]["loss"] == 0
    async with lab:
        assert lab.network.playing == "commute"
        changes: list[tuple[float, str | None]] = []
        remove = lab.network.on_change(
            lambda: changes.append((lab.network.current["to_caller"]["loss"], lab.network.playing))
        )
        await lab.network.clear()
        assert changes[-1] == (0, None)
        await lab.network.set(direction="to_caller", loss=0.05)
        assert changes[-1] == (0.05, None)
        assert lab.network.current["to_callee"]["loss"] == 0
        assert lab.network.current == await lab.network.settings()
        await lab.network.play([{"at_s": 0, "loss": 0.1}], speed=1000)
        await until(lambda: changes[-1] == (0.1, None))
        assert (0.1, "rows") in changes
        remove()
        remove()
        count = len(changes)
        await lab.network.clear()
        assert len(changes) == count


async def test_a_callback_that_fails_is_logged_and_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with Lab(robots=False) as lab:
        lab.network.on_change(lambda: 1 / 0)
        with caplog.at_level(logging.ERROR, "plivo_nb.lab.remote"):
            await lab.network.set(loss=0.05)
        assert "ZeroDivisionError" in caplog.text
        assert (await lab.network.settings())["to_caller"]["loss"] == 0.05


async def test_packets_of_one_call_are_counted_alone() -> None:
    async with Lab() as lab, lab.client() as alice:
        await alice.login("alice", lab.password("alice"))
        call = await alice.call("silence")
        counters = await lab.network.counters(call.call_uuid)
        assert [one["call_uuid"] for one in counters["calls"]] == [call.call_uuid]
        with pytest.raises(LabError, match="no call 'nobody'"):
            await lab.network.counters("nobody")
