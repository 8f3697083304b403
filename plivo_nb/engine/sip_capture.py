"""The SIP messages of a call, given to the capture of its media session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.media.rtp.captured_sip import SipFrame

if TYPE_CHECKING:
    from plivo_nb.engine.call_session import CallSession
    from plivo_nb.engine.sip_trace import SipMessage, SipTrace


class SipCapture:
    """Starts and stops the capture of a call; in between, each SIP message of the call is written too.

    Args:
        session: the call.
        trace: keeps the SIP messages of its client.
    """

    def __init__(self, session: CallSession, trace: SipTrace) -> None:
        self._session = session
        self._trace = trace
        self._listening = False

    async def start(self, path: str) -> None:
        """Write to this file from now on; the call's SIP messages so far come first.

        Raises:
            MediaError: the file cannot be written (FileError), or the session is gone.
        """
        self._stop_listening()
        key = self._session.key
        earlier = self._trace.of(key) if key is not None else []
        self._trace.listeners.append(self._add)
        self._listening = True
        try:
            await self._session.media.start_capture(path, tuple(_frame(message) for message in earlier))
        except BaseException:
            self._stop_listening()
            raise

    async def stop(self) -> int:
        """Finish the file; returns the number of packets in it."""
        self._stop_listening()
        return await self._session.media.stop_capture()

    async def close(self) -> None:
        """Stop listening, when the call is over; the media session finishes the file."""
        self._stop_listening()

    def _add(self, message: SipMessage) -> None:
        if message.call == self._session.key:
            self._session.media.capture_sip(_frame(message))

    def _stop_listening(self) -> None:
        if self._listening:
            self._listening = False
            self._trace.listeners.remove(self._add)


def _frame(message: SipMessage) -> SipFrame:
    return SipFrame(message.time_monotonic_s, message.direction == "out", message.text)
