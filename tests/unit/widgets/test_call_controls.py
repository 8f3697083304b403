"""The controls of a call: score, recording, keys, and the feedback that takes their place."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from waiting import until

from plivo_nb.errors import MediaError
from plivo_nb.quality.sampler import SampleRow
from plivo_nb.widgets.call_controls import CallControls, new_recording, score_chip
from plivo_nb.widgets.code_log import code_log_of
from plivo_nb.widgets.loop_tasks import LoopTasks


@pytest.fixture
async def alice(in_memory, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return await in_memory("alice")


@pytest.fixture
async def controls(alice, shown):
    tasks = LoopTasks(alice.loop, shown.append, "test")
    made = CallControls(alice, tasks)
    for name in ("onCalling", "onCallAnswered", "onCallTerminated"):
        alice.on(name, lambda *_: made.refresh())
    made.refresh()
    yield made
    made.close()
    tasks.close()


@pytest.fixture
async def call(controls, alice, in_memory, talk):
    mine, _ = await talk(alice, await in_memory("bob"))
    return mine


def text(widget: Any) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", widget.value)).strip()


async def test_the_score_is_that_of_the_tiles(controls, call, alice) -> None:
    assert text(controls._chip) == "– no figure yet"
    shown = []
    for mos in (4.35, 3.2, 4.35, 4.35, 4.35, 4.35, 4.35):
        row = SampleRow(time_utc_ns=10**18, time_monotonic_s=1.0, mos=mos, interval_s=1.0)
        alice._endpoint.records.add_sample(call._session, row)
        controls.refresh()
        shown.append(text(controls._chip))
    assert shown == ["4.3 excellent", *["3.2 poor"] * 5, "4.3 excellent"]
    row = SampleRow(time_utc_ns=10**18, time_monotonic_s=1.0, mos=4.0, loss_in=1.0, interval_s=1.0)
    alice._endpoint.records.add_sample(call._session, row)
    controls.refresh()
    assert text(controls._chip) == "1.0 bad"
    assert 'data-verdict="bad"' in controls._chip.value
    await call.hangup()
    assert text(controls._chip) == "No call"


def test_a_score_that_is_not_known_is_a_dash() -> None:
    assert "–" in score_chip(float("nan"))
    assert 'data-verdict="no figure yet"' in score_chip(float("nan"))


async def test_a_recording_is_begun_shown_and_stopped_by_clicking(controls, call, tmp_path) -> None:
    assert (controls.record.description, controls.record.disabled) == ("● Record", False)
    controls.record.click()
    await until(lambda: controls.recording)
    path = controls.recording
    assert path.parent == tmp_path
    assert re.fullmatch(r"call-bob-\d{8}-\d{4}(-\d)?\.wav", path.name)
    assert controls.record.description == "■ Stop 0:00"
    assert "plivo-recording" in controls.record._dom_classes
    assert text(controls._recording) == f"Recording to {path.name}"
    assert f'title="Recording to {path}"' in controls._recording.value
    controls.record.click()
    await until(lambda: text(controls._recording) == f"Recorded 0:00: {path.name}")
    assert controls.recording is None
    assert controls.record.description == "● Record"
    assert "plivo-recording" not in controls.record._dom_classes
    assert path.exists()
    assert code_log_of(call.client).lines == [
        f"recorder = call.record({str(path)!r}, both=True)",
        "await call.stop_recording(recorder)",
    ]


async def test_the_end_of_the_call_ends_the_recording(controls, call) -> None:
    path = controls.start_recording(call)
    await call.hangup()
    assert controls.recording is None
    assert controls.record.disabled
    assert text(controls._recording) == f"Recorded 0:00: {path.name}"
    assert path.stat().st_size > 0
    await controls.stop_recording()  # nothing is recorded any more


async def test_a_recording_that_cannot_be_written_is_said_and_leaves_no_file(
    controls, call, shown, tmp_path, monkeypatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MediaError("Cannot record to 'x': the disk is full.")

    monkeypatch.setattr(call, "record", refuse)
    controls.record.click()
    await until(lambda: "Cannot record to 'x': the disk is full." in shown)
    assert list(tmp_path.iterdir()) == []
    assert controls.recording is None


async def test_a_recorder_that_stops_says_why(controls, call) -> None:
    controls.start_recording(call)
    controls._recorder.error = "Recording to '/a/b.wav' stopped (No space left on device)."
    controls.refresh()
    assert controls.recording is None
    assert "No space left" in text(controls._recording)
    assert controls.record.description == "● Record"
    await call.hangup()
    assert "No space left" in text(controls._recording)


async def test_without_a_call_nothing_is_recorded(controls) -> None:
    assert controls.record.disabled
    await controls.toggle_recording()
    assert controls.recording is None


def test_names_of_recordings_are_new_and_safe(tmp_path) -> None:
    names = {new_recording("../../etc/<pass wd>", tmp_path).name for _ in range(3)}
    assert len(names) == 3
    assert all(re.fullmatch(r"call-etc-pass-wd-\d{8}-\d{4}(-\d)?\.wav", name) for name in names)
    assert new_recording("+1 415", tmp_path).name.startswith("call-+1-415-")
    assert new_recording("///", tmp_path).name.startswith("call-unknown-")
    with pytest.raises(FileNotFoundError):
        new_recording("bob", tmp_path / "missing")


async def test_keys_that_were_sent_are_shown_until_the_next_call(controls, call, talk, in_memory) -> None:
    assert "keys are sent as tones" in text(controls._sent_keys)
    log = call.client._endpoint.log
    for digits, uuid in (("12", call.call_uuid), ("9", "another call"), ("#", call.call_uuid)):
        log.add("digits sent", digits, uuid)
    controls.refresh()
    assert text(controls._sent_keys) == "Keys sent: 12#"
    log.add("digits sent", "0" * 40, call.call_uuid)
    controls.refresh()
    assert text(controls._sent_keys) == f"Keys sent: {'0' * 24}"
    await call.hangup()


async def test_devices_and_volume_unfold(controls) -> None:
    assert controls.settings.widget.layout.display == "none"
    controls.show_settings.value = True
    assert controls.settings.widget.layout.display == ""
    assert controls.show_settings.icon == "caret-down"
    controls.show_settings.value = False
    assert controls.settings.widget.layout.display == "none"


async def test_feedback_takes_the_place_of_the_controls_after_a_call(phone, client, stand_in_call) -> None:
    controls = phone.controls
    strip, feedback = controls._strip.layout, controls.feedback.widget.layout
    assert (strip.display, feedback.display) == ("", "none")
    client.answered()
    assert (strip.display, feedback.display) == ("", "none")
    client.ended()
    assert (strip.display, feedback.display) == ("none", "")
    client.answered(stand_in_call("carol", uuid="uuid-2"))
    assert (strip.display, feedback.display) == ("", "none")
    client.ended()
