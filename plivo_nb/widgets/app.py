"""app(): a lab, a client, a phone and a dashboard in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from IPython import get_ipython

from plivo_nb.operation import Operation
from plivo_nb.options import OptionKeywords, shows_options
from plivo_nb.widgets.dashboard import Dashboard
from plivo_nb.widgets.layout import SideBySide
from plivo_nb.widgets.phone import Phone

if TYPE_CHECKING:
    from plivo_nb.client import Client
    from plivo_nb.lab import Lab

_apps: dict[str, App] = {}


@shows_options
def app(
    username: str = "alice", *, lab: Lab | None = None, **options: Unpack[OptionKeywords]
) -> Operation[App]:
    """Start a lab, log in, and show a phone and a dashboard in this cell.

    Run again for the same user, it closes what it made before.

    Args:
        username: which of the lab's accounts to be.
        lab: a lab that runs already, for a second user in the same lab; closing the app leaves it alone.
        options: of the client, such as ``sound="device"`` to speak by this machine's microphone.

    Returns:
        An operation; awaiting it gives the `App` once all is ready. Ignored, it still shows itself here.

    Raises (when awaited):
        LabError: the lab did not start, or has no such account.
        LoginFailed: the lab refused the login.

    Example:
        >>> softphone = await plivo_nb.app()
        >>> await softphone.phone.call("echo")
        >>> await softphone.close()
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
    """What `app` made: `.lab`, `.client`, `.phone`, `.dashboard`, and `close`. Made by `app`, not by hand."""

    lab: Lab
    client: Client
    phone: Phone
    dashboard: Dashboard

    def __init__(self, username: str, lab: Lab | None, options: OptionKeywords) -> None:
        from plivo_nb.lab import Lab  # late: nothing else of the widgets needs a lab

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
        """Hang up, log out, take phone and dashboard away and stop the lab. Closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        if _apps.get(self.username) is self:
            del _apps[self.username]
        if hasattr(self, "client"):
            await self.client.close()  # phone and dashboard close with it
        if hasattr(self, "_frame"):
            self._frame.close()
        if self._own_lab:
            await self.lab.close()

    def __repr__(self) -> str:
        return f"<App of {self.username}{', closed' if self._closed else ''}>"

    def _ipython_display_(self) -> None:
        # `await plivo_nb.app()` as a cell's last line: it has shown itself in this cell already.
        if _cell() is None or _cell() != self._shown_in:
            self._show()

    def _show(self) -> None:
        self._shown_in = _cell()
        self.dashboard.show_in(self._frame.widget, repr(self))


def _cell() -> int | None:
    """The number of the cell that runs, or None outside IPython."""
    shell: Any = get_ipython()
    return None if shell is None else shell.execution_count
