"""The account bar and the login form: what is displayed, and what a message of the page does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from waiting import until

from plivo_nb.errors import LoginFailed
from plivo_nb.options import PLIVO_SERVERS
from plivo_nb.widgets.account import AccountForm
from plivo_nb.widgets.code_log import code_log_of

OPTIONS: dict[str, Any] = {
    "server": "wss://phone.example.org/ws",
    "several": False,
    "codec": "Opus, else G.711",
}


@pytest.fixture
async def form(client, loop_tasks):
    client.username, client.is_logged_in, client.is_connected = None, False, False
    form = AccountForm(client, loop_tasks)
    form.refresh()
    yield form
    form.close()


def submit(form: AccountForm, user: str = "alice", password: str = "hunter2", **options: Any) -> None:
    message = {"event": "login", "user": user, "password": password, "options": {**OPTIONS, **options}}
    form._form._handle_custom_msg(message, [])


def shown(form: AccountForm) -> set[str]:
    parts = {"form": form._form, "by code": form._by_code, "log out": form._logout}
    return {name for name, widget in parts.items() if widget.layout.display != "none"}


async def turns(count: int = 6) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_logged_out_there_is_a_way_to_log_in(form, client) -> None:
    assert shown(form) == {"form", "by code"}
    assert "Not logged in" in form._bar.value
    form._form._handle_custom_msg({"event": "shown"}, [])
    await turns()
    assert shown(form) == {"form"}, "a page that shows the form needs no code"
    submit(form)
    await turns()
    assert client.asked == [("login", "alice", "hunter2")]
    assert shown(form) == {"log out"}
    assert "<b>alice</b> · connected" in form._bar.value
    form._logout.click()
    await turns()
    assert client.asked[1:] == [("logout",)]
    assert shown(form) == {"form"}


async def test_while_the_login_goes_on_the_form_waits_and_can_be_canceled(form, client) -> None:
    client.username, client.reconnect_in_s = "alice", 0.0
    form.refresh()
    assert shown(form) == {"log out"}
    assert "connecting…" in form._bar.value
    client.reconnect_in_s = None  # refused at a refresh of the registration
    form.refresh()
    assert shown(form) == {"form", "by code"}


async def test_a_login_by_the_form_can_be_canceled_and_not_sent_twice(form, client, monkeypatch) -> None:
    never = asyncio.Event()
    monkeypatch.setattr(client, "login", lambda user, password: never.wait())
    submit(form)
    await turns()
    assert form._form.busy
    assert form._logout.description == "Cancel"
    submit(form)
    await turns()
    never.set()
    await turns()
    assert not form._form.busy


async def test_what_was_done_is_copied_as_code_without_the_password(form, client) -> None:
    submit(form, several=True)
    await turns()
    form._logout.click()
    await turns()
    assert code_log_of(client).text.splitlines() == [
        "client.change_options(**{'allow_multiple_incoming_calls': True})",
        "await client.login('alice', getpass.getpass())",
        "await client.logout()",
    ]


async def test_a_refusal_is_said_in_the_form_until_a_login_succeeds(form, client) -> None:
    client.broken = LoginFailed("Authentication Error", "Login failed: the server refused the password.")
    submit(form)
    await until(lambda: form.error)
    assert form.error == "Login failed: the server refused the password."
    assert not form._form.busy
    assert "form" in shown(form)
    client.broken = None
    submit(form)
    await turns()
    assert form.error == ""


async def test_an_error_of_another_kind_is_shown_in_the_status_line_and_logged(
    form, client, shown: list[str], caplog
) -> None:
    client.broken = ZeroDivisionError("oops")
    submit(form)
    await until(lambda: shown[-1:] == ["ZeroDivisionError: oops"])
    assert "hunter2" not in caplog.text
    assert not form._form.busy


async def test_the_password_is_in_no_state_that_is_sent_or_saved(form, client) -> None:
    submit(form, password="correct horse battery")
    await turns()
    from ipywidgets.widgets import widget

    state = {key: item.get_state() for key, item in widget._instances.items()}
    assert "correct horse" not in json.dumps(state, default=repr)
    assert "correct horse" not in repr(form._form)


async def test_a_labs_users_log_in_without_typing_a_password(client, loop_tasks) -> None:
    client.username, client.is_logged_in = None, False
    form = AccountForm(client, loop_tasks, server="lab", accounts={"alice": "alice-secret", "bob": "x"})
    assert (form._form.accounts, form._form.passwords_known) == (["alice", "bob"], True)
    assert (form._form.user, form._form.server_name) == ("alice", "lab")
    submit(form, password="")
    await turns()
    assert client.asked == [("login", "alice", "alice-secret")]
    assert "alice-secret" not in json.dumps(form._form.get_state(), default=repr)
    form.close()


async def test_options_that_were_changed_are_used_and_others_left(form, client) -> None:
    assert form._form.server_name == "phone.example.org"
    submit(form, server="sip.example.org/ws, ws://127.0.0.1:5066", several=True, codec="G.711 only")
    await turns()
    assert client.asked[0] == (
        "change_options",
        {
            "registration_domain_socket": ("wss://sip.example.org/ws", "ws://127.0.0.1:5066"),
            "allow_multiple_incoming_calls": True,
            "codecs": ("PCMU",),
        },
    )
    await client.logout()
    form.refresh()
    assert (form._form.server_name, form._form.several) == ("sip.example.org", True)
    assert form._form.codec == "G.711 only"
    submit(form, server="", several=True, codec="unknown")
    await turns()
    assert client.options.registration_domain_socket == PLIVO_SERVERS
    assert client.options.codecs == ("PCMU",)


async def test_a_server_that_cannot_be_used_is_said_and_nobody_logs_in(form, client) -> None:
    submit(form, server="ws://phone.example.org")
    await until(lambda: form.error)
    assert "without encryption" in form.error
    assert client.asked == []


@pytest.mark.parametrize(
    "content",
    [None, [], "login", {"event": "login"}, {"event": "login", "user": 5, "password": "", "options": {}}, {}],
)
async def test_nonsense_of_a_page_changes_nothing(form, client, content: Any) -> None:
    form._form._handle_custom_msg(content, [])
    await turns()
    assert client.asked == []
