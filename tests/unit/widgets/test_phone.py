"""The phone: buttons, lines of code, and what it shows."""

from __future__ import annotations

import asyncio
import html
import re
import threading
import time
from typing import Any

import pytest
from waiting import until

from plivo_nb.errors import CallFailed, InvalidState
from plivo_nb.widgets.phone import Phone
from plivo_nb.widgets.phone_view import KEYS

BUTTONS = ("call", "hangup", "mute")


def text(widget: Any) -> str:
    """The text of a widget and all within it."""
    own = getattr(widget, "value", "") or getattr(widget, "description", "")
    inner = "|".join(text(child) for child in getattr(widget, "children", ()))
    return html.unescape(re.sub(r"<[^>]*>", "|", str(own))) + inner


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def key(phone: Phone, which: str) -> Any:
    return next(button for button in phone._view.keys if button.description == which)


async def test_a_click_calls_what_is_dialled(phone, client) -> None:
    for character in "415":
        key(phone, character).click()
    await turns()
    assert phone._view.dial.value == "415"
    phone._view.call.click()
    await turns()
    assert client.asked == [("call", "415")]


async def test_enter_in_the_dial_field_calls(phone, client) -> None:
    phone._view.dial.value = " echo "
    phone._view.dial._handle_custom_msg({"event": "submit"}, [])
    await turns()
    assert client.asked == [("call", "echo")]


async def test_a_line_of_code_does_what_a_click_does(phone, client) -> None:
    await phone.call("echo")
    assert phone._view.dial.value == "echo"
    await phone.hangup()
    await phone.send_dtmf("12#")
    await phone.answer("some-id")
    assert client.asked == [("call", "echo"), ("hangup",), ("send_dtmf", "12#"), ("answer", "some-id")]


async def test_clicks_on_another_thread_reach_the_clients_loop(phone, client) -> None:
    """As on ipykernel 7.0 to 7.3, where a click runs on another thread with a loop of its own."""

    async def click_all() -> None:
        for name in BUTTONS:
            getattr(phone._view, name).click()
        key(phone, "7").click()
        await asyncio.sleep(0.05)

    thread = threading.Thread(target=lambda: asyncio.run(click_all()))
    thread.start()
    await asyncio.to_thread(thread.join)
    await turns()
    assert {what[0] for what in client.asked} == {"call", "hangup"}
    assert set(client.threads) == {client.loop}
    assert client.muted
    assert phone._view.dial.value == "7"


async def test_lines_of_code_in_a_users_own_handler_on_another_thread(phone, client) -> None:
    def handler() -> None:
        phone.call("echo")
        phone.send_dtmf("5")
        phone.mute()

    await asyncio.to_thread(handler)
    await until(lambda: "tones sent: 5" in text(phone._view.log))
    assert client.asked == [("call", "echo"), ("send_dtmf", "5")]
    assert client.muted
    assert set(client.threads) == {client.loop}


async def test_a_failing_click_says_so_and_the_next_one_clears_it(phone, client, capfd) -> None:
    client.broken = CallFailed("Busy")
    phone._view.call.click()
    await turns()
    assert phone.status == "Call failed: Busy."
    assert "Call failed: Busy." in text(phone._view.status_line)
    client.broken = None
    phone._view.hangup.click()
    await turns()
    assert phone.status == ""
    assert capfd.readouterr() == ("", "")


async def test_an_unforeseen_error_is_logged_and_shown(phone, client, caplog) -> None:
    client.broken = ZeroDivisionError("oops <b>")
    phone._view.call.click()
    await turns()
    assert phone.status == "ZeroDivisionError: oops <b>"
    assert "<b>" not in phone._view.status_line.value.replace("<br>", "")
    assert "A handler of the phone failed" in caplog.text


async def test_a_failing_line_of_code_raises_and_shows(phone, client) -> None:
    client.broken = InvalidState("call: nobody is logged in; login first.")
    with pytest.raises(InvalidState, match="nobody is logged in"):
        await phone.call("echo")
    await turns()
    assert phone.status.startswith("call: nobody is logged in")


