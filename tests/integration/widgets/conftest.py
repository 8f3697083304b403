"""A lab of their own for the tests of widgets, and a logged-in client."""

from __future__ import annotations

import pytest

from plivo_nb.lab import Lab


@pytest.fixture
async def lab():
    async with Lab(seed=3) as lab:
        yield lab


@pytest.fixture
async def alice(lab: Lab):
    async with lab.client() as client:
        await client.login("alice", lab.password("alice"))
        yield client
