"""Registration: challenges of all kinds, refresh, failures, lost sockets, silence."""

from __future__ import annotations

import pytest
from sip_world import OFFER, World, names

from plivo_nb.sip import digest
from plivo_nb.sip.events import Registered, RegistrationFailed, ServerFailed, Unregistered
from plivo_nb.sip.message import Request, Response


def registers(world: World) -> list[Request]:
    return [m for m in world.sent("alice") if isinstance(m, Request) and m.method == "REGISTER"]


def fresh(**config: object) -> World:
    """A world whose alice has a transport, but is not registered."""
    return World("alice", register=False, **config)


def login(world: World, password: str = "alice-pw") -> list[object]:
    world.agents["alice"].register("alice", password, world.now)
    world.run()
    return world.take("alice")


def answer(world: World, request: Request, status: int, *headers: tuple[str, str]) -> None:
    response = Response.to_request(request, status, to_tag="t")
    for name, value in headers:
        response.headers.add(name, value)
    world.agents["alice"].receive(str(response), world.now)
    world.collect()


def test_register_refresh_unregister() -> None:
    world = fresh()
    assert login(world) == [Registered(120.0, False)]
    first, second = registers(world)
    assert first.uri == "sip:phone.plivo.com"
    assert second.call_id == first.call_id
    assert second.cseq.sequence == first.cseq.sequence + 1
    (contact,) = second.contacts
    assert contact.uri == world.agents["alice"].contact
    assert contact.uri.endswith(".invalid;transport=ws")
    assert contact.parameters["reg-id"] == "1"
    assert (contact.parameters["+sip.instance"] or "").startswith("<urn:uuid:")
    world.wait(89)
    assert world.take("alice") == []
    world.wait(20)
    assert world.take("alice") == [Registered(120.0, True)]
    world.agents["alice"].unregister(world.now)
    world.run()
    assert world.take("alice") == [Unregistered()]
    assert world.proxy.bindings["alice"] == []
    world.wait(300)
    assert world.take("alice") == []
    assert world.agents["alice"].next_deadline() is not None  # the keep-alive's, while the socket is open


def test_two_phones_do_not_refresh_at_the_same_moment() -> None:
    due = set()
    for seed in range(5):
        world = World("alice", seed=seed)
        world.wait(120)
        due.add(len(world.log))
        times = [record.time_monotonic_s for record in world.records["alice"] if record.start == "REGISTER"]
        assert 1090 <= times[2] <= 1108
        due.add(times[2])
    assert len(due) >= 5


@pytest.mark.parametrize(("expires_s", "latest_s"), [(2, 1.0), (5, 3.0), (10, 8.0)])
def test_short_registrations_are_refreshed_in_time_for_a_server_that_counts_whole_seconds(
    expires_s: int, latest_s: float
) -> None:
    for seed in range(10):
        world = World("alice", seed=seed, register=False)
        world.proxy.expires = expires_s
        login(world)
        world.wait(expires_s)
        _, granted, refresh = [
            record.time_monotonic_s for record in world.records["alice"] if record.start == "REGISTER"
        ][:3]
        assert refresh - granted <= latest_s + 0.1


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", None, "MD5-sess"])
@pytest.mark.parametrize("qop", ["auth", None, "auth,auth-int", "auth-int"])
def test_digest_schemes(algorithm: str | None, qop: str | None) -> None:
    world = fresh()
    world.proxy.algorithm, world.proxy.qop = algorithm, qop
    assert login(world) == [Registered(120.0, False)]


def test_wrong_password_is_told_after_one_more_try() -> None:
    world = fresh()
    (failed,) = login(world, "wrong")
    assert failed == RegistrationFailed(401, "Authentication Error", "Unauthorized")
    assert len(registers(world)) == 2
    world.wait(100)
    assert len(registers(world)) == 2
    assert login(world) == [Registered(120.0, False)]


def test_a_stale_nonce_is_tried_again() -> None:
    world = fresh()
    world.proxy.stale_once = True
    assert login(world) == [Registered(120.0, False)]
    assert len(registers(world)) == 3


