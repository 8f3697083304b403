"""The phone with the real client and lab; what only a browser displays is in tests/browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from waiting import until

from plivo_nb.errors import InvalidState
from plivo_nb.lab import Lab
from plivo_nb.widgets import Phone

if TYPE_CHECKING:
    from plivo_nb.client import Client


async def test_an_incoming_call_is_answered_rejected_or_ignored_by_clicking(lab: Lab, alice: Client) -> None:
    phone = Phone(alice)
    async with lab.client() as bob:
        await bob.login("bob", lab.password("bob"))
        for name, state in (("answer", "In call"), ("reject", "Ended (you declined)")):
            calling = bob.call("alice")
            await until(lambda: alice.incoming_calls)
            (row,) = phone._incoming._rows.values()
            assert ">bob<" in row._caller.value
            getattr(row, name).click()
            await until(lambda state=state: phone.state == state)
            assert phone.status == ""
            if state == "In call":
                await bob.hangup()
                await until(lambda: phone.state == "Ended (the other side hung up)")
            await calling.settled()
        calling = bob.call("alice")
        await until(lambda: alice.incoming_calls)
        (row,) = phone._incoming._rows.values()
        row.ignore.click()
        await until(lambda: not phone._incoming._rows)
        assert "incoming call ignored" in phone._view.log.value
        await bob.hangup()
        await calling.settled()


async def test_what_cannot_be_done_is_said(lab: Lab, alice: Client) -> None:
    phone = Phone(alice)
    phone._view.dial.value = "nobody-of-that-name"
    phone._view.call.click()
    await until(lambda: phone.status)
    assert phone.state == "Ended (there is no such number or name)"
    with pytest.raises(InvalidState):
        await phone.hangup()
    await until(lambda: "hangup" in phone.status)


async def test_hold_by_the_far_end_is_shown_until_it_ends(lab: Lab, alice: Client) -> None:
    phone = Phone(alice)
    await phone.call("holds")
    await until(lambda: phone.state == "On hold")
    await until(lambda: phone.state == "In call")
    await phone.hangup()


async def test_a_lost_connection_is_shown_and_the_call_goes_on(lab: Lab, alice: Client) -> None:
    phone = Phone(alice)
    await phone.call("echo")
    await lab.faults.drop_socket("alice")
    await until(lambda: phone.state.startswith("Reconnecting"))
    await until(lambda: phone.state == "In call")
    await until(lambda: alice.samples["mos"].notna().any())  # the first one may have no round-trip time yet
    await phone.hangup()
    await until(lambda: "mean MOS" in phone._view._note.value)
    await lab.faults.drop_socket("alice")
    await until(lambda: phone.state.startswith("Connecting"))
    await until(lambda: phone.state == "Ended (you hung up)")


async def test_a_number_of_unusual_length_is_refused_in_words(alice: Client) -> None:
    phone = Phone(alice)
    phone._view.dial.value = "4" * 60_000
    phone._view.call.click()
    await until(lambda: "at most 512 can be dialled" in phone.status)
    assert phone.state == "Ready"
