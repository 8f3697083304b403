"""The controls of a call, its feedback and the history, with the real client, lab and statistics service."""

from __future__ import annotations

import asyncio
import wave
from typing import TYPE_CHECKING, Any

import numpy as np
from statistics_service import Collector
from waiting import until

from plivo_nb.lab import Lab
from plivo_nb.widgets import Phone

if TYPE_CHECKING:
    from plivo_nb.client import Client


def peak_hz(samples: np.ndarray, rate: int) -> float:
    return float(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))).argmax()) * rate / len(samples)


async def test_a_call_is_recorded_measured_and_listed(lab: Lab, alice: Client, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    phone = Phone(alice, source="speech")
    controls, meters = phone.controls, phone.controls.meters
    levels: list[bytes] = []
    monkeypatch.setattr(meters.widget, "send", lambda content, buffers: levels.append(buffers[0]))
    call = await phone.call("echo")
    meters.widget._handle_custom_msg({"visible": True}, [])  # as the page does
    controls.record.click()
    await until(lambda: controls.recording)
    path = controls.recording
    phone.press("5")
    await until(lambda: "Keys sent: <b>5</b>" in controls._sent_keys.value)
    await until(lambda: any(min(level) > 100 for level in levels))  # both directions above -50 dBFS
    await until(lambda: call.last_sample is not None and call.last_sample["mos"] > 4)
    await until(lambda: 'data-verdict="excellent"' in controls._chip.value)
    controls.record.click()
    await until(lambda: "Recorded" in controls._recording.value)
    assert path is not None
    with wave.open(str(path)) as file:
        rate, frames = file.getframerate(), file.readframes(file.getnframes())
        assert file.getnchannels() == 2
    both = np.frombuffer(frames, "<i2").reshape(-1, 2)
    assert len(both) / rate > 0.5
    assert np.abs(both).max(axis=0).min() > 1000

    controls.source.choose("tone")
    await until(lambda: abs(peak_hz(call.audio(-0.2).samples, 48_000) - 440) < 20)
    # the meters only read what is reported anyway: no sample is without levels
    assert not alice.samples[["level_in_dbfs", "level_out_dbfs"]].isna().any().any()
    await phone.hangup()
    await until(lambda: phone._history.widget.rows)
    count = len(levels)
    row: Any = phone._history.widget.rows[0]
    assert (row["kind"], row["who"], row["verdict"]) == ("outgoing", "echo", "excellent")
    phone._history.widget.selected = row["id"]
    assert phone.selected_call is call
    phone._history.widget._handle_custom_msg({"redial": row["id"]}, [])
    await until(lambda: alice.current_call is not None and alice.current_call.phase == "answered")
    assert phone.selected_call is call
    assert abs(peak_hz(await heard(alice), 48_000) - 440) < 20  # the tone is chosen for following calls too
    assert len(levels) > count
    await phone.hangup()


async def heard(client: Client) -> np.ndarray:
    """What the echo robot sends back after a second."""
    call = client.current_call
    assert call is not None
    await until(lambda: call.audio().seconds > 1.2)
    return call.audio(-0.2).samples


async def test_a_rating_reaches_the_statistics_service(lab: Lab) -> None:
    collector = Collector()
    await collector.start()
    async with lab.client(**collector.options) as client:
        await client.login("alice", lab.password("alice"))
        await until(lambda: collector.logins)
        phone = Phone(client)
        await phone.call("echo")
        await asyncio.sleep(0.3)
        info = await phone.hangup()
        feedback = phone.controls.feedback
        assert feedback.widget.layout.display == ""
        feedback.stars[1].click()
        feedback.comment.value = "one-way-audio"
        await until(lambda: not feedback.send_button.disabled)
        feedback.send_button.click()
        await until(lambda: feedback.state == "Sent: 2 of 5, One way audio. Thank you.")
        await until(lambda: collector.of("FEEDBACK"))
        message = collector.of("FEEDBACK")[0]
        assert message["info"] == {"overall": 2, "comment": "one-way-audio"}
        assert message["xcallUUID"] == info.callUUID
        assert client.calls["feedback_score"].iloc[-1] == 2
    await collector.stop()
