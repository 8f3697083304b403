"""A lab with a certificate: everything is encrypted, at the address that was asked for."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from certificates import server_context
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidMessage

from plivo_nb import Lab, LabError

#: A loopback address that is not the default; only Linux has it without being asked.
OTHER = "127.0.0.2"


@pytest.mark.skipif(sys.platform != "linux", reason=f"only Linux has {OTHER}")
async def test_students_join_an_encrypted_lab_at_another_address(tmp_path: Path) -> None:
    _, authority = server_context(tmp_path, addresses=(OTHER,))
    async with Lab(
        ["ann", "bob"],
        random_passwords=True,
        host=OTHER,
        certificate=authority,
        key=tmp_path / "key.pem",
    ) as lab:
        folder = tmp_path / "class"
        folder.mkdir()
        lab.share(folder)
        content = json.loads((folder / "ann.json").read_text())
        assert content["caFile"] == authority.read_text()
        addresses = content["addresses"]
        urls = [*addresses["urls"], *(addresses[name] for name in ("url", "control", "stats", "insights"))]
        assert {url.partition("/")[0] for url in urls} == {"wss:", "https:"}
        assert {url.split("/")[2].partition(":")[0] for url in urls} == {OTHER}
        authority.unlink()  # students have nothing but their file
        async with await Lab.join(folder / "ann.json") as ann, await Lab.join(folder / "bob.json") as bob:
            one, two = ann.client(), bob.client()
            await one.login("ann", ann.password("ann"))
            await two.login("bob", bob.password("bob"))
            two.on("onIncomingCall", lambda *_: two.answer())
            call = await one.call("bob")
            invite = two.sip_trace.query("start.str.startswith('INVITE')")["text"].iloc[-1]
            assert re.findall(r"^Via: SIP/2.0/(\w+) ", invite, re.MULTILINE) == ["WSS", "WSS"]  # RFC 7118
            answer = one.sip_trace.query("start == '200 OK' and cseq.str.endswith('INVITE')")["text"].iloc[-1]
            assert re.search(rf"^Record-Route: <sip:{OTHER}:", answer, re.MULTILINE)
            assert re.findall(r"^a=candidate:.* (\S+) \d+ typ", answer, re.MULTILINE) == [OTHER]  # the relay
            await call.hangup()
            await one.close()
            await two.close()
        with pytest.raises((InvalidHandshake, InvalidMessage, OSError)):
            async with connect(lab.url.replace("wss:", "ws:"), subprotocols=["sip"]):  # type: ignore[list-item]
                pass


async def test_who_does_not_trust_the_authority_does_not_join(tmp_path: Path) -> None:
    _, authority = server_context(tmp_path)
    async with Lab(
        ["ann"], random_passwords=True, certificate=authority, key=tmp_path / "key.pem", robots=False
    ) as lab:
        path = tmp_path / "ann.json"
        lab.share(path, student="ann")
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"caFile": None}))
        with pytest.raises(LabError, match=r"cannot be reached.*certificate verify failed"):
            await Lab.join(path)


async def test_a_name_of_this_computer_is_called_as_it_is(tmp_path: Path) -> None:
    _, authority = server_context(tmp_path, "localhost")
    async with Lab(host="localhost", certificate=authority, key=tmp_path / "key.pem") as lab:
        assert lab.url.startswith("wss://localhost:")
        async with lab.client() as client:
            await client.login("alice", lab.password("alice"))
            call = await client.call("echo")  # the robots trust the certificate too
            await call.hangup()
