"""A lab on one host, a student on another: two network namespaces with a cable between them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import server_context

TEACHER, STUDENT = "10.203.57.1", "10.203.57.2"
JOINS = """
import asyncio, json, sys
import plivo_nb

async def main():
    async with await plivo_nb.Lab.join(sys.argv[1]) as lab:
        async with lab.client() as client:
            await client.login(lab.user, lab.password(lab.user))
            call = await client.call("echo")
            call.play(plivo_nb.speech_path(), loop=True)
            while len(call.samples) < 4:
                await asyncio.sleep(0.1)
            samples = call.samples.iloc[1:]
            answers = client.sip_trace.query("start == '200 OK' and cseq.str.endswith('INVITE')")
            answer = answers["text"].iloc[-1]
            await call.hangup()
            print(json.dumps({
                "url": lab.url.partition(":")[0],
                "relay": [line.split()[4] for line in answer.splitlines() if line.startswith("a=candidate:")],
                "loss": float(samples["loss_in"].max()),
                "mos": float(samples["mos"].min()),
                "level": float(samples["level_in_dbfs"].max()),
            }))

asyncio.run(main())
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def hosts() -> Iterator[tuple[str, str]]:
    """Two namespaces, each with a loopback and an address of its own; nothing else reaches them."""
    names = ("plivo-teacher", "plivo-student")
    if sys.platform != "linux" or shutil.which("ip") is None:
        pytest.skip("ip of iproute2 is missing")
    made: list[str] = []
    try:
        for name in names:
            ip("netns", "add", name)
            made.append(name)
        cable = ("plivo-a", "netns", names[0], "type", "veth", "peer", "name", "plivo-b", "netns", names[1])
        ip("link", "add", *cable)
        ends = ((names[0], "plivo-a", TEACHER), (names[1], "plivo-b", STUDENT))
        for name, end, address in ends:
            ip("-n", name, "addr", "add", f"{address}/24", "dev", end)
            ip("-n", name, "link", "set", end, "up")
            ip("-n", name, "link", "set", "lo", "up")
    except subprocess.CalledProcessError as error:
        for name in made:
            ip("netns", "del", name)
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
    yield names
    for name in names:
        ip("netns", "del", name)


def test_a_student_on_another_host_calls_over_tls(hosts: tuple[str, str], tmp_path: Path) -> None:
    teacher, student = hosts
    _, authority = server_context(tmp_path, addresses=(TEACHER,))
    folder = tmp_path / "class"
    main = "from plivo_nb.cli import main; main()"
    served = [sys.executable, "-c", main, "lab", "--accounts", "2", "--share", f"{folder}/"]
    served += ["--host", TEACHER, "--certificate", str(authority), "--key", str(tmp_path / "key.pem")]
    log = tmp_path / "lab.log"
    with log.open("w") as out:
        lab = subprocess.Popen(
            ["ip", "netns", "exec", teacher, *served], stdout=out, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + 30
        while not list(folder.glob("*.json")):
            assert lab.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        mine = tmp_path / "mine.json"
        shutil.copy(sorted(folder.glob("*.json"))[0], mine)
        script = tmp_path / "student.py"
        script.write_text(JOINS)
        joined = subprocess.run(
            ["ip", "netns", "exec", student, sys.executable, str(script), str(mine)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert joined.returncode == 0, joined.stderr
        found = json.loads(joined.stdout.splitlines()[-1])
    finally:
        lab.terminate()
        lab.wait(20)
    assert found["url"] == "wss"
    assert found["relay"] == [TEACHER]
    assert found["loss"] == 0.0
    assert found["mos"] > 4.2
    assert found["level"] > -40.0
