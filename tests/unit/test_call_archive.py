"""call_archive: calls stored in a folder while they go on, whatever the disk does."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import threading
from pathlib import Path

import pandas as pd
import pytest
from small_disk import small_disk
from stored_calls import store_call
from waiting import until

import plivo_nb
from plivo_nb import read
from plivo_nb.analysis import call_folder
from plivo_nb.errors import MediaError
from plivo_nb.testing import FakeServer

SPEECH = plivo_nb.speech_path()


def files(folder: Path) -> dict[str, int]:
    """The files below a folder: how many of each ending."""
    found = [path.suffix for path in folder.rglob("*") if path.is_file()]
    return {ending: found.count(ending) for ending in set(found)}


async def test_a_call_is_a_stream_while_it_goes_on_and_parquet_after_it(tmp_path):
    async with FakeServer() as server, server.client() as client:
        archive = client.record_to(tmp_path)
        await client.login("alice", server.password("alice"))
        call = await client.call("echo")
        call.tags["label"] = "wifi"
        going_on = await until(lambda: (found := read(tmp_path)) and len(found.samples) and found)
        assert going_on.calls[["state", "dest"]].to_numpy().tolist() == [["answered", "echo"]]
        assert files(tmp_path) == {".arrows": 1}
        await call.hangup()
        await until(lambda: files(tmp_path) == {".parquet": 1})
        stored = read(tmp_path)
        pd.testing.assert_frame_equal(stored.samples, client.samples)
        pd.testing.assert_frame_equal(stored.media_metrics, client.media_metrics)
        pd.testing.assert_frame_equal(stored.calls[client.calls.columns], client.calls)
        assert stored.calls["label"].tolist() == ["wifi"]
        assert (archive.error, stored.warnings) == (None, ())
        assert repr(archive).startswith("<CallArchive")
    assert archive.closed


async def test_calls_without_an_answer_are_stored_too(tmp_path):
    async with FakeServer() as server, server.client() as client:
        client.record_to(tmp_path, sound=True)
        await client.login("alice", server.password("alice"))
        with pytest.raises(plivo_nb.CallFailed):
            await client.call("busy")
    assert files(tmp_path) == {".parquet": 1}
    assert read(tmp_path).calls[["state", "cause", "code"]].to_numpy().tolist() == [["failed", "Busy", 486.0]]


async def test_sound_is_recorded_beside_an_answered_call_and_its_beginning_is_kept(tmp_path):
    async with FakeServer() as server, server.client() as client:
        await client.login("alice", server.password("alice"))
        call = await client.call("echo")
        client.record_to(tmp_path, sound=True)  # in the middle of a call
        call.play(SPEECH)
        await until(lambda: len(call.samples) >= 2)
        client.record_to(tmp_path, keep_days=3)  # no second archive
        await call.hangup()
        answered = call.samples.index[0]
    stored = read(tmp_path)
    assert files(tmp_path) == {".parquet": 1, ".opus": 1}
    pd.testing.assert_frame_equal(stored.samples, client.samples)
    row = stored.calls.iloc[0]
    assert Path(row["sound"]).stat().st_size > 1000
    assert abs((row["sound_began"] - answered).total_seconds()) < 10


async def test_several_calls_and_clients_have_files_of_their_own(tmp_path):
    async with FakeServer() as server, server.client() as alice, server.client() as bob:
        for client, name in ((alice, "alice"), (bob, "bob")):
            client.record_to(tmp_path)
            await client.login(name, server.password(name))
        bob.on("onIncomingCall", lambda *_: bob.answer())
        for _ in range(2):
            await (await alice.call("bob")).hangup()
            await until(lambda: bob.current_call is None)
    stored = read(tmp_path)
    assert files(tmp_path) == {".parquet": 4}
    assert sorted(stored.calls["direction"]) == ["INCOMING"] * 2 + ["OUTGOING"] * 2
    assert stored.calls["call_uuid"].is_unique


async def test_a_full_disk_breaks_no_call_and_is_said_once(tmp_path, caplog):
    caplog.set_level(logging.INFO, "plivo_nb.call_archive")
    with small_disk(tmp_path / "disk", 500) as disk:
        async with FakeServer() as server, server.client() as client:
            archive = client.record_to(disk / "calls")
            await client.login("alice", server.password("alice"))
            ballast = disk / "ballast"
            ballast.write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize))
            call = await client.call("echo")
            await until(lambda: archive.error)
            assert "No space left" in archive.error
            assert call.phase == "answered"
            ballast.unlink()
            await until(lambda: archive.error is None)
            await call.hangup()
            await until(lambda: files(disk) == {".parquet": 1})
        pd.testing.assert_frame_equal(read(disk).samples, client.samples)
    said = [record.getMessage() for record in caplog.records if record.name == "plivo_nb.call_archive"]
    assert [line.startswith("Calls cannot be stored") for line in said] == [True, False], said


async def test_a_folder_that_cannot_be_written_is_refused_in_the_cell(tmp_path):
    (tmp_path / "file").touch()
    async with FakeServer() as server, server.client() as client:
        with pytest.raises(MediaError, match="choose a folder in which you may write"):
            client.record_to(tmp_path / "file" / "calls")
        with pytest.raises(ValueError, match="keep_days is -1"):
            client.record_to(tmp_path / "calls", keep_days=-1)


async def test_a_folder_that_vanishes_breaks_no_call(tmp_path):
    """An external disk is pulled out: a file stands where its folder was."""
    folder = tmp_path / "calls"
    async with FakeServer() as server, server.client() as client:
        archive = client.record_to(folder)
        await client.login("alice", server.password("alice"))
        folder.rmdir()
        folder.touch()
        info = await (await client.call("echo")).hangup()
        assert info.state == "ended"
        await until(lambda: archive.error)


async def test_old_calls_are_deleted(tmp_path):
    day = dt.datetime.now(dt.UTC)
    old = store_call(tmp_path, "old", began_s=(day - dt.timedelta(days=9)).timestamp())
    new = store_call(tmp_path, "new", began_s=(day - dt.timedelta(days=1)).timestamp())
    async with FakeServer() as server, server.client() as client:
        client.record_to(tmp_path, keep_days=7)
        await until(lambda: not old.exists())
    assert new.exists()


async def test_the_archive_can_be_closed_during_a_call(tmp_path):
    async with FakeServer() as server, server.client() as client:
        archive = client.record_to(tmp_path)
        await client.login("alice", server.password("alice"))
        call = await client.call("echo")
        await until(lambda: len(call.samples))
        await archive.close()
        await archive.close()
        assert files(tmp_path) == {".arrows": 1}, "the call has not ended"
        again = client.record_to(tmp_path)
        assert again is not archive
        await call.hangup()
        await asyncio.wait_for(call.ended, 10)
    assert files(tmp_path) == {".arrows": 1, ".parquet": 1}


async def test_feedback_after_the_call_is_written_into_its_file(tmp_path):
    async with FakeServer() as server, server.client() as client:
        client.record_to(tmp_path)
        await client.login("alice", server.password("alice"))
        call = await client.call("echo")
        await call.hangup()
        await client.send_quality_feedback(client.get_last_call_uuid(), 2, "bad-audio")
        await until(lambda: read(tmp_path).calls["feedback_score"].tolist() == [2.0])
        stored = read(tmp_path)
        pd.testing.assert_frame_equal(stored.calls[client.calls.columns], client.calls)
        pd.testing.assert_frame_equal(stored.samples, client.samples, check_categorical=False)
        assert len(stored.sip_trace) == len(call.sip_trace) > 0


async def test_a_closed_client_stores_nothing(tmp_path):
    async with FakeServer() as server:
        client = server.client()
        await client.close()
        with pytest.raises(plivo_nb.InvalidState, match="record_to: this client is closed"):
            client.record_to(tmp_path / "calls")
    assert not (tmp_path / "calls").exists()


async def test_a_disk_that_hangs_delays_no_call(tmp_path, monkeypatch):
    """A network disk whose server is away: everything that touches it waits."""
    hung = threading.Event()
    reserve = call_folder.reserve

    def waits(*arguments):
        assert hung.wait(60)
        return reserve(*arguments)

    monkeypatch.setattr(call_folder, "reserve", waits)
    async with FakeServer() as server, server.client() as client:
        archive = client.record_to(tmp_path, sound=True)
        await client.login("alice", server.password("alice"))
        call = await client.call("echo")
        await until(lambda: len(call.samples))
        info = await asyncio.wait_for(call.hangup(), 30)
        assert (info.state, files(tmp_path)) == ("ended", {})
        hung.set()
        await until(lambda: files(tmp_path) == {".parquet": 1})
        pd.testing.assert_frame_equal(read(tmp_path).samples, client.samples)
        assert archive.error is None