def test_a_server_whose_nonces_are_always_stale_is_given_up() -> None:
    world = fresh()
    world.agents["alice"].register("alice", "alice-pw", world.now)
    for turn in range(20):
        world.collect()
        world.wire.clear()
        challenge = digest.make_challenge("r", f"n{turn}", stale=True)
        if world.take("alice"):
            break
        answer(world, registers(world)[-1], 401, ("WWW-Authenticate", challenge))
    assert len(registers(world)) < 10


@pytest.mark.parametrize(
    ("challenges", "chosen"),
    [
        (
            ['Digest realm="r", nonce="a", algorithm=SHA-256', 'Digest realm="r", nonce="b", algorithm=MD5'],
            ["a"],
        ),
        (
            ['Digest realm="r", nonce="a", algorithm=MD5', 'Digest realm="r", nonce="b", algorithm=SHA-256'],
            ["b"],
        ),
        (['Digest realm="r", nonce="a", algorithm=SHA-512', 'Digest realm="r", nonce="b"'], ["b"]),
        (["Basic realm=x", 'Digest realm="r", nonce="b", qop="auth"'], ["b"]),
        (['Digest realm="r", nonce="a"', 'Digest realm="other", nonce="b"'], ["a", "b"]),
        (['Digest realm="a, b", nonce="a", qop="auth,auth-int"'], ["a"]),
        (["Basic realm=x"], None),
        (['Digest realm="r", nonce="a", qop="token"'], None),
        (["Digest nonsense"], None),
        ([], None),
    ],
)
def test_several_challenges(challenges: list[str], chosen: list[str] | None) -> None:
    world = fresh()
    world.agents["alice"].register("alice", "alice-pw", world.now)
    world.collect()
    answer(world, registers(world)[0], 401, *(("WWW-Authenticate", value) for value in challenges))
    if chosen is None:
        assert names(world.take("alice")) == ["RegistrationFailed"]
        return
    values = registers(world)[1].headers.get_all("Authorization")
    assert [digest.parse_digest(value)["nonce"] for value in values] == chosen
    assert all(digest.verify(value, "REGISTER", "alice-pw") for value in values)


def test_a_proxy_and_a_registrar_may_both_ask() -> None:
    world = fresh()
    world.agents["alice"].register("alice", "alice-pw", world.now)
    world.collect()
    answer(world, registers(world)[0], 407, ("Proxy-Authenticate", digest.make_challenge("p", "n1")))
    answer(world, registers(world)[1], 401, ("WWW-Authenticate", digest.make_challenge("r", "n2")))
    last = registers(world)[2]
    proxy = digest.parse_digest(last.headers.get("Proxy-Authorization") or "")
    assert (proxy["nonce"], proxy["nc"]) == ("n1", "00000002")
    assert digest.parse_digest(last.headers.get("Authorization") or "")["nonce"] == "n2"


@pytest.mark.parametrize(
    ("status", "word"), [(403, "Rejected"), (404, "Not Found"), (302, "SIP Failure Code")]
)
def test_refusals(status: int, word: str) -> None:
    world = fresh()
    world.agents["alice"].register("alice", "alice-pw", world.now)
    world.collect()
    answer(world, registers(world)[0], status)
    (failed,) = world.take("alice")
    assert isinstance(failed, RegistrationFailed)
    assert (failed.code, failed.cause_text, failed.refused) == (status, word, True)
    assert not world.agents["alice"].registered
    assert not world.agents["alice"].wanted


@pytest.mark.parametrize("status", [408, 430, 480, 500, 503, 599])
def test_a_server_that_cannot_serve_us_is_left_and_we_still_want_to_be_registered(status: int) -> None:
    world = fresh()
    alice = world.agents["alice"]
    alice.register("alice", "alice-pw", world.now)
    world.collect()
    answer(world, registers(world)[0], status, ("Retry-After", "7 (soon)"))
    (failed,) = world.take("alice")
    assert isinstance(failed, ServerFailed)
    assert (failed.code, failed.retry_after_s) == (status, 7.0)
    assert (alice.registered, alice.wanted) == (False, True)
    alice.transport_up(world.now)
    world.wire.clear()
    world.collect()
    world.run()
    assert world.take("alice") == [Registered(120.0, False)]


