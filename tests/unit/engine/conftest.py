"""Harnesses that are closed after the test, and leave no task."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from metrics_harness import MetricsHarness


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., MetricsHarness]]:
    made: list[MetricsHarness] = []

    def make(**options: object) -> MetricsHarness:
        made.append(MetricsHarness(**options))
        return made[-1]

    yield make
    for harness in made:
        await harness.close()
    await asyncio.sleep(0)
    left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("plivo_nb")]
    assert left == []
