"""The lab's parts on one event loop: switch, network, robots, statistics service and control channel."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections import Counter, deque
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from plivo_nb.errors import LabError
from plivo_nb.lab.collector import Collector
from plivo_nb.lab.control import ControlServer
from plivo_nb.lab.fault_commands import FaultCommands
from plivo_nb.lab.faults import Faults
from plivo_nb.lab.listening import listening_of, resolved
from plivo_nb.lab.load import CHECK_S, Load
from plivo_nb.lab.membership import TEACHER, Member, check, visible
from plivo_nb.lab.network.network import Network
from plivo_nb.lab.network.scenarios import Player, read_scenario
from plivo_nb.lab.robots.robots import PREFIX, Robots, Surroundings
from plivo_nb.lab.robots.worker_pool import WorkerPool
from plivo_nb.lab.sip.records import RouteWanted, SwitchEvent
from plivo_nb.lab.sip.server import SipServer
from plivo_nb.lab.sip.switch import Switch

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.lab.config import LabConfig

_logger = logging.getLogger("plivo_nb.lab.service")
_EVENTS = 5_000
_IDLE_CHECK_S = 10.0
_IDLE_RELAY_S = 30.0


@dataclass(slots=True, eq=False)
class _Order:
    """A command that robots call a user."""

    user: str
    to_come: int  # calls that have not begun


class LabService:
    """A lab on the running event loop.

    Args:
        config: the settings.
        token: the token of the control channel; None = no control channel.
    """

    def __init__(self, config: LabConfig, token: str | None = None) -> None:
        self.config = config
        self._listening = resolved(listening_of(config))
        self.network = Network(config.seed, self._listening.address)
        self.events: deque[dict[str, Any]] = deque(maxlen=_EVENTS)
        self.accounts = dict(config.accounts)
        self.faults = Faults()
        self.server = SipServer(
            self._make_switch, self._on_event, self.faults, self._metrics, self._listening
        )
        self._event_counts: Counter[str] = Counter()
        self.collector = Collector(
            self.accounts, lambda entry: self._publish("collected", entry), self._listening
        )
        self.urls: list[str] = []
        self.url = ""
        self.control_url: str | None = None
        students = config.student_tokens
        self._control = (
            ControlServer(token, self.handle, students, self._listening) if token is not None else None
        )
        self._robots: Robots | WorkerPool | None = None
        self._player = Player(
            self._network_clear_now, self._network_set, lambda name: self._publish("scenario", name)
        )
        self._tasks: set[asyncio.Task[Any]] = set()
        self._load = Load()
        self._robots_late = self._overloaded = False
        self._orders: list[_Order] = []
        self._loop = asyncio.get_running_loop()
        self._commands: dict[str, Callable[..., Any]] = {
            "status": self.status,
            "network.set": self._network_set,
            "network.clear": self._network_clear,
            "network.settings": lambda: self.network.settings,
            "network.counters": self.network.counters,
            "network.log": self.network.log,
            "network.play": self._play,
            "network.stop": self._player.stop,
            "call": self._call,
            "network.history": lambda: list(self.network.history),
        }
        faults = FaultCommands(self.faults, self.server, self.collector, lambda: self._robots)
        self._commands.update(faults.table())

    async def start(self) -> None:
        """Start all parts.

        Raises:
            LabError: the address or the port cannot be used.
        """
        try:
            await self.server.start(self.config.port)
        except OSError as error:
            raise LabError(
                f"The lab cannot listen on port {self.config.port} of {self.config.host} ({error.strerror}); "
                "use another, or 0, and an address that this computer has."
            ) from error
        for _ in range(1, self.config.servers):
            await self.server.listen_also()
        self.urls = [self._listening.websocket_url(number) for number in self.server.ports]
        self.url = self.urls[0]
        await self.collector.start()
        if self._control is not None:
            self.control_url = await self._control.start()
        self._publish_network(self.network.clear())
        if self.config.scenario is not None:
            self._player.start(read_scenario(self.config.scenario), loop=True)
        self._spawn(self._close_idle_relays(), "lab idle relays")
        self._spawn(self._watch_load(), "lab load")
        if self.config.robots:
            self._robots = self._make_robots()
            self._spawn(self._robots.warm_up(), "lab first robots")

    async def close(self) -> None:
        """Stop all parts and wait for their end."""
        self._player.stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._robots is not None:
            await self._robots.close()
        if self._control is not None:
            await self._control.close()
        await self.server.close()
        await self.collector.close()
        await self.network.close()

    async def handle(self, name: str, arguments: dict[str, Any], member: Member = TEACHER) -> Any:
        """Run a command of the control channel.

        Raises:
            LabError: there is no such command, the member may not use it, or it failed.
            ValueError: an argument is invalid.
        """
        command = self._commands.get(name)
        if command is None:
            raise LabError(f"The lab has no command {name!r}.")
        check(member, name, arguments, self._calling(member.user) if member.user else 0)
        result = command(**arguments)
        return visible(member, name, await result if asyncio.iscoroutine(result) else result)

    def status(self) -> dict[str, Any]:
        """The current registrations, calls, robots and network settings."""
        snapshot = self.server.switch.snapshot(self._loop.time())
        registrations = [r for r in snapshot["registrations"] if not r["user"].startswith(PREFIX)]
        snapshot |= {
            "registrations": registrations,
            "robots": self._robots.snapshot() if self._robots is not None else [],
        }
        return {
            "url": self.url,
            "pid": os.getpid(),
            **snapshot,
            "network": self.network.settings,
            "scenario": self._player.playing,
        }

    async def _metrics(self) -> str:
        # Late, and in a thread: few labs are asked for it, and the library takes long to import.
        metrics = await asyncio.to_thread(import_module, "plivo_nb.lab.metrics")
        status = self.status()
        collector = metrics.LabCollector(
            registrations=len(status["registrations"]),
            calls=[call["state"] for call in status["calls"]],
            requests=self.server.switch.requests,
            events=self._event_counts,
            packets=self.network.counters(),
        )
        return str(metrics.exposition(collector))

    # ------------------------------------------------------------------ inside

    def _make_switch(self, port: int) -> Switch:
        is_robot = Robots.has if self.config.robots else lambda number: False
        return Switch(
            self.accounts,
            port,
            media=self.network,
            is_robot=is_robot,
            faults=self.faults,
            host=self.config.host,
            secure=self._listening.tls is not None,
            is_overloaded=lambda: self._overloaded,
        )

    def _make_robots(self) -> Robots | WorkerPool:
        surroundings = Surroundings(
            self._set_account,
            self._record_event,
            self._network_set,
            self._cut_sockets,
            self._robots_overload,
        )
        if self.config.workers:
            return WorkerPool(self.config.workers, self.urls, surroundings, self.config.ca_file)
        return Robots(self.urls, surroundings, self.config.ca_file)

    def _set_account(self, name: str, password: str | None) -> None:
        if password is None:
            self.accounts.pop(name, None)
        else:
            self.accounts[name] = password

    def _network_set(self, **knobs: Any) -> dict[str, Any]:
        return self._publish_network(self.network.set(**knobs))

    def _network_clear(self, user: str | None = None) -> dict[str, Any]:
        if user is not None:
            return self._publish_network(self.network.clear(user))
        self._player.stop()
        return self._network_clear_now()

    def _play(self, rows: list[dict[str, Any]] | str, speed: float, loop: bool, name: str) -> dict[str, Any]:
        scenario = replace(read_scenario(rows), name=name)
        self._player.start(scenario, speed, loop)
        self._record_event("scenario", name, f"{scenario.seconds / speed:g} s", None)
        return {"name": name, "seconds": scenario.seconds / speed}

    def _network_clear_now(self) -> dict[str, Any]:
        return self._publish_network(self.network.clear())

    def _publish_network(self, entry: dict[str, Any]) -> dict[str, Any]:
        self._publish("network", entry)
        return entry

    def _on_event(self, event: SwitchEvent) -> None:
        if isinstance(event, RouteWanted):
            self._spawn(self._find_robot(event), f"lab robot for {event.number}")
        elif event.who.startswith(PREFIX):
            if event.what == "call-started":
                self._robot_dialled(event.detail)
        else:
            self._record_event(event.what, event.who, event.detail, event.call_uuid)

    async def _close_idle_relays(self) -> None:
        """Close the relays of calls that the switch does not know, such as calls from before its restart."""
        while True:
            await asyncio.sleep(_IDLE_CHECK_S)
            known = {call.call_uuid for call in self.server.switch.proxy.all_calls()}
            self.network.close_idle(known, _IDLE_RELAY_S)

    async def _watch_load(self) -> None:
        """Say when the process is too busy for more calls, and when it no longer is."""
        while True:
            due = self._loop.time() + CHECK_S
            await asyncio.sleep(CHECK_S)
            now = self._loop.time()
            if self._load.note(now, now - due):
                self._tell_of_load(f"its loop is {self._load.late_ms:.0f} ms late")

    def _robots_overload(self, overloaded: bool) -> None:
        self._robots_late = overloaded
        self._tell_of_load(f"the sound of its robots is {'late' if overloaded else 'in time'}")

    def _tell_of_load(self, why: str) -> None:
        before, self._overloaded = self._overloaded, self._load.overloaded or self._robots_late
        if self._overloaded != before:
            what = "overloaded" if self._overloaded else "recovered"
            _logger.warning("The lab is %s: %s.", what, why)
            self._record_event(what, "lab", why, None)

    def _cut_sockets(self, user: str) -> None:
        self.server.disconnect(user, 1006)

    async def _find_robot(self, wanted: RouteWanted) -> None:
        switch = self.server.switch
        try:
            if self._robots is None:
                raise LabError("This lab has no robots.")
            claim = await self._robots.claim(
                wanted.number, wanted.caller, wanted.call_uuid, dict(wanted.headers)
            )
        except LabError as error:
            _logger.warning("No robot for %s: %s", wanted.number, error)
            switch.refuse(wanted.key, 480, self._loop.time())
        else:
            if claim.refusal is not None:
                switch.refuse(wanted.key, claim.refusal.status, self._loop.time(), claim.refusal.reason)
            else:
                switch.route(
                    wanted.key,
                    claim.users,
                    self._loop.time(),
                    early_media_s=claim.early_media_s,
                    return_headers=claim.return_headers,
                    plan=claim.plan,
                    telephone_event=claim.telephone_event,
                )
        self.server.pump()

    async def _call(self, user: str, n: int, headers: dict[str, str] | None, role: str) -> Any:
        if self._robots is None:
            raise LabError("This lab has no robots; start it with robots=True.")
        order = _Order(user, n)
        self._orders.append(order)
        try:
            return await self._robots.call(user, n, headers, role)
        finally:
            self._orders.remove(order)

    def _calling(self, user: str) -> int:
        """How many calls of robots to a user there are or will be."""
        calls = self.server.switch.proxy.all_calls()
        made = sum(call.callee_name == user and call.caller_name.startswith(PREFIX) for call in calls)
        return made + sum(order.to_come for order in self._orders if order.user == user)

    def _robot_dialled(self, user: str) -> None:
        for order in self._orders:
            if order.user == user and order.to_come:
                order.to_come -= 1
                return

    def _record_event(self, what: str, who: str, detail: str, call_uuid: str | None) -> None:
        entry = {
            "time_utc_ns": time.time_ns(),
            "what": what,
            "who": who,
            "detail": detail,
            "call_uuid": call_uuid,
        }
        self.events.append(entry)
        self._event_counts[what] += 1
        self._publish("event", entry)

    def _publish(self, name: str, data: Any) -> None:
        if self._control is not None:
            self._control.publish(name, data)

    def _spawn(self, work: Any, name: str) -> None:
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._spawned_ended)

    def _spawned_ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _logger.error("%s failed.", task.get_name(), exc_info=task.exception())


async def serve(
    config: LabConfig,
    *,
    token: str | None = None,
    on_ready: Callable[[LabService], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Run a lab until `stop` is set or the task is cancelled.

    Args:
        config: the settings.
        token: the token of the control channel; None = no control channel.
        on_ready: called when all parts have started.
        stop: the event that ends the lab.

    Raises:
        LabError: the lab cannot start.
    """
    service = LabService(config, token)
    try:
        await service.start()
        if on_ready is not None:
            on_ready(service)
        with contextlib.suppress(asyncio.CancelledError):
            await (stop or asyncio.Event()).wait()
    finally:
        await service.close()