async def test_the_screen_follows_a_call_and_its_timer_runs(phone, client) -> None:
    assert phone.state == "Ready"
    assert phone._view.hangup.disabled
    call = client.answered()
    call.mean_mos = 4.31
    assert phone.state == "In call"
    assert "|echo|" in text(phone._view.screen)
    assert "0:00" in text(phone._view.screen)
    assert (phone._view.call.disabled, phone._view.hangup.disabled) == (True, False)
    await until(lambda: "0:00" not in text(phone._view.screen))
    client.ended()
    assert phone.state == "Ended (you hung up)"
    shown = text(phone._view.screen)
    assert "0:00" not in shown
    assert "You hung up| · mean MOS ||4.3 excellent" in shown
    assert (phone._view.call.disabled, phone._view.hangup.disabled) == (False, True)


async def test_the_steps_of_dialling_and_a_failure_are_shown(phone, client, stand_in_call) -> None:
    client.answered().mean_mos = 4.4
    client.ended()
    call = client.current_call = stand_in_call("bob", uuid="uuid-2")
    client.emit("onCalling")
    assert phone.state == "Calling"
    assert "|bob|" in text(phone._view.screen)
    call.phase_word = "ringing"
    client.emit("onCallRemoteRinging", call.info)
    assert phone.state == "Ringing"
    client.current_call = None
    call.state, call.cause = "failed", "Busy"
    call.timings["ended"] = time.monotonic()
    client.emit("onCallFailed", "Busy", call.info)
    assert phone.state == "Ended (the other side is busy)"
    shown = text(phone._view.screen)
    assert "The other side is busy" in shown
    assert "0:0" not in shown, "no timer of an earlier call"
    assert "MOS" not in shown, "no figures of an earlier call"
    assert ", no call: the other side is busy" in text(phone._view.log)


async def test_what_the_account_and_the_far_end_do_is_shown(phone, client) -> None:
    client.username, client.is_logged_in, client.is_connected = None, False, False
    client.emit("onLogout")
    assert phone.state == "Not logged in"
    assert phone._view.call.disabled
    client.username, client.reconnect_in_s = "alice", 3.2
    phone.refresh()
    assert phone.state == "Connecting (retry in 4 s)"
    assert "retry in 4 s" in text(phone._view.screen)
    client.is_logged_in, client.is_connected, client.reconnect_in_s = True, True, None
    client.emit("onLogin")
    assert phone.state == "Ready"
    client.answered().on_hold = True
    phone.refresh()
    assert phone.state == "On hold"
    client.connection = type("Connection", (), {"connectionState": "disconnected"})
    phone.refresh()
    assert phone.state == "Reconnecting"


async def test_the_countdown_of_a_reconnection_runs_without_events(phone, client) -> None:
    client.is_connected, client.reconnect_in_s = False, 2.0
    await until(lambda: "retry in 2 s" in text(phone._view.screen))


async def test_a_part_that_fails_is_said_and_does_not_stop_the_others(phone, client, caplog) -> None:
    class Broken:
        widget = None

        def refresh(self) -> None:
            raise ZeroDivisionError("oops")

        def close(self) -> None:
            pass

    phone._parts.insert(0, Broken())
    client.is_connected = False
    client.emit("onConnectionChange", {"state": "disconnected", "eventCode": 1006, "eventReason": ""})
    assert phone.status == "ZeroDivisionError: oops"
    assert "A part of the phone cannot be displayed" in caplog.text
    assert "connecting…" in text(phone._account.widget)


async def test_a_pasted_number_is_cleaned_and_seen_before_it_is_dialled(phone, client) -> None:
    phone._view.dial.value = "+1 (415) 555-0100"
    assert "Will dial +14155550100" in text(phone._view.will_dial)
    phone._view.call.click()
    await turns()
    assert client.asked == [("call", "+14155550100")]
    assert phone._view.dial.value == "+14155550100"
    assert text(phone._view.will_dial).strip("|") == ""


