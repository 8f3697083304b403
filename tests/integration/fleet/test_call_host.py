"""fleet.call_host: the calls of one process, in a real lab, without Dask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from small_disk import small_disk
from waiting import until

from plivo_nb import Lab
from plivo_nb.analysis import call_file
from plivo_nb.fleet.call_host import CallHost, CallResult, HostSettings
from plivo_nb.fleet.plan import PlannedCall


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab(["ann", "bob"]) as lab:
        lab.share_accounts(tmp_path / "accounts.json", ["ann", "bob"])
        yield lab


@pytest.fixture
async def host(lab: Lab, tmp_path: Path) -> AsyncIterator[CallHost]:
    host = CallHost(HostSettings(lab_file=str(tmp_path / "accounts.json")), "here")
    yield host
    await host.close()


async def result_of(host: CallHost, call: PlannedCall) -> CallResult:
    host.start(call, {"row": call.number})
    (result,) = await host.collect(30.0)
    return result


async def test_the_file_of_a_call_has_its_samples_packets_sip_and_tags(host: CallHost, lab: Lab) -> None:
    result = await result_of(host, PlannedCall(4, 0.0, "ann", "echo", 2.2))
    assert (result.number, result.event, result.cause, result.problem) == (4, "ended", None, None)
    about = call_file.decode_about(result.data)
    assert about is not None
    assert about.ended
    assert about.tags == {"row": 4, "status": "done", "problem": None}
    assert about.row["state"] == "ended"
    assert about.row["mos_mean"] is None or about.row["mos_mean"] > 4
    assert [user["user"] for user in (await lab.status())["registrations"]] == ["ann"]
    await host.leave("ann")
    assert (await lab.status())["registrations"] == []


async def test_calls_that_are_not_answered_are_results_with_a_cause(host: CallHost) -> None:
    busy = await result_of(host, PlannedCall(0, 0.0, "ann", "busy", 2.0))
    assert (busy.event, busy.problem) == ("refused", None)
    assert "Busy" in str(busy.cause)
    nobody = await result_of(host, PlannedCall(1, 0.0, "eve", "echo", 2.0))
    assert "has no account eve" in str(nobody.cause)
    about = call_file.decode_about(nobody.data)
    assert about is not None
    assert (about.row["call_uuid"], about.tags["status"]) == ("planned-000001", "failed")
    missing = await result_of(host, PlannedCall(2, 0.0, "bob", "echo", 2.0, source="/nowhere/sound.wav"))
    assert "sound.wav" in str(missing.cause)


async def test_the_far_end_may_hang_up_before_the_time(host: CallHost) -> None:
    result = await result_of(host, PlannedCall(0, 0.0, "ann", "hangs-up-after-1", 60.0))
    assert result.event == "ended"
    about = call_file.decode_about(result.data)
    assert about is not None
    assert about.row["originator"] == "remote"


async def test_calls_that_are_canceled_are_hung_up_and_no_more_begin(host: CallHost) -> None:
    host.start(PlannedCall(0, 0.0, "ann", "echo", 60.0), {})

    def talks() -> bool:
        calls = [account.client.current_call for account in host._clients.values()]
        return bool(calls) and all(call is not None and call.source is not None for call in calls)

    await until(talks)
    host.cancel()
    (result,) = await host.collect(10.0)
    assert result.event == "ended"
    assert (
        await result_of(host, PlannedCall(1, 0.0, "ann", "echo", 1.0))
    ).cause == "The campaign was canceled."


async def test_without_room_on_its_disk_a_call_still_has_its_samples(lab: Lab, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 4) as disk:
        host = CallHost(HostSettings(lab_file=str(tmp_path / "accounts.json")), "here")
        host._folder.cleanup()
        host._folder.name = str(disk)
        (disk / "filler").write_bytes(b"x" * 4096)
        result = await result_of(host, PlannedCall(0, 0.0, "ann", "echo", 2.2))
        await host.close()
    assert result.event == "ended"
    assert "cannot be stored" in str(result.problem)
    about = call_file.decode_about(result.data)
    assert about is not None
    assert about.tags["status"] == "done"
