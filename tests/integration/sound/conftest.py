"""A PulseAudio for all sound tests of a worker, and a client that uses it."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
from sound_server import SoundServer, sound_server

from plivo_nb import Client, Lab


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One sound server at a time is enough; and sound has gaps where the machine has other things to do."""
    for item in items:
        if "integration/sound" in str(item.path):
            item.add_marker(pytest.mark.xdist_group("sound"))
            item.add_marker(pytest.mark.alone)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoundServer]:
    with sound_server(tmp_path_factory.mktemp("sound") / "pulse") as running:
        yield running


@pytest.fixture(autouse=True)
def as_before(server: SoundServer) -> Iterator[None]:
    """A test that fails leaves no device, so that its second attempt begins as the first one."""
    yield
    server.unplug_all()


@pytest_asyncio.fixture(loop_scope="session")
async def talkers(lab: Lab, server: SoundServer) -> AsyncIterator[Callable[..., Client]]:
    """Makes clients with microphone and speaker, closed after the test."""
    async with contextlib.AsyncExitStack() as stack:

        def make(**options: object) -> Client:
            client = lab.client(**{"sound": "device", **options})
            stack.push_async_callback(client.close)
            return client

        yield make


@pytest_asyncio.fixture(loop_scope="session")
async def talker(lab: Lab, talkers: Callable[..., Client]) -> Client:
    client = talkers()
    await client.login("alice", lab.password("alice"))
    return client
