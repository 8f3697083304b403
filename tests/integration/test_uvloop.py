"""A user's script on uvloop: the I/O plane has an event loop of its own, of asyncio's kind."""

import subprocess
import sys

SCRIPT = """
import asyncio, uvloop
uvloop.install()
import plivo_nb

async def main():
    assert type(asyncio.get_running_loop()).__module__ == "uvloop"
    async with plivo_nb.Lab() as lab:
        alice = lab.client(sound="none")
        await alice.login("alice", lab.password("alice"))
        call = await alice.call("echo")
        deadline = asyncio.get_running_loop().time() + 10
        while (await call.stats()).get("inbound-rtp", {}).get("packetsReceived", 0) < 25:
            assert asyncio.get_running_loop().time() < deadline, "no packets"
            await asyncio.sleep(0.05)
        await alice.close()
    print("heard")

asyncio.run(main())
"""


def test_a_call_works_where_the_users_loop_is_uvloop() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SCRIPT],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "heard\n", done.stderr
