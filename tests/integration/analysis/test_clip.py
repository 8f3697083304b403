"""Clips of a call in the lab whose network loses packets."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from waiting import until

from plivo_nb import Client, InvalidState, Lab, read, speech_path

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_clip_is_found_by_every_kind_of_time_and_has_its_packets(
    lab: Lab, alice: Client, tmp_path: Path
) -> None:
    alice.record_to(tmp_path, sound=True)
    call = await alice.call("echo")
    call.play(speech_path(), loop=True)
    with pytest.raises(InvalidState, match=r"clip: no audio of (this call|that time) is kept"):
        call.clip(3600.0)
    await lab.network.set(loss=0.15)
    try:
        await until(lambda: len(call.samples) >= 4 and len(call.packet_fates) >= 5, timeout_s=60.0)
    finally:
        await lab.network.clear()
    await call.hangup()
    samples, fates = call.samples, call.packet_fates
    assert set(fates["fate"]) <= {"missing", "recovered", "concealed", "late"}
    assert set(fates["call_uuid"]) == {call.call_uuid}
    assert len(fates[fates["fate"] == "recovered"]) == samples["packets_recovered"].sum()

    whole = call.clip()
    assert whole.began < fates.index[0]
    assert 0.9 * len(fates) <= sum(whole.fate_counts().values()) <= len(fates)
    row = call.clip(samples.iloc[1])
    assert row.seconds == pytest.approx(1.0, abs=0.6)  # the plane may have skipped ticks
    around = call.clip(fates.index[2])
    assert around.began == pytest.approx(
        fates.index[2] - pd.Timedelta(seconds=2), abs=pd.Timedelta(seconds=2)
    )
    assert sum(around.fate_counts().values()) > 0
    assert call.clip(-1.0).seconds == pytest.approx(1.0)
    assert call.clip(-1.0, sent=True).fates.empty
    with pytest.raises(InvalidState, match=r"What is kept is from \d\d:\d\d:\d\d"):
        call.clip("2020-01-01 00:00", "2020-01-01 00:01")

    # the stored call has the same
    stored = read(tmp_path)
    pd.testing.assert_frame_equal(stored.packet_fates, fates, check_categorical=False)
    pd.testing.assert_frame_equal(stored.sip_trace, call.sip_trace, check_categorical=False)
    assert str(stored.ladder()).count("INVITE") >= str(call.ladder()).count("INVITE") > 0
    assert lab.password("alice") not in "".join(stored.sip_trace["text"])
    clip = stored.clip()
    assert 0.9 * len(fates) <= sum(clip.fate_counts().values()) <= len(fates)
    near = stored.clip(fates.index[2])
    assert 0 < len(near.fates) <= len(fates)
    assert near.fates["at_s"].between(0, near.seconds).all()
    assert stored.clip(-1.0, sent=True).fates.empty
    stored.report(tmp_path / "call.html")
    report = (tmp_path / "call.html").read_text("utf-8")
    assert "INVITE" in report
    assert "127.0.0.1" not in report


async def test_without_audio_kept_a_sentence_says_so(lab: Lab, clients: Callable[..., Client]) -> None:
    client = clients(keepAudio=0)
    await client.login("carol", lab.password("carol"))
    call = await client.call("echo")
    with pytest.raises(InvalidState, match="keepAudio"):
        call.clip(0.0)
    await call.hangup()
