"""Offer and answer (RFC 3264)."""

from __future__ import annotations

from plivo_nb.sip.negotiation import OfferAnswer, SignalingState, Step


def test_offers_take_turns() -> None:
    exchange = OfferAnswer()
    assert exchange.apply(Step.SEND_OFFER, b"1")
    assert not exchange.apply(Step.RECEIVE_OFFER, b"x")
    assert not exchange.apply(Step.SEND_ANSWER, b"x")
    assert exchange.apply(Step.RECEIVE_ANSWER, b"2")
    assert (exchange.local, exchange.remote, exchange.state) == (b"1", b"2", SignalingState.STABLE)
    assert exchange.apply(Step.RECEIVE_OFFER, b"3")
    assert exchange.apply(Step.ROLLBACK)
    assert (exchange.local, exchange.remote) == (b"1", b"2")
    assert exchange.apply(Step.RECEIVE_OFFER, b"3")
    assert exchange.apply(Step.SEND_ANSWER, b"4")
    assert (exchange.local, exchange.remote) == (b"4", b"3")
