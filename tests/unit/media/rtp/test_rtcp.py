"""RTCP: reports, source description, goodbye, round trips (RFC 3550 section 6)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.media.rtp.rtcp import (
    Goodbye,
    OtherPacket,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    blocks_about,
    build,
    middle,
    ntp_time,
    parse,
    round_trip_s,
    unix_time,
)

# written by hand from RFC 3550 and RFC 4585: SR with one block, SDES, then a transport-wide feedback packet
COMPOUND = bytes.fromhex(
    "81c8000c 11223344 e5a1b2c3d4e5f607 0001e240 00000064 00002710"
    "55667788 19fffffe 00011a2b 0000000a b2c3d4e5 00010000"
    "81ca0003 11223344 01056162636465 00"
    "8fcd0003 11223344 55667788 00010000".replace(" ", "")
)
BLOCK = ReportBlock(0x55667788, 25 / 256, -2, 0x11A2B, 10, 0xB2C3D4E5, 65536)


def test_a_compound_is_read() -> None:
    (report, names, other), faults = parse(COMPOUND)
    assert faults == []
    assert report == SenderReport(0x11223344, 0xE5A1B2C3D4E5F607, 123456, 100, 10000, (BLOCK,))
    assert names == SourceDescription(((0x11223344, "abcde"),))
    assert isinstance(other, OtherPacket)
    assert (other.packet_type, other.count) == (205, 15)
    assert build([report, names]) == COMPOUND[: len(COMPOUND) - 16]
    assert blocks_about([report, names, other], 0x55667788) == [BLOCK]
    assert blocks_about([report, names, other], 1) == []


@pytest.mark.parametrize("cut", range(1, len(COMPOUND) - 16))
def test_of_its_truncated_twins_the_whole_packets_are_read(cut: int) -> None:
    whole = COMPOUND[: len(COMPOUND) - 16]
    packets, faults = parse(whole[:cut])
    assert len(packets) == (cut >= 52)
    assert len(faults) == (cut != 52)


def test_reduced_size_feedback_alone_is_read() -> None:
    (packet,), _ = parse(COMPOUND[-16:])
    assert isinstance(packet, OtherPacket)


def test_goodbye_with_its_reason() -> None:
    data = build([ReceiverReport(1), Goodbye((1, 2), "call over")])
    assert len(data) % 4 == 0
    assert parse(data) == ([ReceiverReport(1), Goodbye((1, 2), "call over")], [])


def test_numbers_beyond_their_fields_are_clamped() -> None:
    block = ReportBlock(1, 1.0, 99_999_999, 1 << 40, 1 << 40)
    parsed = ReportBlock.parse(block.serialize())
    assert parsed.fraction_lost == 255 / 256
    assert parsed.packets_lost == 0x7FFFFF
    assert parsed.jitter == 0xFFFFFFFF
    assert ReportBlock.parse(ReportBlock(1, 0, -99_999_999, 0, 0).serialize()).packets_lost == -0x800000


def test_ntp_time_of_the_unix_epoch_and_back() -> None:
    assert ntp_time(0) >> 32 == 2_208_988_800
    assert unix_time(ntp_time(1_700_000_000.25)) == pytest.approx(1_700_000_000.25, abs=1e-6)


def test_round_trip_of_rfc_3550_figure_2() -> None:
    """The example of RFC 3550 section 6.4.1: 6.125 s."""
    block = ReportBlock(0, 0, 0, 0, 0, last_sr=0xB705_2000, delay_since_last_sr=0x0005_4000)
    now = 0xB710_8000_0000 << 0
    assert round_trip_s(block, now) == pytest.approx(6.125)


def test_a_round_trip_that_cannot_be_is_none() -> None:
    now = ntp_time(1_700_000_000.0)
    never = ReportBlock(0, 0, 0, 0, 0)
    backwards = ReportBlock(0, 0, 0, 0, 0, middle(ntp_time(1_700_000_001.0)), 0)
    ancient = ReportBlock(0, 0, 0, 0, 0, middle(ntp_time(1_699_999_900.0)), 0)
    rounding = ReportBlock(0, 0, 0, 0, 0, middle(now), 3)
    assert round_trip_s(never, now) is None
    assert round_trip_s(backwards, now) is None
    assert round_trip_s(ancient, now) is None
    assert round_trip_s(rounding, now) == 0.0


@given(st.binary(max_size=120))
def test_garbage_is_packets_or_faults(data: bytes) -> None:
    packets, faults = parse(data)
    assert packets or faults


@given(st.binary(max_size=60), st.integers(192, 223), st.integers(0, 31))
def test_garbage_in_a_good_frame_is_packets_or_faults(body: bytes, kind: int, count: int) -> None:
    body += bytes(-len(body) % 4)
    data = bytes([0x80 | count, kind]) + (len(body) // 4).to_bytes(2, "big") + body
    packets, faults = parse(data)
    assert len(packets) + len(faults) == 1


@given(st.text(max_size=80), st.integers(0, 0xFFFFFFFF))
def test_any_cname_survives(name: str, ssrc: int) -> None:
    data = SourceDescription(((ssrc, name),)).serialize()
    assert len(data) % 4 == 0
    (packet,), _ = parse(data)
    assert isinstance(packet, SourceDescription)
    if len(name.encode()) <= 255:
        assert packet.cnames == ((ssrc, name),)


@pytest.mark.parametrize(
    "bad", ["81ca0001 112233440105".replace(" ", "") + "6162", "81ca0002 11223344 01ff6162"]
)
def test_the_parts_of_a_compound_are_judged_one_by_one(bad: str) -> None:
    sender_report, feedback = COMPOUND[:52], COMPOUND[-16:]
    packets, faults = parse(sender_report + bytes.fromhex(bad.replace(" ", "")) + feedback)
    assert isinstance(packets[0], SenderReport)
    assert faults
