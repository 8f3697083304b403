"""The history: rows of calls that have ended, the selected call, redial and the count of missed calls."""

from __future__ import annotations

import pytest
from waiting import until

from plivo_nb.events import CallInfo
from plivo_nb.widgets import history as module
from plivo_nb.widgets.history import History
from plivo_nb.widgets.loop_tasks import LoopTasks


@pytest.fixture
async def alice(in_memory):
    return await in_memory("alice")


@pytest.fixture
async def bob(in_memory):
    return await in_memory("bob")


@pytest.fixture
def redialled() -> list[str]:
    return []


@pytest.fixture
async def history(alice, shown, redialled):
    tasks = LoopTasks(alice.loop, shown.append, "test")
    made = History(alice, tasks, redialled.append)
    for name in ("onCalling", "onIncomingCall", "onIncomingCallCanceled", "onIncomingCallIgnored",
                 "onCallTerminated", "onCallFailed", "onCallAnswered"):  # fmt: skip
        alice.on(name, lambda *_: made.refresh())
    made.refresh()
    yield made
    made.close()
    tasks.close()


def shown_row(history: History, index: int = 0) -> tuple[str, ...]:
    row = history.widget.rows[index]
    return (row["kind"], row["who"], row["length"], row["why"])


async def test_a_call_is_listed_when_it_has_ended(history, alice, bob, talk) -> None:
    call, _ = await talk(alice, bob)
    assert history.widget.rows == []
    await call.hangup()
    assert shown_row(history) == ("outgoing", "bob", "0:00", "you hung up")
    assert abs(history.widget.rows[0]["at_ms"] / 1000 - call.summary["time"]) < 0.001
    assert (history.widget.rows[0]["mos"], history.widget.missed) == ("", 0)
    theirs, _ = await talk(bob, alice)
    await theirs.hangup()
    await until(lambda: len(history.widget.rows) == 2)
    assert shown_row(history) == ("incoming", "bob", "0:00", "the other side hung up")


async def test_missed_rejected_and_ignored_calls(history, alice, bob) -> None:
    calling = bob.call("alice")
    await until(lambda: alice.incoming_calls)
    await bob.hangup()
    await until(lambda: len(history.widget.rows) == 1)
    await calling.settled()
    assert (shown_row(history)[0], history.widget.missed) == ("missed", 1)

    calling = bob.call("alice")
    await until(lambda: alice.incoming_calls)
    await alice.reject()
    await calling.settled()
    assert (shown_row(history)[0], history.widget.missed) == ("incoming", 1)

    calling = bob.call("alice")
    await until(lambda: alice.incoming_calls)
    await alice.ignore()
    assert len(history.widget.rows) == 2
    await bob.hangup()  # no event follows an ignored call
    await until(lambda: len(history.widget.rows) == 3)
    await calling.settled()
    assert (shown_row(history)[0], history.widget.missed) == ("missed", 2)


async def test_the_selected_row_gives_its_call(history, alice, bob, talk) -> None:
    assert history.selected_call is None
    calls = []
    for _ in range(2):
        call, _ = await talk(alice, bob)
        await call.hangup()
        calls.append(call)
    history.widget.selected = history.widget.rows[1]["id"]  # as a click does
    assert history.selected_call is calls[0]
    assert history.selected_call.summary["call_uuid"] == calls[0].call_uuid
    history.widget.selected = ""
    assert history.selected_call is None


async def test_redial_calls_the_other_party_of_a_row(history, alice, bob, talk, redialled, shown) -> None:
    call, _ = await talk(alice, bob)
    await call.hangup()
    theirs, _ = await talk(bob, alice)
    await theirs.hangup()
    await until(lambda: len(history.widget.rows) == 2)
    for row in history.widget.rows:
        history.widget._handle_custom_msg({"redial": row["id"]}, [])
    history.widget._handle_custom_msg({"redial": "call-99"}, [])
    history.widget._handle_custom_msg({"redial": 3}, [])
    history.widget._handle_custom_msg([], [])
    await until(lambda: "not in the history any more" in "".join(shown))
    assert redialled == ["bob", "bob"]


async def test_the_last_calls_are_kept_and_no_more(
    history, alice, bob, talk, monkeypatch, widget_count
) -> None:
    monkeypatch.setattr(module, "KEPT_CALLS", 2)
    before = widget_count()
    for number in range(4):
        call, _ = await talk(alice, bob)
        await call.hangup()
        if number == 1:
            history.widget.selected = history.widget.rows[1]["id"]
    assert [row["id"] for row in history.widget.rows] == ["call-4", "call-3"]
    assert len(history._calls) == 2
    assert history.widget.selected == ""
    assert widget_count() == before


def test_a_row_of_a_call_with_figures() -> None:
    info = CallInfo(
        "uuid-1", "OUTGOING", "sip:alice@phone.plivo.com", "+1 <415>", "ended", originator="remote"
    )
    summary = {"duration_s": 61.5, "mos_mean": 3.14, "direction": "OUTGOING", "state": "ended", "time": 1.5e9}
    given = type("Given", (), {"summary": summary, "info": info, "cause": None})()
    assert module.row_of(given, "call-7") == {
        "id": "call-7", "kind": "outgoing", "who": "+1 <415>", "at_ms": 1_500_000_000_000, "length": "1:01",
        "mos": "3.1", "verdict": "poor", "why": "the other side hung up",
    }  # fmt: skip
