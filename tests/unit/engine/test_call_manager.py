"""The rules of several calls of one account, over a switch in memory."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from call_world import MemoryEngine, client_of
from waiting import until

from plivo_nb import CallFailed, Client
from plivo_nb.engine import call_manager


@pytest.fixture
async def engine() -> AsyncIterator[MemoryEngine]:
    engine = MemoryEngine(5)
    yield engine
    await engine.close()


@pytest.fixture
async def people(engine: MemoryEngine) -> AsyncIterator[dict[str, Client]]:
    """Alice and Bob take one call at a time, Carol several."""
    async with contextlib.AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(
                await client_of(engine, name, allowMultipleIncomingCalls=name == "carol")
            )
            for name in ("alice", "bob", "carol")
        }


async def test_who_takes_one_call_is_busy_for_the_second(people: dict[str, Client]) -> None:
    first = people["carol"].call("alice")
    await until(lambda: people["alice"].incoming_calls)
    with pytest.raises(CallFailed, match="Busy"):
        await people["bob"].call("alice")
    assert len(people["alice"].incoming_calls) == 1
    assert "busy" in people["alice"].log.to_string()
    await people["alice"].answer()
    await first


async def test_ringing_calls_are_chosen_by_id_else_the_last_one(people: dict[str, Client]) -> None:
    manager = people["carol"]._endpoint.call_manager
    operations = [people[name].call("carol") for name in ("alice", "bob")]
    await until(lambda: len(manager.ringing) == 2)
    first, last = manager.ringing
    assert manager.choose(first.uuid) is first
    assert manager.choose("unknown") is manager.choose(None) is last
    assert manager.active is None
    await people["carol"].answer(first.uuid)
    assert manager.active is first
    with pytest.raises(CallFailed, match="Busy"):  # the other one is rejected
        await operations[["alice", "bob"].index(last.peer)]
    await operations[["alice", "bob"].index(first.peer)]


async def test_an_answer_hangs_up_the_active_call(people: dict[str, Client]) -> None:
    manager = people["carol"]._endpoint.call_manager
    first = people["alice"].call("carol")
    await until(lambda: manager.ringing)
    await people["carol"].answer()
    await first
    second = people["bob"].call("carol")
    await until(lambda: manager.ringing)
    await people["carol"].answer()
    await second
    assert [session.peer for session in manager.sessions if session.active] == ["bob"]
    await until(lambda: people["alice"].current_call is None)


async def test_more_than_the_limit_are_refused(
    people: dict[str, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_manager, "MAX_RINGING", 1)
    waiting = people["alice"].call("carol")
    await until(lambda: people["carol"].incoming_calls)
    with pytest.raises(CallFailed, match="Busy"):
        await people["bob"].call("carol")
    people["alice"].hangup()
    with pytest.raises(CallFailed):
        await waiting


async def test_a_mute_ends_with_its_call(people: dict[str, Client]) -> None:
    manager = people["alice"]._endpoint.call_manager
    people["alice"].mute()
    operation = people["alice"].call("carol")
    assert operation.call is not None
    assert manager.sessions[0].media.muted
    await until(lambda: people["carol"].incoming_calls)
    await people["carol"].answer()
    await operation
    assert manager.last is manager.sessions[0]
    await people["alice"].hangup()
    await until(lambda: manager.sessions == [])
    assert not manager.muted


async def test_hanging_up_all_ends_each(people: dict[str, Client]) -> None:
    manager = people["carol"]._endpoint.call_manager
    operations = [people[name].call("carol") for name in ("alice", "bob")]
    await until(lambda: len(manager.ringing) == 2)
    assert len(manager.hang_up_all()) == 2
    for operation in operations:
        with pytest.raises(CallFailed):
            await operation
    assert manager.sessions == []
