"""SIP for a capture: the messages so far, then each new one of the call, until the capture is stopped."""

import pytest

from plivo_nb.engine.sip_capture import SipCapture
from plivo_nb.engine.sip_trace import SipTrace
from plivo_nb.errors import MediaError
from plivo_nb.sip.trace import MessageRecord


class Media:
    def __init__(self) -> None:
        self.begun: list[tuple[str, list[str]]] = []
        self.added: list[str] = []
        self.broken = False

    async def start_capture(self, path: str, sip: tuple[object, ...]) -> None:
        if self.broken:
            raise MediaError("The capture cannot be written.", "FileError")
        self.begun.append((path, [frame.text for frame in sip]))  # type: ignore[attr-defined]

    async def stop_capture(self) -> int:
        return 7

    def capture_sip(self, frame: object) -> None:
        self.added.append(frame.text)  # type: ignore[attr-defined]


class Session:
    def __init__(self) -> None:
        self.key = "one"
        self.media = Media()


def record(text: str, call: str = "one") -> MessageRecord:
    return MessageRecord(0.0, "out", "INVITE", call, "1 INVITE", text)


async def test_messages_of_the_call_are_written_from_the_first_to_the_stop() -> None:
    trace, session = SipTrace(), Session()
    trace.add(record("before"), 1.0)
    trace.add(record("of another call", "two"), 1.0)
    capture = SipCapture(session, trace)  # type: ignore[arg-type]
    await capture.start("x.pcapng")
    trace.add(record("during"), 1.0)
    trace.add(record("of another call", "two"), 1.0)
    assert await capture.stop() == 7
    trace.add(record("after"), 1.0)
    assert session.media.begun == [("x.pcapng", ["before"])]
    assert session.media.added == ["during"]
    assert trace.listeners == []


async def test_nothing_is_left_behind_by_a_second_start_a_failure_or_the_end_of_the_call() -> None:
    trace, session = SipTrace(), Session()
    capture = SipCapture(session, trace)  # type: ignore[arg-type]
    await capture.start("x.pcapng")
    await capture.start("y.pcapng")
    assert len(trace.listeners) == 1
    await capture.close()
    await capture.close()
    session.media.broken = True
    with pytest.raises(MediaError):
        await capture.start("z.pcapng")
    assert trace.listeners == []
