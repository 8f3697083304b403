"""The fates of a call's packets as a frame of the schema."""

from plivo_nb.engine.fate_record import FateRecord
from plivo_nb.quality.frames import build_frame


def test_the_frame_has_the_times_in_utc_and_the_words() -> None:
    record = FateRecord(lambda at_s: round(at_s * 1e9))
    record.add([(1.0, "missing"), (2.5, "late")])
    record.add([])
    frame = record.frame("a call")
    assert frame["fate"].tolist() == ["missing", "late"]
    assert set(frame["call_uuid"]) == {"a call"}
    assert str(frame.index[1]) == "1970-01-01 00:00:02.500000+00:00"


def test_an_empty_one_has_the_same_types() -> None:
    frame = FateRecord(int).frame(None)
    assert len(frame) == 0
    assert frame.dtypes.equals(build_frame("packet_fates", [], {"call_uuid": [], "fate": []}).dtypes)


def test_the_oldest_are_dropped() -> None:
    record = FateRecord(lambda at_s: round(at_s * 1e9), capacity=2)
    record.add([(1.0, "missing"), (2.0, "late"), (3.0, "recovered")])
    assert record.frame("x")["fate"].tolist() == ["late", "recovered"]
