"""Names and options, as Plivo documents them, over the lab."""

import inspect
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from turn_server import turn_server
from waiting import stays, until

from plivo_nb import CallFailed, Client, InvalidFeedback, InvalidOption, Lab, LoginFailed, Plivo, Tone
from plivo_nb.options import Options

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("spec-2")]
ALIASES = {
    "call": "call",
    "send_dtmf": "sendDtmf",
    "set_ring_tone": "setRingTone",
    "set_ring_tone_back": "setRingToneBack",
    "set_connect_tone": "setConnectTone",
    "set_debug": "setDebug",
    "get_peer_connection": "getPeerConnection",
    "send_quality_feedback": "sendQualityFeedback",
    "get_call_uuid": "getCallUUID",
    "get_last_call_uuid": "getLastCallUUID",
    "webrtc": "webRTC",
    "is_logged_in": "isLoggedIn",
}


@pytest.fixture
def level() -> Iterator[logging.Logger]:
    logger = logging.getLogger("plivo_nb")
    before = logger.level
    yield logger
    logger.setLevel(before)


def offer_of(client: Client) -> str:
    """The SDP of the INVITE sent last."""
    trace = client.sip_trace
    invites = trace[(trace["direction"] == "out") & (trace["start"] == "INVITE")]
    return str(invites["text"].iloc[-1])


async def dialled(client: Client) -> str:
    """Dial, look at the INVITE, give up."""
    with pytest.raises(CallFailed):
        await client.call("nobody-at-all")
    return offer_of(client)


@pytest.mark.spec("1 entry", "1 keywords")
async def test_plivo_and_client_are_two_ways_to_the_same(lab: Lab) -> None:
    ours = Plivo({"permOnClick": True, "sound": "none"}).client
    theirs = Client(perm_on_click=True, sound="none")
    mixed = Client({"permOnClick": False, "sound": "none"}, permOnClick=True)
    assert isinstance(ours, Client)
    assert ours.options == theirs.options == mixed.options
    for client in (ours, theirs, mixed):
        await client.close()


@pytest.mark.spec("1 aliases")
async def test_every_name_has_plivos_spelling_on_the_next_line_of_the_class_body() -> None:
    source = inspect.getsource(Client)
    for name, alias in ALIASES.items():
        assert inspect.getattr_static(Client, name) is inspect.getattr_static(Client, alias)
        if alias != name:
            assert re.search(rf"\n\n    {alias} = {name}\n", source), alias
    for name in (
        "login",
        "logout",
        "answer",
        "hangup",
        "reject",
        "ignore",
        "mute",
        "unmute",
        "on",
        "version",
    ):
        assert hasattr(Client, name)


