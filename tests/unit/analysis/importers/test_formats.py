"""analysis.importers.formats: every kind is recognised by its content, and damage never raises."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import foreign_dumps
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plivo_nb.analysis.call_frames import CallFrames
from plivo_nb.analysis.importers import read_foreign
from plivo_nb.analysis.importers.formats import FORMATS
from plivo_nb.analysis.importers.source import Source
from plivo_nb.quality.frames import SCHEMA

#: Real recordings beside the repository, where they are.
REAL = Path(__file__).parents[5] / "shared"
SMALL = {name: make(10) for name, make in foreign_dumps.KINDS.items()}


def read_bytes(data: bytes) -> CallFrames | None:
    """What `read_foreign` makes of these bytes; None: it is none of the kinds known."""
    source = Source("call", data)
    kind = next((item for item in FORMATS if item.recognises(source)), None)
    return None if kind is None else kind.read(source)


def assert_is_sound(frames: CallFrames) -> None:
    """The frames have the schema's columns and types, and no impossible values."""
    for name, frame in (("samples", frames.samples), ("calls", frames.calls)):
        assert [column.name for column in SCHEMA[name]] == list(frame.columns)[: len(SCHEMA[name])]
        assert {c.name: c.dtype for c in SCHEMA[name]} == {
            c.name: str(frame[c.name].dtype) for c in SCHEMA[name]
        }
        assert frame.index.is_monotonic_increasing
    numbers = frames.samples.select_dtypes("float64")
    assert not numbers.isin([math.inf, -math.inf]).any().any()
    for name in ("loss_in", "loss_out"):
        assert frames.samples[name].dropna().between(0.0, 1.0).all()
    for name in ("mos", "mos_in", "mos_out"):
        assert frames.samples[name].dropna().between(1.0, 5.0).all()
    assert not (frames.samples["interval_s"] <= 0.0).any()
    assert set(frames.samples["call_uuid"].dropna()) <= set(frames.calls["call_uuid"].dropna())
    assert all(isinstance(sentence, str) and sentence.endswith(".") for sentence in frames.warnings)


@pytest.mark.parametrize("name", foreign_dumps.KINDS)
def test_every_kind_gives_the_figures_of_the_call(name: str, tmp_path: Path) -> None:
    path = tmp_path / "anything.bin"
    path.write_bytes(SMALL[name])
    frames = read_foreign(path)
    assert_is_sound(frames)
    rows = frames.samples[frames.samples["interval_s"] > 0.0]
    assert len(frames.calls) == 1
    assert rows["interval_s"].sum() == pytest.approx(10.0, abs=0.1)
    rate = rows["interval_s"]
    assert (rows["packets_in"] / rate).median() == pytest.approx(50.0, rel=0.03)
    assert (rows["packets_out"] / rate).median() == pytest.approx(50.0, rel=0.03)
    assert rows["loss_in"].median() == pytest.approx(2 / 52, rel=0.01)
    assert rows["jitter_in_ms"].median() == pytest.approx(5.0)
    assert rows["rtt_ms"].median() == pytest.approx(80.0)
    assert rows["bitrate_in_kbps"].median() == pytest.approx(40.0, rel=0.03)
    assert rows["mos"].between(3.5, 4.5).all()
    if "Firefox" not in name:
        assert set(rows["codec"]) == {"OPUS"}
    if "Twilio" not in name:
        assert rows["jitter_out_ms"].iloc[-1] == pytest.approx(4.0)
        assert rows["loss_out"].iloc[-1] == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("name", foreign_dumps.KINDS)
def test_a_file_that_is_cut_off_anywhere_gives_what_is_left(name: str) -> None:
    small = foreign_dumps.KINDS[name](5 if name == "Plivo" else 2)
    step = max(1, len(small) // 60)
    read = 0
    for end in range(0, len(small), step):
        frames = read_bytes(small[:end])
        if frames is not None:
            read += 1
            assert_is_sound(frames)
    assert read > 10


def test_a_file_that_is_cut_off_says_so() -> None:
    for name in ("webrtc-internals", "rtcstats", "getStats list", "Twilio", "webrtc-internals, gzip"):
        data = SMALL[name]
        frames = read_bytes(data[: len(data) * 9 // 10])
        assert frames is not None
        assert "cut off" in " ".join(frames.warnings), name


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"hello", b"[1, 2, 3]", b'{"type": "inbound"}', b"\x1f\x8b", b"\xff\xfe\x00", b"[[[[",
     b'{"a": [{"type": "codec", "id": "x"}]}', b"9" * 5000, b"[" * 100_000, b'"PeerConnections"'],
)  # fmt: skip
def test_other_content_is_refused_with_a_sentence(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "what.json"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"'what\.json' is no such file: .*rtcstats dumps.*"):
        read_foreign(path)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_wrong_bytes_never_raise(data: st.DataObject) -> None:
    damaged = bytearray(SMALL[data.draw(st.sampled_from(sorted(SMALL)))])
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    frames = read_bytes(bytes(damaged))
    if frames is not None:
        assert_is_sound(frames)


_WRONG = st.sampled_from(
    [None, True, "x", "", [], {}, -1, 1e400, 10**400, "1e5", -(2**70), "NaN", [[]], {"a": None}, 0, 1e18]
)


def _mutated(value: Any, data: st.DataObject, left: list[int]) -> Any:
    """The JSON value with some keys dropped and some values replaced."""
    if left[0] <= 0 or not isinstance(value, dict | list):
        return value
    if isinstance(value, dict):
        if value and data.draw(st.integers(0, 3)) == 0:
            left[0] -= 1
            key = data.draw(st.sampled_from(sorted(value)))
            changed = {k: v for k, v in value.items() if k != key}
            return changed if data.draw(st.booleans()) else {**changed, key: data.draw(_WRONG)}
        key = data.draw(st.sampled_from(sorted(value))) if value else None
        return {k: _mutated(v, data, left) if k == key else v for k, v in value.items()}
    if not value:
        return value
    place = data.draw(st.integers(0, len(value) - 1))
    if data.draw(st.integers(0, 5)) == 0:
        left[0] -= 1
        return [*value[:place], data.draw(_WRONG), *value[place + 1 :]]
    return [_mutated(item, data, left) if at == place else item for at, item in enumerate(value)]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_missing_keys_and_wrong_types_never_raise(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(set(SMALL) - {"webrtc-internals, gzip"})))
    text = SMALL[name].decode()
    head, mark, rest = text.partition("RTCStatsDump\n")
    documents = [json.loads(line) for line in (rest if mark else head).splitlines()]
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(documents) - 1))
        documents[place] = _mutated(documents[place], data, [1])
    frames = read_bytes((mark + "\n".join(json.dumps(item) for item in documents)).encode())
    if frames is not None:
        assert_is_sound(frames)


@pytest.mark.parametrize(
    "path", sorted(REAL.glob("data/*.[tj]*")) + sorted(REAL.glob("wire/*.jsonl")), ids=lambda p: p.name
)
def test_real_recordings_are_read(path: Path) -> None:
    frames = read_foreign(path)
    assert_is_sound(frames)
    assert len(frames.samples) > 0
    assert frames.samples["packets_out"].sum() > 0
    data = path.read_bytes()
    for end in range(0, len(data), len(data) // 20):
        cut = read_bytes(data[:end])
        if cut is not None:
            assert_is_sound(cut)
