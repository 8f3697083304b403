"""app(): starts a client, in a lab or at Plivo, and displays a phone and a dashboard."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

import ipywidgets as W
from IPython import get_ipython

from plivo_nb.errors import InvalidState, LabError
from plivo_nb.operation import Operation
from plivo_nb.options import OptionKeywords, shows_options
from plivo_nb.widgets import voila
from plivo_nb.widgets.dashboard import Dashboard, LiveDashboard
from plivo_nb.widgets.lab_drawer import LabDrawer
from plivo_nb.widgets.phone import Phone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plivo_nb.client import Client
    from plivo_nb.lab import Lab

LayoutName = Literal["compact", "full"]
_LAYOUT_CLASSES: dict[str, str] = {"compact": "plivo-compact", "full": "plivo-full"}
_LAB_USER = "alice"


class SideBySide:
    """A phone and a dashboard side by side; one below the other if the page is narrow.

    A cell whose last expression is a `SideBySide` displays it.

    Args:
        phone, dashboard: the widgets.
        below: ipywidgets to be displayed below both, such as ``LabDrawer(lab, client).widget``.
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

    def __init__(
        self,
        phone: Phone,
        dashboard: LiveDashboard,
        *,
        below: Sequence[Any] = (),
        layout: LayoutName = "compact",
    ) -> None:
        _check_layout(layout)
        self._dashboard = dashboard
        self._pair = W.Box([phone.widget, dashboard.widget])
        self._pair.add_class("plivo-app")
        self._pair.add_class(_LAYOUT_CLASSES[layout])
        self.widget: Any = W.VBox([self._pair, *below]) if below else self._pair

    def close(self) -> None:
        """Close the boxes. It does not close phone and dashboard."""
        for box in {self._pair, self.widget}:
            box.layout.close()
            box.close()

    def __repr__(self) -> str:
        return "<Phone and Dashboard>"

    def _ipython_display_(self) -> None:
        self._dashboard.show_in(self.widget, repr(self))


_apps: dict[str, App] = {}


