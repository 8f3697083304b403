"""mypy accepts right scripts that use the lab, and reports the line of each misspelling in a wrong one."""

from __future__ import annotations

from pathlib import Path

from user_scripts import check_types

RIGHT = """
import pandas as pd

from plivo_nb import Lab
from plivo_nb.lab.network.scenarios import ScenarioRow
from plivo_nb.testing import FakeServer

rows: list[ScenarioRow] = [{"at_s": 0, "loss": 0.02}, {"at_s": 4, "direction": "to_caller"}]


async def use(lab: Lab, server: FakeServer, number: int, path: str) -> None:
    await lab.network.set(loss=0.05, delay_ms=120, jitter_shape="normal", reorder=False, seed=3)
    await lab.network.set(direction="to_caller", rate_kbps=None, call_uuid="u")
    await lab.network.play("commute", speed=2)
    await lab.network.play(path, loop=True)
    await lab.network.play(rows)
    await lab.network.play([{"at_s": 0, "black_hole": True}])
    await lab.network.play(pd.DataFrame(rows))
    await lab.call("alice", 2, {"X-PH-A": "1"}, role="speech")
    await lab.call("alice", role=f"hangs-up-after-{number}")
    await lab.faults.refuse_registration(503, retry_after_s=5)
    await server.set_network(loss=0.5)
    Lab(["ann"], scenario="vpn", servers=2)
"""
WRONG = """
from plivo_nb import Lab
from plivo_nb.lab.network.scenarios import ScenarioRow
from plivo_nb.testing import FakeServer

rows: list[ScenarioRow] = [{"at_s": 0, "los": 0.02}]  # wrong
more: list[ScenarioRow] = [{"loss": 0.02}]  # wrong
Lab(acounts=3)  # wrong


async def use(lab: Lab, server: FakeServer) -> None:
    await lab.network.set(los=0.05)  # wrong
    await lab.network.set(loss="much")  # wrong
    await lab.network.set(direction="up")  # wrong
    await lab.network.set(jitter_shape="flat")  # wrong
    await lab.network.play([{"at_s": 0, "delay": 5}])  # wrong
    await lab.network.play("commute", sped=2)  # wrong
    await lab.call("alice", rol="echo")  # wrong
    await lab.faults.drop_sockets("alice")  # wrong
    await server.set_network(delay=100)  # wrong
"""


def test_mypy_accepts_the_right_script_and_reports_each_wrong_line(tmp_path: Path) -> None:
    check_types(RIGHT, WRONG, tmp_path)
