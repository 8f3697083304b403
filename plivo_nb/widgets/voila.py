"""Voila: how a kernel there ends when its page is gone.

Voila starts a kernel for each page. It shuts the kernel down when the page says that it closes, but that
message may be lost or refused (https://github.com/voila-dashboards/voila/issues/1458). Each widget
in the page therefore sends beats; when none of them does any more, the clients are closed, and Voila is asked
to shut the kernel down. Elsewhere a page may come back to its kernel at any time, so nothing is ended there.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import secrets
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from plivo_nb.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from plivo_nb.client import Client

_logger = logging.getLogger("plivo_nb.widgets")

LIMIT_S = 600.0  # without a beat; hidden pages beat once a minute, those on a sleeping machine not at all
CHECK_S = 15.0
_SHUTDOWN_TIMEOUT_S = 5.0


class Page(Protocol):
    """The interface that is needed of the page: when it beat last."""

    @property
    def last_beat(self) -> float | None:
        """The time of the last beat on the clock of `time.monotonic`; None before the first one."""


def opened_as_app(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether Voila runs this kernel.

    Example:
        >>> opened_as_app({"SERVER_SOFTWARE": "voila/0.5.8"}), opened_as_app({})
        (True, False)
    """
    preheated = "VOILA_PREHEAT" in environment  # such a kernel starts before there is a request
    return preheated or environment.get("SERVER_SOFTWARE", "").startswith("voila/")


def is_preheated(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this kernel was started in advance, for a page that may be opened hours later."""
    return environment.get("VOILA_PREHEAT", "") == "True"


@dataclass(frozen=True, slots=True)
class Silence:
    """How long a page has been silent. All times are in seconds on one clock.

    Attributes:
        since: when the silence began, if there was no beat later; infinite while a page is still to come.
        checked_at: the time of the last check.
    """

    since: float
    checked_at: float


def check(silence: Silence, now: float, *, last_beat: float | None, in_call: bool) -> tuple[Silence, bool]:
    """Decide whether a kernel ends. No I/O: the time is an argument.

    An answered call, and a kernel that was stopped or too busy to check, begin the silence anew: a beat may
    have been missed then.

    Args:
        silence: the result of the previous check.
        now: the time.
        last_beat: the time of the last beat; None if there was none.
        in_call: whether a call is answered.

    Returns:
        The silence for the next check, and True if the kernel ends now.

    Example:
        >>> check(Silence(since=0, checked_at=590), 605, last_beat=None, in_call=False)[1]
        True
        >>> check(Silence(since=0, checked_at=590), 605, last_beat=30, in_call=False)[1]
        False
    """
    since = silence.since
    if last_beat is not None:
        since = last_beat if math.isinf(since) else max(since, last_beat)
    missed = now - silence.checked_at > 4 * CHECK_S
    if in_call or (missed and not math.isinf(since)):
        since = now
    return replace(silence, since=since, checked_at=now), now - since >= LIMIT_S


async def watch(
    page: Page,
    in_call: Callable[[], bool],
    end: Callable[[], Awaitable[object]],
    *,
    clock: Callable[[], float] = time.monotonic,
    interval_s: float | None = None,
) -> None:
    """Wait until the page has been silent for too long; then await `end`.

    Args:
        page: what says when the page beat last.
        in_call: whether a call is answered.
        end: ends what the page showed.
        clock: the time in seconds; that of `last_beat`.
        interval_s: seconds between two checks; by default `CHECK_S`.
    """
    now = clock()
    silence, over = Silence(math.inf if is_preheated() else now, now), False
    while not over:
        await asyncio.sleep(CHECK_S if interval_s is None else interval_s)
        silence, over = check(silence, clock(), last_beat=page.last_beat, in_call=in_call())
    _logger.info("The page has been silent for %.0f s: its kernel ends.", LIMIT_S)
    await end()


def in_answered_call(client: Client) -> bool:
    """Whether the client's current call is answered."""
    call = client.current_call
    return call is not None and call.phase == "answered"


def in_answered_call_outside_labs(client: Client) -> bool:
    """As `in_answered_call`, but a call in a lab does not count: robots answer there, and never hang up."""
    return in_answered_call(client) and not client.options.loopback_candidates


def _never() -> bool:
    return False


async def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """A widget in the page of this kernel; the attributes are the arguments of `end_with_page`."""

    page: Page
    in_call: Callable[[], bool]
    end: Callable[[], Awaitable[object]]


class _PageOfKernel:
    """The page of this kernel: each widget in it beats."""

    @property
    def last_beat(self) -> float | None:
        return max(
            (shown.page.last_beat for shown in _shown if shown.page.last_beat is not None), default=None
        )


_shown: set[_Shown] = set()
_ended: set[_Shown] = set()  # of _shown: those whose `end` was called
_ending: Operation[None] | None = None


async def end_with_page(
    page: Page, *, in_call: Callable[[], bool] = _never, end: Callable[[], Awaitable[object]] = _nothing
) -> None:
    """Watch the page for one of its widgets; it ends the kernel once no widget beats and no call is answered.

    Cancel it when the widget is closed.

    Args:
        page: what says when the widget's page beat last.
        in_call: whether a call of the widget is answered.
        end: closes what the widget shows, such as `Client.close`; called for all widgets, if this one or
            another one finds that the page is gone.
    """

    async def end_once() -> None:
        global _ending
        if shown in _ended and (_ending is None or _ending.done()):
            return  # another widget found out first, and has ended the kernel meanwhile
        if _ending is None or _ending.done():  # in a task of its own: closing a widget cancels this one
            _ending = Operation("end the kernel whose page is gone", _end_all())
        await _ending

    shown = _Shown(page, in_call, end)
    _shown.add(shown)
    try:
        await watch(_PageOfKernel(), lambda: any(each.in_call() for each in _shown), end_once)
    finally:
        _shown.discard(shown)
        _ended.discard(shown)


async def _end_all() -> None:
    _ended.update(_shown)
    for end in dict.fromkeys(shown.end for shown in _shown):
        try:
            await end()
        except Exception:
            _logger.exception("Closing a widget whose page is gone failed.")
    await shut_down_kernel()


async def shut_down_kernel(environment: Mapping[str, str] = os.environ) -> bool:
    """Ask Voila to shut this kernel down, as a page does when it is closed.

    A kernel that only exits would be started again by its server.

    Returns:
        False if Voila did not do it: behind a proxy, or where it wants a login. The kernel idles then.
    """
    import aiohttp  # late: only Voila needs it

    kernel, port = environment.get("VOILA_KERNEL_ID"), environment.get("VOILA_APP_PORT")
    if not kernel or not port:
        return False
    # The double-submit cookie of Tornado: a request that can set the cookie does not come from another site.
    token = secrets.token_hex(16)
    paths = dict.fromkeys(environment.get(name, "/") for name in ("VOILA_SERVER_URL", "VOILA_BASE_URL"))
    timeout = aiohttp.ClientTimeout(total=_SHUTDOWN_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, cookies={"_xsrf": token}) as session:
        for path in paths:
            url = f"http://127.0.0.1:{port}{path.rstrip('/')}/voila/api/shutdown/{kernel}"
            try:
                async with session.post(url, headers={"X-XSRFToken": token}) as answer:
                    if answer.status == 204:
                        return True
            except (aiohttp.ClientError, TimeoutError) as error:
                _logger.debug("Voila did not shut the kernel down: %s", error)
    _logger.info("Voila did not shut the kernel down; it idles now.")
    return False
