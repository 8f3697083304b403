"""The exceptions of this package, as a tree.

    PlivoError
     ├─ InvalidOption          an option's name or value is wrong (with ``strict=True``; also a ValueError)
     ├─ InvalidState           the method cannot be called now; the message says what to call instead
     ├─ InvalidFeedback        ``send_quality_feedback`` was given a wrong call, score or comment
     ├─ LoginFailed            ``.cause`` is the SDK's word
     ├─ CallFailed             ``.cause`` is the SDK's word, ``.callInfo`` the last snapshot of the call
     ├─ MediaError             an audio device or media session failed: ``.code`` names what failed
     │   └─ SourceError        an audio file or source cannot be played
     ├─ EngineError            the engine failed
     │   ├─ NoRunningLoop      no event loop is running
     │   └─ PlaneDied          the I/O plane ended unexpectedly; the next call starts it again
     └─ LabError               the lab could not be started, refused a command, or has ended

Every message is a sentence that says what happened, why, and what to do next.

    >>> raise InvalidState("hangup: there is no call; make one with call.")
    Traceback (most recent call last):
    plivo_nb.errors.InvalidState: hangup: there is no call; make one with call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plivo_nb.events import CallInfo


class PlivoError(Exception):
    """Base of every exception this package raises on purpose."""


class InvalidOption(PlivoError, ValueError):
    """An option has an unknown name or a value that is not allowed."""


class InvalidState(PlivoError):
    """The method cannot be called in the client's present state."""


class InvalidFeedback(PlivoError):
    """The quality feedback names a wrong call, score or comment."""


class LoginFailed(PlivoError):
    """The registration did not succeed.

    Args:
        cause: the SDK's word for the cause, as in `onLoginFailed`.
        sentence: what happened and what to do; by default made from the cause.
    """

    def __init__(self, cause: str, sentence: str | None = None) -> None:
        super().__init__(sentence or f"Login failed: {cause}.")
        self.cause = cause


class CallFailed(PlivoError):
    """A call ended before it was answered.

    Args:
        cause: the SDK's word for the cause, as in `onCallFailed`.
        call_info: the last snapshot of the call, if there was a call.
        sentence: what happened and what to do; by default made from the cause.
    """

    def __init__(self, cause: str, call_info: CallInfo | None = None, sentence: str | None = None) -> None:
        super().__init__(sentence or f"Call failed: {cause}.")
        self.cause = cause
        self.call_info = call_info

    @property
    def callInfo(self) -> CallInfo | None:
        """`call_info`, by Plivo's name."""
        return self.call_info


class MediaError(PlivoError):
    """A media session or a sound device failed.

    Args:
        sentence: what happened and what to do.
        code: a short name of what failed that does not change, such as ``'IncompatibleSDP'``.
    """

    def __init__(self, sentence: str, code: str = "MediaError") -> None:
        super().__init__(sentence)
        self.code = code


class SourceError(MediaError):
    """An audio source cannot be played: there is no such file, or it is not audio."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, "SourceError")


class EngineError(PlivoError):
    """The engine, which all clients of a kernel share, failed."""


class NoRunningLoop(EngineError):
    """No event loop is running: use a notebook cell, or ``asyncio.run``."""


class PlaneDied(EngineError):
    """The I/O plane ended unexpectedly; all calls ended with it."""


class LabError(PlivoError):
    """The lab could not be started, refused a command, or has ended."""
