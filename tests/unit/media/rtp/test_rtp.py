"""RTP: packets, sender's numbers, receiver's counts (RFC 3550)."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.media.rtp.rtp import RtpPacket, RtpReceiver, RtpSender
from plivo_nb.quality.counters import LOSS_RUN_LENGTHS

# written by hand as a browser builds it: marker, one-byte header extension (RFC 8285), payload type 111
FROM_BROWSER = bytes.fromhex("90ef1a2b0001e240deadbeef bede0001 30ff0000 7885aabbcc".replace(" ", ""))


def test_a_packet_with_extension_is_read() -> None:
    packet = RtpPacket.parse(FROM_BROWSER)
    assert packet.payload_type == 111
    assert packet.marker
    assert packet.sequence_number == 0x1A2B
    assert packet.timestamp == 123456
    assert packet.ssrc == 0xDEADBEEF
    assert packet.extension == (0xBEDE, bytes.fromhex("30ff0000"))
    assert packet.payload == bytes.fromhex("7885aabbcc")
    assert packet.header_size == 20
    assert packet.serialize() == FROM_BROWSER


@pytest.mark.parametrize("size", range(20))
def test_its_truncated_twins_are_refused(size: int) -> None:
    with pytest.raises(ValueError):
        RtpPacket.parse(FROM_BROWSER[:size])


def test_padding_is_dropped_and_impossible_padding_refused() -> None:
    data = bytes([0xA0]) + FROM_BROWSER[1:2] + FROM_BROWSER[2:12] + b"abc\x00\x00\x03"
    assert RtpPacket.parse(data).payload == b"abc"
    with pytest.raises(ValueError, match="padding"):
        RtpPacket.parse(data[:-1] + b"\x63")
    with pytest.raises(ValueError, match="padding"):
        RtpPacket.parse(data[:-1] + b"\x00")


@given(
    st.builds(
        RtpPacket,
        payload_type=st.integers(0, 127),
        sequence_number=st.integers(0, 0xFFFF),
        timestamp=st.integers(0, 0xFFFFFFFF),
        ssrc=st.integers(0, 0xFFFFFFFF),
        payload=st.binary(max_size=50),
        marker=st.booleans(),
        csrcs=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15).map(tuple),
        extension=st.none() | st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=20)),
        header_size=st.just(12),
    )
)
def test_what_is_built_is_what_is_parsed(packet: RtpPacket) -> None:
    parsed = RtpPacket.parse(packet.serialize())
    assert parsed.payload == packet.payload
    assert (parsed.csrcs, parsed.marker, parsed.ssrc) == (packet.csrcs, packet.marker, packet.ssrc)
    assert parsed.serialize() == packet.serialize()


@given(st.binary(max_size=80))
def test_garbage_is_a_value_error_or_a_packet(data: bytes) -> None:
    try:
        packet = RtpPacket.parse(data)
    except ValueError:
        return
    assert data[0] >> 6 == 2
    assert len(packet.payload) <= len(data) - 12


def test_sender_numbers_wrap_around() -> None:
    sender = RtpSender(ssrc=7, sequence_number=0xFFFF, timestamp=0xFFFFFFFF)
    first = RtpPacket.parse(sender.send(0, b"x", marker=True))
    sender.advance(160)
    second = RtpPacket.parse(sender.send(0, b"yz"))
    assert (first.sequence_number, first.timestamp, first.marker) == (0xFFFF, 0xFFFFFFFF, True)
    assert (second.sequence_number, second.timestamp, second.marker) == (0, 159, False)
    assert (sender.packets, sender.bytes, sender.header_bytes) == (2, 3, 24)


def feed(receiver: RtpReceiver, numbers: list[int], rate: int = 8000) -> None:
    for number in numbers:
        receiver.receive(number & 0xFFFF, number * 160 & 0xFFFFFFFF, number * 0.02)


def test_loss_is_counted_across_the_wrap_around() -> None:
    receiver = RtpReceiver(1, 8000)
    numbers = [n for n in range(65500, 65600) if n % 10]
    feed(receiver, numbers)
    assert receiver.highest_sequence == 65599
    assert receiver.expected == 65599 - 65501 + 1
    assert receiver.lost == 9
    assert receiver.take_fraction_lost() == pytest.approx(9 / 99)
    assert receiver.take_fraction_lost() == 0.0


def test_reordered_packets_are_not_lost_and_duplicates_are_told() -> None:
    receiver = RtpReceiver(1, 8000)
    feed(receiver, [10, 12, 11, 13])
    assert receiver.lost == 0
    place = receiver.receive(12, 12 * 160, 1.0)
    assert place is not None
    assert place.duplicate
    assert (receiver.received, receiver.duplicates) == (5, 1)
    assert receiver.lost == -1  # RFC 3550 A.3 counts duplicates as received


@pytest.mark.parametrize(
    ("numbers", "reordered"),
    [
        ([10, 11, 12, 13], 0),
        ([10, 12, 11, 13], 1),
        ([10, 14, 11, 12, 13, 15], 3),
        ([10, 12, 12, 10, 13], 0),  # duplicates are not reordered
        ([10, 12, 11, 11], 1),
        ([65535, 65537, 65536, 65538], 1),  # 16-bit numbers 65535, 1, 0, 2
        ([10, 15, 16], 0),  # a gap is loss
    ],
)
def test_packets_after_a_higher_number_are_counted_as_reordered(numbers: list[int], reordered: int) -> None:
    """RFC 4737 section 3.3: reordered is a packet with a lower number than one that came before it."""
    receiver = RtpReceiver(1, 8000)
    feed(receiver, numbers)
    assert receiver.counts()["packets_reordered"] == reordered


def test_packets_before_the_first_one_that_came_are_taken() -> None:
    receiver = RtpReceiver(1, 8000)
    feed(receiver, [11, 10, 12])
    assert (receiver.expected, receiver.received, receiver.lost) == (3, 3, 0)


def test_a_source_that_restarts_its_numbers_is_followed_at_the_second_packet() -> None:
    receiver = RtpReceiver(1, 8000)
    feed(receiver, [100, 101])
    assert receiver.receive(30000, 5_000_000, 1.0) is None
    place = receiver.receive(30001, 5_000_160, 1.02)
    assert place is not None
    assert place.restarted
    assert place.sequence > 101
    assert receiver.lost == 0
    following = receiver.receive(30002, 5_000_320, 1.04)
    assert following is not None
    assert following.timestamp == place.timestamp + 160
    assert not following.restarted


def test_one_wild_packet_changes_nothing() -> None:
    receiver = RtpReceiver(1, 8000)
    feed(receiver, [100, 101])
    assert receiver.receive(40000, 1, 0.5) is None
    feed(receiver, [102])
    assert (receiver.expected, receiver.received) == (3, 3)


def test_jitter_of_alternating_delays() -> None:
    """Arrivals 10 ms early and late in turn: every difference of transit times is 20 ms (A.8)."""
    receiver = RtpReceiver(1, 8000)
    for n in range(400):
        receiver.receive(n, n * 160, n * 0.02 + (0.01 if n % 2 else -0.01))
    assert receiver.jitter_s == pytest.approx(0.020, rel=0.01)


def test_jitter_of_uniform_delays_is_two_thirds_of_the_half_width() -> None:
    """+-40 ms uniform gives a mean difference of 2/3 x 40 ms."""
    generator = random.Random(5)
    receiver = RtpReceiver(1, 48_000)
    seen = []
    for n in range(20_000):
        receiver.receive(n & 0xFFFF, n * 960 & 0xFFFFFFFF, n * 0.02 + generator.uniform(-0.04, 0.04))
        seen.append(receiver.jitter_s)
    assert sum(seen[100:]) / len(seen[100:]) == pytest.approx(0.0267, rel=0.03)


def test_untimed_packets_leave_the_jitter_alone() -> None:
    receiver = RtpReceiver(1, 8000)
    feed(receiver, list(range(50)))
    receiver.receive(50, 50 * 160, 99.0, timed=False)
    feed(receiver, [51])
    assert receiver.jitter == pytest.approx(0, abs=1e-6)


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)), max_size=60))
def test_no_order_of_packets_upsets_the_counts(packets: list[tuple[int, int]]) -> None:
    receiver = RtpReceiver(1, 8000)
    for i, (number, timestamp) in enumerate(packets):
        receiver.receive(number, timestamp, i * 0.02)
    assert receiver.received <= len(packets)
    assert 0 <= receiver.reordered <= max(0, receiver.received - receiver.duplicates)
    assert receiver.lost == receiver.expected - receiver.received
    assert 0 <= receiver.take_fraction_lost() <= 1


@pytest.mark.parametrize("step", [28_800_000, -28_800_000, 48_000, 20_000, -20_000])
def test_a_step_of_the_senders_clock_is_no_jitter(step: int) -> None:
    receiver = RtpReceiver(1, 48_000)
    for n in range(400):
        clock = n * 960 + (step if n >= 200 else 0)
        receiver.receive(n, clock & 0xFFFFFFFF, n * 0.02)
    assert receiver.jitter_s < 0.001


def test_a_late_network_is_jitter_and_a_pause_of_the_sender_is_none() -> None:
    receiver = RtpReceiver(1, 8000)
    for n in range(100):
        receiver.receive(n, n * 160, n * 0.02)
    receiver.receive(100, 100 * 160 + 8000 * 5, 100 * 0.02 + 5.0)  # a pause of 5 s (DTX)
    assert receiver.jitter_s < 0.001
    receiver.receive(101, 101 * 160 + 8000 * 5, 101 * 0.02 + 6.0)  # one second late
    assert receiver.jitter_s == pytest.approx(1 / 16, rel=0.01)


def loss_runs(receiver: RtpReceiver) -> list[float]:
    return [receiver.counts()[name] for name in LOSS_RUN_LENGTHS]


def test_loss_runs_are_counted_by_length_once_they_are_settled() -> None:
    receiver = RtpReceiver(1, 8000)
    gone = {5, 10, 11, 20, 21, 22, 30, 40, 41, 42, 43, 44, *range(60, 80)}
    feed(receiver, [n for n in range(100) if n not in gone])
    assert loss_runs(receiver) == [2, 1, 1, 1, 0]
    feed(receiver, list(range(100, 200)))
    assert loss_runs(receiver) == [2, 1, 1, 1, 1]


def test_a_packet_that_comes_late_is_in_no_loss_run() -> None:
    receiver = RtpReceiver(1, 8000)
    feed(receiver, [*range(20), *range(22, 30), 20, *range(30, 100)])
    assert loss_runs(receiver) == [1, 0, 0, 0, 0]


@given(st.sets(st.integers(1, 199), max_size=150))
def test_loss_runs_are_those_of_the_sequence(gone: set[int]) -> None:
    receiver = RtpReceiver(1, 8000)
    feed(receiver, [n for n in range(200) if n not in gone] + list(range(200, 240)))
    text = "".join("x" if n in gone else " " for n in range(200))
    lengths = [len(run) for run in text.split()]
    expected = [sum(least <= n <= most for n in lengths) for least, most in LOSS_RUN_LENGTHS.values()]
    assert loss_runs(receiver) == expected


def test_the_newest_packets_are_unsettled() -> None:
    receiver = RtpReceiver(1, 8000)
    assert receiver.unsettled() == (0, 0)
    feed(receiver, [10, 11, 14])
    assert receiver.unsettled() == (5, 2)
    feed(receiver, [12])
    assert receiver.unsettled() == (5, 1)
    feed(receiver, list(range(15, 100)))
    assert receiver.unsettled() == (32, 0)
