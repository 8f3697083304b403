"""Authentication and bindings: through the switch, and of the registrar alone."""

from __future__ import annotations

from random import Random

import pytest
from switch_rig import DOMAIN, SwitchRig

from plivo_nb.lab.sip.registrar import NONCE_LIFETIME_S, Registrar
from plivo_nb.sip.digest import Challenge, Credentials
from plivo_nb.sip.headers import Headers
from plivo_nb.sip.message import Request


def test_register_is_challenged_then_accepted() -> None:
    rig = SwitchRig()
    alice = rig.phone("alice")
    response = alice.register()
    assert response.contacts[0].uri == alice.contact
    assert response.contacts[0].parameters["expires"] == "120"
    assert rig.whats() == ["registered"]


def test_every_challenge_is_fresh_and_serves_once() -> None:
    rig = SwitchRig()
    alice = rig.phone("alice")
    request = alice.make("REGISTER", f"sip:{DOMAIN}", f"<sip:alice@{DOMAIN}>")
    alice.send(request)
    first = alice.response(401)
    again = alice.authorize(request, first)
    alice.send(again)
    assert alice.response().status == 200
    replay = again.copy()
    replay.pop_via()
    replay.push_via("SIP/2.0/WS alice.invalid;branch=z9hG4bKreplay")
    alice.send(replay)
    second = alice.response(401)
    challenges = [Challenge.parse(r.headers.get("WWW-Authenticate") or "") for r in (first, second)]
    assert challenges[0].nonce != challenges[1].nonce
    assert [challenge.stale for challenge in challenges] == [False, True]


@pytest.mark.parametrize(("name", "password"), [("alice", "wrong"), ("mallory", "mallory-secret")])
def test_a_wrong_password_or_user_gets_401_twice(name: str, password: str) -> None:
    rig = SwitchRig()
    assert rig.phone(name, password=password).register(status=401).status == 401
    assert rig.switch.snapshot(rig.now)["registrations"] == []


def test_somebody_elses_address_is_forbidden() -> None:
    rig = SwitchRig()
    mallory = rig.phone("alice")
    request = mallory.make("REGISTER", f"sip:{DOMAIN}", f"<sip:bob@{DOMAIN}>")
    mallory.send(request)
    mallory.send(mallory.authorize(request, mallory.response(401)))
    assert mallory.response().status == 403


def test_sha_256_is_offered_first_when_both_are() -> None:
    rig = SwitchRig()
    rig.switch.registrar.algorithms = ("SHA-256", "MD5")
    alice = rig.phone("alice")
    assert alice.register().status == 200


def test_expired_and_removed_registrations_are_gone() -> None:
    rig = SwitchRig()
    alice, bob = rig.phone("alice"), rig.phone("bob")
    alice.register(expires=30)
    bob.register()
    rig.wait(31)
    assert [entry["user"] for entry in rig.switch.snapshot(rig.now)["registrations"]] == ["bob"]
    bob.register(expires=0)
    assert rig.switch.snapshot(rig.now)["registrations"] == []
    assert rig.whats().count("unregistered") == 2


def test_a_lost_socket_takes_its_registration_along() -> None:
    rig = SwitchRig()
    alice, bob = rig.registered("alice", "bob")
    rig.switch.disconnected(bob.socket, rig.now)
    alice.invite("bob")
    assert alice.response().status == 480


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
