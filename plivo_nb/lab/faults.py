"""Faults of the switch, on demand: plain state that the switch and its sockets ask."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CSEQ = re.compile(r"^CSeq:[ \t]*(\d+)", re.IGNORECASE | re.MULTILINE)
_MAX_DELAY_S = 120.0


@dataclass(slots=True)
class Refusal:
    """How registrations are refused: `user` None means everybody's, `times` None until it is cleared."""

    status: int
    retry_after_s: int | None
    user: str | None
    times: int | None


class Faults:
    """What is wrong with the server at the moment; nothing, to begin with.

    Attributes:
        delay_s: everything that the switch sends is late by so much.
        silent: it reads, and says nothing.
        address: what it takes every client's address for, None for the true one.
        distrust: so many right credentials will be called stale, and challenged again.
        wrong_cseq: so many responses will have a CSeq that belongs to no request.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Nothing is wrong any more."""
        self.delay_s = 0.0
        self.silent = False
        self.address: str | None = None
        self.distrust = 0
        self.wrong_cseq = 0
        self._refusal: Refusal | None = None

    def slow(self, seconds: float) -> None:
        """Be late with everything.

        Raises:
            ValueError: no sensible time.
        """
        if not 0 <= seconds <= _MAX_DELAY_S:
            raise ValueError(f"slow needs 0 to {_MAX_DELAY_S:g} seconds, not {seconds!r}.")
        self.delay_s = float(seconds)

    def refuse_registration(
        self, status: int, retry_after_s: int | None, user: str | None, times: int | None
    ) -> None:
        """Answer REGISTER with this status.

        Raises:
            ValueError: it is no failure.
        """
        if not 300 <= status <= 699:
            raise ValueError(f"A refusal has a status from 300 to 699, not {status!r}.")
        self._refusal = Refusal(status, retry_after_s, user, times)

    def refusal_for(self, user: str | None) -> Refusal | None:
        """The refusal that this user's REGISTER gets now, if any; it is counted."""
        refusal = self._refusal
        if refusal is None or refusal.user not in (None, user):
            return None
        if refusal.times is not None:
            refusal.times -= 1
            if refusal.times <= 0:
                self._refusal = None
        return refusal

    def distrusts(self) -> bool:
        """Whether right credentials are called stale this time."""
        if self.distrust <= 0:
            return False
        self.distrust -= 1
        return True

    def alter(self, text: str) -> str:
        """What goes over the wire in the place of this message."""
        if self.wrong_cseq > 0 and text.startswith("SIP/2.0 "):
            self.wrong_cseq -= 1
            return _CSEQ.sub(lambda match: f"CSeq: {int(match[1]) + 1000}", text, count=1)
        return text
