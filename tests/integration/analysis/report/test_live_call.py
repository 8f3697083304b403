"""A report of a call in the lab, made during the call: complete, without secrets, and masked."""

import re
from pathlib import Path

import pytest
from waiting import until

from plivo_nb import Client, Lab

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_report_of_a_call_names_nobody(lab: Lab, alice: Client, tmp_path: Path) -> None:
    call = await alice.call("echo", {"X-PH-Customer": "Yourcenar"})
    await until(lambda: len(call.samples) >= 2, timeout_s=60.0)
    path = await call.report(tmp_path / "call.html", sound=True)
    text = path.read_text("utf-8")
    await call.hangup()
    for heading in (
        "Summary",
        "Quality over time",
        "Sound",
        "Set-up of the call",
        "SIP messages",
        "Options of",
    ):
        assert heading in text
    assert call.call_uuid is not None
    assert call.call_uuid in text
    shown = re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
    for word in ("alice", "echo", "Yourcenar", "127.0.0.1", "sip:", lab.password("alice")):
        assert not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", shown, re.IGNORECASE), word

    await call.report(tmp_path / "named.html", mask=False)
    named = (tmp_path / "named.html").read_text("utf-8")
    assert "SIP of the call with echo" in named
    assert lab.password("alice") not in named
