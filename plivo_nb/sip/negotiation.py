"""Offer and answer: whose turn it is to describe the session (RFC 3264, RFC 6337). SDP is opaque bytes here.

One offer at a time: while ours is out, the other side's is refused with 491, and while theirs waits for our
answer, a second one is refused with 500 (RFC 3261 section 14.2).
"""

from __future__ import annotations

from enum import Enum


class Turn(Enum):
    """Where an exchange stands."""

    STABLE = "stable"
    LOCAL_OFFER = "our offer waits for an answer"
    REMOTE_OFFER = "their offer waits for our answer"


class Move(Enum):
    """What can be done: each side offers, answers, or takes back what is pending."""

    SEND_OFFER = "send an offer"
    SEND_ANSWER = "send an answer"
    RECEIVE_OFFER = "receive an offer"
    RECEIVE_ANSWER = "receive an answer"
    WITHDRAW = "the transaction failed"


_TABLE: dict[tuple[Turn, Move], Turn] = {
    (Turn.STABLE, Move.SEND_OFFER): Turn.LOCAL_OFFER,
    (Turn.STABLE, Move.RECEIVE_OFFER): Turn.REMOTE_OFFER,
    (Turn.STABLE, Move.WITHDRAW): Turn.STABLE,
    (Turn.LOCAL_OFFER, Move.RECEIVE_ANSWER): Turn.STABLE,
    (Turn.LOCAL_OFFER, Move.WITHDRAW): Turn.STABLE,
    (Turn.REMOTE_OFFER, Move.SEND_ANSWER): Turn.STABLE,
    (Turn.REMOTE_OFFER, Move.WITHDRAW): Turn.STABLE,
}


class OfferAnswer:
    """One call's exchange. `local` and `remote` are the descriptions that hold now."""

    __slots__ = ("_pending", "local", "remote", "turn")

    def __init__(self) -> None:
        self.turn = Turn.STABLE
        self.local = b""
        self.remote = b""
        self._pending = b""

    def move(self, move: Move, body: bytes = b"") -> bool:
        """Do it, if it is somebody's turn to; False, and no change, where it is not."""
        after = _TABLE.get((self.turn, move))
        if after is None:
            return False
        if move in (Move.SEND_OFFER, Move.RECEIVE_OFFER):
            self._pending = body
        elif move is Move.SEND_ANSWER:
            self.local, self.remote = body, self._pending
        elif move is Move.RECEIVE_ANSWER:
            self.local, self.remote = self._pending, body
        self.turn = after
        return True
