"""For tests of your own: a server in this process, and a sound card made of numpy.

    async with FakeServer() as server:
        async with server.client() as client:
            await client.login("alice", server.password("alice"))
            call = await client.call("echo")

`FakeServer` (server.py) is the lab's switch without a process of its own: it starts in milliseconds.
`FakeSound` (sound.py) has a microphone, a speaker and plugs that are yours to pull.
"""

from plivo_nb.testing.server import FakeServer
from plivo_nb.testing.sound import FakeSound

__all__ = ["FakeServer", "FakeSound"]
