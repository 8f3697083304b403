"""A replay: moments by slider, playing, clicks in the panels and code; its sound and its files."""

from __future__ import annotations

import io
import re
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from PIL import Image
from waiting import until

from plivo_nb.engine.audio.kept_audio import Clip
from plivo_nb.errors import InvalidState, NoRunningLoop
from plivo_nb.events import CallInfo
from plivo_nb.widgets import replay as replay_module
from plivo_nb.widgets.dashboard import Dashboard
from plivo_nb.widgets.replay import Replay

BEGAN = pd.Timestamp("2026-11-25 12:00:00", tz="UTC")
INFO = CallInfo("uuid-1", "OUTGOING", "sip:alice@phone.plivo.com", "sip:echo@phone.plivo.com", "ended")


def frame(rows: int = 20, uuid: str = "uuid-1", start_s: int = 0) -> pd.DataFrame:
    """A call whose seconds 8 to 12 are bad."""
    count = np.arange(1, rows + 1)
    bad = (count >= 8) & (count <= 12)
    index = pd.DatetimeIndex(BEGAN + pd.to_timedelta(start_s + count, unit="s"), name="time")
    return pd.DataFrame(
        {
            "call_uuid": uuid, "codec": "OPUS", "direction": "sendrecv", "muted": False, "interval_s": 1.0,
            "mos": np.where(bad, 2.0, 4.4), "loss_in": np.where(bad, 0.3, 0.0), "packets_expected_in": 50.0,
            "rtt_ms": 60.0, "loop_lag_ms": 1.0,
        },
        index=index,
    )  # fmt: skip


def metrics(uuid: str = "uuid-1") -> pd.DataFrame:
    events = [(10, 0.3, True), (17, 0.0, False)]
    return pd.DataFrame(
        [
            {
                "call_uuid": uuid, "type": "high_packetloss", "stream": "remote", "value": value,
                "active": active, "desc": "packetLossRemoteMeasure",
            }
            for _, value, active in events
        ],
        index=pd.DatetimeIndex([BEGAN + pd.Timedelta(seconds=at) for at, _, _ in events], name="time"),
    )  # fmt: skip


class Ended:
    """A call as `Replay` sees it, with the sound of its last ten seconds."""

    info = INFO
    samples, media_metrics = frame(), metrics()

    def audio(self, t0: float | None = None, t1: float | None = None, *, sent: bool = False) -> Clip:
        start, end = max(-10.0, -10.0 if t0 is None else t0), 0.0 if t1 is None else t1
        return Clip(8000, np.full(max(0, round((end - start) * 8000)), 2 if sent else 1, np.int16))


@pytest.fixture
async def replay():
    replay = Replay(Ended())
    yield replay
    await replay.close()


def words(replay: Replay) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", replay._view.quality._tiles.value).split())


async def test_it_begins_with_the_summary(replay) -> None:
    assert (replay.position, replay.playing, repr(replay)) == (20.0, False, "<Replay>")
    assert words(replay).startswith("MOS 3.80 fair mean of the call worst second 2.00 bad at 0:08")
    assert replay._view.quality.sentence == "Packets lost on the way to you (7 s)."
    assert "0:20</b> / 0:20" in replay._view._clock.value
    assert "12:00:20 UTC" in replay._view._times.value
    assert "echo" in replay._view._times.value


async def test_tiles_and_banner_are_those_of_the_moment(replay) -> None:
    replay.seek(5.0)
    assert words(replay).startswith("MOS 4.40 excellent")
    assert replay._view.quality.sentence == "No problem found."
    replay.seek(11.0)
    assert words(replay).startswith("MOS 2.00 bad")
    assert replay._view.quality.sentence.startswith("Packets are lost on the way to you · 30 % · since 0:10")
    replay.seek(-3)
    assert replay.position == 0.0
    replay.seek(1e9)
    assert replay.position == 20.0


async def test_the_slider_moves_it_and_follows(replay) -> None:
    replay._view.position.value = 11.0
    await until(lambda: replay.position == 11.0)
    assert words(replay).startswith("MOS 2.00 bad")
    replay.seek(5.0)
    assert replay._view.position.value == 5.0


async def test_it_plays_to_the_end_at_a_speed_and_can_be_paused(replay, monkeypatch) -> None:
    monkeypatch.setattr(replay_module, "_STEP_S", 0.02)
    replay._view.play.click()
    await until(lambda: 0.0 < replay.position < 15.0)
    assert (replay.playing, replay._view.play.description) == (True, "Pause")
    replay._view.play.click()
    await until(lambda: not replay.playing)
    stopped_at = replay.position
    assert replay._view.play.description == "Play"
    replay.play(16)
    replay.play()  # changes nothing
    await until(lambda: replay.position > stopped_at)
    assert replay._view.speed.value == 16
    replay.seek(19.5)
    await until(lambda: not replay.playing)
    assert replay.position == 20.0
    assert "mean of the call" in words(replay)
    await until(lambda: not replay._loop_tasks.running)


