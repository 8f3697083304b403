"""engine.log: bounded, in order, and a frame of it."""

from __future__ import annotations

import time

import pandas as pd

from plivo_nb.engine.log import Log


def test_only_the_newest_entries_are_kept() -> None:
    log = Log(size=3)
    for number in range(5):
        log.add("onLogin", str(number))
    assert [entry.text for entry in log.tail(2)] == ["3", "4"]
    assert log.frame()["text"].tolist() == ["2", "3", "4"]
    assert log.added == 5


def test_an_entry_has_the_time_and_the_call() -> None:
    log = Log()
    before = time.time()
    log.add("onCalling", "übung 😀", "uuid-1")
    log.add("onLogout")
    frame = log.frame()
    assert before - 0.001 <= frame.index[0].timestamp() <= time.time() + 0.001
    assert frame["event"].tolist() == ["onCalling", "onLogout"]
    assert frame["text"].tolist() == ["übung 😀", ""]
    assert frame["call_uuid"].iloc[0] == "uuid-1"
    assert pd.isna(frame["call_uuid"].iloc[1])
