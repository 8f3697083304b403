"""DTMF as telephone-events (RFC 4733)."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.dtmf_table import DTMF_DIGITS
from plivo_nb.media.rtp.telephone_event import DtmfReceiver, DtmfSender, EventPacket, Outgoing

FRAME = 160


def run(sender: DtmfSender, ticks: int, rate: int = 8000) -> list[Outgoing | None]:
    return [sender.tick(1000 + FRAME * i, rate) for i in range(ticks)]


def test_one_digit_is_updates_then_three_ends_then_audio() -> None:
    sender = DtmfSender()
    sender.queue("5", 100, 70)
    packets = run(sender, 12)
    events = [(p, EventPacket.parse(p.payload)) for p in packets if p is not None]
    assert [e.duration for _, e in events] == [160, 320, 480, 640, 800, 800, 800]
    assert [e.end for _, e in events] == [False] * 4 + [True] * 3
    assert {e.event for _, e in events} == {5}
    assert {p.timestamp for p, _ in events} == {1000}
    assert [p.marker for p, _ in events] == [True] + [False] * 6
    assert packets[7:] == [None] * 5


def test_digits_wait_for_each_other_with_a_gap_between() -> None:
    sender = DtmfSender()
    sender.queue("1#")
    sender.queue("*")
    assert sender.pending == 3
    packets = run(sender, 60)
    assert sender.pending == 0
    starts = [i for i, p in enumerate(packets) if p is not None and p.marker]
    assert len(starts) == 3
    for first, second in itertools.pairwise(starts):
        assert (second - first) * 20 >= 100 + 70
    events = [EventPacket.parse(packets[i].payload).event for i in starts if packets[i] is not None]
    assert events == [1, 11, 10]


@pytest.mark.parametrize("digits", ["", "12x", "1 2"])
def test_wrong_digits_queue_nothing(digits: str) -> None:
    sender = DtmfSender()
    with pytest.raises(ValueError, match="DTMF"):
        sender.queue(digits)
    assert sender.pending == 0


@pytest.mark.parametrize(("duration_ms", "gap_ms"), [(20, 70), (100, 0), (7000, 70)])
def test_impossible_lengths_are_refused(duration_ms: int, gap_ms: int) -> None:
    with pytest.raises(ValueError, match="ms"):
        DtmfSender().queue("1", duration_ms, gap_ms)


def test_digits_can_be_given_up() -> None:
    sender = DtmfSender()
    sender.queue("12")
    sender.tick(0, 8000)
    sender.abort()
    assert sender.pending == 0
    assert run(sender, 20) == [None] * 20


@given(
    st.text(alphabet=DTMF_DIGITS, min_size=1, max_size=6),
    st.sampled_from([8000, 48_000]),
    st.integers(0, 2**31),
    st.integers(40, 300),
)
def test_each_digit_is_told_once_whatever_is_repeated_or_reordered(
    digits: str, rate: int, seed: int, duration_ms: int
) -> None:
    import random

    generator = random.Random(seed)
    sender, receiver = DtmfSender(), DtmfReceiver()
    sender.queue(digits, duration_ms)
    told: list[tuple[str, int]] = []
    tick = 0
    held: Outgoing | None = None
    while sender.pending or held is not None:
        packet = sender.tick(tick * rate // 50, rate)
        arriving = [p for p in (packet,) if p is not None]
        if held is not None:
            arriving.append(held)
            held = None
        elif arriving and generator.random() < 0.3:
            held = arriving.pop()
        for one in arriving:
            for _ in range(generator.choice((1, 1, 2))):
                told += receiver.receive(one.payload, one.timestamp, rate, tick * 0.02)
        tick += 1
    assert [digit for digit, _ in told] == list(digits)
    assert {ms for _, ms in told} == {duration_ms}


def test_a_digit_whose_end_was_lost_is_told_after_a_while() -> None:
    receiver = DtmfReceiver()
    assert receiver.receive(EventPacket(7, False, 10, 320).serialize(), 5, 8000, 1.0) == []
    assert receiver.expire(8000, 1.1) == []
    assert receiver.expire(8000, 1.3) == [("7", 40)]
    assert receiver.expire(8000, 9.0) == []
    assert receiver.receive(EventPacket(7, True, 10, 800).serialize(), 5, 8000, 1.4) == []


def test_a_digit_whose_end_was_lost_is_told_by_the_next_one() -> None:
    receiver = DtmfReceiver()
    receiver.receive(EventPacket(1, False, 10, 320).serialize(), 5, 8000, 1.0)
    assert receiver.receive(EventPacket(2, True, 10, 800).serialize(), 5000, 8000, 1.1) == [
        ("1", 40),
        ("2", 100),
    ]


def test_events_that_are_no_digits_and_cut_off_ones_are_ignored() -> None:
    receiver = DtmfReceiver()
    assert receiver.receive(EventPacket(16, True, 10, 800).serialize(), 5, 8000, 1.0) == []
    assert receiver.receive(b"\x01\x80\x00", 6, 8000, 1.0) == []
