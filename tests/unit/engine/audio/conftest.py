"""A client's sound that is closed after the test, and leaves neither task nor thread."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest
from audio_harness import AudioHarness
from waiting import until


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., AudioHarness]]:
    made: list[AudioHarness] = []

    def make(sound: object, **options: object) -> AudioHarness:
        made.append(AudioHarness(sound, **options))
        return made[-1]

    yield make
    for harness in made:
        await harness.close()
    await asyncio.sleep(0)
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("plivo_nb")] == []
    names = ("device manager", "fake sound", "microphone", "speaker")
    await until(lambda: not [thread for thread in threading.enumerate() if thread.name.endswith(names)])