@pytest.mark.spec("2 debug")
async def test_all_logs_every_sip_message_and_no_secret(
    lab: Lab, clients, level: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    client = clients(debug="ALL")
    assert level.level < logging.DEBUG
    await client.login("alice", lab.password("alice"))
    text = caplog.text
    assert "REGISTER sip:phone.plivo.com" in text
    assert "SIP/2.0 200" in text
    assert 'response="***"' in text
    assert lab.password("alice") not in text


@pytest.mark.spec("2 debug")
@pytest.mark.parametrize(
    ("name", "number"),
    [("ERROR", logging.ERROR), ("WARN", logging.WARNING), ("INFO", logging.INFO), ("DEBUG", logging.DEBUG)],
)
async def test_debug_is_the_level_of_the_logger(
    clients, level: logging.Logger, name: str, number: int
) -> None:
    clients(debug=name)
    assert level.level == number
    clients(debug="OFF")
    assert not level.isEnabledFor(logging.CRITICAL)


@pytest.mark.spec("2 enableTracking", "2 statsUrl, insightsUrl")
async def test_tracking_is_told_to_the_service_or_not_at_all(lab: Lab, clients) -> None:
    for tracking in (True, False):
        client = clients(enableTracking=tracking)
        assert client.options.stats_url.startswith("http://127.0.0.1")
        before = len(lab.collected)
        await client.login("alice", lab.password("alice"))
        call = await client.call("echo")
        if tracking:
            await until(lambda before=before: len(lab.collected) > before)
            await client.send_quality_feedback(call.call_uuid, 4, "no-audio")
        else:
            await stays(lambda before=before: len(lab.collected) == before, for_s=0.3)
            with pytest.raises(InvalidFeedback, match="enableTracking"):
                await client.send_quality_feedback(call.call_uuid, 4, "no-audio")
        await call.hangup()
        if tracking:
            await until(lambda: "FEEDBACK" in str(lab.collected.to_dict()))
        await client.close()
        assert (len(lab.collected) > before) is tracking


@pytest.mark.spec("2 clientRegion")
async def test_the_region_goes_with_each_invite(lab: Lab, clients) -> None:
    for options, header in (({"clientRegion": "europe"}, "europe"), ({}, None)):
        client = clients(**options)
        await client.login("alice", lab.password("alice"))
        invite = await dialled(client)
        found = re.search(r"^X-ClientRegion: (\S+)\r?$", invite, re.MULTILINE)
        assert (found and found[1]) == header
        await client.close()


@pytest.mark.spec("2 registrationDomainSocket")
async def test_servers_are_tried_in_turn(lab: Lab, clients, unused_tcp_port: int) -> None:
    client = clients(registrationDomainSocket=[f"ws://127.0.0.1:{unused_tcp_port}", lab.url])
    await client.login("alice", lab.password("alice"))
    assert client.is_logged_in
    log = client.log
    assert list(log.loc[log["event"] == "connected", "text"]) == [lab.url]


@pytest.mark.spec("2 iceServers")
async def test_one_stun_server_is_used_and_the_rest_is_named(lab: Lab, clients, caplog) -> None:
    servers = [{"urls": ["stun:127.0.0.1:9"]}, {"urls": ["stun:127.0.0.1:19"]}]
    client = clients(iceServers=servers, iceGatheringTimeout=0.3)
    await client.login("alice", lab.password("alice"))
    await dialled(client)
    assert "stun:127.0.0.1:19 is ignored" in caplog.text


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A real TURN server, as an entry of iceServers."""
    with turn_server(tmp_path) as port:
        yield {"urls": f"turn:127.0.0.1:{port}", "username": "alice", "credential": "alice-secret"}


@pytest.mark.spec("2 iceTransportPolicy")
@pytest.mark.parametrize(("policy", "kind"), [("all", "host"), ("relay", "relay")])
async def test_a_call_can_be_kept_to_a_relay(lab: Lab, clients, relay, policy: str, kind: str) -> None:
    client = clients(iceServers=[relay], iceTransportPolicy=policy)
    await client.login("alice", lab.password("alice"))
    call = await client.call("echo")
    await until(lambda: "first_rtp_received" in call.timings, timeout_s=10)
    stats = await call.stats()
    assert stats["local-candidate"]["candidateType"] == kind
    offer = offer_of(client)
    kinds = set(re.findall(r"^a=candidate:.* typ (\w+)", offer, re.MULTILINE))
    assert kinds == ({"host", "relay"} if policy == "all" else {"relay"})
    if policy == "relay":
        assert "raddr 0.0.0.0 rport 0" in offer
    await call.hangup()


@pytest.mark.spec("2 iceTransportPolicy")
async def test_relays_only_without_a_relay_is_told(lab: Lab, clients, caplog) -> None:
    client = clients(iceServers=[{"urls": "stun:127.0.0.1:9"}], iceTransportPolicy="relay")
    await client.login("alice", lab.password("alice"))
    assert "a=candidate" not in await dialled(client)
    assert "'relay' needs a TURN server" in caplog.text


@pytest.mark.spec("2 iceGatheringTimeout")
async def test_a_dead_stun_server_holds_a_call_up_for_that_long_only(lab: Lab, clients) -> None:
    client = clients(iceServers=[{"urls": ["stun:192.0.2.1:3478"]}], iceGatheringTimeout=0.5)
    await client.login("alice", lab.password("alice"))
    call = await client.call("echo")
    times = call.timings
    assert 0.4 < times["invite_sent"] - times["dialled"] < 2.0
    assert "a=end-of-candidates" in offer_of(client)
    await call.hangup()


@pytest.mark.spec("2 loopbackCandidates")
@pytest.mark.parametrize("loopback", [True, False])
async def test_loopback_candidates_are_an_option(lab: Lab, clients, loopback: bool) -> None:
    client = clients(loopbackCandidates=loopback)
    await client.login("alice", lab.password("alice"))
    sdp = await dialled(client)
    hosts = re.findall(r"^a=candidate:.* (\S+) \d+ typ host", sdp, re.MULTILINE)
    assert any(host.startswith("127.") for host in hosts) is loopback


@pytest.mark.spec("2 jitterMinMs, jitterMaxMs", "2 sampleInterval", "2 codecs")
async def test_the_jitter_buffer_the_interval_and_the_codec_are_as_chosen(lab: Lab, clients) -> None:
    client = clients(jitterMinMs=120, jitterMaxMs=160, sampleInterval=0.2, codecs=["PCMU"])
    await client.login("alice", lab.password("alice"))
    call = await client.call("echo")
    call.play(Tone(440))
    await until(lambda: len(call.samples) >= 6)
    samples = call.samples
    await call.hangup()
    assert 0.15 < samples.index.to_series().diff().dt.total_seconds().median() < 0.3
    assert set(samples["codec"]) == {"PCMU"}
    assert 90 <= samples["playout_delay_ms"].iloc[-1] <= 220
    assert not re.search("opus", offer_of(client), re.IGNORECASE)


@pytest.mark.spec("2 maxAverageBitrate", "2 codecs")
async def test_bitrate_and_the_default_codecs_stand_in_the_offer(lab: Lab, clients) -> None:
    client = clients(maxAverageBitrate=24_000)
    await client.login("alice", lab.password("alice"))
    sdp = await dialled(client)
    assert "maxaveragebitrate=24000" in sdp
    assert re.findall(r"a=rtpmap:\d+ (\S+?)/", sdp) == ["opus", "PCMU"]


@pytest.mark.spec("2 strict", "2 unknown option")
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("volume", 11),
        ("debug", "LOUD"),
        ("permOnClick", "yes"),
        ("audioConstraints", {"loudness": 1}),
        ("enableTracking", None),
        ("dscp", 1),
        ("clientRegion", "moon"),
        ("registrationDomainSocket", ["http://x"]),
        ("registrationDomainSocket", []),
        ("iceServers", ["stun:x"]),
        ("iceTransportPolicy", "direct"),
        ("iceGatheringTimeout", -1),
        ("jitterMinMs", "20"),
        ("sampleInterval", 0),
        ("rules", "v3"),
        ("codecs", ["G729"]),
        ("maxAverageBitrate", 1.5),
        ("statsUrl", "nowhere"),
        ("sound", "loud"),
    ],
)
async def test_a_wrong_option_is_one_clear_warning_or_raises(
    clients, caplog, level: logging.Logger, option: str, value: object
) -> None:
    level.setLevel(logging.INFO)
    client = clients(**{option: value})
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert option in warnings[0]
    used = client.options.to_dict()
    if option in ("registrationDomainSocket", "statsUrl"):
        assert not used[option], "a refused address is not replaced by Plivo's"
    else:
        assert used.get(option) == Options().to_dict().get(option)
    with pytest.raises(InvalidOption, match=option):
        clients(**{option: value, "strict": True})


@pytest.mark.spec("3 login")
async def test_after_a_wrong_password_the_client_still_works(lab: Lab, clients) -> None:
    client = clients()
    with pytest.raises(LoginFailed):
        await client.login("alice", "wrong")
    await client.login("alice", lab.password("alice"))
    assert client.isLoggedIn
