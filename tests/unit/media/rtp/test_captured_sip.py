"""SIP in a capture: which addresses and profile its SDP gets, and when it is written."""

import pytest
from descriptions import PLIVO_OFFER

from plivo_nb.media.rtp.captured_sip import SipFrame, SipWriter, with_addresses

HERE, THERE, ELSEWHERE = ("192.0.2.10", 40_000), ("192.0.2.20", 50_000), ("192.0.2.30", 60_000)
HEAD = "INVITE sip:echo@phone.plivo.com SIP/2.0\r\nContent-Type: application/sdp\r\nContent-Length: 1\r\n\r\n"


def invite(ufrag: str = "one") -> str:
    return HEAD + PLIVO_OFFER.replace("a=ice-ufrag:X5Xq", f"a=ice-ufrag:{ufrag}")


def texts(messages: object) -> list[str]:
    return [message.data.decode() for message in messages]  # type: ignore[attr-defined]


def test_the_copy_describes_plain_rtp_at_the_address_in_use() -> None:
    text = with_addresses(invite(), "192.0.2.10", 40_000)
    head, _, body = text.partition("\r\n\r\n")
    assert "m=audio 40000 RTP/AVPF 111 0\r\n" in body
    assert "c=IN IP4 192.0.2.10\r\n" in body
    assert "SAVPF" not in body
    assert "a=rtpmap:111 opus/48000/2" in body
    assert f"Content-Length: {len(body)}" in head


@pytest.mark.parametrize("text", ["BYE sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n", "hello", ""])
def test_a_message_without_sdp_stays_as_it_is(text: str) -> None:
    assert with_addresses(text, "192.0.2.10", 40_000) == text


def test_an_address_of_ip_6_and_a_section_without_a_connection_line() -> None:
    body = "v=0\r\nm=audio 9 RTP/SAVP 0\r\na=mid:0\r\n"
    text = with_addresses(HEAD + body, "2001:db8::10", 4000)
    assert "m=audio 4000 RTP/AVPF 0\r\nc=IN IP6 2001:db8::10\r\n" in text


def test_messages_wait_for_the_pair_and_keep_their_order() -> None:
    writer = SipWriter()
    writer.add(SipFrame(1.0, True, invite()))
    writer.add(SipFrame(1.1, False, "SIP/2.0 100 Trying\r\n\r\n"))
    assert writer.ready(1.2) == []
    writer.use_pair(HERE, THERE, 2.0)
    first, second = writer.ready(2.0)
    assert (first.source, first.to) == (("192.0.2.10", 5060), ("192.0.2.20", 5060))
    assert (second.source, second.to) == (first.to, first.source)
    assert "c=IN IP4 192.0.2.10" in first.data.decode()
    assert first.comment == invite()
    assert second.comment == ""


def test_the_addresses_are_renewed_after_an_ice_restart() -> None:
    writer = SipWriter()
    writer.use_pair(HERE, THERE, 1.0)
    writer.add(SipFrame(0.5, True, invite()))
    writer.add(SipFrame(0.6, False, invite("theirs").replace("INVITE", "SIP/2.0 200 OK")))
    assert len(writer.ready(1.0)) == 2
    writer.add(SipFrame(5.0, True, invite("two")))
    writer.add(SipFrame(5.1, False, "SIP/2.0 200 OK\r\n\r\n"))
    assert writer.ready(5.2) == []
    writer.use_pair(HERE, ELSEWHERE, 5.5)
    restart, ok = writer.ready(5.5)
    assert restart.frame.at == 5.0
    assert ok.source == ("192.0.2.30", 5060)
    writer.add(SipFrame(6.0, True, invite("three")))  # this restart leads nowhere
    assert writer.ready(15.0) == []
    assert len(writer.ready(16.1)) == 1


def test_a_change_without_a_restart_is_written_at_once() -> None:
    writer = SipWriter()
    writer.use_pair(HERE, THERE, 1.0)
    for at in (0.5, 3.0, 4.0):
        writer.add(SipFrame(at, True, invite()))
        assert len(writer.ready(at)) == 1


def test_both_ends_on_one_machine_are_told_apart() -> None:
    for here, server in (("127.0.0.1", "192.0.2.1"), ("::1", "2001:db8::1")):
        writer = SipWriter()
        writer.use_pair((here, 1), (here, 2), 1.0)
        writer.add(SipFrame(1.0, False, "BYE sip:a@b SIP/2.0\r\n\r\n"))
        (message,) = writer.ready(1.0)
        assert (message.source, message.to) == ((server, 5060), (here, 5060))


def test_what_is_left_is_written_at_the_end_and_what_is_too_long_is_cut() -> None:
    writer = SipWriter()
    writer.add(SipFrame(1.0, True, "MESSAGE sip:a@b SIP/2.0\r\n\r\n" + "x" * 100_000))
    (message,) = writer.rest()
    assert len(message.data) <= 65_000
    assert message.data.endswith(b"[cut]")
    assert writer.rest() == []