def test_interval_too_brief() -> None:
    world = fresh()
    world.proxy.min_expires = 300
    assert login(world) == [Registered(300.0, False)]


def test_a_423_that_makes_no_sense_is_a_failure() -> None:
    for header in ([], [("Min-Expires", "10")], [("Min-Expires", "soon")]):
        world = fresh()
        world.agents["alice"].register("alice", "alice-pw", world.now)
        world.collect()
        answer(world, registers(world)[0], 423, *header)
        assert names(world.take("alice")) == ["RegistrationFailed"]


def test_our_own_contact_counts_among_several() -> None:
    world = fresh()
    world.proxy.expires = 60
    assert login(world) == [Registered(60.0, False)]
    world.wait(56)
    assert world.take("alice") == [Registered(60.0, True)]


def test_expires_without_contact() -> None:
    world = fresh()
    world.agents["alice"].register("alice", "alice-pw", world.now)
    world.collect()
    answer(world, registers(world)[0], 200, ("Expires", "90"))
    assert world.take("alice") == [Registered(90.0, False)]


def test_registering_again_with_the_same_account_refreshes() -> None:
    world = fresh()
    login(world)
    assert login(world) == [Registered(120.0, True)]


def test_register_before_the_socket_is_open() -> None:
    world = fresh()
    alice = world.agents["alice"]
    alice.transport_down(world.now)
    assert login(world) == []
    alice.transport_up(world.now)
    world.run()
    assert world.take("alice") == [Registered(120.0, False)]


def test_a_new_socket_registers_at_once_and_a_lost_answer_does_not_matter() -> None:
    world = World("alice")
    world.take("alice")
    alice = world.agents["alice"]
    alice.transport_down(world.now)
    world.wait(1)
    alice.transport_up(world.now)
    alice.transport_down(world.now)  # the REGISTER is lost with it
    alice.transport_up(world.now)
    world.run()
    assert world.take("alice") == [Registered(120.0, True)]


def test_a_kernel_blocked_for_150_seconds_is_registered_again_at_its_return() -> None:
    world = World("alice")
    world.take("alice")
    world.now += 150
    world.agents["alice"].advance(world.now)
    world.run()
    assert world.take("alice") == [Registered(120.0, True)]


def test_refreshes_refused_until_expiry_are_told_once_and_the_next_connection_registers() -> None:
    world = World("alice")
    world.take("alice")
    alice = world.agents["alice"]
    original = world.proxy._register
    world.proxy._register = lambda source, request: world.proxy._reply(source, request, 503)  # type: ignore[method-assign]
    world.wait(115)
    assert world.take("alice") == [ServerFailed(503, "Service Unavailable")]
    assert alice.registered, "the binding still holds"
    world.wait(10)
    (failed,) = world.take("alice")
    assert isinstance(failed, RegistrationFailed)
    assert (failed.code, failed.refused) == (503, False)
    assert (alice.registered, alice.wanted) == (False, True)
    alice.transport_up(world.now)
    world.run()
    assert names(world.take("alice")) == ["ServerFailed"], "it is told once"
    alice.transport_down(world.now)
    world.proxy._register = original  # type: ignore[method-assign]
    world.wait(300)
    alice.transport_up(world.now)
    world.run()
    assert world.take("alice") == [Registered(120.0, False)]


def test_without_a_connection_the_binding_runs_out_at_its_time() -> None:
    world = World("alice")
    world.take("alice")
    alice = world.agents["alice"]
    alice.transport_down(world.now)
    world.wait(119)
    assert alice.registered
    world.wait(1)
    assert not alice.registered
    assert names(world.take("alice")) == ["RegistrationFailed"]


def test_a_refused_refresh_is_tried_once_over_the_next_connection() -> None:
    world = World("alice")
    world.take("alice")
    alice = world.agents["alice"]
    world.proxy.passwords["alice"] = "changed"
    world.wait(110)
    assert names(world.take("alice")) == ["RegistrationFailed"]
    sent = len(registers(world))
    world.wait(300)
    assert len(registers(world)) == sent
    world.proxy.passwords["alice"] = "alice-pw"
    alice.transport_up(world.now)
    world.run()
    assert world.take("alice") == [Registered(120.0, False)]


