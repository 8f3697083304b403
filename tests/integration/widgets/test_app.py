"""app() with the real lab; what only a browser displays is in tests/browser."""

from __future__ import annotations

import os

import pytest
from waiting import until

from plivo_nb.lab import Lab
from plivo_nb.widgets.app import app


async def test_app_starts_everything_and_closes_everything() -> None:
    softphone = await app()
    first = (softphone.lab.pid, softphone.dashboard.worker_pid)
    assert softphone.client.is_logged_in
    again = await app()  # the cell run again
    assert again is not softphone
    assert repr(softphone) == "<App of alice, closed>"
    assert first[0] is not None
    with pytest.raises(ProcessLookupError):
        os.kill(first[0], 0)
    await again.phone.call("echo")
    second = (again.lab.pid, again.dashboard.worker_pid)
    await again.close()
    await again.close()
    for pid in second:
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_app_shares_a_lab_and_fails_with_a_sentence(lab: Lab) -> None:
    bob, carol = await app("bob", lab=lab), await app("carol", lab=lab)
    calling = bob.phone.call("carol")
    await until(lambda: carol.client.incoming_calls)
    await carol.phone.answer()
    await calling
    await bob.close()
    await carol.close()
    assert lab.running
    with pytest.raises(Exception, match="no account 'dave'"):
        await app("dave", lab=lab)
