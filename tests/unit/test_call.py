"""Call: its state, timings and refusals; over a switch in memory."""

import math
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio
from call_world import MemoryEngine, client_of
from waiting import until

from plivo_nb import Call, CallFailed, InvalidState, Silence, Tone
from plivo_nb.call import _name_of
from plivo_nb.quality.sampler import SampleRow


@pytest_asyncio.fixture
async def calls() -> AsyncIterator[tuple[Call, Call]]:
    """An answered call, as the caller and the callee have it."""
    engine = MemoryEngine(seed=1)
    async with await client_of(engine, "alice") as alice, await client_of(engine, "bob") as bob:
        operation = alice.call("bob", {"X-PH-Name": "<b>"})
        await until(lambda: bob.incoming_calls)
        theirs = await bob.answer()
        yield await operation, theirs
    await engine.close()


async def test_an_answered_call_says_who_when_and_which(calls: tuple[Call, Call]) -> None:
    ours, theirs = calls
    assert repr(ours) == "<Call to bob: answered>"
    assert repr(theirs) == "<Call from alice: answered>"
    assert ours.call_uuid == theirs.call_uuid is not None
    assert ours.client.current_call is ours
    assert (ours.info.direction, theirs.info.direction) == ("OUTGOING", "INCOMING")
    stages = ["dialled", "invite_sent", "ringing", "answered"]
    times = [ours.timings[stage] for stage in stages]
    assert times == sorted(times)
    assert ours.post_dial_delay_s == ours.timings["ringing"] - ours.timings["dialled"]
    assert math.isnan(ours.media_setup_s)  # no RTP comes in memory
    assert ours.cause is None
    assert "<script" not in ours._repr_html_()
    assert "callUUID" in ours._repr_html_()


async def test_a_call_says_what_it_sends_and_sums_itself_up_after_its_end(calls: tuple[Call, Call]) -> None:
    ours, _ = calls
    assert (ours.source, ours.sends_microphone, ours.last_sample, ours.summary) == (None, False, None, None)
    tone = Tone(440)
    ours.play(tone)
    assert ours.source is tone
    ours.stop_playing()
    assert isinstance(ours.source, Silence)
    info = await ours.hangup()
    assert ours.summary is not None
    assert (ours.summary["call_uuid"], ours.summary["state"]) == (info.callUUID, "ended")


async def test_a_call_is_diagnosed_during_it_and_after_its_end(calls: tuple[Call, Call]) -> None:
    ours, _ = calls
    assert len(ours.diagnose()) == 0
    ours.client._endpoint.records.add_sample(
        ours._session, SampleRow(time_utc_ns=10**18, time_monotonic_s=1.0)
    )
    await ours.hangup()
    assert len(ours.diagnose()) == 0


async def test_a_recording_is_stopped_before_the_end(calls: tuple[Call, Call], tmp_path) -> None:
    ours, _ = calls
    recorder = ours.record(tmp_path / "part.wav")
    assert await ours.stop_recording(recorder) == 0.0
    assert (tmp_path / "part.wav").exists()
    assert recorder not in ours._session.media.sinks
    assert await ours.stop_recording(recorder) == 0.0


async def test_hangup_of_one_side_ends_both_and_gives_the_final_snapshot(calls: tuple[Call, Call]) -> None:
    ours, theirs = calls
    info = await ours.hangup()
    assert (info.state, info.originator) == ("ended", "local")
    assert (await theirs.ended).originator == "remote"
    assert theirs.ended.done()
    assert await ours.wait_ended() == info == ours.info
    assert ours.phase == "over"
    assert ours.client.current_call is None


async def test_hangup_of_a_call_that_rings_here_rejects_it() -> None:
    engine = MemoryEngine(seed=1)
    async with await client_of(engine, "alice") as alice, await client_of(engine, "bob") as bob:
        operation = alice.call("bob")
        await until(lambda: bob.incoming_calls)
        assert (await bob.incoming_calls[0].hangup()).state == "rejected"
        with pytest.raises(CallFailed, match="Busy"):
            await operation
        assert operation.call.cause == "Busy"
    await engine.close()


async def test_mute_and_unmute_are_of_this_call(calls: tuple[Call, Call]) -> None:
    ours, theirs = calls
    assert ours.mute() is True
    assert (ours.muted, theirs.muted) == (True, False)
    assert ours.unmute() is True
    assert not ours.muted


async def test_after_its_end_each_method_that_needs_a_call_says_that_it_is_over(
    calls: tuple[Call, Call], tmp_path
) -> None:
    ours, _ = calls
    await ours.hangup()
    for name, use in {
        "play": lambda: ours.play(Tone(440)),
        "record": lambda: ours.record(tmp_path / "x.wav"),
        "add_sink": lambda: ours.add_sink(print),
        "stop_playing": ours.stop_playing,
        "echo": ours.echo,
    }.items():
        with pytest.raises(InvalidState, match=f"^{name}: this call is over; make a new call"):
            use()
    with pytest.raises(InvalidState, match="over"):
        await ours.send_dtmf("1")
    assert [ours.mute(), ours.unmute(), ours.muted] == [False, False, False]
    for operation in (ours.capture(tmp_path / "x.pcapng"), ours.stop_capture()):
        with pytest.raises(InvalidState, match="no media"):
            await operation
    assert list(tmp_path.iterdir()) == []


def test_a_source_is_named_by_its_path_or_its_type() -> None:
    assert _name_of("a.wav") == "a.wav"
    assert _name_of(Tone(440)) == "Tone"
    assert _name_of(np.zeros(48_000)) == "your ndarray"