async def test_a_click_in_the_panels_shows_the_moment_and_plays_its_sound(replay) -> None:
    replay._panels.on_moment(0, 15.0)
    assert replay.position == 15.0
    assert replay.note == "5 s of what was received at 0:15."
    with wave.open(io.BytesIO(bytes(replay._view.audio.value))) as file:
        assert (file.getframerate(), file.getnframes()) == (8000, 5 * 8000)
    assert replay.hear(sent=True)
    assert replay.note == "5 s of what was sent at 0:15."
    replay._view.hear.click()
    assert not replay.hear(3.0)
    assert replay.note == "The sound at 0:03 is no longer kept."
    assert replay._view.audio.layout.visibility == "hidden"


async def test_a_frame_has_no_sound_and_says_so() -> None:
    replay = Replay(frame(), media_metrics=metrics())
    assert not replay.hear(5.0)
    assert "keepAudio" in replay.note
    await replay.close()


async def test_several_calls_can_be_chosen(monkeypatch) -> None:
    monkeypatch.setattr(replay_module, "_STEP_S", 0.02)
    replay = Replay(pd.concat([frame(5), frame(9, "uuid-2", 100)]), media_metrics=metrics("uuid-2"))
    names = [name for name, _ in replay._view.calls.options]
    assert [name.split(" · ")[0] for name in names] == ["call 1", "call 2"]
    replay.play()
    replay._view.calls.value = 1
    await until(lambda: replay.call.seconds == 9.0)
    assert (replay.position, replay.playing, len(replay.call.warnings)) == (9.0, False, 1)
    replay._view.calls.value = 0
    await until(lambda: replay.call.seconds == 5.0)
    await replay.close()


async def test_the_panels_show_the_warnings_and_both_calls() -> None:
    replay = Replay(pd.concat([frame(), frame(9, "uuid-2", 100)]), media_metrics=metrics())
    first, second = replay._shown
    assert first.bands == [[2, 10.0, 17.0, "packets lost on the way to you"]]
    assert (second.bands, first.ended, first.loss_limit) == ([], True, 10.0)
    await replay.close()


async def test_files_are_written_and_their_paths_shown(replay, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    paths = [await replay.export(f"call.{format_}") for format_ in ("png", "svg", "wav", "parquet")]
    assert [path.parent for path in paths] == [tmp_path] * 4
    with Image.open(paths[0]) as picture:
        assert picture.size[0] >= 1000
    assert "<svg" in paths[1].read_text("utf-8")[:1000]
    again = Replay(paths[3])
    again.seek(11.0)
    assert again._view.quality.sentence.startswith("Packets are lost on the way to you · 30 %")
    await again.close()
    replay.exports.buttons["parquet"].click()
    await until(lambda: replay.note.startswith("Saved as"))
    assert replay.note == f"Saved as {tmp_path / 'echo-2026-11-25-120000.parquet'}"


async def test_what_cannot_be_written_is_told(replay, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be one of"):
        await replay.export(tmp_path / "call.txt")
    with pytest.raises(OSError, match="missing"):
        await replay.export(tmp_path / "missing" / "call.parquet")
    silent = Replay(frame())
    silent.exports.buttons["wav"].click()
    await until(lambda: silent.note)
    assert "keepAudio" in silent.note
    await silent.close()


async def test_close_leaves_nothing(widget_count) -> None:
    before = widget_count()
    replay = Replay(Ended())
    replay.play()
    await replay.close()
    await replay.close()
    assert (widget_count(), repr(replay), replay._repr_mimebundle_()) == (
        before, "<Replay, closed>", {"text/plain": "<Replay, closed>"},
    )  # fmt: skip
    with pytest.raises(InvalidState, match="closed"):
        await replay.export("call.png")


async def test_a_cell_displays_it(replay: Any) -> None:
    bundle = replay._repr_mimebundle_()
    assert bundle["text/plain"] == "<Replay>"
    assert "application/vnd.jupyter.widget-view+json" in bundle


async def test_a_dashboard_of_a_recorded_call_is_a_replay(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "call.csv")
    for source in (Ended(), frame(), str(tmp_path / "call.csv"), tmp_path / "call.csv"):
        replay = Dashboard(source)
        assert isinstance(replay, Replay)
        assert replay.call.seconds == 20.0
        await replay.close()
    with pytest.raises(TypeError, match="no recorded call"):
        Dashboard(42)  # type: ignore[call-overload]


async def test_it_has_a_figure(replay) -> None:
    assert any(text.get_text() == "The call with echo" for text in replay.figure().findobj(Text))


def test_without_an_event_loop_it_says_what_to_do() -> None:
    with pytest.raises(NoRunningLoop, match="in a notebook cell"):
        Replay(frame())
