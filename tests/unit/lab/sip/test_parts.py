"""The lab's smaller parts: session descriptions, sounds, roles, settings, faults."""

from __future__ import annotations

import json
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.lab import Lab
from plivo_nb.lab.config import LabConfig, accounts_of
from plivo_nb.lab.faults import Faults
from plivo_nb.lab.robots.roles import _ROLES, NUMBERS, Refusal, Role, role_of
from plivo_nb.lab.robots.sounds import PAUSE_S, TONE_S, DtmfTones, MusicOnHold, Sine, dtmf_frequencies
from plivo_nb.lab.sip.page import PAGE
from plivo_nb.lab.sip.registrar import NONCE_LIFETIME_S, Registrar
from plivo_nb.lab.sip.sdp_edits import (
    best_candidate,
    has_telephone_event,
    next_version,
    with_direction,
    with_telephone_event,
    without_telephone_event,
)
from plivo_nb.media import sdp
from plivo_nb.sip.digest import Challenge, Credentials
from plivo_nb.sip.headers import Headers
from plivo_nb.sip.message import Request

OFFER = (
    "v=0\r\no=- 12 7 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 39895 UDP/TLS/RTP/SAVPF 111 0\r\n"
    "c=IN IP4 192.0.2.2\r\na=candidate:1 1 udp 2122194687 192.0.2.2 39895 typ host\r\n"
    "a=candidate:2 1 udp 2122265343 fd00::2 48729 typ host\r\n"
    "a=candidate:3 1 tcp 1518214911 192.0.2.2 9 typ host tcptype active\r\n"
    "a=ice-ufrag:X5Xq\r\na=ice-pwd:RZlMDcqtI29vv4E/7/13zwpC\r\na=setup:actpass\r\na=mid:0\r\na=sendrecv\r\n"
    "a=fingerprint:sha-256 70:7C\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\r\n"
)


# ---------------------------------------------------------------- session descriptions


def test_the_best_candidate_is_udp_ipv4_and_loopback_if_there_is_one() -> None:
    assert best_candidate(OFFER) == ("192.0.2.2", 39895)
    loopback = "a=candidate:9 1 udp 1 127.0.0.1 5000 typ host\r\n"
    assert best_candidate(OFFER + loopback) == ("127.0.0.1", 5000)
    hidden = "a=candidate:1 1 udp 2122194687 7f2c-11.local 39895 typ host\r\n"
    assert best_candidate(hidden) is None
    assert best_candidate("a=candidate:broken\r\n") is None


def test_hold_and_resume() -> None:
    held = with_direction(OFFER, "sendonly")
    assert "a=sendonly\r\n" in held
    assert "sendrecv" not in held
    assert with_direction(held, "sendrecv") == OFFER
    assert with_direction("v=0\r\n", "inactive") == "v=0\r\na=inactive\r\n"


def test_the_version_grows() -> None:
    assert "o=- 12 8 IN" in next_version(OFFER)
    assert next_version("v=0\r\n") == "v=0\r\n"


def test_telephone_event_comes_and_goes() -> None:
    offered = with_telephone_event(OFFER)
    assert "m=audio 39895 UDP/TLS/RTP/SAVPF 111 0 110 101\r\n" in offered
    assert has_telephone_event(offered)
    assert not has_telephone_event(OFFER)
    parsed = sdp.parse(offered)
    assert {event.clock_rate for event in parsed.telephone_events(parsed.audio(["OPUS", "PCMU"]))} == {
        48000,
        8000,
    }
    assert without_telephone_event(offered) == OFFER
    assert with_telephone_event(offered) == offered


def test_orphan_rtpmap_lines_are_no_telephone_event() -> None:
    """As Plivo's SDK leaves them when it has taken the payload type out of the m= line."""
    assert not has_telephone_event(OFFER + "a=rtpmap:126 telephone-event/8000\r\n")


