"""Calls a minute through the SIP core on one core, without I/O.

    cd tests && python -m bench.sip_calls [calls]

A call is all that both phones do: INVITE, 407, INVITE, 100, 180, 200, ACK, an INFO and its 200, BYE and its
200. The proxy between them is not counted.
"""

from __future__ import annotations

import json
import sys
import time

from simulation.sip_world import ANSWER, OFFER, World

from plivo_nb.sip.message import parse


def calls(world: World, count: int) -> tuple[int, float]:
    """Make so many calls; the messages of both phones, and the CPU seconds spent in the two agents alone."""
    spent = 0.0
    alice, bob = world.agents["alice"], world.agents["bob"]
    pumps = {"alice": alice, "bob": bob}
    messages = 0

    def flow() -> None:
        nonlocal spent, messages
        while True:
            started = time.process_time()
            out = [(name, text) for name, agent in pumps.items() for text in agent.outgoing()]
            spent += time.process_time() - started
            if not out:
                return
            messages += len(out)
            delivered = [pair for name, text in out for pair in world.proxy.handle(name, text)]
            messages += len(delivered)
            started = time.process_time()
            for name, text in delivered:
                pumps[name].receive(text, world.now)
            spent += time.process_time() - started

    def user(action: object, *arguments: object) -> object:
        nonlocal spent
        started = time.process_time()
        result = action(*arguments)  # type: ignore[operator]
        spent += time.process_time() - started
        flow()
        return result

    for _ in range(count):
        key = user(alice.invite, "bob", OFFER, [("X-PH-Test", "1")], world.now)
        incoming = next(event.call for event in bob.events() if type(event).__name__ == "InviteReceived")
        user(bob.ring, incoming, world.now)
        user(bob.accept, incoming, ANSWER, world.now)
        user(alice.info, key, "application/dtmf-relay", b"Signal=1\r\nDuration=100", world.now)
        user(alice.hangup, key, world.now)
        names = [type(event).__name__ for event in (*alice.events(), *bob.events())]
        assert names.count("Answered") == names.count("Confirmed") == 1
        assert names.count("Ended") == 2
        world.now += 0.5
        started = time.process_time()
        alice.advance(world.now)
        bob.advance(world.now)
        spent += time.process_time() - started
        world.proxy.seen.clear()
    return messages, spent


def main() -> None:
    """Print one JSON line."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    world = World("alice", "bob", keepalive_s=1e9, expires_s=10**9)
    calls(world, 50)
    messages, spent = calls(world, count)
    text = next(r.text for r in world.records["bob"] if r.start == "INVITE")
    started = time.process_time()
    for _ in range(1000):
        parse(text)
    parse_us = (time.process_time() - started) * 1000
    result = {
        "calls": count,
        "calls_per_minute_both_phones": round(60 * count / spent),
        "messages_per_call": round(messages / count, 1),
        "us_per_message": round(1e6 * spent / messages, 1),
        "us_per_parse_of_an_invite": round(parse_us, 1),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