@overload
def app(
    username: str = _LAB_USER,
    *,
    lab: Lab | None = None,
    layout: LayoutName = "compact",
    **options: Unpack[OptionKeywords],
) -> Operation[App]: ...
@overload
def app(
    username: str,
    *,
    password: str,
    server: str | Sequence[str] | None = None,
    layout: LayoutName = "compact",
    **options: Unpack[OptionKeywords],
) -> Operation[App]: ...
@overload
def app(
    username: str = "",
    *,
    server: str | Sequence[str],
    layout: LayoutName = "compact",
    **options: Unpack[OptionKeywords],
) -> Operation[App]: ...
@shows_options
def app(
    username: str | None = None,
    *,
    password: str | None = None,
    server: str | Sequence[str] | None = None,
    lab: Lab | None = None,
    layout: LayoutName = "compact",
    **options: Unpack[OptionKeywords],
) -> Operation[App]:
    """Display a phone and a dashboard in this cell: in a lab, or for a Plivo endpoint.

    Without `password` and `server` it starts a lab and logs in there; calls send the speech sample until
    another source is chosen in the phone. With `password` it logs in at Plivo's servers, or at `server`. With
    `server` alone the phone asks for the account.

    Calling it again for the same user closes the earlier app first. Under Voila, an app whose page is gone
    for 10 minutes ends, except during an answered call.

    Args:
        username: the account; in a lab alice by default.
        password: the password of the Plivo endpoint. It is neither displayed nor stored in the notebook.
        server: the server of the endpoint, one ``wss://`` URL or several to be tried in turn; ``"plivo"`` for
            Plivo's own.
        lab: a running lab, for example for a second user; closing the app does not stop it. By default the
            app starts its own.
        layout: ``"compact"``: as high as its content; ``"full"``: it fills the page, for Voila.
        options: options of the client, for example ``sound="device"`` to use this machine's microphone. In a
            lab ``allow_multiple_incoming_calls`` is True by default.

    Returns:
        An operation; awaiting it returns the `App` when it is ready. It need not be awaited.

    Raises:
        ValueError: the arguments contradict each other.

    Raises (when awaited):
        LabError: the lab did not start, or has no such account.
        LoginFailed: the server refused the login.
        InvalidState: the app was closed, or made again, before it was ready.

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
    _check(username, password, server, lab, layout, options)
    in_lab = password is None and server is None
    name = username or (_LAB_USER if in_lab else "")
    made = App(name, lab=lab, in_lab=in_lab, options=_with_server(options, server), layout=layout)
    return Operation(f"app of {name}" if name else "app", _start(made, password))


def _check(
    username: str | None,
    password: str | None,
    server: str | Sequence[str] | None,
    lab: Lab | None,
    layout: str,
    options: OptionKeywords,
) -> None:
    """Check that the arguments of `app` agree."""
    if lab is not None and (password is not None or server is not None):
        raise ValueError(
            "app() takes a lab, or the password and server of a Plivo endpoint, not both: the lab knows the "
            "passwords of its accounts."
        )
    if password is not None and not username:
        raise ValueError("app() needs the username that belongs to this password: app('user', password=...).")
    if server is not None and (
        "registrationDomainSocket" in options or "registration_domain_socket" in options
    ):
        raise ValueError("app() takes either server or registration_domain_socket: they mean the same.")
    _check_layout(layout)


def _check_layout(layout: str) -> None:
    if layout not in _LAYOUT_CLASSES:
        raise ValueError(f"layout: {layout!r} is not one of {', '.join(_LAYOUT_CLASSES)}.")


def _with_server(options: OptionKeywords, server: str | Sequence[str] | None) -> OptionKeywords:
    if server is None or server == "plivo":  # Plivo's own servers are the default of the option
        return options
    return {**options, "registrationDomainSocket": [server] if isinstance(server, str) else list(server)}


async def _start(made: App, password: str | None) -> App:
    older, _apps[made.username] = _apps.get(made.username), made
    if older is not None:
        await older.close()
    await made._start(password)
    return made


class App:
    """The result of `app`. It is not meant to be constructed directly.

    Attributes:
        username: the account given; empty if the phone asks for it.
        client: the client.
        phone, dashboard: the widgets.
        drawer: the `LabDrawer`; None without a lab.
    """

    client: Client
    phone: Phone
    dashboard: LiveDashboard

    def __init__(
        self, username: str, *, lab: Lab | None, in_lab: bool, options: OptionKeywords, layout: LayoutName
    ) -> None:
        from plivo_nb.lab import Lab  # late: the other widgets do not need a lab

        self.username = username
        self.drawer: LabDrawer | None = None
        self._options = options
        self._layout = layout
        self._own_lab = lab is None and in_lab
        self._lab = Lab() if self._own_lab else lab
        self._shown_in: int | None = None
        self._starting: asyncio.Task[Any] | None = None
        self._watching: Operation[None] | None = None
        self._closing: Operation[None] | None = None

    @property
    def lab(self) -> Lab:
        """The lab.

        Raises:
            LabError: the app is for a Plivo endpoint and has no lab.
        """
        if self._lab is None:
            raise LabError(
                "This app is for a Plivo endpoint, so it has no lab. `await plivo_nb.app()` has one."
            )
        return self._lab

    async def _start(self, password: str | None) -> None:
        if self.closed:
            raise InvalidState(self._closed_early)
        self._starting = asyncio.current_task()
        try:
            await self._log_in(password)
            self._make_widgets()
            self._show()
        except BaseException as error:
            self._starting = None  # so that `close` does not wait for this task
            if not self._is_closed():
                await self.close()
            elif isinstance(error, asyncio.CancelledError):
                raise InvalidState(self._closed_early) from None
            raise
        self._starting = None
        if voila.opened_as_app():
            self._watching = Operation(
                "watch the page of the app", voila.end_with_page(self.phone.page, end=self.close)
            )

    @property
    def closed(self) -> bool:
        """True from `close` on."""
        return self._is_closed()

    def _is_closed(self) -> bool:  # unlike an attribute, a type checker takes it as changeable by an await
        return self._closing is not None

    @property
    def _closed_early(self) -> str:
        return f"{self!r} was closed before it was ready: by close(), or by another app() for this user."

    async def _log_in(self, password: str | None) -> None:
        from plivo_nb.client import Client  # late: it imports the media stack

        if self._lab is None:
            self.client = Client(**self._options)
        else:
            if self._own_lab:
                await self._lab.start()
            password = self._lab.password(self.username)
            # Robots may call several at a time; the SDK's default would refuse all but one of them.
            several: OptionKeywords = {"allowMultipleIncomingCalls": True}
            given = "allow_multiple_incoming_calls" in self._options
            self.client = self._lab.client(**(self._options if given else {**several, **self._options}))
        if password is not None:
            await self.client.login(self.username, password)

    def _make_widgets(self) -> None:
        if self._lab is None:
            self.phone = Phone(self.client)
        else:
            self.phone = Phone(self.client, dial="echo", source="speech", accounts=self._lab.accounts)
        self.dashboard = Dashboard(self.client)
        below = []
        if self._lab is not None:
            self.drawer = LabDrawer(
                self._lab, self.client, call=self.phone.call, show_true_loss=self.dashboard.show_truth
            )
            below.append(self.drawer.widget)
        self._frame = SideBySide(self.phone, self.dashboard, below=below, layout=self._layout)

    def close(self) -> Operation[None]:
        """Hang up, log out, close phone and dashboard, and stop the lab. Closing twice does nothing more.

        Returns:
            An operation; awaiting it waits until all is closed.
        """
        if self._closing is None:
            self._closing = Operation("close the app", self._close())
        return self._closing

    async def _close(self) -> None:
        if _apps.get(self.username) is self:
            del _apps[self.username]
        if self._watching is not None:
            self._watching.cancel()
            await self._watching.settled()
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        if hasattr(self, "client"):
            await self.client.close()  # closes phone, dashboard and lab drawer as well
        if hasattr(self, "_frame"):
            self._frame.close()
        if self._own_lab:
            await self.lab.close()

    def __repr__(self) -> str:
        of = f" of {self.username}" if self.username else ""
        return f"<App{of}{', closed' if self.closed else ''}>"

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
