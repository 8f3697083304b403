"""The lab's robots: clients that register with the switch like any other client.

A robot has no number of its own. For each call to a number such as ``echo``, an idle robot takes the role of
that number (roles.py); if all robots are busy, another one is made. So several calls to one number can be
active at the same time.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import itertools
import logging
import secrets
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from plivo_nb.addresses import is_loopback_url
from plivo_nb.errors import CallFailed, LabError, PlivoError
from plivo_nb.lab.robots.roles import Refusal, Role, Visit, role_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping

    from plivo_nb.client import Client

_logger = logging.getLogger("plivo_nb.lab.robots.robots")

PREFIX = "robot-"
MAX_ROBOTS = 200
_ARRIVAL_S = 15.0
_LOGIN_S = 15.0
_CLOSE_S = 1.5
_AT_ONCE = 4
_READY_AHEAD = 2


@dataclass(slots=True)
class Robot:
    """A client and its current task."""

    name: str
    client: Client
    task: asyncio.Task[None] | None = None
    reserved: bool = False
    retired: bool = False

    @property
    def idle(self) -> bool:
        """Whether the robot can take a call."""
        busy = self.reserved or self.retired or (self.task is not None and not self.task.done())
        return not busy and self.client.is_logged_in

    def begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Start a task."""
        self.reserved = False
        self.task = asyncio.get_running_loop().create_task(work, name=f"lab robot {self.name} {name}")