def test_a_server_that_only_says_trying_is_left_after_four_seconds() -> None:
    world = fresh()
    alice = world.agents["alice"]
    world.proxy.mute = True
    login(world)
    answer(world, registers(world)[0], 100)
    world.wait(3.9)
    assert world.take("alice") == []
    world.wait(0.2)
    assert world.take("alice") == [ServerFailed(408, "the server does not answer", silent=True)]
    assert alice.wanted


@pytest.mark.parametrize("method", ["INVITE", "INFO", "BYE"])
@pytest.mark.parametrize("status", [408, 480, 500, 503])
def test_a_final_response_to_a_call_does_not_touch_the_connection(method: str, status: int) -> None:
    world = World("alice", "bob")
    alice = world.agents["alice"]
    if method == "INVITE":
        world.proxy.fixed["bob"] = status
        alice.invite("bob", OFFER, [], world.now)
        world.run()
    else:
        key, _ = world.call()
        alice.info(key, "text/plain", b"x", world.now) if method == "INFO" else alice.hangup(key, world.now)
        world.collect()
        world.wire.clear()
        answer(world, world.sent("alice")[-1], status)  # type: ignore[arg-type]
    world.wait(20)
    assert "ServerFailed" not in names(world.take("alice"))
    assert alice.registered


def test_a_second_connection_registers_while_the_call_stays_on_the_first() -> None:
    world = World("alice", "bob")
    key, _ = world.call()
    alice = world.agents["alice"]
    alice.candidate_up(world.now, secure=True)
    (register,) = alice.candidate_outgoing()
    assert register.startswith("REGISTER")
    assert "Via: SIP/2.0/WSS" in register
    alice.info(key, "text/plain", b"x", world.now)
    (info,) = alice.outgoing()
    assert info.startswith("INFO")
    for _ in range(2):
        for _, text in world.proxy.handle("alice", register):
            alice.receive(text, world.now)
        register = next(iter(alice.candidate_outgoing()), "")
        assert not register or "Via: SIP/2.0/WSS" in register, "also with credentials"
    assert Registered(120.0, True) in alice.events()
    alice.candidate_chosen(world.now, secure=True)
    world.run()
    world.take("alice")
    alice.hangup(key, world.now)
    world.run()
    assert names(world.take("bob")) == ["Ended"]
    world.wait(110)
    assert Registered(120.0, True) in world.take("alice"), "refreshed over the new connection"


def test_a_second_connection_that_fails_leaves_the_first_as_it_was() -> None:
    world = World("alice", "bob")
    key, _ = world.call()
    alice = world.agents["alice"]
    alice.candidate_up(world.now)
    assert len(alice.candidate_outgoing()) == 1
    world.wait(4.1)
    assert names(world.take("alice")) == ["ServerFailed"]
    alice.candidate_down(world.now)
    alice.candidate_down(world.now)
    assert alice.registered
    assert key in alice.live_calls
    alice.hangup(key, world.now)
    world.run()
    assert names(world.take("bob")) == ["Ended"]


@pytest.mark.parametrize("place", ["gateway.example:5099", "10.0.0.1"])
@pytest.mark.parametrize("other", [[], ["<sip:desk@other.invalid>;expires=900"]])
def test_our_contact_is_known_by_its_user_however_the_server_rewrites_its_host(
    place: str, other: list[str]
) -> None:
    world = fresh()
    alice = world.agents["alice"]
    alice.register("alice", "alice-pw", world.now)
    world.collect()
    user = alice.contact.partition(":")[2].partition("@")[0]
    contacts = [*other, f"<sip:{user}@{place};transport=ws>;expires=30"]
    answer(world, registers(world)[0], 200, *(("Contact", value) for value in contacts))
    assert world.take("alice") == [Registered(30.0, False)]
    sent = len(registers(world))
    world.wait(28)
    assert len(registers(world)) > sent


