"""Requests that are sent again with credentials (RFC 3261 section 22)."""

from __future__ import annotations

from sip_world import (
    World,
)

from plivo_nb.sip.message import Request


def test_invite_is_sent_again_with_credentials_and_ack_carries_them(world: World) -> None:
    world.call()
    invites = [m for m in world.sent("alice") if isinstance(m, Request) and m.method == "INVITE"]
    first, second = invites
    assert "Proxy-Authorization" not in first.headers
    assert second.cseq.sequence == first.cseq.sequence + 1
    assert second.call_id == first.call_id
    assert second.via.branch != first.via.branch
    acks = [m for m in world.sent("alice") if isinstance(m, Request) and m.method == "ACK"]
    assert acks[0].via.branch == first.via.branch  # to the 407: the same transaction
    assert acks[1].via.branch not in (first.via.branch, second.via.branch)  # to the 200: one of its own
    assert acks[1].cseq.sequence == second.cseq.sequence
    assert acks[1].headers.get("Proxy-Authorization") == second.headers.get("Proxy-Authorization")
