"""Endpoint: when a method may be called, and what it starts; two endpoints over a switch in memory."""

import asyncio
import contextlib
import gc
import logging
import warnings
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from call_world import ACCOUNTS, MemoryEngine, client_of
from waiting import until

from plivo_nb import CallFailed, Client, InvalidFeedback, InvalidState, LoginFailed
from plivo_nb.engine.endpoint import Endpoint, refusal


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[MemoryEngine]:
    running = MemoryEngine(seed=1)
    yield running
    await running.close()


@pytest_asyncio.fixture
async def phones(engine: MemoryEngine) -> AsyncIterator[tuple[Client, Client]]:
    async with contextlib.AsyncExitStack() as stack:
        yield (
            await stack.enter_async_context(await client_of(engine, "alice")),
            await stack.enter_async_context(await client_of(engine, "bob", allowMultipleIncomingCalls=True)),
        )


def endpoints(phones: tuple[Client, Client]) -> tuple[Endpoint, Endpoint]:
    return phones[0]._endpoint, phones[1]._endpoint


async def test_a_call_is_a_session_at_once_and_a_coroutine_that_waits_for_the_answer(phones) -> None:
    alice, bob = endpoints(phones)
    session, dialling = alice.call("  bob ", {"X-PH-Good": "1", "Bad": "2"})
    assert session.now_info().dest == "bob"
    assert session.now_info().extraHeaders == {"X-PH-Good": "1"}
    waiting = phones[0].loop.create_task(dialling())
    await until(lambda: bob.call_manager.ringing)
    theirs, answering = bob.answer(None)
    await answering()
    await waiting
    assert (session.phase, theirs.phase) == ("answered", "answered")
    assert alice.hangup() is session
    assert (await session.over).state == "ended"


async def test_the_region_is_a_header_of_the_invite(engine: MemoryEngine) -> None:
    async with await client_of(engine, "alice", clientRegion="europe") as client:
        with pytest.raises(CallFailed):
            await client.call("nobody")
        assert "X-ClientRegion: europe" in "".join(client.sip_trace["text"])


@pytest.mark.parametrize("number", [None, "", "  ", 5, ["bob"]])
async def test_what_is_no_number_is_refused_without_a_session(phones, number: object) -> None:
    alice, _ = endpoints(phones)
    with pytest.raises(InvalidState, match="number or SIP address"):
        alice.call(number, None)
    assert alice.call_manager.sessions == []


async def test_a_number_of_unusual_length_is_refused_without_a_session(phones) -> None:
    alice, _ = endpoints(phones)
    with pytest.raises(InvalidState, match="at most 512 can be dialled"):
        alice.call("4" * 60_000, None)
    assert alice.call_manager.sessions == []


@pytest.mark.parametrize("method", ["answer", "reject", "ignore"])
async def test_without_a_ringing_call_the_sentence_says_what_to_do(phones, method: str) -> None:
    with pytest.raises(InvalidState, match=f"^{method}: no call is ringing; "):
        getattr(endpoints(phones)[0], method)(None)


async def test_a_second_call_is_refused_while_one_is_dialled_or_ringing(phones) -> None:
    alice, bob = endpoints(phones)
    operation = phones[0].call("bob")
    with pytest.raises(InvalidState, match="hangup first"):
        alice.call("carol", None)  # in the same turn of the loop
    await until(lambda: bob.call_manager.ringing)
    with pytest.raises(InvalidState, match="answer, reject or ignore it first"):
        bob.call("carol", None)
    phones[0].hangup()
    with pytest.raises(CallFailed):
        await operation


async def test_hangup_of_a_call_that_only_rings_rejects_it_with_a_warning(
    phones, caplog: pytest.LogCaptureFixture
) -> None:
    _, bob = endpoints(phones)
    operation = phones[0].call("bob")
    await until(lambda: bob.call_manager.ringing)
    logging.getLogger("plivo_nb").setLevel(logging.WARNING)
    assert bob.hangup().now_info().state == "rejected"
    assert "use reject for that" in caplog.text
    with pytest.raises(CallFailed, match="Busy"):
        await operation
    with pytest.raises(InvalidState, match="there is no call"):
        bob.hangup()


