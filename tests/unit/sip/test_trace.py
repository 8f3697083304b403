"""The trace: bounded, in order, drawn as a ladder, and without anything that proves a password."""

from __future__ import annotations

import logging
import re

import pytest
from sip_world import ANSWER, World

from plivo_nb.sip.digest import Challenge, Credentials, make_challenge
from plivo_nb.sip.trace import MASK, Trace, TraceRecord, mask

SECRETS = re.compile(r'(?:nonce|cnonce|response|nextnonce|opaque)="?([^",\s]+)', re.IGNORECASE)


def test_nothing_that_proves_the_password_shows_anywhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world = World("alice", "bob")
    key, _ = world.call()
    world.agents["alice"].hangup(key, world.now)
    world.run()
    secrets = {found for _, text in world.log for found in SECRETS.findall(text)}
    secrets |= {found for _, text in world.log for found in re.findall(r"a=ice-pwd:(\S+)", text)}
    assert len(secrets) >= 6  # nonces, cnonces and responses of the REGISTERs and the INVITE
    secrets |= set(world.proxy.passwords.values()) - {"c"}
    for name, agent in world.agents.items():
        shown = [record.text for record in agent.trace.records]
        shown += [repr(record) for record in agent.trace.records]
        shown += [agent.trace.ladder(), repr(agent.trace), repr(agent), repr(agent.__dict__), caplog.text]
        shown += [repr(event) for event in world.events[name]]
        core = agent._core
        shown += [repr(core.credentials), str(core.credentials), repr(core), repr(core.layer)]
        for text in shown:
            assert not [secret for secret in secrets if secret in text]


def test_events_of_refused_calls_show_no_nonce() -> None:
    world = World("alice")
    world.proxy.passwords["alice"] = "another"
    world.agents["alice"].invite("bob", b"v=0", [], world.now)
    world.run()
    (failed,) = [event for event in world.take("alice") if type(event).__name__ == "CallFailed"]
    assert failed.code == 407  # type: ignore[attr-defined]
    assert "nonce-" not in repr(failed)


def test_credentials_and_challenges_do_not_show_themselves() -> None:
    challenge = Challenge.parse(make_challenge("r", "n0nce", opaque="0paque"))
    shown = repr(challenge) + repr(Credentials("alice", "secret-pw", World().proxy))  # type: ignore[arg-type]
    assert "n0nce" not in shown
    assert "0paque" not in shown
    assert "secret-pw" not in shown


@pytest.mark.parametrize(
    "text",
    [
        'Authorization: Digest username="a", nonce="SECRET", response="SECRET", cnonce=SECRET, qop=auth',
        'proxy-authorization : digest response = "SECRET" , nonce="SECRET"',
        'Authorization: Digest username="a",\r\n response="SECRET",\r\n\tnonce="SECRET"',
        'WWW-Authenticate: Digest realm="r", nonce="SECRET", opaque="SECRET"',
        'Proxy-Authenticate: Digest nonce="SEC\\"RET, SECRET", realm="r"',
        'Authentication-Info: Digest nextnonce="SECRET", rspauth="SECRET"',
        'Authentication-Info: nextnonce="SECRET", rspauth="SECRET"',
        "Authorization: Basic SECRET",
        "Authorization: Bearer SECRET.SECRET",
        "AUTHORIZATION:Digest nonce=SECRET",
        'Authorization: Digest response="SECRET',
        "a=ice-pwd:SECRET",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:SECRET",
    ],
)
def test_masking(text: str) -> None:
    masked = mask(f"INVITE sip:a@b SIP/2.0\r\nVia: x\r\n{text}\r\nCall-ID: 1\r\n\r\n")
    assert "SECRET" not in masked
    assert MASK in masked
    assert masked.endswith("Call-ID: 1\r\n\r\n")


def test_other_headers_stay_as_they_are() -> None:
    text = (
        'INVITE sip:a@b SIP/2.0\r\nSubject: nonce="x", response=y; Authorization\r\nX-Auth: opaque=1\r\n\r\n'
    )
    assert mask(text) == text


def test_records_are_bounded_and_told() -> None:
    world = World("alice", trace_records=3)
    trace = world.agents["alice"].trace
    told: list[TraceRecord] = []
    trace.on_record = told.append
    world.agents["alice"].options("bob", world.now)
    world.agents["alice"].receive("garbage", world.now)
    assert len(trace) == len(trace.records) == 3
    assert trace.total == 6
    assert [(record.direction, record.start) for record in told] == [("out", "OPTIONS"), ("in", "malformed")]
    assert told[0].cseq.endswith(" OPTIONS")
    assert told[0].call


def test_ladder() -> None:
    world = World("alice", "bob")
    key, other = world.call()
    assert key == other
    world.now += 1.5
    world.agents["bob"].hangup(other, world.now)
    world.run()
    ladder = world.agents["alice"].trace.ladder(key, width=44, us="alice", them="phone.plivo.com")
    lines = ladder.splitlines()
    assert lines[0].split() == ["alice", "phone.plivo.com"]
    words = [re.sub(r"[-|<>]+", " ", line).split()[1] for line in lines[1:]]
    assert words == ["INVITE", "407", "ACK", "INVITE", "100", "200", "ACK", "BYE", "200"]
    assert {len(line) for line in lines} == {len(lines[0])}
    assert lines[-1].startswith("    1.500 |-")
    assert lines[-2].startswith("    1.500 |<-")
    assert ANSWER.decode() not in ladder
    assert len(Trace().ladder().splitlines()) == 1
