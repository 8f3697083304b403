"""What the file of a call keeps of its packets and SIP messages."""

import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.analysis.call_details import KEY, CallDetails, read_details
from plivo_nb.engine.sip_trace import SipMessage

TIMES = st.floats(0, 2e9)
WORDS = st.text(max_size=30)
MESSAGES = st.builds(SipMessage, TIMES, TIMES, WORDS, WORDS, WORDS, WORDS, WORDS)
FATES = st.tuples(st.integers(0, 2**62), st.sampled_from(["missing", "recovered", "concealed", "late"]))


@given(
    st.builds(
        CallDetails,
        st.lists(FATES, max_size=5).map(tuple),
        st.lists(MESSAGES, max_size=3).map(tuple),
        st.dictionaries(WORDS, TIMES, max_size=3),
    )
)
def test_details_are_read_as_they_were_written(details: CallDetails) -> None:
    assert CallDetails.from_bytes(details.to_bytes()) == details


@given(st.binary(max_size=60))
def test_damaged_details_are_refused_with_a_sentence(data: bytes) -> None:
    for damaged in (data, zlib.compress(data)):
        with pytest.raises(ValueError, match="cannot be read"):
            CallDetails.from_bytes(damaged)


def test_details_that_would_fill_the_memory_are_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        CallDetails.from_bytes(zlib.compress(b" " * 70_000_000))


def test_a_file_without_details_has_none(tmp_path) -> None:
    path = tmp_path / "call.parquet"
    pq.write_table(pa.table({"x": [1]}), str(path))
    assert read_details(path) == CallDetails()
    pq.write_table(pa.table({"x": [1]}).replace_schema_metadata({KEY: b"no"}), str(path))
    with pytest.raises(ValueError, match="cannot be read"):
        read_details(path)
    path.write_bytes(b"no Parquet")
    with pytest.raises(ValueError, match="no Parquet file"):
        read_details(path)


def test_a_call_stored_with_an_earlier_word_is_read_with_the_present_one() -> None:
    stored = CallDetails(((1, "lost"), (2, "late"))).to_bytes()
    assert CallDetails.from_bytes(stored).fates == ((1, "missing"), (2, "late"))


def test_the_frames_have_the_columns_of_the_schema() -> None:
    message = SipMessage(1.5, 0.5, "out", "INVITE", "a@b", "1 INVITE", "INVITE sip:echo SIP/2.0")
    details = CallDetails(((2_000_000_000, "missing"),), (message,))
    fates, trace = details.packet_fates("u"), details.sip_trace()
    assert fates.reset_index().astype(str).to_numpy().tolist() == [
        ["1970-01-01 00:00:02+00:00", "u", "missing"]
    ]
    assert trace[["direction", "start", "call", "cseq"]].astype(str).to_numpy().tolist() == [
        ["out", "INVITE", "a@b", "1 INVITE"]
    ]
    assert trace.index[0].isoformat() == "1970-01-01T00:00:01.500000+00:00"