@pytest.mark.parametrize("digits", ["", "12a", None, 5])
async def test_digits_need_an_answered_call_and_to_be_digits(phones, digits: object) -> None:
    alice, bob = endpoints(phones)
    with pytest.raises(InvalidState, match="no answered call"):
        alice.send_dtmf("1")
    operation = phones[0].call("bob")
    await until(lambda: bob.call_manager.ringing)
    await phones[1].answer()
    await operation
    with pytest.raises(InvalidState, match="nothing was sent"):
        alice.send_dtmf(digits)  # type: ignore[arg-type]


async def test_a_mute_without_a_call_holds_for_the_next_and_unmute_says_there_is_none(phones) -> None:
    alice, _ = endpoints(phones)
    assert alice.mute() is True
    assert alice.call_manager.muted
    assert alice.unmute() is False
    assert not alice.call_manager.muted


async def test_options_change_while_nobody_is_logged_in(phones) -> None:
    client, _ = phones
    with pytest.raises(InvalidState, match="logout first"):
        client.change_options(allowMultipleIncomingCalls=True)
    assert not client.options.allow_multiple_incoming_calls
    await client.logout()
    client.change_options(allowMultipleIncomingCalls=True, codecs=["PCMU"])
    assert client.options.allow_multiple_incoming_calls
    await client.login("alice", ACCOUNTS["alice"])
    manager = client._endpoint.call_manager
    assert (manager._allow_multiple, manager._config.codecs) == (True, ("PCMU",))


async def test_the_statistics_service_follows_the_server(engine: MemoryEngine) -> None:
    """It hears of calls over Plivo's servers only, unless it has an address of its own."""
    async with Client(engine=engine, sound="none", debug="OFF") as client:
        assert client._endpoint.tracking.service is not None
        client.change_options(registrationDomainSocket=["wss://phone.example.org"])
        assert client._endpoint.tracking.service is None
        client.change_options(registrationDomainSocket=["wss://client.plivo.com/signalling"])
        assert client._endpoint.tracking.service is not None


async def test_feedback_without_tracking_is_refused(phones) -> None:
    with pytest.raises(InvalidFeedback, match="enableTracking"):
        endpoints(phones)[0].feedback("x", 5, "no-audio")


async def test_credentials_must_be_filled_out_and_a_call_forbids_a_login(phones) -> None:
    alice, bob = endpoints(phones)
    for wrong in [("", ""), ("alice", ""), (None, None)]:
        with pytest.raises(LoginFailed) as failure:
            await alice.login(*wrong)  # type: ignore[arg-type]
        assert failure.value.cause == "Username and password must be filled out"
    operation = phones[0].call("bob")
    await until(lambda: bob.call_manager.ringing)
    with pytest.raises(LoginFailed) as failure:
        await alice.login("carol", "x")
    assert failure.value.cause == "Cannot login when there is an ongoing call"
    phones[0].hangup()
    with pytest.raises(CallFailed):
        await operation


def test_a_refusal_is_logged_and_says_the_same(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="plivo_nb"):
        assert str(refusal("call: login first.")) == "call: login first."
    assert caplog.messages == ["call: login first."]


async def test_a_cell_that_is_run_again_logs_the_former_client_of_the_user_out(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    first = await client_of(engine, "alice")
    logging.getLogger("plivo_nb").setLevel(logging.WARNING)
    second = await client_of(engine, "alice")
    logging.getLogger("plivo_nb").setLevel(logging.WARNING)
    assert (first.is_logged_in, second.is_logged_in) == (False, True)
    async with await client_of(engine, "bob") as bob:
        operation = bob.call("alice")
        await until(lambda: second.incoming_calls)
        assert first.incoming_calls == []
        await second.answer()
        third = await client_of(engine, "alice")
        assert (second.is_logged_in, third.is_logged_in) == (True, True), "it has a call"
        await (await operation).hangup()
    for client in (first, second, third):
        await client.close()


async def test_the_warning_about_a_former_client_says_what_to_do(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    first = await client_of(engine, "alice")
    second = Client(engine=engine, sound="none", enableTracking=False, keepAudio=0, debug="WARN")
    await second.login("alice", "alice-secret")
    assert "alice was still logged in by another Client of this kernel" in caplog.text
    assert "await client.close()" in caplog.text
    await first.close()
    await second.close()


async def test_a_call_cancelled_before_its_first_step_leaves_no_coroutine(engine: MemoryEngine) -> None:
    async with await client_of(engine, "alice") as client:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            calling = client.call("bob")
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling
            gc.collect()
        assert [str(warning.message) for warning in caught] == []
