"""Several ringing calls at the phone, with real clients and a lab."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from waiting import until

from plivo_nb.lab import Lab
from plivo_nb.widgets import Phone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from plivo_nb.client import Client

CALLERS = ("bob", "carol", "dave", "erin")


@pytest.fixture
async def crowded() -> AsyncIterator[Lab]:
    async with Lab(["alice", *CALLERS], robots=True, seed=3) as lab:
        yield lab


@pytest.fixture
async def callers(crowded: Lab) -> AsyncIterator[dict[str, Client]]:
    async with contextlib.AsyncExitStack() as stack:
        clients = {}
        for name in CALLERS:
            clients[name] = await stack.enter_async_context(crowded.client())
            await clients[name].login(name, crowded.password(name))
        yield clients


def rows(phone: Phone) -> dict[str, Any]:
    return {row.peer: row for row in phone._incoming._rows.values()}


async def test_three_ringing_calls_are_answered_rejected_and_ignored_one_by_one(
    crowded: Lab, callers: dict[str, Client]
) -> None:
    async with crowded.client(allowMultipleIncomingCalls=True) as alice:
        await alice.login("alice", crowded.password("alice"))
        phone = Phone(alice)
        calling = {}
        for count, name in enumerate(("bob", "carol", "dave"), 1):
            calling[name] = callers[name].call("alice", {"X-PH-Room": name})
            await until(lambda count=count: phone.state == f"Incoming ({count})")
        assert list(rows(phone)) == ["bob", "carol", "dave"]
        assert "<dd>carol</dd>" in rows(phone)["carol"]._headers.value

        rows(phone)["carol"].reject.click()
        await until(lambda: phone.state == "Incoming (2)")
        rows(phone)["bob"].ignore.click()
        await until(lambda: phone.state == "Incoming (1)")
        rows(phone)["dave"].answer.click()
        await until(lambda: phone.state == "In call")
        await calling["dave"]
        assert callers["carol"].current_call is None
        assert callers["bob"].current_call is not None, "it still rings for the caller"
        assert phone.status == ""

        calling["erin"] = callers["erin"].call("alice")
        await until(lambda: "erin" in rows(phone))
        assert phone.state == "In call"
        assert rows(phone)["erin"].answer.description == "End current & answer"
        rows(phone)["erin"].answer.click()
        await calling["erin"]
        await until(lambda: callers["dave"].current_call is None)
        await until(lambda: phone.state == "In call")
        assert rows(phone) == {}
        await alice.hangup()
        for operation in calling.values():
            operation.cancel()
            await operation.settled()


async def test_with_one_call_at_a_time_the_second_caller_hears_busy(
    crowded: Lab, callers: dict[str, Client]
) -> None:
    async with crowded.client() as alice:
        await alice.login("alice", crowded.password("alice"))
        phone = Phone(alice)
        first = callers["bob"].call("alice")
        await until(lambda: phone.state == "Incoming (1)")
        second = callers["carol"].call("alice")
        await second.settled()
        assert list(rows(phone)) == ["bob"]
        rows(phone)["bob"].answer.click()
        await first
        await until(lambda: phone.state == "In call")
