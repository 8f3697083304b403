"""app(): starts a lab and a client, and displays a phone and a dashboard side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Unpack

import ipywidgets as W
from IPython import get_ipython

from plivo_nb.operation import Operation
from plivo_nb.options import OptionKeywords, shows_options
from plivo_nb.widgets.dashboard import Dashboard, LiveDashboard
from plivo_nb.widgets.phone import Phone

if TYPE_CHECKING:
    from plivo_nb.client import Client
    from plivo_nb.lab import Lab


_Layout = Literal["compact", "full"]
_LAYOUT_CLASSES: dict[str, str] = {"compact": "plivo-compact", "full": "plivo-full"}


class SideBySide:
    """A phone and a dashboard side by side; one below the other if the page is narrow.

    A cell whose last expression is a `SideBySide` displays it.

    Args:
        phone, dashboard: the widgets.
        layout: ``"compact"``, or ``"full"`` to fill the height of the page, for an app of Voila.

    Example:
        >>> import asyncio
        >>> from plivo_nb.testing import FakeServer
        >>> async def main():
        ...     async with FakeServer() as server, server.client() as client:
        ...         return SideBySide(Phone(client), Dashboard(client))
        >>> asyncio.run(main())
        <Phone and Dashboard>
    """

    def __init__(self, phone: Phone, dashboard: LiveDashboard, *, layout: _Layout = "compact") -> None:
        if layout not in _LAYOUT_CLASSES:
            raise ValueError(f"layout: {layout!r} is not one of {', '.join(_LAYOUT_CLASSES)}.")
        self._dashboard = dashboard
        self.widget: Any = W.Box([phone.widget, dashboard.widget])
        self.widget.add_class("plivo-app")
        self.widget.add_class(_LAYOUT_CLASSES[layout])

    def close(self) -> None:
        """Close the box. It does not close phone and dashboard."""
        self.widget.layout.close()
        self.widget.close()

    def __repr__(self) -> str:
        return "<Phone and Dashboard>"

    def _ipython_display_(self) -> None:
        self._dashboard.show_in(self.widget, repr(self))


_apps: dict[str, App] = {}


@shows_options
def app(
    username: str = "alice", *, lab: Lab | None = None, **options: Unpack[OptionKeywords]
) -> Operation[App]:
    """Start a lab, log in, and display a phone and a dashboard in this cell.

    Calling it again for the same user closes the earlier app first.

    Args:
        username: account of the lab to log in with.
        lab: a running lab, for example for a second user; closing the app does not stop it. By default the
            app starts its own.
        options: options of the client, for example ``sound="device"`` to use this machine's microphone.

    Returns:
        An operation; awaiting it returns the `App` when it is ready. It need not be awaited.

    Raises (when awaited):
        LabError: the lab did not start, or has no such account.
        LoginFailed: the lab refused the login.

    Example:
        >>> import asyncio, plivo_nb
        >>> async def main():
        ...     softphone = await plivo_nb.app()     # in a cell: displays phone and dashboard
        ...     await softphone.phone.call("echo")
        ...     await softphone.close()
        ...     return softphone
        >>> asyncio.run(main())
        <App of alice, closed>
    """
    return Operation(f"app of {username}", _start(username, lab, options))


async def _start(username: str, lab: Lab | None, options: OptionKeywords) -> App:
    older = _apps.pop(username, None)
    if older is not None:
        await older.close()
    started = _apps[username] = App(username, lab, options)
    try:
        await started._start()
    except BaseException:
        await started.close()
        raise
    return started


class App:
    """The result of `app`. It is not meant to be constructed directly.

    Attributes:
        lab: the lab.
        client: the logged-in client.
        phone, dashboard: the widgets.
    """

    lab: Lab
    client: Client
    phone: Phone
    dashboard: LiveDashboard

    def __init__(self, username: str, lab: Lab | None, options: OptionKeywords) -> None:
        from plivo_nb.lab import Lab  # late: the other widgets do not need a lab

        self.username = username
        self._options = options
        self._own_lab = lab is None
        self.lab = lab or Lab()
        self._shown_in: int | None = None
        self._closed = False

    async def _start(self) -> None:
        if self._own_lab:
            await self.lab.start()
        password = self.lab.password(self.username)
        self.client = self.lab.client(**self._options)
        await self.client.login(self.username, password)
        self.phone = Phone(self.client, dial="echo")
        self.dashboard = Dashboard(self.client)
        self._frame = SideBySide(self.phone, self.dashboard)
        self._show()

    async def close(self) -> None:
        """Hang up, log out, close phone and dashboard, and stop the lab. Closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        if _apps.get(self.username) is self:
            del _apps[self.username]
        if hasattr(self, "client"):
            await self.client.close()  # closes phone and dashboard as well
        if hasattr(self, "_frame"):
            self._frame.close()
        if self._own_lab:
            await self.lab.close()

    def __repr__(self) -> str:
        return f"<App of {self.username}{', closed' if self._closed else ''}>"

    def _ipython_display_(self) -> None:
        # After `await plivo_nb.app()` as the last line of a cell: this cell displays the app already.
        if _cell() != self._shown_in:
            self._show()

    def _show(self) -> None:
        self._shown_in = _cell()
        if self._shown_in is None:
            return  # a script has no cells, and IPython would print
        self.dashboard.show_in(self._frame.widget, repr(self))


def _cell() -> int | None:
    """Number of the running cell, or None outside IPython."""
    shell: Any = get_ipython()
    return None if shell is None else shell.execution_count
