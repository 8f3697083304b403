"""sip.trace: a record of each message, in order, without anything that proves a password."""

from __future__ import annotations

import logging
import re

import pytest
from sip_world import World

from plivo_nb.sip.digest import Challenge, Credentials, make_challenge
from plivo_nb.sip.trace import MASK, MAX_TEXT, mask, record_of

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
        shown = [record.text for record in world.records[name]]
        shown += [repr(record) for record in world.records[name]]
        shown += [repr(agent), repr(agent.__dict__), caplog.text]
        shown += [repr(event) for event in world.events[name]]
        core = agent._core
        shown += [repr(core.credentials), str(core.credentials), repr(core), repr(core.layer)]
        for text in shown:
            assert not [secret for secret in secrets if secret in text]


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


def test_each_message_is_reported_once_with_what_it_is() -> None:
    world = World("alice")
    records = world.records["alice"]
    before = len(records)
    world.agents["alice"].options("bob", world.now)
    world.agents["alice"].receive("garbage", world.now)
    told = records[before:]
    assert [(record.direction, record.start) for record in told] == [("out", "OPTIONS"), ("in", "malformed")]
    assert told[0].cseq.endswith(" OPTIONS")
    assert told[0].call
    assert told[0].time_monotonic_s == world.now
    assert (told[1].call, told[1].cseq) == ("", "")


def test_the_records_of_a_call_are_its_messages_in_order() -> None:
    world = World("alice", "bob")
    key, _ = world.call()
    world.now += 1.5
    world.agents["bob"].hangup(key, world.now)
    world.run()
    records = [record for record in world.records["alice"] if record.call == key]
    first = records[0].time_monotonic_s
    starts = [record.start.partition(" ")[0] for record in records]
    assert starts == ["INVITE", "407", "ACK", "INVITE", "100", "200", "ACK", "BYE", "200"]
    assert [record.direction for record in records[-2:]] == ["in", "out"]
    assert records[-1].time_monotonic_s - first == 1.5


def test_a_long_text_is_cut_with_a_mark_and_its_secrets_stay_masked() -> None:
    text = (
        'INVITE sip:a@b SIP/2.0\r\nAuthorization: Digest nonce="secret-1", response="' + "secret-2" * 10_000
    )
    record = record_of("in", text, None, 0.0)
    assert len(record.text) < MAX_TEXT + 100
    assert record.text.endswith(f"[{len(text) - MAX_TEXT} more characters were not kept]")
    assert "secret" not in record.text


def test_tokens_of_other_schemes_are_masked_in_linear_time() -> None:
    assert mask("Authorization: Bearer abc") == "Authorization: Bearer ***"
    line = "Authorization: " + ":" * 60_000
    assert mask(line) == line