@given(st.text(max_size=200), st.sampled_from(["sendonly", "sendrecv"]))
def test_any_text_can_be_edited(text: str, direction: str) -> None:
    best_candidate(text)
    edited = next_version(with_telephone_event(with_direction(text, direction)))
    assert isinstance(without_telephone_event(edited), str)


# ---------------------------------------------------------------- sounds


def heard(source: Sine | MusicOnHold | DtmfTones, seconds: float, rate: int = 8000) -> np.ndarray:
    source.open(rate)
    frames = [source.read(rate // 50) for _ in range(round(seconds * 50))]
    return np.concatenate([np.zeros(rate // 50, np.int16) if frame is None else frame for frame in frames])


def level(sound: np.ndarray, frequency_hz: float, rate: int = 8000) -> float:
    turn = np.exp(-2j * np.pi * frequency_hz * np.arange(len(sound)) / rate)
    return float(2 * abs(np.mean(sound.astype(float) * turn)) / 32768)


def test_a_sine_is_one_frequency_without_a_click_between_frames() -> None:
    sound = heard(Sine(1000), 1.0)
    assert level(sound, 1000) == pytest.approx(0.14, abs=0.002)
    assert level(sound, 1200) < 0.001
    assert np.max(np.abs(np.diff(sound.astype(int)))) < 0.14 * 32768 * 2 * np.pi * 1000 / 8000 * 1.01


def test_a_sine_goes_on_at_another_rate() -> None:
    source = Sine(1000)
    heard(source, 0.5)
    assert level(heard(source, 0.5, 48_000), 1000, 48_000) == pytest.approx(0.14, abs=0.003)


def test_music_on_hold_is_music_and_never_clips() -> None:
    sound = heard(MusicOnHold(), 8.0)
    assert 0.05 < np.max(np.abs(sound)) / 32768 < 0.5
    first, second = sound[:16_000], sound[16_000:32_000]
    assert level(first, 392.0) > 5 * level(second, 392.0)


@pytest.mark.parametrize("digit", list("0123456789*#"))
def test_dtmf_tones_are_those_of_q23_with_a_pause(digit: str) -> None:
    tones = DtmfTones()
    tones.add(digit)
    sound = heard(tones, TONE_S + PAUSE_S)
    on, off = sound[: round(TONE_S * 8000)], sound[round(TONE_S * 8000) :]
    low, high = dtmf_frequencies(digit)
    assert level(on, low) > 0.1
    assert level(on, high) > 0.1
    assert not off.any()
    assert tones.read(160) is None


# ---------------------------------------------------------------- roles


def test_every_number_has_a_role() -> None:
    assert all(role_of(number) is not None for number in NUMBERS)
    assert set(_ROLES) <= set(NUMBERS)
    assert list(Lab().robots["number"]) == list(NUMBERS)
    assert role_of("nobody") is None
    assert role_of("ring-") is None
    assert role_of("ring-9999") is None
    assert role_of("xecho") is None


def test_counted_numbers_count() -> None:
    ring, ends = role_of("ring-7"), role_of("hangs-up-after-12")
    assert isinstance(ring, Role)
    assert isinstance(ends, Role)
    assert (ring.answer_after_s, ring.hang_up_after_s) == (7, None)
    assert (ends.answer_after_s, ends.hang_up_after_s) == (0, 12)
    assert isinstance(role_of("reject"), Refusal)


# ---------------------------------------------------------------- settings and faults


def test_settings_cross_as_json() -> None:
    config = LabConfig(port=1, accounts={"x": "y"}, seed=3, scenario="vpn")
    assert LabConfig(**json.loads(json.dumps(config.to_dict()))) == config
    assert "y" not in repr(config)


def test_accounts_are_made_of_what_is_given() -> None:
    assert accounts_of(2) == {"alice": "alice-secret", "bob": "bob-secret"}
    assert accounts_of(["dora"]) == {"dora": "dora-secret"}
    assert accounts_of({"dora": "x"}) == {"dora": "x"}


def test_the_page_has_the_address() -> None:
    assert "ws://127.0.0.1:5066" in PAGE.format(url="ws://127.0.0.1:5066")


def test_faults_are_counted_and_cleared() -> None:
    faults = Faults()
    faults.refuse_registration(403, None, "alice", 1)
    assert faults.refusal_for("bob") is None
    refusal = faults.refusal_for("alice")
    assert refusal is not None
    assert refusal.status == 403
    assert faults.refusal_for("alice") is None
    faults.distrust = 1
    assert [faults.distrusts(), faults.distrusts()] == [True, False]
    faults.wrong_cseq = 1
    assert "CSeq: 1005 BYE" in faults.alter("SIP/2.0 200 OK\r\nCSeq: 5 BYE\r\n\r\n")
    assert faults.alter("SIP/2.0 200 OK\r\nCSeq: 5 BYE\r\n\r\n") == "SIP/2.0 200 OK\r\nCSeq: 5 BYE\r\n\r\n"
    faults.slow(3)
    faults.silent = True
    faults.clear()
    assert (faults.delay_s, faults.silent) == (0, False)
    for wrong in (-1, 1e9):
        with pytest.raises(ValueError, match="slow"):
            faults.slow(wrong)


# ---------------------------------------------------------------- the registrar


def register_request(**headers: str) -> Request:
    request = Request("REGISTER", "sip:phone.plivo.com", Headers())
    request.headers.add("To", "<sip:alice@phone.plivo.com>")
    request.headers.add("From", "<sip:alice@phone.plivo.com>;tag=1")
    for name, value in headers.items():
        request.headers.add(name, value)
    return request


def test_a_nonce_runs_out() -> None:
    registrar = Registrar({"alice": "secret"}, "phone.plivo.com", Random(1))
    challenge = Challenge.parse(registrar.challenges(0.0)[0])
    answer = Credentials("alice", "secret", Random(2)).authorize(challenge, "REGISTER", "sip:phone.plivo.com")
    request = register_request(Authorization=answer)
    assert registrar.check(request, "Authorization", NONCE_LIFETIME_S + 1)[0] == "stale"


def test_a_renewed_registration_takes_the_place_of_the_old_one() -> None:
    registrar = Registrar({"alice": "secret"}, "phone.plivo.com", Random(1))
    instance = ';+sip.instance="<urn:uuid:1>"'
    registrar.register("alice", register_request(Contact=f"<sip:a@1.invalid>{instance}"), 1, 0.0)
    registrar.register("alice", register_request(Contact=f"<sip:b@2.invalid>{instance}"), 2, 5.0)
    assert [(b.contact, b.socket) for b in registrar.bindings("alice", 6.0)] == [("sip:b@2.invalid", 2)]
    assert registrar.next_expiry() == 125.0
    assert registrar.dropped(1) == []
    assert len(registrar.dropped(2)) == 1


def test_contact_star_removes_all() -> None:
    registrar = Registrar({"alice": "secret"}, "phone.plivo.com", Random(1))
    registrar.register("alice", register_request(Contact="<sip:a@1.invalid>, <sip:b@2.invalid>"), 1, 0.0)
    assert len(registrar.bindings("alice", 1.0)) == 2
    with pytest.raises(ValueError, match="Expires"):
        registrar.register("alice", register_request(Contact="*"), 1, 1.0)
    registrar.register("alice", register_request(Contact="*", Expires="0"), 1, 1.0)
    assert registrar.bindings("alice", 1.0) == []


@pytest.mark.parametrize("expires", ["soon", "-1", "1.5", "１"])
def test_expires_is_a_number_of_seconds(expires: str) -> None:
    registrar = Registrar({"alice": "secret"}, "phone.plivo.com", Random(1))
    with pytest.raises(ValueError, match="Expires"):
        registrar.register("alice", register_request(Contact="<sip:a@1.invalid>", Expires=expires), 1, 0.0)
    assert registrar.bindings("alice", 0.0) == []
