"""The account of the phone: who is logged in, the connection to the server, login and logout."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anywidget
import ipywidgets as W
import traitlets as t

from plivo_nb.errors import PlivoError
from plivo_nb.options import PLIVO_SERVERS
from plivo_nb.widgets.code_log import code_log_of
from plivo_nb.widgets.phone_view import button, close_tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plivo_nb.client import Client
    from plivo_nb.widgets.loop_tasks import LoopTasks

_OTHER_CODECS = "as set in code"
_CODECS: dict[str, tuple[str, ...]] = {
    "Opus, else G.711": ("OPUS", "PCMU"),
    "G.711, else Opus": ("PCMU", "OPUS"),
    "Opus only": ("OPUS",),
    "G.711 only": ("PCMU",),
}
_BY_CODE = (
    "The login form needs anywidget in this page. Log in by code: "
    '<code>await client.login("user", getpass.getpass())</code>'
)


class _LoginForm(anywidget.AnyWidget):
    """What the form displays. The password is in no trait: it comes in a message."""

    _esm = Path(__file__).with_name("account.js")
    accounts = t.List(t.Unicode()).tag(sync=True)
    passwords_known = t.Bool(False).tag(sync=True)
    user = t.Unicode("").tag(sync=True)
    server_name = t.Unicode("").tag(sync=True)
    server = t.Unicode("").tag(sync=True)
    several = t.Bool(False).tag(sync=True)
    codec = t.Unicode("").tag(sync=True)
    codecs = t.List(t.Unicode()).tag(sync=True)
    busy = t.Bool(False).tag(sync=True)
    error = t.Unicode("").tag(sync=True)


class AccountForm:
    """The account bar of a phone, and the login form while nobody is logged in.

    Args:
        client: the client.
        loop_tasks: run what is clicked.
        server: the server's name as displayed; by default the host of the client's server.
        accounts: user names to choose from. With passwords, such as `Lab.accounts`, these users log in
            without typing one; the passwords stay in the kernel.

    Attributes:
        widget: the ipywidgets box.
    """

    def __init__(
        self,
        client: Client,
        loop_tasks: LoopTasks,
        *,
        server: str | None = None,
        accounts: Sequence[str] | Mapping[str, str] = (),
    ) -> None:
        self._client = client
        self._loop_tasks = loop_tasks
        self._named_server = (client.options.registration_domain_socket, server)
        self._passwords = dict(accounts) if isinstance(accounts, Mapping) else {}
        self._logging_in = False
        names = list(accounts)
        self._form = _LoginForm(
            accounts=names, passwords_known=bool(self._passwords), user=names[0] if names else ""
        )
        self._form.on_msg(self._on_message)
        self._by_code = W.HTML(f'<div class="plivo-by-code">{_BY_CODE}</div>')
        self._bar = W.HTML(layout=W.Layout(flex="1 1 auto"))
        self._logout = button("Log out", "plivo-plain", height="26px", tooltip="Log out from the server")
        self._logout.layout.flex = "0 0 72px"
        self._logout.on_click(lambda _button: loop_tasks.run_soon(self._log_out))
        self.widget: Any = W.VBox([W.HBox([self._bar, self._logout]), self._form, self._by_code])
        self.widget.add_class("plivo-account-bar")
        self._page_answers = False
        self._show_options()

    @property
    def error(self) -> str:
        """Why the last login by this form failed; empty if it did not."""
        return str(self._form.error)

    def refresh(self) -> None:
        """Display the present state of the client."""
        client = self._client
        given_up = not client.is_logged_in and client.reconnect_in_s is None
        logged_out = client.username is None or given_up
        form = logged_out or self._logging_in
        if client.is_logged_in:
            self._form.error = ""
        self._form.busy = self._logging_in
        _display(self._form, form)
        _display(self._by_code, form and not self._page_answers)
        _display(self._logout, not logged_out)
        self._logout.description = "Cancel" if self._logging_in else "Log out"
        if logged_out:
            self._show_options()
        connection, words = _connection(client, logged_out)
        self._bar.value = (
            f'<div class="plivo-line plivo-account-line"><span class="plivo-cut"><span class="plivo-dot '
            f'{connection}"></span>{words}</span></div>'
        )

    def close(self) -> None:
        """Close the widgets."""
        close_tree(self.widget)

    def _show_options(self) -> None:
        options = self._client.options
        servers, name = self._named_server
        if name is None or servers != options.registration_domain_socket:
            name = _server_name(options.registration_domain_socket)
        codec = next((words for words, names in _CODECS.items() if names == options.codecs), _OTHER_CODECS)
        self._form.codecs = [*_CODECS, *([_OTHER_CODECS] if codec == _OTHER_CODECS else [])]
        self._form.codec = codec
        self._form.several = options.allow_multiple_incoming_calls
        self._form.server = " ".join(options.registration_domain_socket)
        self._form.server_name = name

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """A message of the page. Its content is not to be trusted, and must not be logged: the password."""
        if not isinstance(content, dict):
            return
        if content.get("event") == "shown":
            self._loop_tasks.run_soon(self._page_answered)
        elif content.get("event") == "login":
            user, password = content.get("user"), content.get("password")
            options = content.get("options")
            if isinstance(user, str) and isinstance(password, str) and isinstance(options, dict):
                self._loop_tasks.run_soon(lambda: self._log_in(user, password, options))

    def _page_answered(self) -> None:
        self._page_answers = True
        self.refresh()

    async def _log_in(self, user: str, password: str, options: dict[str, Any]) -> None:
        if self._logging_in:
            return
        code = code_log_of(self._client)
        self._logging_in = True
        self._form.error = ""
        self._form.user = user
        self.refresh()
        try:
            changes = self._changes(options)
            self._client.change_options(**changes)
            if changes:
                code.add("client.change_options(**{!r})", changes)
            code.add("await client.login({!r}, getpass.getpass())", user)
            await self._client.login(user, password or self._passwords.get(user, ""))
            self._form.send({"focus": "phone"})  # before the form, which may have the focus, is hidden
        except PlivoError as error:
            self._form.error = str(error)
        finally:
            self._logging_in = False
            self.refresh()

    async def _log_out(self) -> None:
        code_log_of(self._client).add("await client.logout()")
        await self._client.logout()
        self.refresh()
        self._form.send({"focus": "form"})

    def _changes(self, chosen: dict[str, Any]) -> dict[str, Any]:
        """The options that differ from the client's."""
        options = self._client.options
        typed = str(chosen.get("server", "")).replace(",", " ").split()
        servers = tuple(url if "://" in url else f"wss://{url}" for url in typed) or PLIVO_SERVERS
        wanted = {
            "registration_domain_socket": servers,
            "allow_multiple_incoming_calls": chosen.get("several") is True,
            "codecs": _CODECS.get(str(chosen.get("codec")), options.codecs),
        }
        return {name: value for name, value in wanted.items() if value != getattr(options, name)}


def _display(widget: Any, shown: bool) -> None:
    wanted = None if shown else "none"
    if widget.layout.display != wanted:
        widget.layout.display = wanted


def _connection(client: Client, logged_out: bool) -> tuple[str, str]:
    """The class of the dot, and what the bar says, as HTML."""
    user = html.escape(client.username or "")
    if logged_out:
        return "plivo-dot-off", "Not logged in"
    if client.is_logged_in and client.is_connected and client.reconnect_in_s is None:
        return "plivo-dot-on", f"<b>{user}</b> · connected"
    return "plivo-dot-waiting", f"<b>{user}</b> · connecting…"


def _server_name(servers: Sequence[str]) -> str:
    if not servers:
        return "none"
    hosts = [urlsplit(url).hostname or url for url in servers]
    if tuple(servers) == PLIVO_SERVERS:
        return "Plivo"
    return hosts[0]
