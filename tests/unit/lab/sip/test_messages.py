"""Requests that the proxy makes itself, and their changes on the way."""

from __future__ import annotations

from random import Random

import pytest
from switch_rig import DOMAIN, SwitchRig

from plivo_nb.lab.sip.messages import RequestFactory, hop_by_hop, next_hop, shift_cseq, transaction_key
from plivo_nb.sip.message import Request


@pytest.fixture
def invite() -> Request:
    request = SwitchRig().phone("alice").make("INVITE", f"sip:bob@{DOMAIN}", f"<sip:bob@{DOMAIN}>", 7)
    request.headers.add("Route", "<sip:127.0.0.1:5066;lr>")
    return request


def test_each_via_has_a_branch_of_its_own() -> None:
    factory = RequestFactory("127.0.0.1", 5066, Random(1))
    vias = [factory.new_via() for _ in range(3)]
    assert len({branch for _, branch in vias}) == 3
    assert all(branch.startswith("z9hG4bK") and branch in via for via, branch in vias)


def test_the_next_hop_gets_a_copy_with_one_hop_less(invite: Request) -> None:
    assert next_hop(invite).headers.get("Max-Forwards") == "69"
    assert invite.headers.get("Max-Forwards") == "70"


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_ack_and_cancel_match_the_transaction_of_their_invite(invite: Request, method: str) -> None:
    made = hop_by_hop(invite, method, "<sip:bob@x.invalid>;tag=t")
    assert transaction_key(made) == transaction_key(invite)
    assert (made.cseq.sequence, made.cseq.method, made.to.tag) == (7, method, "t")
    assert made.headers.get_all("Route") == invite.headers.get_all("Route")


def test_requests_of_the_switch_shift_the_cseq_of_later_ones(invite: Request) -> None:
    shift_cseq(invite, 0)
    assert str(invite.cseq.sequence) == "7"
    shift_cseq(invite, 2)
    assert (invite.cseq.sequence, invite.cseq.method) == (9, "INVITE")
