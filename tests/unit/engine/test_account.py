"""An account: registration, refusal and return, over a switch in memory."""

from collections.abc import AsyncIterator

import pytest
from call_world import ACCOUNTS, MemoryEngine, client_of
from waiting import until

from plivo_nb import Client, LoginFailed


@pytest.fixture
async def engine() -> AsyncIterator[MemoryEngine]:
    engine = MemoryEngine(3)
    yield engine
    await engine.close()


def new_client(engine: MemoryEngine) -> Client:
    return Client(engine=engine, sound="none", enableTracking=False, keepAudio=0, debug="OFF")


async def test_login_registers_and_logout_takes_it_back(engine: MemoryEngine) -> None:
    async with await client_of(engine, "alice") as client:
        assert (client.is_logged_in, client.is_connected, client.username) == (True, True, "alice")
        await client.logout()
        assert not client.is_logged_in
        contacts = [text for text in client.sip_trace["text"] if text.startswith("REGISTER")]
        assert "expires=0" in contacts[-1] or "Expires: 0" in contacts[-1]


async def test_a_wrong_password_is_a_failure_with_plivos_cause(engine: MemoryEngine) -> None:
    async with new_client(engine) as client:
        causes: list[str] = []
        client.on("onLoginFailed", causes.append)
        with pytest.raises(LoginFailed) as failed:
            await client.login("alice", "wrong")
        await until(lambda: causes)
        assert causes == [failed.value.cause]
        assert not client.is_logged_in
        assert ACCOUNTS["alice"] not in client.log.to_string()
        await client.login("alice", ACCOUNTS["alice"])
        assert client.is_logged_in, "the right one works afterwards"


async def test_no_password_is_in_the_trace_or_the_log(engine: MemoryEngine) -> None:
    async with await client_of(engine, "bob") as client:
        assert ACCOUNTS["bob"] not in client.sip_trace.to_string()
        assert ACCOUNTS["bob"] not in client.log.to_string()
