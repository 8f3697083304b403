"""A server and a sound card for users' own tests.

    async with FakeServer() as server:
        async with server.client() as client:
            await client.login("alice", server.password("alice"))
            call = await client.call("echo")

`FakeServer` (server.py) runs the lab's switch and robots in this process; it starts in milliseconds.
`FakeSound` (sound.py) is a sound card without hardware; devices can be connected and removed.
"""

from plivo_nb.testing.server import FakeServer
from plivo_nb.testing.sound import FakeSound

__all__ = ["FakeServer", "FakeSound"]
