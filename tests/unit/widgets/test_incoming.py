"""The list of ringing calls."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plivo_nb.widgets.incoming import IncomingCalls


@pytest.fixture
async def incoming(client, loop_tasks):
    incoming = IncomingCalls(client, loop_tasks)
    incoming.refresh()
    yield incoming
    incoming.close()


def rows(incoming: IncomingCalls) -> list[Any]:
    return list(incoming._rows.values())


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_each_ringing_call_has_buttons_of_its_own(incoming, client, stand_in_call) -> None:
    assert "No incoming call" in incoming._title.value
    for name in ("bob", "<carol>", "dave"):
        client.rings(stand_in_call(name, "INCOMING", f"uuid-{name}"))
    incoming.refresh()
    assert "Incoming calls (3)" in incoming._title.value
    by_peer = {row._peer: row for row in rows(incoming)}
    assert "<carol>" not in by_peer["<carol>"]._caller.value
    by_peer["bob"].answer.click()
    by_peer["<carol>"].reject.click()
    by_peer["dave"].ignore.click()
    await turns()
    assert client.asked == [("answer", "uuid-bob"), ("reject", "uuid-<carol>"), ("ignore", "uuid-dave")]


async def test_a_click_on_a_call_that_ended_does_not_answer_another(
    incoming, client, stand_in_call, shown
) -> None:
    client.rings(stand_in_call("bob", "INCOMING", "uuid-bob"))
    client.rings(stand_in_call("carol", "INCOMING", "uuid-carol"))
    incoming.refresh()
    bob = incoming._rows["uuid-bob"]
    client.incoming_calls.pop(0)
    bob.answer.click()
    await turns()
    assert client.asked == []
    assert shown[-1] == "The call from bob is not ringing any more."