def test_the_only_contact_is_ours() -> None:
    world = fresh()
    alice = world.agents["alice"]
    alice.register("alice", "alice-pw", world.now)
    world.collect()
    answer(world, registers(world)[0], 200, ("Contact", "<sip:x@y.invalid>;expires=30"), ("Expires", "99"))
    assert world.take("alice") == [Registered(30.0, False)]


def test_unregister_when_nobody_answers_and_when_there_is_no_socket() -> None:
    world = World("alice")
    alice = world.agents["alice"]
    world.take("alice")
    world.proxy.mute = True
    alice.unregister(world.now)
    alice.unregister(world.now)
    world.wait(33)
    assert "Unregistered" in names(world.take("alice"))
    alice.unregister(world.now)
    assert world.take("alice") == [Unregistered()]
    world = World("alice")
    world.take("alice")
    world.agents["alice"].transport_down(world.now)
    world.agents["alice"].unregister(world.now)
    assert world.take("alice") == [Unregistered()]


def test_a_server_that_accepts_and_never_answers_is_found_out() -> None:
    world = fresh()
    world.proxy.mute = True
    login(world)
    world.wait(4.1)
    assert world.take("alice") == [ServerFailed(408, "the server does not answer", silent=True)]
    world.agents["alice"].transport_down(world.now)
    world.proxy.mute = False
    world.agents["alice"].transport_up(world.now)
    world.run()
    assert world.take("alice") == [Registered(120.0, False)]


def test_a_silent_server_is_asked_and_found_out() -> None:
    world = World("alice", expires_s=3600)
    world.proxy.expires = 3600
    world.take("alice")
    world.log.clear()
    world.wait(100)
    assert [type(m).__name__ + m.method for m in world.sent("alice") if isinstance(m, Request)] == [
        "RequestOPTIONS"
    ] * 3
    world.proxy.mute = True
    world.wait(35)
    assert names(world.take("alice")) == ["ServerFailed"]


def test_a_server_that_does_not_answer_a_call_is_asked_and_found_out_in_eight_seconds() -> None:
    world = World("alice")
    world.take("alice")
    world.proxy.mute = True
    world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.wait(7.9)
    assert world.take("alice") == []
    assert "OPTIONS" in [m.method for m in world.sent("alice") if isinstance(m, Request)]
    world.wait(0.2)
    assert names(world.take("alice")) == ["ServerFailed"]


def test_our_own_sleep_is_not_the_servers_silence() -> None:
    world = fresh()
    world.proxy.mute = True
    login(world)
    world.now += 20
    world.agents["alice"].advance(world.now)
    assert world.take("alice") == []
    world.wait(5)
    assert names(world.take("alice")) == ["ServerFailed"]


def test_a_refused_refresh_ends_the_registration() -> None:
    world = World("alice")
    world.take("alice")
    world.proxy.passwords["alice"] = "changed"
    world.wait(110)
    (failed,) = world.take("alice")
    assert isinstance(failed, RegistrationFailed)
    assert failed.code == 401
    assert not world.agents["alice"].registered


def test_service_route_is_used_for_calls() -> None:
    world = fresh()
    world.agents["alice"].register("alice", "alice-pw", world.now)
    world.collect()
    answer(world, registers(world)[0], 200, ("Service-Route", "<sip:edge.invalid;lr>"))
    world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.collect()
    assert world.sent("alice")[-1].headers.get("Route") == "<sip:edge.invalid;lr>"


def test_via_says_whether_the_socket_is_secure() -> None:
    world = fresh()
    alice = world.agents["alice"]
    for secure, transport in ((True, "WSS"), (None, "WSS"), (False, "WS")):
        alice.transport_down(world.now)
        alice.transport_up(world.now, secure=secure)
        alice.options("bob", world.now)
        world.collect()
        assert world.sent("alice")[-1].via.transport == transport


def test_an_unregister_overtakes_a_register_under_way() -> None:
    world = fresh()
    alice = world.agents["alice"]
    alice.register("alice", "alice-pw", world.now)
    alice.unregister(world.now)
    world.run()
    assert world.take("alice") == [Unregistered()]
    assert world.proxy.bindings.get("alice", []) == []
    assert [r.headers.get("Expires") for r in registers(world)] == ["120", "0", "0"]
