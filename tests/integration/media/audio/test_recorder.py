"""Recordings and captures of a call on a disk that is full: the call goes on, and the client tells."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import pytest
from small_disk import small_disk
from waiting import until

from plivo_nb import Client, Tone

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_full_disk_ends_recording_and_capture_and_not_the_call(alice: Client, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 128) as disk:
        errors: list[dict[str, Any]] = []
        alice.on("onMediaError", lambda error, info: errors.append(error))
        call = await alice.call("echo")
        call.play(Tone(440.0))
        await call.capture(disk / "call.pcapng")
        recorder = call.record(disk / "call.wav", both=True)
        await until(lambda: len(errors) == 2)
        assert {error["what"] for error in errors} == {"recording", "capture"}
        assert {error["path"] for error in errors} == {str(disk / "call.pcapng"), str(disk / "call.wav")}
        assert all("No space left on device" in error["message"] for error in errors)
        assert recorder.error in {error["message"] for error in errors}
        assert call.info.state == "answered"
        told = alice.log[alice.log["event"] == "onMediaError"]
        assert told["text"].str.contains("No space left").all()
        assert told["call_uuid"].eq(call.call_uuid).all()
        assert await call.stop_capture() > 0
        await call.hangup()
        with wave.open(str(disk / "call.wav")) as file:
            assert file.getnframes() / file.getframerate() == pytest.approx(recorder.seconds)
        assert len(errors) == 2
