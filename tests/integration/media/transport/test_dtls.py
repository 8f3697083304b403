"""DTLS: whose certificate is accepted."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from transport_peers import RTP, Peer, describe
from waiting import until

from plivo_nb.media import sdp


async def test_a_foreign_certificate_is_refused() -> None:
    caller, callee = Peer(), Peer()
    await caller.transport.gather(controlling=True)
    await callee.transport.gather(controlling=False)
    wrong = ":".join(["AA"] * 32)
    offer = replace(describe(caller), fingerprints=(("sha-256", wrong),))
    callee.transport.connect(offer, dtls_client=True)
    caller.transport.connect(describe(callee, "active"), dtls_client=False)
    await until(lambda: ("dtls", "failed") in callee.states)
    assert "fingerprint" in callee.details[callee.states.index(("dtls", "failed"))]
    assert callee.transport.send(RTP) is False
    await asyncio.gather(caller.transport.close(), callee.transport.close())


async def test_a_certificate_that_changes_is_refused(pair: tuple[Peer, Peer]) -> None:
    other = replace(describe(pair[1], "active"), fingerprints=(("sha-256", ":".join(["AA"] * 32)),))
    assert pair[0].transport.changed_by(other)
    with pytest.raises(sdp.IncompatibleSDP, match="certificate"):
        pair[0].transport.connect(other, dtls_client=False)


@pytest.mark.parametrize("order", [1, -1])
async def test_one_match_of_the_strongest_hash_is_enough(order: int) -> None:
    caller, callee = Peer(), Peer()
    await caller.transport.gather(controlling=True)
    await callee.transport.gather(controlling=False)
    other = ("sha-256", ":".join(["AA"] * 32))
    offer = replace(describe(caller), fingerprints=(other, caller.transport.fingerprint)[::order])
    callee.transport.connect(offer, dtls_client=True)
    caller.transport.connect(describe(callee, "active"), dtls_client=False)
    await until(lambda: callee.transport.connected and caller.transport.connected)
    await asyncio.gather(caller.transport.close(), callee.transport.close())


async def test_a_match_of_a_weaker_hash_is_not_enough() -> None:
    caller, callee = Peer(), Peer()
    await caller.transport.gather(controlling=True)
    await callee.transport.gather(controlling=False)
    stronger = ("sha-512", ":".join(["AA"] * 64))
    offer = replace(describe(caller), fingerprints=(caller.transport.fingerprint, stronger))
    callee.transport.connect(offer, dtls_client=True)
    caller.transport.connect(describe(callee, "active"), dtls_client=False)
    await until(lambda: ("dtls", "failed") in callee.states)
    await asyncio.gather(caller.transport.close(), callee.transport.close())
