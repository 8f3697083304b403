"""Offer and answer (RFC 3264, RFC 6337): which side may describe the session next. SDP is opaque bytes here.

There is one offer at a time: while ours is pending, an offer of the other side is refused with 491, and while
theirs is pending, a second one is refused with 500 (RFC 3261 section 14.2). The states have the names of
W3C's signalingState.
"""

from __future__ import annotations

from enum import Enum


class SignalingState(Enum):
    """Whether an offer is pending, and whose."""

    STABLE = "stable"
    HAVE_LOCAL_OFFER = "have-local-offer"
    HAVE_REMOTE_OFFER = "have-remote-offer"


class Step(Enum):
    """One step of an exchange; ROLLBACK withdraws the pending offer."""

    SEND_OFFER = "send offer"
    SEND_ANSWER = "send answer"
    RECEIVE_OFFER = "receive offer"
    RECEIVE_ANSWER = "receive answer"
    ROLLBACK = "rollback"


S = SignalingState
TRANSITIONS: dict[tuple[SignalingState, Step], SignalingState] = {
    (S.STABLE, Step.SEND_OFFER): S.HAVE_LOCAL_OFFER,
    (S.STABLE, Step.RECEIVE_OFFER): S.HAVE_REMOTE_OFFER,
    (S.STABLE, Step.ROLLBACK): S.STABLE,
    (S.HAVE_LOCAL_OFFER, Step.RECEIVE_ANSWER): S.STABLE,
    (S.HAVE_LOCAL_OFFER, Step.ROLLBACK): S.STABLE,
    (S.HAVE_REMOTE_OFFER, Step.SEND_ANSWER): S.STABLE,
    (S.HAVE_REMOTE_OFFER, Step.ROLLBACK): S.STABLE,
}


class OfferAnswer:
    """The offer/answer exchanges of one call. `local` and `remote` are the current descriptions.

    >>> exchange = OfferAnswer()
    >>> exchange.apply(Step.SEND_OFFER, b"ours"), exchange.apply(Step.RECEIVE_OFFER, b"theirs")
    (True, False)
    >>> exchange.apply(Step.RECEIVE_ANSWER, b"answer"), exchange.local, exchange.remote
    (True, b'ours', b'answer')
    """

    __slots__ = ("_pending", "local", "remote", "state")

    def __init__(self) -> None:
        self.state = SignalingState.STABLE
        self.local = b""
        self.remote = b""
        self._pending = b""

    def apply(self, step: Step, body: bytes = b"") -> bool:
        """Take a step. Returns False, and changes nothing, if the state does not permit it."""
        after = TRANSITIONS.get((self.state, step))
        if after is None:
            return False
        if step in (Step.SEND_OFFER, Step.RECEIVE_OFFER):
            self._pending = body
        elif step is Step.SEND_ANSWER:
            self.local, self.remote = body, self._pending
        elif step is Step.RECEIVE_ANSWER:
            self.local, self.remote = self._pending, body
        self.state = after
        return True