@dataclass(slots=True)
class Claim:
    """The users that a call is forwarded to, or a rejection; with what the switch does for them."""

    users: list[str] = field(default_factory=list)
    refusal: Refusal | None = None
    early_media_s: float = 0.0
    return_headers: bool = False
    plan: tuple[tuple[float, str], ...] = ()
    telephone_event: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What robots tell the lab, and ask of it.

    Args:
        set_account: adds an account of the switch: (name, password); the password None removes it.
        happened: adds to the lab's events: (what, who, detail, call_uuid).
        set_network: sets knobs, as `Network.set` does.
        cut: cuts the sockets of a user.
        overload: called when the robots cannot keep up with their calls (True), and when they can again.
        changed: called when a robot is new, begins a task or ends one.
    """

    set_account: Callable[[str, str | None], object]
    happened: Callable[[str, str, str, str | None], object]
    set_network: Callable[..., object]
    cut: Callable[[str], object]
    overload: Callable[[bool], object]
    changed: Callable[[], object] = lambda: None


class Robots:
    """The pool of robots, on the running event loop.

    Args:
        urls: the URLs of the switch.
        surroundings: what they tell the lab, and ask of it.
        ca_file: PEM file with the authority of the switch's certificate, if it has one.
        numbers: the numbers in their names; in another process the robots have other ones.
    """

    def __init__(
        self,
        urls: list[str],
        surroundings: Surroundings,
        ca_file: str | None = None,
        numbers: Iterable[int] | None = None,
    ) -> None:
        self._ca_file = ca_file
        self._urls = urls
        self._lab = surroundings
        self._robots: list[Robot] = []
        self._numbers = iter(itertools.count(1) if numbers is None else numbers)
        self._making = asyncio.Semaphore(_AT_ONCE)
        self._being_made = 0
        self._client_class: Callable[..., Client] | None = None
        self._engine: Any = None
        self._import_lock = asyncio.Lock()
        self._closed = False

    @staticmethod
    def has(number: str) -> bool:
        """Whether the number is a robot's."""
        return role_of(number) is not None

    async def warm_up(self) -> None:
        """Make the first robots, so that the first call does not wait for the import of the media stack."""
        try:
            await asyncio.gather(*(self._make() for _ in range(_READY_AHEAD)))
        except PlivoError as error:
            _logger.warning("The first robots could not be made: %s", error)

    async def claim(self, number: str, caller: str, call_uuid: str, headers: Mapping[str, str]) -> Claim:
        """Choose the robots that take a call to `number`, and start them in its role."""
        role = role_of(number)
        if role is None:
            return Claim(refusal=Refusal(404))
        if isinstance(role, Refusal):
            return Claim(refusal=role)
        robots = await self._take(role.forks)
        for index, robot in enumerate(robots):
            visit = self._visit(number, caller, call_uuid, headers, index, self._call_back)
            self._begin(robot, self._serve(robot, role, visit), f"as {number}")
        users = [robot.name for robot in robots]
        return Claim(
            users,
            early_media_s=role.early_media_s,
            return_headers=role.return_headers,
            plan=role.plan,
            telephone_event=role.telephone_event,
        )

    async def call(
        self, user: str, n: int = 1, headers: Mapping[str, str] | None = None, role: str = "echo"
    ) -> list[dict[str, Any]]:
        """Call a user with `n` calls at the same time; after the answer each robot acts in `role`.

        Returns:
            A dict for each call, when all ring or have failed: ``robot``, ``call_uuid``, ``state`` (ringing
            or failed) and ``cause``.

        Raises:
            LabError: there is no such role, or there are too many calls.
        """
        chosen = role_of(role)
        if chosen is None or isinstance(chosen, Refusal) or not chosen.can_call:
            raise LabError(f"No robot can call as {role!r}; try 'echo' or 'speech'.")
        if not 1 <= n <= MAX_ROBOTS:
            raise LabError(f"lab.call needs 1 to {MAX_ROBOTS} calls, not {n}.")
        robots = await self._take(n)
        return list(
            await asyncio.gather(*(self._dial(robot, user, headers, chosen, role) for robot in robots))
        )

    async def close(self) -> None:
        """Close all robots."""
        self._closed = True
        if self._engine is not None:
            self._engine.overload_listeners.remove(self._lab.overload)
            self._engine = None
        for robot in self._robots:
            if robot.task is not None:
                robot.task.cancel()
        tasks = [robot.task for robot in self._robots if robot.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        closing = [asyncio.ensure_future(robot.client.close()) for robot in self._robots]
        if closing:
            _, late = await asyncio.wait(closing, timeout=_CLOSE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*closing, return_exceptions=True)

    def snapshot(self) -> list[dict[str, Any]]:
        """The name of each robot and whether it is idle."""
        return [{"robot": robot.name, "idle": robot.idle} for robot in self._robots]

    def kill_one(self) -> str:
        """Make a robot that is in a call disappear, as a crashed softphone does.

        Its account is removed, so that it cannot register again; the network drops what it still sends.

        Returns:
            The name of the robot.

        Raises:
            LabError: no robot is in a call.
        """
        for robot in self._robots:
            call = robot.client.current_call
            if call is not None and not robot.retired:
                robot.retired = True
                self._lab.set_account(robot.name, None)
                self._lab.set_network(call_uuid=call.call_uuid, black_hole=True)
                self._lab.cut(robot.name)
                return robot.name
        raise LabError("No robot is in a call; call one first, such as echo.")

    # ------------------------------------------------------------------ one robot

    def _begin(self, robot: Robot, work: Coroutine[Any, Any, None], name: str) -> None:
        robot.begin(work, name)
        assert robot.task is not None
        robot.task.add_done_callback(lambda _: self._lab.changed())
        self._lab.changed()

    def _visit(
        self,
        number: str,
        caller: str,
        call_uuid: str = "",
        headers: Mapping[str, str] | None = None,
        place: int = 0,
        ring_back: Callable[[str, Mapping[str, str]], Awaitable[None]] | None = None,
    ) -> Visit:
        happened, set_network = self._lab.happened, self._lab.set_network
        return Visit(number, caller, call_uuid, headers or {}, place, happened, set_network, ring_back)

    async def _take(self, count: int) -> list[Robot]:
        """Reserve idle robots; make more if there are too few.

        Raises:
            LabError: no more robots can be made.
        """
        robots = [robot for robot in self._robots if robot.idle][:count]
        for robot in robots:
            robot.reserved = True
        made = await asyncio.gather(
            *(self._make(reserved=True) for _ in range(count - len(robots))), return_exceptions=True
        )
        for result in made:
            if isinstance(result, Robot):
                robots.append(result)
        for result in made:
            if isinstance(result, BaseException):
                for robot in robots:
                    robot.reserved = False
                raise result
        return robots

    async def _make(self, *, reserved: bool = False) -> Robot:
        if len(self._robots) + self._being_made >= MAX_ROBOTS:
            raise LabError(f"All {MAX_ROBOTS} robots are busy.")
        self._being_made += 1
        try:
            async with self._making:
                return await self._log_in(reserved)
        finally:
            self._being_made -= 1

    async def _log_in(self, reserved: bool) -> Robot:
        make_client = await self._load_client()
        name, password = f"{PREFIX}{next(self._numbers)}", secrets.token_urlsafe(16)
        self._lab.set_account(name, password)
        client = make_client(
            registrationDomainSocket=self._urls,
            loopbackCandidates=is_loopback_url(self._urls[0]),
            caFile=self._ca_file,
            iceServers=[],
            enableTracking=False,
            permOnClick=True,
            sound="none",
            keepAudio=0,
        )
        robot = Robot(name, client, reserved=reserved)
        try:
            async with asyncio.timeout(_LOGIN_S):
                await client.login(name, password)
        except (PlivoError, TimeoutError) as error:
            await client.close()
            raise LabError(f"A robot could not log in: {error}") from error
        if self._closed:
            await client.close()
            raise LabError("The lab is closing.")
        self._robots.append(robot)
        self._lab.changed()
        return robot

    async def _load_client(self) -> Callable[..., Client]:
        """Import the media stack in a thread, so that the loop is not blocked."""
        async with self._import_lock:
            if self._client_class is None:
                module = await _import_in_a_thread("plivo_nb.client")
                self._client_class = module.Client
                package = await _import_in_a_thread("plivo_nb")
                self._engine = package.Engine.current()
                self._engine.loads_frames = False
                self._engine.overload_listeners.append(self._lab.overload)
            return self._client_class

    async def _serve(self, robot: Robot, role: Role, visit: Visit) -> None:
        """Wait for the call, handle it in its role, and return when it has ended."""
        arrived = asyncio.Event()
        client = robot.client

        def note_arrival(*_: Any) -> None:
            arrived.set()

        client.once("onIncomingCall", note_arrival)
        try:
            async with asyncio.timeout(_ARRIVAL_S):
                await arrived.wait()
            for call in client.incoming_calls[-1:]:  # none, if the caller has canceled
                await role.behave(client, call, visit)
                await call.ended
        except TimeoutError:
            _logger.debug("%s: the call to %s did not arrive.", robot.name, visit.number)
        except PlivoError as error:
            _logger.debug("%s as %s: %s", robot.name, visit.number, error)
        except Exception:
            _logger.exception("%s as %s failed.", robot.name, visit.number)
        finally:
            client.off("onIncomingCall", note_arrival)

    async def _dial(
        self, robot: Robot, user: str, headers: Mapping[str, str] | None, role: Role, number: str
    ) -> dict[str, Any]:
        rings: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def ringing(*_: Any) -> None:
            if not rings.done():
                rings.set_result(None)

        robot.client.once("onCallRemoteRinging", ringing)
        operation = robot.client.call(user, headers)
        work = self._go_on(robot, operation, role, self._visit(number, user), rings)
        self._begin(robot, work, f"calls {user}")
        described: dict[str, Any] = {"robot": robot.name, "state": "ringing", "cause": None}
        try:
            await asyncio.shield(rings)
        except CallFailed as error:
            described |= {"state": "failed", "cause": error.cause}
        except PlivoError as error:
            described |= {"state": "failed", "cause": str(error)}
        finally:
            robot.client.off("onCallRemoteRinging", ringing)
        described["call_uuid"] = operation.call.call_uuid if operation.call is not None else None
        return described

    async def _go_on(
        self, robot: Robot, operation: Any, role: Role, visit: Visit, rings: asyncio.Future[None]
    ) -> None:
        """Handle an outgoing call of a robot until it ends."""
        try:
            call = await operation
            if not rings.done():
                rings.set_result(None)
            await role.go_on(robot.client, call, replace(visit, call_uuid=call.call_uuid or ""))
            if role.hang_up_after_s is not None:
                await asyncio.sleep(role.hang_up_after_s)
                await call.hangup()
            await call.ended
        except PlivoError as error:
            if not rings.done():
                rings.set_exception(error)
                rings.exception()
        except Exception:
            _logger.exception("A robot's call failed.")

    async def _call_back(self, user: str, headers: Mapping[str, str]) -> None:
        """Call a user with these headers."""
        await self.call(user, 1, headers, "silence")


async def _import_in_a_thread(name: str) -> Any:
    """Import a module in a daemon thread, which does not delay the exit as an executor's thread would."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(module: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(module)

    def work() -> None:
        module: Any = None
        error: BaseException | None = None
        try:
            module = importlib.import_module(name)
        except Exception as caught:
            error = caught
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, module, error)

    threading.Thread(target=work, name=f"import {name}", daemon=True).start()
    return await done