async def test_the_pad_sends_tones_in_a_call_only(phone, client) -> None:
    client.answered()
    key(phone, "5").click()
    await turns()
    assert client.asked == [("send_dtmf", "5")]
    assert "tones sent: 5" in text(phone._view.log)
    assert phone._view.dial.value == ""
    client.ended()
    key(phone, "#").click()
    await turns()
    assert phone._view.dial.value == "#"
    assert [button.description for button in phone._view.keys] == list(KEYS)


async def test_mute_is_shown_also_when_the_client_did_it(phone, client) -> None:
    phone._view.mute.click()
    await turns()
    assert phone.muted
    assert phone._view.mute.description == "Unmute"
    phone._view.mute.click()
    await turns()
    assert phone._view.mute.description == "Mute"
    client.mute()
    client.emit("onDtmfReceived", {"tone": "1", "duration": 100})
    assert phone._view.mute.description == "Unmute"


async def test_a_second_call_that_only_rang_leaves_the_screen_alone(phone, client, stand_in_call) -> None:
    client.answered()
    other = stand_in_call("bob", "INCOMING", "uuid-bob")
    client.emit("onCallFailed", "Rejected", other.info)
    assert phone.state == "In call"
    client.ended()
    assert phone.state == "Ended (you hung up)"
    assert "echo" in text(phone._view.screen)


async def test_a_call_that_only_rang_leaves_why_it_ended(phone, client, stand_in_call) -> None:
    client.answered()
    client.ended()
    bob = stand_in_call("bob", "INCOMING", "uuid-bob")
    client.rings(bob)
    assert phone.state == "Incoming (1)"
    client.incoming_calls.clear()
    bob.state = "canceled"
    client.emit("onIncomingCallCanceled", bob.info)
    assert phone.state == "Ended (the caller gave up)"
    assert "|bob|" in text(phone._view.screen)
    assert "0:0" not in text(phone._view.screen)


async def test_the_last_sample_counts_in_the_score(phone, client) -> None:
    """It comes when the media is closed, after onCallTerminated."""
    call = client.answered()
    client.ended()
    assert "MOS" not in text(phone._view.screen)
    call.mean_mos = 3.2
    await until(lambda: "3.2 poor" in text(phone._view.screen))


async def test_connection_and_login_are_shown(phone, client) -> None:
    assert "connected" in text(phone._account.widget)
    assert "alice" in text(phone._account.widget)
    client.is_connected = False
    client.emit("onConnectionChange", {"state": "disconnected", "eventCode": 1006, "eventReason": ""})
    assert "connecting…" in text(phone._account.widget)
    client.username, client.is_logged_in = None, False
    client.emit("onLogout")
    assert "Not logged in" in text(phone._account.widget)


async def test_only_the_last_events_are_listed_newest_first(phone, client) -> None:
    for tone in range(9):
        client.emit("onDtmfReceived", {"tone": str(tone), "duration": 100})
    tones = re.findall(r"tone received: (\d)", phone._view.log.value)
    assert tones == list("87654")


async def test_a_new_phone_replaces_the_first(phone, client, widget_count) -> None:
    listeners, widgets = client.listeners(), widget_count()
    second = Phone(client)
    assert (client.listeners(), widget_count()) == (listeners, widgets)
    assert repr(phone) == "<Phone, closed>"
    await turns()
    timers = [task for task in asyncio.all_tasks() if task.get_name() == "plivo_nb phone"]
    assert len(timers) == 1
    second._view.call.click()
    phone._view.call.click()
    await turns()
    assert len(client.asked) == 1
    second.close()
    second.close()
    assert (client.listeners(), client.closers) == (0, [])


async def test_a_phone_made_during_a_call_takes_it_up(client) -> None:
    client.answered().timings["answered"] -= 75
    phone = Phone(client)
    assert phone.state == "In call"
    assert "1:15" in text(phone._view.screen)
    phone.close()


