"""One lab for all integration tests of a worker; a client for each test."""

import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from plivo_nb import Client, Lab


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def lab() -> AsyncIterator[Lab]:
    async with Lab(seed=7) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def clients(lab: Lab) -> AsyncIterator[Callable[..., Client]]:
    """Makes clients that are closed after the test."""
    async with contextlib.AsyncExitStack() as stack:

        def make(**options: object) -> Client:
            client = lab.client(**options)
            stack.push_async_callback(client.close)
            return client

        yield make


@pytest_asyncio.fixture(loop_scope="session")
async def alice(lab: Lab, clients: Callable[..., Client]) -> Client:
    client = clients()
    await client.login("alice", lab.password("alice"))
    return client


@pytest_asyncio.fixture(loop_scope="session")
async def bob(lab: Lab, clients: Callable[..., Client]) -> Client:
    client = clients()
    await client.login("bob", lab.password("bob"))
    return client


@pytest.fixture
def heard_events() -> Callable[[Client], list[tuple]]:
    """Collects the events of a client, in order, but onMediaPermission: it is of the client's beginning."""

    def collect(client: Client) -> list[tuple]:
        from plivo_nb.events import EVENT_NAMES

        seen: list[tuple] = []
        for name in EVENT_NAMES - {"onMediaPermission"}:
            client.on(name, lambda *arguments, name=name: seen.append((name, *arguments)))
        return seen

    return collect
