"""Login and logout at the phone, with the real client and lab; the form itself is in tests/browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from waiting import until

from plivo_nb import Client
from plivo_nb.widgets import Phone

if TYPE_CHECKING:
    from plivo_nb.lab import Lab


def submit(phone: Phone, user: str, password: str, **options: Any) -> None:
    form = phone._account._form
    chosen = {"server": form.server, "several": form.several, "codec": form.codec, **options}
    message = {"event": "login", "user": user, "password": password, "options": chosen}
    form._handle_custom_msg(message, [])


async def test_a_client_logs_in_at_the_phone_after_a_wrong_password(lab: Lab) -> None:
    async with lab.client() as client:
        phone = Phone(client)
        assert phone.state == "Not logged in"
        submit(phone, "alice", "wrong")
        await until(lambda: phone._account.error)
        assert phone._account.error.startswith("Login failed: the server refused the username or password")
        assert phone.state == "Not logged in"
        submit(phone, "alice", lab.password("alice"))
        await until(lambda: phone.state == "Ready")
        assert phone._account.error == ""
        await phone.call("echo")
        phone._account._logout.click()
        await until(lambda: phone.state == "Not logged in")
        await until(lambda: phone._account._form.layout.display is None)
        assert not client.is_logged_in


async def test_the_form_chooses_the_server_and_options(lab: Lab) -> None:
    async with Client(sound="none", enableTracking=False, loopbackCandidates=True) as client:
        phone = Phone(client, accounts=lab.accounts)
        assert phone._account._form.server_name == "Plivo"
        submit(phone, "bob", "", server=lab.url, several=True)
        await until(lambda: phone.state == "Ready")
        assert client.options.allow_multiple_incoming_calls
        assert phone._account._form.user == "bob"


async def test_a_login_that_goes_on_can_be_canceled(lab: Lab) -> None:
    async with Client(
        sound="none", enableTracking=False, registrationDomainSocket=["wss://127.0.0.1:9"]
    ) as client:
        phone = Phone(client)
        submit(phone, "alice", "x", server="wss://127.0.0.1:9 wss://127.0.0.1:9 wss://127.0.0.1:9")
        await until(lambda: phone.state.startswith("Connecting"))
        phone._account._logout.click()
        await until(lambda: phone.state == "Not logged in")
        await until(lambda: not phone._account._form.busy)
