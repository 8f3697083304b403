"""Random interleavings of what users, networks, sockets and time can do to two user agents on one proxy.

Whatever happens: nothing is raised, every call ends in exactly one final event, and after the last timer no
call, dialog, transaction or timer is left.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sip_world import ANSWER, OFFER, World

from plivo_nb.sip.events import (
    Answered,
    CallFailed,
    Canceled,
    Confirmed,
    Ended,
    InviteReceived,
    NoAnswer,
    Rejected,
)
from plivo_nb.sip.message import Request
from plivo_nb.sip.user_agent import Census, UserAgent

FINAL = (CallFailed, Canceled, Ended, NoAnswer, Rejected)
NAMES = st.sampled_from(["alice", "bob"])
PICK = st.integers(0, 5)


class Phones(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World("alice", "bob")
        original = self.world.proxy._request
        self.session_expires = ""

        def with_timer(source: str, request: Request) -> list[tuple[str, str]]:
            if self.session_expires and request.method == "INVITE":
                request.headers.set("Session-Expires", self.session_expires)
            return original(source, request)

        self.world.proxy._request = with_timer  # type: ignore[method-assign]
        self.keys: dict[str, list[str]] = {"alice": [], "bob": []}
        self.finals: Counter[tuple[str, str]] = Counter()
        self.answered: set[tuple[str, str]] = set()
        self.incoming: set[tuple[str, str]] = set()
        self.last = ""
        self.look()

    def look(self) -> None:
        """Read the events, and hold them against the rules of the game."""
        for name in self.world.agents:
            for event in self.world.take(name):
                if isinstance(event, InviteReceived):
                    assert event.call not in self.keys[name]
                    self.keys[name].append(event.call)
                    self.incoming.add((name, event.call))
                call = getattr(event, "call", None)
                if call is None:
                    continue
                assert call in self.keys[name]
                assert self.finals[name, call] == 0, f"{event} after the end"
                if isinstance(event, Answered | Confirmed):
                    assert (name, call) not in self.answered
                    self.answered.add((name, call))
                if isinstance(event, Ended) and (name, call) not in self.incoming:
                    assert (name, call) in self.answered
                if isinstance(event, CallFailed):
                    assert (name, call) not in self.answered
                if isinstance(event, FINAL):
                    self.finals[name, call] += 1

    def pick(self, name: str, number: int) -> tuple[UserAgent, str]:
        """A live call, or now and then one that is over."""
        agent = self.world.agents[name]
        keys = [*agent.live_calls, *self.keys[name][-1:]] or ["none"]
        return agent, keys[number % len(keys)]

    def flow(self) -> None:
        """Deliver everything, without time."""
        self.world.run()
        self.look()

    # ---- users

    @rule(name=NAMES, who=st.sampled_from(["alice", "bob", "nobody", "busy", "moved"]))
    def invite(self, name: str, who: str) -> None:
        self.world.proxy.fixed["busy"] = 486
        self.world.proxy.redirects["moved"] = [
            "<sip:bob@phone.plivo.com>",
            "<sip:alice@phone.plivo.com>;q=0.2",
        ]
        self.keys[name].append(self.world.agents[name].invite(who, OFFER, [], self.world.now))

    @rule(name=NAMES, who=st.sampled_from(["alice", "bob"]), answered=st.booleans())
    def call(self, name: str, who: str, answered: bool) -> None:
        """A call as it should be, up to the ringing or the answer, if the state of things allows it."""
        self.invite(name, who)
        self.flow()
        for key in self.world.agents[who].live_calls:
            self.world.agents[who].ring(key, self.world.now)
            if answered:
                self.world.agents[who].accept(key, ANSWER, self.world.now)
        self.flow()

    @rule(first=PICK, second=PICK, both=st.booleans())
    def change(self, first: int, second: int, both: bool) -> None:
        """A re-INVITE, or two at the same moment."""
        for name, number in (("alice", first), ("bob", second))[: 1 + both]:
            agent, key = self.pick(name, number)
            agent.reinvite(key, OFFER, self.world.now)
        self.flow()

    @rule()
    def agree(self) -> None:
        """Every pending offer is answered."""
        for agent in self.world.agents.values():
            for key in agent.live_calls:
                agent.accept_reinvite(key, ANSWER, self.world.now)
        self.flow()

    @rule(name=NAMES, number=PICK, what=st.sampled_from(["ring", "hangup", "reject"]))
    def decide(self, name: str, number: int, what: str) -> None:
        agent, key = self.pick(name, number)
        getattr(agent, what)(key, self.world.now)

    @rule(name=NAMES, number=PICK, what=st.sampled_from(["accept", "reinvite", "accept_reinvite"]))
    def describe(self, name: str, number: int, what: str) -> None:
        agent, key = self.pick(name, number)
        getattr(agent, what)(key, ANSWER, self.world.now)

    @rule(name=NAMES, number=PICK)
    def refuse(self, name: str, number: int) -> None:
        agent, key = self.pick(name, number)
        agent.reject_reinvite(key, 488, self.world.now)

    @rule(name=NAMES, number=PICK)
    def talk(self, name: str, number: int) -> None:
        agent, key = self.pick(name, number)
        agent.info(key, "application/dtmf-relay", b"Signal=1\r\nDuration=100", self.world.now)

    @rule(name=NAMES)
    def other_requests(self, name: str) -> None:
        agent = self.world.agents[name]
        agent.options("bob", self.world.now)
        agent.message("alice", "text/plain", b"hello", self.world.now)

    @rule(name=NAMES, leave=st.booleans())
    def registration(self, name: str, leave: bool) -> None:
        if leave:
            self.world.agents[name].unregister(self.world.now)
        else:
            self.world.agents[name].register(name, self.world.proxy.passwords[name], self.world.now)

    # ---- the network

    @rule(count=st.integers(1, 30))
    def deliver(self, count: int) -> None:
        for _ in range(count):
            before = len(self.world.log)
            self.world.step()
            if len(self.world.log) > before:
                self.last = self.world.log[-1][1]

    @precondition(lambda self: self.world.wire)
    @rule()
    def lose(self) -> None:
        self.world.wire.popleft()

    @precondition(lambda self: self.world.wire)
    @rule()
    def double(self) -> None:
        self.world.wire.append(self.world.wire[0])

    @precondition(lambda self: self.world.wire)
    @rule()
    def overtake(self) -> None:
        self.world.wire.rotate(1)

    @rule(mute=st.integers(0, 5), record_route=st.booleans(), stale=st.booleans())
    def turn_the_server(self, mute: int, record_route: bool, stale: bool) -> None:
        self.world.proxy.mute = mute == 5
        self.world.proxy.record_route = record_route
        self.world.proxy.stale_once = stale

    @rule(value=st.sampled_from(["", "90", "100;refresher=uas", "200;refresher=uac"]))
    def ask_for_session_timers(self, value: str) -> None:
        self.session_expires = value

    @rule(name=NAMES)
    def lose_the_socket(self, name: str) -> None:
        self.world.collect()
        self.world.agents[name].transport_down(self.world.now)

    @rule(name=NAMES)
    def new_socket(self, name: str) -> None:
        self.world.agents[name].transport_up(self.world.now)

    # ---- garbage

    @rule(name=NAMES, data=st.one_of(st.text(max_size=80), st.binary(max_size=80)))
    def garbage(self, name: str, data: str | bytes) -> None:
        self.world.agents[name].receive(data, self.world.now)

    @rule(name=NAMES, place=st.integers(0, 600), length=st.integers(0, 12), new=st.text(max_size=5))
    def a_broken_twin(self, name: str, place: int, length: int, new: str) -> None:
        """Something the agents once sent, slightly wrong, given to either of them."""
        text = self.last[:place] + new + self.last[place + length :]
        self.world.agents[name].receive(text, self.world.now)

    @rule(name=NAMES, number=st.integers(0, 40))
    def an_old_message_again(self, name: str, number: int) -> None:
        if self.world.log:
            self.world.agents[name].receive(
                self.world.log[-1 - number % len(self.world.log)][1], self.world.now
            )

    # ---- time

    @rule(seconds=st.sampled_from([0.2, 0.5, 3.0, 20.0, 33.0, 70.0, 200.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds
        for agent in self.world.agents.values():
            agent.advance(self.world.now)

    @rule(seconds=st.sampled_from([1.0, 10.0, 40.0]))
    def all_goes_its_way(self, seconds: float) -> None:
        self.world.wait(seconds)

    @invariant()
    def the_rules_hold(self) -> None:
        self.look()

    def teardown(self) -> None:
        world = self.world
        world.proxy.mute = False
        for agent in world.agents.values():
            agent.transport_up(world.now)
            for key in agent.live_calls:
                agent.hangup(key, world.now)
        world.wait(100)
        for agent in world.agents.values():
            for key in agent.live_calls:  # what came in meanwhile
                agent.hangup(key, world.now)
            agent.unregister(world.now)
        world.wait(400)
        self.look()
        for name, agent in world.agents.items():
            assert agent.calls == Census(0, 0, 0)
            for key in self.keys[name]:
                assert self.finals[name, key] == 1, key
            agent.transport_down(world.now)
            agent.advance(world.now + 1000)
            assert agent.next_deadline() is None


Phones.TestCase.settings = settings(
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestPhones = Phones.TestCase
