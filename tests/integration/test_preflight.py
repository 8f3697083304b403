"""check(): the whole of it, with a lab and a call, and with servers given."""

from __future__ import annotations

import asyncio
import socket

import pytest

import plivo_nb
from plivo_nb.lab import Lab

LOCAL = ["Python", "Packages", "Notebook", "Sound", "Event loop", "UDP"]


async def test_check_as_a_frame():
    found = await plivo_nb.check(stun=(), call_s=2)
    assert found["what"].tolist() == [*LOCAL, "Lab", "Server", "Call"]
    assert set(found["result"]) <= {"pass", "warn"}
    rows = found.set_index("what")
    assert rows.loc["Call", "result"] == "pass", rows.loc["Call"].tolist()
    assert "echo answered and was heard" in rows.loc["Call", "detail"]
    assert (found["remedy"].ne("") == found["result"].ne("pass")).all(), (
        "one remedy for each that is not good"
    )


@pytest.mark.asyncio(loop_scope="session")
async def test_a_server_with_an_account_and_a_number(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLIVO_PASSWORD", lab.password("bob"))
    found = await plivo_nb.check(lab.url, "bob", number="echo", stun=(), call_s=1)
    assert found["what"].tolist() == [*LOCAL, "Server", "Login", "Call"]
    assert found["result"].iloc[-3:].tolist() == ["pass"] * 3, found.iloc[-3:].to_dict("records")
    assert lab.password("bob") not in found.to_string()


@pytest.mark.asyncio(loop_scope="session")
async def test_without_an_account_the_connection_is_tested_and_a_wrong_password_is_a_row(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PLIVO_PASSWORD", raising=False)
    found = await plivo_nb.check(lab.url, stun=())
    assert found["what"].tolist()[-2:] == ["Server", "Login"]
    assert found["result"].tolist()[-2:] == ["pass", "pass"]
    refused = await plivo_nb.check(lab.url, "bob", "wrong", stun=())
    last = refused.iloc[-1]
    assert (last["what"], last["result"]) == ("Login", "fail")
    assert "console" in last["remedy"]
    assert "wrong" not in refused.to_string()


async def test_a_server_that_is_not_there_is_a_row_in_time():
    with socket.socket() as silent:  # accepts connections into its backlog, and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        began = asyncio.get_running_loop().time()
        found = await plivo_nb.check(f"ws://127.0.0.1:{silent.getsockname()[1]}", "bob", "x", stun=())
        assert asyncio.get_running_loop().time() - began < 25
    last = found.iloc[-1]
    assert (last["what"], last["result"]) == ("Server", "fail")
    assert "did not answer" in last["detail"]
    assert last["remedy"]
