"""A class on one lab: thirty students in six kernels, what they may do, and what the teacher sees."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import AsyncKernelManager
from waiting import until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from plivo_nb import CallFailed, Lab, LabError, LoginFailed

STUDENTS, KERNELS, IN_CALLS = 30, 6, 20
_CELL_S = 60

JOIN = """
import asyncio, json, logging, plivo_nb
logging.getLogger("plivo_nb").setLevel(logging.ERROR)
labs, clients = [], []
for path in {paths!r}:
    lab = await plivo_nb.Lab.join(path)
    client = lab.client()
    await client.login(lab.user, lab.password(lab.user))
    client.on("onIncomingCall", lambda *_, client=client: client.answer())
    labs.append(lab)
    clients.append(client)
[lab.user for lab in labs]
"""
CALL = """
async def talk(client, to):
    call = await client.call(to)
    call.play(plivo_nb.speech_path(), loop=True)
    return call
made = await asyncio.gather(*(talk(clients[at], to) for at, to in {calls!r}))
[call.info.state for call in made]
"""
MEASURE = """
def figures(client):
    samples = client.samples
    worst = float(samples["mos"].quantile(0.05)), float(samples["loss_in"].max())
    return [client.username, len(samples), *worst]
json.dumps([figures(client) for client in clients if len(client.samples)])
"""
END = """
for client in clients:
    await client.close()
for lab in labs:
    await lab.close()
