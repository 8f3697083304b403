"""The state of the faults that can be switched on: read by the switch and its sockets."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CSEQ = re.compile(r"^CSeq:[ \t]*+([0-9]{1,10})(?![0-9])", re.IGNORECASE | re.MULTILINE)
_MAX_DELAY_S = 120.0


@dataclass(slots=True)
class Refusal:
    """How REGISTER requests are refused. `user` None = all users; `times` None = until it is cleared."""

    status: int
    retry_after_s: int | None
    user: str | None
    times: int | None


class Faults:
    """The faults of the switch; at first there are none.

    Attributes:
        delay_s: the delay of every message that the switch sends, in seconds.
        silent: whether the switch sends nothing.
        address: the source address that is reported to every client; None = the real one.
        distrust: how many valid credentials will be rejected as stale.
        wrong_cseq: how many responses will have a CSeq that matches no request.

    Example:
        >>> faults = Faults()
        >>> faults.refuse_registration(403, None, "alice", times=1)
        >>> faults.refusal_for("alice").status, faults.refusal_for("alice")
        (403, None)
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Switch all faults off."""
        self.delay_s = 0.0
        self.silent = False
        self.address: str | None = None
        self.distrust = 0
        self.wrong_cseq = 0
        self._refusal: Refusal | None = None

    def slow(self, seconds: float) -> None:
        """Delay every message by this many seconds.

        Raises:
            ValueError: the delay is out of range.
        """
        if not 0 <= seconds <= _MAX_DELAY_S:
            raise ValueError(f"slow needs 0 to {_MAX_DELAY_S:g} seconds, not {seconds!r}.")
        self.delay_s = float(seconds)

    def refuse_registration(
        self, status: int, retry_after_s: int | None, user: str | None, times: int | None
    ) -> None:
        """Answer REGISTER with this status.

        Raises:
            ValueError: the status is not a failure.
        """
        if not 300 <= status <= 699:
            raise ValueError(f"A refusal has a status from 300 to 699, not {status!r}.")
        self._refusal = Refusal(status, retry_after_s, user, times)

    def refusal_for(self, user: str | None) -> Refusal | None:
        """Return the refusal of this user's REGISTER, or None. A limited refusal is counted down."""
        refusal = self._refusal
        if refusal is None or refusal.user not in (None, user):
            return None
        if refusal.times is not None:
            refusal.times -= 1
            if refusal.times <= 0:
                self._refusal = None
        return refusal

    def distrusts(self) -> bool:
        """Whether valid credentials are rejected as stale this time; counts down."""
        if self.distrust <= 0:
            return False
        self.distrust -= 1
        return True

    def alter(self, text: str) -> str:
        """Return the message as the faults change it."""
        if self.wrong_cseq > 0 and text.startswith("SIP/2.0 "):
            self.wrong_cseq -= 1
            return _CSEQ.sub(lambda match: f"CSeq: {int(match[1]) + 1000}", text, count=1)
        return text
