"""analysis.importers.twilio_samples: samples of Twilio's Voice SDK."""

from __future__ import annotations

import json

import foreign_dumps
import pytest

from plivo_nb.analysis import diagnose
from plivo_nb.analysis.importers import twilio_samples
from plivo_nb.analysis.importers.source import Source


@pytest.mark.parametrize("snake", [False, True])
def test_each_sample_is_the_row_of_a_second(snake: bool) -> None:
    frames = twilio_samples.read(Source("f", foreign_dumps.twilio(5, snake=snake)))
    rows = frames.samples
    assert rows["interval_s"].tolist() == [1.0] * 5
    assert rows["packets_in"].tolist() == [50.0] * 5
    assert rows["level_out_dbfs"].isna().all()
    assert rows["level_in_dbfs"].tolist() == pytest.approx([-100.0] * 5)
    assert frames.warnings == ()


def test_samples_may_stand_in_a_preflight_report_of_several_calls() -> None:
    samples = json.loads(foreign_dumps.twilio(4))
    for place, sample in enumerate(samples):
        sample["callSid"] = f"CA{place % 2}"
    source = Source("f", json.dumps({"callSid": "CA0", "samples": samples}).encode())
    assert twilio_samples.recognises(source)
    assert sorted(twilio_samples.read(source).calls["call_uuid"]) == ["CA0", "CA1"]


@pytest.mark.parametrize(("level", "causes"), [(6000, []), (0, ["far_end_silent", "microphone_silent"])])
def test_speech_of_usual_loudness_is_not_silent(level: int, causes: list[str]) -> None:
    """6000 is what the SDK's analyser makes of speech with a peak of -1 dBFS through a telephone's band."""
    samples = json.loads(foreign_dumps.twilio(40))
    for sample in samples:
        sample |= {"audioInputLevel": level, "audioOutputLevel": level, "packetsLost": 0}
        sample["totals"]["packetsLost"] = 0
    frames = twilio_samples.read(Source("f", json.dumps(samples).encode()))
    assert sorted(finding.cause for finding in diagnose(frames.samples)) == causes
