"""The notebook's side of the lab's network."""

from __future__ import annotations

from plivo_nb import Lab


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