"""


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[tuple[Lab, Path]]:
    """A lab of three students, and the folder with their files."""
    async with Lab(["ann", "bob", "carl"], random_passwords=True) as lab:
        lab.share(tmp_path)
        yield lab, tmp_path


class Kernel:
    """A kernel in which cells are run."""

    def __init__(self) -> None:
        self._manager = AsyncKernelManager(kernel_name="python3")
        self._client: Any = None

    async def start(self) -> None:
        await self._manager.start_kernel()
        self._client = self._manager.client()
        self._client.start_channels()
        await self._client.wait_for_ready(timeout=_CELL_S)

    async def run(self, cell: str) -> str:
        """Run a cell; gives its result as text."""
        results: list[str] = []

        def output(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "execute_result":
                results.append(content["data"]["text/plain"])
            elif message["msg_type"] == "error":
                results.append("\n".join(content["traceback"]))

        reply = await self._client.execute_interactive(cell, timeout=_CELL_S, output_hook=output)
        assert reply["content"]["status"] == "ok", results
        return "".join(results)

    async def stop(self) -> None:
        self._client.stop_channels()
        await self._manager.shutdown_kernel(now=False)


@pytest.mark.alone
async def test_thirty_students_in_six_kernels_call_each_other_and_robots(tmp_path: Path) -> None:
    async with Lab([f"s{number:02d}" for number in range(STUDENTS)], random_passwords=True) as lab:
        lab.share(tmp_path)
        kernels = [Kernel() for _ in range(KERNELS)]
        try:
            await asyncio.gather(*(kernel.start() for kernel in kernels))
            users = list(lab.accounts)
            per_kernel = STUDENTS // KERNELS
            own = [users[at * per_kernel : (at + 1) * per_kernel] for at in range(KERNELS)]
            paths = [[str(tmp_path / f"{user}.json") for user in group] for group in own]
            await asyncio.gather(
                *(kernel.run(JOIN.format(paths=one)) for kernel, one in zip(kernels, paths, strict=True))
            )
            assert len((await lab.status())["registrations"]) == STUDENTS
            # the first two kernels call the next two, student by student: twenty of thirty are in calls
            calls = [[(at, other[at]) for at in range(per_kernel)] for other in own[2:4]]
            states = await asyncio.gather(
                *(kernel.run(CALL.format(calls=one)) for kernel, one in zip(kernels, calls, strict=False))
            )
            assert states == [str(["answered"] * per_kernel)] * 2
            await asyncio.sleep(8)
            assert len((await lab.status())["calls"]) == IN_CALLS // 2
            found = [
                row for kernel in kernels[:4] for row in json.loads((await kernel.run(MEASURE)).strip("'"))
            ]
            assert len(found) == IN_CALLS
            for user, samples, mos_p5, loss in found:
                assert samples >= 5, user
                assert mos_p5 > 3.9, (user, mos_p5, loss)
            await until(lambda: lab.collected["user"].nunique() == IN_CALLS, 15)
            await asyncio.gather(*(kernel.run(END) for kernel in kernels))
            assert (await lab.status())["registrations"] == []
        finally:
            await asyncio.gather(*(kernel.stop() for kernel in kernels), return_exceptions=True)


async def test_a_student_joins_calls_a_robot_and_another_student(shared: tuple[Lab, Path]) -> None:
    lab, folder = shared
    ann, bob = await Lab.join(folder / "ann.json"), await Lab.join(folder / "teacher.json", "bob")
    assert (ann.user, bob.user, list(ann.accounts)) == ("ann", "bob", ["ann"])
    one, two = ann.client(), bob.client()
    await one.login("ann", ann.password("ann"))
    await two.login("bob", bob.password("bob"))
    two.on("onIncomingCall", lambda *_: two.answer())
    call = await one.call("echo")
    assert [row["callee"] for row in (await ann.status())["calls"]] == ["echo"]
    assert (await bob.status())["calls"] == []
    assert (await bob.network.counters())["calls"] == []
    await call.hangup()
    call = await one.call("bob")
    assert [row["caller"] for row in (await bob.status())["calls"]] == ["ann"]
    await call.hangup()
    await one.close()
    await two.close()
    await ann.close()
    assert lab.running  # a student who leaves does not end it
    assert not ann.running
    await bob.close()


async def test_what_only_the_teacher_may_do_is_refused_to_a_student(shared: tuple[Lab, Path]) -> None:
    lab, folder = shared
    ann = await Lab.join(folder / "ann.json")
    for asked in (
        ann.network.set(loss=0.5),
        ann.network.set(user="bob", loss=0.5),
        ann.network.clear(),
        ann.network.play("commute"),
        ann.faults.drop_socket("bob"),
        ann.faults.restart(),
        ann.call("bob"),
    ):
        with pytest.raises(LabError, match="teacher"):
            await asked
    with pytest.raises(LabError, match="teacher"):
        await ann.network.log()
    with pytest.raises(LabError, match="you joined as ann"):
        ann.share(folder / "mine.json")
    with pytest.raises(LabError, match="no other password"):
        ann.password("bob")
    assert (await lab.network.settings())["to_caller"]["loss"] == 0.0
    client = ann.client()
    for guess in ("bob-secret", ann.password("ann")):
        with pytest.raises(LoginFailed):
            await client.login("bob", guess)
    await client.close()
    await ann.close()


async def test_robots_that_call_a_student_count_over_all_commands(shared: tuple[Lab, Path]) -> None:
    lab, folder = shared
    ann = await Lab.join(folder / "ann.json")
    client = ann.client(allowMultipleIncomingCalls=True)
    await client.login("ann", ann.password("ann"))
    asked = await asyncio.gather(*(ann.call("ann", n=1) for _ in range(5)), return_exceptions=True)
    refused = [answer for answer in asked if isinstance(answer, LabError)]
    assert len(refused) == 2
    assert all("At most 3 robots" in str(error) for error in refused)
    with pytest.raises(LabError, match="At most 3 robots"):
        await ann.call("ann", n=1)
    for call in client.incoming_calls:
        client.reject(call.call_uuid)
    await until(lambda: not client.incoming_calls, 5)
    await ann.call("ann", n=1)
    assert (await lab.call("ann", n=4))[3]["state"] == "ringing"  # the teacher
    await client.close()
    await ann.close()


async def test_a_student_cannot_end_anothers_call(shared: tuple[Lab, Path]) -> None:
    lab, folder = shared
    ann, bob = await Lab.join(folder / "ann.json"), await Lab.join(folder / "bob.json")
    one, two = ann.client(), bob.client()
    await one.login("ann", ann.password("ann"))
    await two.login("bob", bob.password("bob"))
    call = await one.call("echo")
    invite = one.sip_trace.query("start.str.startswith('INVITE')")["text"].iloc[-1]
    answer = one.sip_trace.query("start == '200 OK' and cseq.str.endswith('INVITE')")["text"].iloc[-1]

    def header(text: str, name: str) -> str:
        return next(line for line in text.splitlines() if line.startswith(f"{name}:")).strip()

    target = header(answer, "Contact").split("<", 1)[1].split(">", 1)[0]
    route = header(answer, "Record-Route").replace("Record-Route", "Route")
    # even one who has got hold of all that names the dialog, over a WebSocket of their own
    bye = "\r\n".join([
        f"BYE {target} SIP/2.0", "Via: SIP/2.0/WS mallory.invalid;branch=z9hG4bKmallory",
        "Max-Forwards: 70", header(invite, "From"), header(answer, "To"), header(invite, "Call-ID"), route,
        "CSeq: 99999 BYE", "Content-Length: 0", "", "",
    ])  # fmt: skip
    async with connect(lab.url, subprotocols=["sip"]) as socket:  # type: ignore[list-item]
        await socket.send(bye)
        async with asyncio.timeout(5):
            refusal = await socket.recv()
    assert str(refusal).startswith("SIP/2.0 403 ")
    await asyncio.sleep(1)
    assert call.info.state == "answered"
    assert len((await lab.status())["calls"]) == 1
    await one.close()
    await two.close()
    await ann.close()
    await bob.close()


async def test_the_teacher_changes_the_network_of_one_student(shared: tuple[Lab, Path]) -> None:
    lab, folder = shared
    ann, bob = await Lab.join(folder / "ann.json"), await Lab.join(folder / "bob.json")
    one, two = ann.client(), bob.client()
    await one.login("ann", ann.password("ann"))
    await two.login("bob", bob.password("bob"))
    before = await one.call("echo")
    await lab.network.set(user="ann", delay_ms=150)
    other = await two.call("echo")
    await lab.network.set(delay_ms=20)  # for all: those of ann win over it
    async with asyncio.timeout(15):
        while not (len(one.samples) > 4 and one.samples["rtt_ms"].iloc[-1] > 280):
            await asyncio.sleep(0.2)
    await asyncio.sleep(2)
    assert two.samples["rtt_ms"].iloc[-1] < 150
    await before.hangup()
    again = await one.call("echo")
    async with asyncio.timeout(15):
        while not again.samples["rtt_ms"].max() > 280:
            await asyncio.sleep(0.2)
    await lab.network.clear("ann")
    async with asyncio.timeout(15):
        while not again.samples["rtt_ms"].iloc[-1] < 150:
            await asyncio.sleep(0.2)
    assert set(lab.network.history["user"].dropna()) == {"ann"}
    await other.hangup()
    await one.close()
    await two.close()
    await ann.close()
    await bob.close()


async def test_a_lab_with_passwords_that_can_be_guessed_is_not_shared(tmp_path: Path) -> None:
    async with Lab(robots=False) as lab:
        with pytest.raises(LabError, match="can be guessed"):
            lab.share(tmp_path / "class.json")
    with pytest.raises(LabError, match="not running"):
        lab.share(tmp_path / "class.json")


async def test_who_joins_is_told_what_is_wrong_with_the_file(
    shared: tuple[Lab, Path], tmp_path: Path
) -> None:
    lab, folder = shared
    with pytest.raises(LabError, match="no student 'dora'"):
        await Lab.join(folder / "teacher.json", "dora")
    with pytest.raises(LabError, match="cannot be read"):
        await Lab.join(folder / "nothing.json")
    if os.name == "posix":
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.json")} == {0o600}
    async with connect(json.loads((folder / "ann.json").read_text())["addresses"]["control"]) as socket:
        await socket.send(json.dumps({"token": "x" * 32}))
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    await lab.close()
    with pytest.raises(LabError, match="cannot be reached"):
        await Lab.join(folder / "ann.json")


async def test_a_folder_that_is_named_as_one_is_made(shared: tuple[Lab, Path]) -> None:
    lab, folder = shared
    lab.share(f"{folder}/class/")
    assert sorted(path.name for path in (folder / "class").iterdir()) == [
        "ann.json", "bob.json", "carl.json", "teacher.json"
    ]  # fmt: skip
    if os.name == "posix":
        assert stat.S_IMODE((folder / "class").stat().st_mode) == 0o700


async def test_a_second_teacher_has_all_rights(shared: tuple[Lab, Path]) -> None:
    lab, folder = shared
    async with await Lab.join(folder / "teacher.json") as again:
        await again.network.set(loss=0.1)
        assert (await lab.network.settings())["to_callee"]["loss"] == 0.1
        assert again.password("carl") == lab.password("carl")
        client = again.client()
        await client.login("carl", again.password("carl"))
        with pytest.raises(CallFailed):
            await client.call("busy")
        await client.close()
