"""fleet.campaign: real calls in a real lab, by real worker processes, some of which are killed."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pickle
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pandas as pd
import pytest
from bench.campaign_kill import kill, shown
from bench.dask_processes import DaskProcesses
from small_disk import small_disk
from waiting import until

from plivo_nb import CallSet, InvalidState, Lab, read
from plivo_nb.fleet import Campaign, PlanError, Progress, RunError, at_rate, grid
from plivo_nb.fleet.call_host import HostSettings

pytestmark = pytest.mark.xdist_group("campaign")  # several processes each
ACCOUNTS = ["ann", "bob", "carl", "dora"]


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with Lab(ACCOUNTS, random_passwords=True) as lab:
        yield lab


async def test_calls_by_a_plan_with_networks_failures_and_tags(tmp_path: Path) -> None:
    plan = at_rate(
        8, 4.0, ACCOUNTS, ["echo", "echo", "echo", "echo", "echo", "echo", "busy", "nobody"], 2.5,
        networks=grid(loss=[0.0, 0.2], delay_ms=[0, 100]), headers="X-PH-Leg=2", tag_region="north",
    )  # fmt: skip
    campaign = Campaign(plan, sound=True)
    seen: list[Progress] = []
    campaign.on_progress(seen.append)
    run = await campaign.run(out=tmp_path / "run", workers=2, calls_per_worker=2)
    assert run.complete
    assert seen[-1].finished == 8
    assert max(progress.counts["attempted"] for progress in seen) <= 4

    calls = run.read().calls.set_index("row").sort_index()
    assert calls.index.tolist() == list(range(8))
    assert calls["status"].tolist() == ["done"] * 6 + ["failed"] * 2
    assert calls["problem"].notna().tolist() == [False] * 6 + [True] * 2
    assert set(calls["region"]) == {"north"}
    assert calls["label"].tolist() == plan["label"].tolist()
    assert calls["set_loss"].tolist() == plan["loss"].tolist()
    lossy = calls["set_loss"] == 0.2
    assert calls.loc[lossy, "loss_in"].dropna().mean() > 0.05
    assert calls.loc[~lossy, "loss_in"].dropna().max() == 0.0
    far = calls["set_delay_ms"] == 100
    assert calls.loc[far, "rtt_mean_ms"].dropna().min() > 190
    assert calls.loc[~far, "rtt_mean_ms"].dropna().max() < 100
    done = calls[calls["status"] == "done"]
    assert done["duration_s"].between(2.3, 4.0).all()
    assert (done["late_s"] >= 0).all()
    assert calls["worker"].nunique() == 2

    stored = read(tmp_path / "run")
    assert len(stored) == 8
    assert not stored.warnings
    assert set(stored.samples["call_uuid"]) <= set(stored.calls["call_uuid"])
    assert stored.calls["sound"].notna().sum() == 6
    assert "X-PH-Leg: 2" in stored[int(stored.calls["row"].argmin())].sip_trace["text"].iloc[0]

    before = sorted(path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.parquet"))
    again = await Campaign(plan, sound=True).run(out=tmp_path / "run")
    assert again.complete
    assert sorted(path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.parquet")) == before


async def test_processes_that_are_killed_lose_no_call_and_make_none_twice(tmp_path: Path) -> None:
    run, figures = await kill(tmp_path, 24, 2, 4, durations_s=(1.5, 2.5), worker_kills=1, users=8)
    found = shown(run, 24)
    assert (found["rows"], found["calls with two rows"], found["calls without a row"]) == (24, 0, 0)
    assert found["attempted more than once"] >= 1
    assert 0 < figures["worker killed 1"] < figures["scheduler killed"] < 24
    assert run.problems["problem"].str.contains("is gone").any()
    attempts = sorted((tmp_path / "run" / ".campaign" / "attempts").iterdir())
    assert len(attempts) == 24 + int((run.read().calls["attempt"] - 1).sum())


async def test_a_worker_of_another_version_is_named_and_the_others_make_the_calls(
    cluster: DaskProcesses, lab: Lab, tmp_path: Path
) -> None:
    async with cluster.client() as client:
        run = await Campaign(at_rate(2, 2.0, ACCOUNTS, duration_s=1.0), lab=lab).run(client, tmp_path)
    assert run.complete
    assert run.read().calls["status"].tolist() == ["done", "done"]
    (problem,) = run.problems["problem"]
    assert "has plivo-nb 99.0 and this process" in problem


async def test_the_run_goes_into_memory_too(cluster: DaskProcesses, lab: Lab) -> None:
    url = f"memory://campaign-{os.getpid()}/run"
    async with cluster.client() as client:
        run = await Campaign(at_rate(2, 2.0, ACCOUNTS, duration_s=1.0), lab=lab).run(client, url)
    calls = run.read()
    assert isinstance(calls, CallSet)
    assert calls.calls["status"].tolist() == ["done", "done"]
    assert len(calls.samples) >= 1


async def test_wrong_passwords_and_dead_servers_are_results_and_secrets_are_nowhere(
    cluster: DaskProcesses, lab: Lab, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = lab.password("bob")
    passwords = tmp_path / "passwords.json"
    passwords.write_text(json.dumps({"ann": "wrong-wonderland", "bob": secret}))
    passwords.chmod(0o600)
    plan = pd.DataFrame({
        "at_s": [0.0, 0.1, 0.2], "account": ["ann", "bob", "carl"], "destination": "echo", "duration_s": 1.0,
    })  # fmt: skip
    options = {**lab.options()}
    server = options.pop("registrationDomainSocket")
    assert isinstance(server, list)
    campaign = Campaign(plan, server=server, options=options, credentials=passwords)
    async with cluster.client() as client:
        run = await campaign.run(client, tmp_path / "run", confirm=True, max_per_s=20)
        dead = Campaign(plan.iloc[:1], server="ws://127.0.0.1:9", options=options, credentials=passwords)
        nothing = await dead.run(client, tmp_path / "dead", confirm=True)
    calls = run.read().calls.set_index("account")
    assert calls["status"].to_dict() == {"ann": "failed", "bob": "done", "carl": "failed"}
    assert "wrong user name or password" in calls.loc["ann", "problem"]
    assert "has no password for carl" in calls.loc["carl", "problem"]
    assert "cannot be reached" in nothing.read().calls["problem"].iloc[0]
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path != passwords]
    written = b"".join(path.read_bytes() for path in files)
    for text in (secret, "wrong-wonderland"):
        assert text.encode() not in written
        assert text not in caplog.text
    settings = HostSettings(None, options, campaign._credentials)
    assert secret.encode() not in pickle.dumps(settings)


async def test_calls_at_another_server_are_wanted_and_few_and_never_made_twice(tmp_path: Path) -> None:
    plan = at_rate(5, 2.0, ["ann"])
    with pytest.raises(RunError, match=r"5 calls at wss://x.*say confirm=True"):
        await Campaign(plan, server="wss://x").run(out=tmp_path)
    with pytest.raises(RunError, match="5 calls, and max_calls is 3"):
        await Campaign(plan, server="wss://x").run(out=tmp_path, confirm=True, max_calls=3)
    with pytest.raises(RunError, match="more than 1 calls a second, 2 of them from 0 s"):
        await Campaign(plan, server="wss://x").run(out=tmp_path, confirm=True)
    with pytest.raises(RunError, match="over TLS only"):
        given = Campaign(plan, server="wss://x", credentials={"ann": "s"})
        await given.run(out=tmp_path, confirm=True, max_per_s=9)
    with pytest.raises(PlanError, match="Row 0 has settings of the lab's network"):
        Campaign(at_rate(1, 1.0, ["ann"], networks=[{"loss": 0.1}]), server="wss://x")
    with pytest.raises(ValueError, match="not both"):
        Campaign(plan, server="wss://x", lab="class.json")
    assert Campaign(plan, server="wss://x", tries=5)._tries == 1
    assert not list(tmp_path.iterdir())


async def test_a_campaign_that_is_canceled_goes_on_later(
    cluster: DaskProcesses, lab: Lab, tmp_path: Path
) -> None:
    plan = at_rate(4, 4.0, ["ann", "bob"], duration_s=1.5)
    campaign = Campaign(plan, lab=lab)
    async with cluster.client() as client:
        running = asyncio.ensure_future(campaign.run(client, tmp_path))
        await until(lambda: campaign.progress.counts["attempted"] == 2, 30)
        with pytest.raises(InvalidState, match="runs already"):
            await campaign.run(client, tmp_path)
        await campaign.cancel()
        run = await running
        assert not run.complete
        assert len(run.read()) == 2
        assert (await lab.status())["calls"] == []
        run = await campaign.run(client, tmp_path)
    assert run.complete
    assert len(run.read()) == 4


async def test_a_campaign_that_is_canceled_before_its_workers_are_there_makes_no_call(
    cluster: DaskProcesses, lab: Lab, tmp_path: Path
) -> None:
    campaign = Campaign(at_rate(2, 4.0, ["ann"], duration_s=1.0), lab=lab)
    async with cluster.client() as client:
        running = asyncio.ensure_future(campaign.run(client, tmp_path))
        await asyncio.sleep(0)
        with pytest.raises(InvalidState, match="runs already"):
            await campaign.run(client, tmp_path)
        await campaign.cancel()
        run = await running
    assert not run.complete
    assert len(run.read()) == 0


async def test_a_full_disk_is_named_and_the_run_goes_on_once_there_is_room(
    cluster: DaskProcesses, lab: Lab, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "small", 800) as disk:
        campaign = Campaign(at_rate(2, 2.0, ACCOUNTS, duration_s=1.0), lab=lab)
        async with cluster.client() as client:
            running = asyncio.ensure_future(campaign.run(client, disk / "run"))
            await until(lambda: campaign.progress.counts["attempted"] == 2, 30)
            filler = disk / "filler"
            with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
                while True:
                    file.write(b"x" * 1024)
            await asyncio.sleep(3)
            assert campaign.progress.finished < 2
            filler.unlink()
            run = await running
        assert run.complete
        assert run.read().calls["status"].tolist() == ["done", "done"]


async def test_a_folder_that_cannot_be_used_is_said_before_the_first_call(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be used"):
        await Campaign(at_rate(1, 1.0, ["ann"])).run(out=tmp_path / "file" / "run")


async def test_a_scenario_of_the_network_is_played_for_its_call_only(
    cluster: DaskProcesses, lab: Lab, tmp_path: Path
) -> None:
    steps = tmp_path / "steps.csv"
    steps.write_text("at_s,direction,delay_ms\n0,both,0\n1,both,150\n")
    plan = pd.DataFrame({
        "at_s": 0.0, "account": ["ann", "bob"], "destination": "echo", "duration_s": 5.0,
        "scenario": [str(steps), None],
    })  # fmt: skip
    async with cluster.client() as client:
        run = await Campaign(plan, lab=lab).run(client, tmp_path / "run")
    calls = run.read().calls.set_index("account")
    assert calls.loc["ann", "rtt_max_ms"] > 250
    assert calls.loc["bob", "rtt_max_ms"] < 100


async def test_without_dask_the_run_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)  # as an import that fails
    with pytest.raises(RunError, match=r"Campaigns need Dask.*pip install 'plivo-nb\[scale\]'"):
        await Campaign(at_rate(1, 1.0, ["ann"])).run(out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
