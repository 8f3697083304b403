"""engine.sip_trace: the newest messages, by Call-ID, in a frame, and logged at level ALL only."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace

import pytest

from plivo_nb.engine.sip_trace import ALL, SipTrace
from plivo_nb.sip.trace import MessageRecord


def record(number: int, call: str = "a@b", direction: str = "out") -> MessageRecord:
    return MessageRecord(
        1.0, direction, "INVITE", call, f"{number} INVITE", f"INVITE sip:{number} SIP/2.0\r\n"
    )


def test_only_the_newest_messages_are_kept_in_order() -> None:
    trace = SipTrace(size=2)
    for number in range(4):
        trace.add(record(number), float(number))
    assert trace.frame()["cseq"].tolist() == ["2 INVITE", "3 INVITE"]


def test_messages_are_found_by_their_call_id() -> None:
    trace = SipTrace()
    trace.add(record(1), 1.0)
    trace.add(record(2, call="c@d", direction="in"), 2.0)
    assert [message.cseq for message in trace.of("c@d")] == ["2 INVITE"]
    assert len(trace.of(None)) == 2
    frame = trace.frame()
    assert frame["direction"].tolist() == ["out", "in"]
    assert frame["call"].tolist() == ["a@b", "c@d"]


@pytest.mark.parametrize(("level", "lines"), [(logging.DEBUG, 0), (ALL, 1)])
def test_a_message_is_logged_at_level_all_only(level: int, lines: int, caplog) -> None:
    with caplog.at_level(level, "plivo_nb.sip"):
        SipTrace().add(record(1, direction="in"), 1.0)
    assert [entry.getMessage().splitlines()[0] for entry in caplog.records] == ["SIP received"] * lines


def test_the_order_and_the_times_are_those_of_the_wire() -> None:
    trace = SipTrace(lambda at: round(at * 1e9), size=3)
    first = trace.add(record(1), 10.0)
    trace.add(record(2, direction="in"), 10.5)
    trace.sent(first, 11.0)  # the I/O plane was late
    assert [message.cseq for message in trace.of(None)] == ["2 INVITE", "1 INVITE"]
    assert [time.timestamp() for time in trace.frame().index] == [10.5, 11.0]
    for number in (3, 4, 5):
        trace.add(record(number), 12.0)
    trace.sent(first, 13.0)  # it is no longer kept
    assert [message.cseq for message in trace.of(None)] == ["3 INVITE", "4 INVITE", "5 INVITE"]


def test_the_texts_take_a_bounded_number_of_bytes() -> None:
    trace = SipTrace(max_bytes=100_000)
    for number in range(100):
        trace.add(replace(record(number), text="\u20ac" * 5_000), 1.0)
    kept = trace.of(None)
    assert sum(sys.getsizeof(message.text) for message in kept) <= 100_000
    assert kept[-1].cseq == "99 INVITE"
    assert len(kept) == 9