async def test_its_repr_is_stable_and_shows_the_widget(phone) -> None:
    bundle = phone._repr_mimebundle_()
    assert bundle["text/plain"] == "<Phone>"
    assert "application/vnd.jupyter.widget-view+json" in bundle
    phone.close()
    assert phone._repr_mimebundle_() == {"text/plain": "<Phone, closed>"}


async def test_what_is_dialled_is_the_text_that_the_page_has(phone, client) -> None:
    phone._view.dial.value = "e"  # the first letter of a fast typist; the rest is held back by the page
    phone.page._received({"type": "typed", "text": "echo", "pasted": False})
    phone._view.dial._handle_custom_msg({"event": "submit"}, [])
    await until(lambda: client.asked == [("call", "echo")])


async def test_a_pasted_number_is_cleaned_in_the_page(phone, monkeypatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(phone.page.widget, "send", sent.append)
    for text in ("echo", " +1 (415) 555-0100 "):
        phone.page._received({"type": "typed", "text": text, "pasted": True})
        assert phone._view.dial.value == text
    assert sent == [{"type": "replace", "text": " +1 (415) 555-0100 ", "by": "+14155550100"}]


async def test_the_delete_key_takes_the_last_character_away(phone, client) -> None:
    phone._view.dial.value = "123"
    phone._view.delete.click()
    await until(lambda: phone._view.dial.value == "12")
    client.answered()
    phone.press("delete")
    assert phone._view.dial.value == "1"
    phone.press("delete")
    phone.press("delete")
    assert phone._view.dial.value == ""
    assert client.asked == []
    client.ended()


async def test_an_error_takes_the_place_of_what_will_be_dialled(phone) -> None:
    view = phone._view
    view.dial.value = "+1 415"
    assert "Will dial +1415" in text(view.will_dial)
    view.show_status("There is a call already.")
    assert "Will dial" not in text(view.will_dial)
    view.show_status("")
    assert "Will dial +1415" in text(view.will_dial)


async def test_what_was_done_can_be_copied_as_code(phone, client) -> None:
    await phone.call("echo")
    client.answered()
    await phone.send_dtmf("5#")
    phone.mute()
    phone.unmute()
    await phone.hangup()
    phone.refresh()
    assert phone.code.splitlines() == [
        "call = await client.call('echo')",
        "await client.send_dtmf('5#')",
        "client.mute()",
        "client.unmute()",
        "await client.hangup()",
    ]
    assert phone._copy_code.widget.code == phone.code


async def test_fifty_calls_both_ways_leave_nothing(client, stand_in_call, widget_count) -> None:
    nothing = widget_count()
    phone = Phone(client)
    counts = []
    for number in range(50):
        ringing = stand_in_call("bob", "INCOMING", f"in-{number}")
        client.rings(ringing)
        client.incoming_calls.clear()
        client.answered(ringing)
        client.ended()
        client.answered(stand_in_call("echo", uuid=f"out-{number}"))
        client.ended()
        await turns()
        counts.append(widget_count())
    assert counts[-1] == counts[24]
    phone.close()
    assert widget_count() == nothing
    assert (client.listeners(), client.closers) == (0, [])


async def test_no_second_is_left_out_where_drawing_takes_the_time_to_the_next_one(
    phone, client, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    show_screen = phone._view.show_screen

    def slowly(screen: Any) -> None:
        show_screen(screen)
        shown.extend(re.findall(r"\d:\d\d", text(phone._view.screen)))
        time.sleep(0.03)

    monkeypatch.setattr(phone._view, "show_screen", slowly)
    for task in phone._loop_tasks._tasks:  # the timer that started with the phone
        task.cancel()
    timer = asyncio.create_task(phone._update_timer())
    await asyncio.sleep(0)
    first_turn = time.monotonic() + 1.005
    call = client.answered()
    call.timings["answered"] = first_turn - 9.99  # the full second passes while the first turn draws
    await until(lambda: "0:11" in shown)
    assert "0:10" in shown
    timer.cancel()
    client.ended()
