"""analysis.call_set: many calls as one object, from files, frames and clients."""

from __future__ import annotations

import pandas as pd
import pytest
from simulation.made_samples import call, samples
from stored_calls import store_call
from waiting import until

from plivo_nb import CallSet, read
from plivo_nb.analysis.call_frames import CallFrames
from plivo_nb.analysis.comparison import Comparison
from plivo_nb.analysis.figures import CallFigure
from plivo_nb.testing import FakeServer


@pytest.fixture
def four(tmp_path) -> CallSet:
    """Two good calls on a cable, two bad ones on Wi-Fi."""
    for number, (label, mos) in enumerate([("lan", 4.3), ("wifi", 3.0), ("lan", 4.2), ("wifi", 2.6)]):
        store_call(tmp_path, f"c{number}", mos=mos, began_s=1_800_000_000 + 60 * number, label=label)
    return read(tmp_path)


def test_the_warnings_are_with_the_frames_too():
    made = CallSet(CallFrames.of(warnings=["A line <of it> could not be read."]))
    assert made.samples.attrs["warnings"] == ["A line <of it> could not be read."]
    assert repr(made) == "<CallSet of 0 calls, 0 samples, 1 warnings>"
    assert "&lt;of it&gt;" in made._repr_html_()
    assert len(made) == 0


def test_calls_are_diagnosed_together():
    lossy, good = samples(loss_in=0.2), samples(call_uuid="v")
    frames = CallFrames.of(call(codec="OPUS"), pd.concat([lossy, good]).sort_index(kind="stable"))
    found = CallSet(frames).diagnose()
    assert [(item.call_uuid, item.cause) for item in found] == [("u", "choppy")]


def test_calls_are_selected_by_query_place_and_id(four):
    assert four.query("mos_mean < 4").calls["call_uuid"].tolist() == ["c1", "c3"]
    assert four.query("mos_mean < 4").samples["call_uuid"].unique().tolist() == ["c1", "c3"]
    assert four["c2"].calls["label"].tolist() == ["lan"]
    assert four[-1].calls["call_uuid"].tolist() == ["c3"]
    assert len(four[1:3].samples) == 10
    assert [len(call) for call in four] == [1, 1, 1, 1]
    assert len(four[:1] + four[2:]) == 3
    with pytest.raises(KeyError, match="no call 'x'"):
        four["x"]
    with pytest.raises(IndexError):
        four[7]
    with pytest.raises(ValueError, match="cannot be evaluated"):
        four.query("nonsense > 1")


def test_the_worst_calls_come_first(four):
    assert four.worst(2)["call_uuid"].tolist() == ["c3", "c1"]
    assert four.worst(1, by="rtt_max_ms")["rtt_max_ms"].tolist() == [42.0]
    with pytest.raises(ValueError, match="no column 'x'"):
        four.worst(by="x")
    html = four._repr_html_()
    assert html.index("2.56") < html.index("4.26")
    assert "label" in html


def test_tags_are_given_by_value_mapping_and_list(four):
    tagged = four.tagged(site="Oslo", phone={"c0": "new"}, rank=[4, 3, 2, 1], floor=pd.Series([1, 2, 3, 4]))
    assert tagged.calls["site"].tolist() == ["Oslo"] * 4
    assert tagged.calls["phone"].tolist()[:1] == ["new"]
    assert tagged.query("phone.isna() and rank < 3 and floor == 4").calls["call_uuid"].tolist() == ["c3"]
    assert "site" not in four.calls, "a set does not change"
    with pytest.raises(ValueError, match="already"):
        four.tagged(mos_mean=1)
    with pytest.raises(ValueError):
        four.tagged(site=["too", "few"])


def test_groups_are_compared(four):
    comparison = four.compare(by="label", columns=["mos"])
    assert isinstance(comparison, Comparison)
    assert comparison.table.loc[("mos", "wifi"), "difference"] == pytest.approx(-1.45)
    assert comparison.worst(1)["call_uuid"].tolist() == ["c3"]
    other = four.compare(by="label", columns=["mos"], baseline="wifi")
    assert other.table.loc[("mos", "lan"), "difference"] == pytest.approx(1.45)
    with pytest.raises(ValueError, match="there are lan, wifi"):
        four.compare(by="label", baseline="moon")
    with pytest.raises(ValueError, match="tagged"):
        four.compare(by="network")


def test_calls_are_plotted(four):
    assert isinstance(four.plot(), CallFigure)
    assert four[0].plot().axes[0].get_title(loc="left") == "The call with echo"


def test_sources_of_other_types_are_refused():
    with pytest.raises(TypeError, match=r"plivo_nb\.read"):
        CallSet.of("calls.parquet")  # type: ignore[arg-type]


async def test_live_calls_are_a_set_too():
    async with FakeServer() as server, server.client() as client:
        await client.login("alice", server.password("alice"))
        first = await client.call("echo")
        first.tags.update(label="lan", dest="a tag with the name of a column")
        await until(lambda: first.samples["mos"].notna().any())
        going_on = CallSet.of(client)
        assert going_on.calls[["state", "label", "tag_dest"]].to_numpy().tolist() == [
            ["answered", "lan", "a tag with the name of a column"]
        ]
        assert going_on.calls["mos_mean"].notna().all()
        await first.hangup()
        second = await client.call("echo")
        await until(lambda: len(second.samples))
        both = CallSet.of(client)
        assert both.calls["state"].tolist() == ["ended", "answered"]
        pd.testing.assert_frame_equal(both.samples, client.samples)
        assert CallSet.of(second).calls["call_uuid"].tolist() == [second.call_uuid]
        assert len(CallSet.of(client.samples)) == len(CallSet.of(first, second)) == 2
