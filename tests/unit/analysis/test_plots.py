"""analysis.plots: the figure says what the frame says, and leaves nothing behind."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from plivo_nb.analysis import plots, set_up
from plivo_nb.analysis.plots import Span, call_figure
from plivo_nb.quality import mos
from plivo_nb.quality.frames import SAMPLES, ColumnStore, build_frame

START = pd.Timestamp("2026-11-23 08:00:00", tz="UTC")


def frame(rows=10, **columns):
    store = ColumnStore(SAMPLES)
    for row in range(rows):
        at = START + pd.Timedelta(seconds=row + 1)
        store.append(at.value, **{"codec": "OPUS"} | {name: values[row] for name, values in columns.items()})
    return store.frame()


def panels(figure):
    """The panels from top to bottom; the first axes are their frame."""
    return figure.axes[0].child_axes


def texts(figure):
    return {text.get_text() for panel in panels(figure) for text in panel.texts}


def labels(panel):
    return {line.get_label(): line for line in panel.get_lines()}


def test_six_panels_with_units_limits_and_both_directions():
    figure = call_figure(
        frame(
            loss_in=np.linspace(0, 0.2, 10),
            loss_out=np.zeros(10),
            mos=np.full(10, 4.0),
            rtt_ms=np.full(10, 300.0),
            jitter_in_ms=np.full(10, 20.0),
        )
    )
    assert [panel.get_ylabel() for panel in panels(figure)] == [
        "MOS",
        "Packets (%)",
        "Jitter (ms)",
        "Delay (ms)",
        "Events",
        "Kernel\nlag (ms)",
    ]
    assert {"limit 30 ms", "limit 400 ms", "limit 10 % (OPUS)", "limit 3"} <= texts(figure)
    lines = labels(panels(figure)[1])
    received, sent = lines["lost, received"], lines["lost, sent"]
    assert received.get_ydata()[10] == pytest.approx(20.0), "drawn in percent"
    assert received.get_xdata()[:11].tolist() == list(range(11)), "seconds into the call"
    assert received.get_color() != sent.get_color()
    assert received.get_marker() != sent.get_marker()


def test_a_limit_far_above_what_was_measured_does_not_squash_it():
    figure = call_figure(frame(rtt_ms=np.full(10, 10.0)))
    assert panels(figure)[3].get_ylim()[1] < 20
    assert "limit 400 ms (above the picture)" in texts(figure)


def test_held_values_are_steps_with_a_marker_at_each_report():
    age = [0.3, 1.3, 2.3, 0.2, 1.2, 2.2, 0.1, 1.1, 2.1, 3.1]
    figure = call_figure(frame(rtt_ms=np.arange(10.0), rtt_age_s=age))
    line = labels(panels(figure)[3])["round trip"]
    assert line.get_drawstyle() == "steps-post"
    assert line.get_markevery() == [0, 3, 6]


def test_a_value_of_one_interval_is_level_over_its_interval():
    burst = [0.0, 0.0, 0.0, 0.2, *[0.0] * 6]
    figure = call_figure(frame(loss_in=burst, mos=np.full(10, 4.0), interval_s=np.ones(10)))
    for panel, label in ((1, "lost, received"), (0, "call (SDK formula)")):
        assert labels(panels(figure)[panel])[label].get_drawstyle() == "steps-pre"
    lost = labels(panels(figure)[1])["lost, received"]
    steps = dict(zip(lost.get_xdata().tolist(), lost.get_ydata().tolist(), strict=False))
    assert (steps[3.0], steps[4.0], steps[5.0]) == (0.0, 20.0, 0.0), "from second 3 to second 4"
    assert lost.get_xdata()[0] == 0.0, "the first interval has its beginning"
    assert lost.get_markevery() == list(range(1, 11)), "a marker at each sample"


def two_calls():
    first, second = (
        frame(call_uuid=["a"] * 10, mos=np.full(10, 4.0)),
        frame(call_uuid=["b"] * 10, mos=np.full(10, 2.0)),
    )
    second.index = second.index + pd.Timedelta(hours=1)
    return pd.concat([first.astype({"call_uuid": "str"}), second.astype({"call_uuid": "str"})])


def test_the_lines_of_two_calls_do_not_run_into_each_other():
    figure = call_figure(two_calls(), names={"a": "to alice"})
    line = labels(panels(figure)[0])["call (SDK formula)"]
    at, values = line.get_xdata(), line.get_ydata()
    (gap,) = [n for n in range(1, len(values) - 1) if np.isnan(values[n])]
    assert (values[gap - 1], values[gap + 1]) == (4.0, 2.0)
    assert 0 < at[gap + 1] - at[gap - 1] < 10, "the hour between them is left out"
    assert {"to alice, 08:00:00 UTC", "b, 09:00:00 UTC"} <= texts(figure)


def test_media_metrics_and_sip_are_on_the_axis_of_the_samples():
    at = [START + pd.Timedelta(seconds=s) for s in (3, 7)]
    metrics = build_frame(
        "media_metrics",
        [t.value for t in at],
        {
            "call_uuid": ["a", "a"],
            "group": ["network"] * 2,
            "level": ["warning"] * 2,
            "type": ["high_jitter"] * 2,
            "value": [50.0, 10.0],
            "active": [True, False],
            "desc": [""] * 2,
            "stream": ["remote"] * 2,
        },
    )
    sip = build_frame(
        "sip_trace",
        [(START + pd.Timedelta(seconds=s)).value for s in (0.0, 0.1, 9.0)],
        {
            "direction": ["out", "in", "out"],
            "start": ["INVITE", "200 OK", "BYE"],
            "call": ["a"] * 3,
            "cseq": ["1 INVITE", "1 INVITE", "2 BYE"],
            "text": [""] * 3,
        },
    )
    figure = call_figure(frame(call_uuid=["a"] * 10), media_metrics=metrics, sip_trace=sip)
    events = panels(figure)[4]
    (bars,) = events.collections
    box = bars.get_paths()[0].get_extents()
    assert (box.x0, box.x1) == pytest.approx((3, 7))
    assert {"INVITE", "BYE", "high_jitter (remote)"} <= texts(figure)
    for panel in panels(figure):
        assert {0.0, 9.0} <= {
            round(float(line.get_xdata()[0]), 3) for line in panel.get_lines() if len(line.get_xdata())
        }


def test_what_was_made_up_and_what_came_too_late_is_drawn_beside_the_loss():
    samples = frame(concealed_ms=[0, 200] * 5, packets_in=[50] * 10, loss_in=np.zeros(10))
    samples = samples.assign(packets_discarded=[0.0, 5.0] * 5)
    figure = call_figure(samples.drop(columns="packets_expected_in", errors="ignore"))
    packets = panels(figure)[1]
    made_up, late = packets.collections
    assert [made_up.get_label(), late.get_label()] == ["made up (concealed)", "too late (discarded)"]
    assert late.get_datalim(packets.transData).y1 == pytest.approx(10.0)
    assert late.get_hatch(), "it can be told from what it lies on"


def test_a_sip_message_between_two_calls_is_drawn_once_with_the_nearer_call():
    both = two_calls()
    second = both["call_uuid"] == "b"
    both.index = both.index.where(~second, both.index - pd.Timedelta(hours=1) + pd.Timedelta(seconds=11))
    at = [START + pd.Timedelta(seconds=s) for s in (10.2, 10.9)]  # the calls are from 0 to 10 and 11 to 21
    columns = {"direction": ["out"] * 2, "call": ["a", "b"], "cseq": [""] * 2, "text": [""] * 2}
    sip = build_frame("sip_trace", [t.value for t in at], {**columns, "start": ["BYE", "INVITE"]})
    events = panels(call_figure(both, sip_trace=sip))[4]
    ticks = [line.get_xdata()[0] for line in events.get_lines() if list(line.get_ydata()) == [-0.5, 0.35]]
    assert ticks == pytest.approx([10.2, 13.0 - 0.1])


def test_the_name_of_a_short_call_at_the_end_stays_within_the_figure():
    names = {"a": "to alice", "b": "to bob"}
    both = two_calls()
    figure = call_figure(both.iloc[:11], names=names)
    (text,) = [text for text in panels(figure)[0].texts if text.get_text().startswith("to bob")]
    assert text.get_ha() == "right"


def test_axes_of_the_users_own_are_drawn_in():
    own = Figure(figsize=(8, 8))
    left, right = own.subplots(1, 2)
    assert call_figure(frame(mos=np.full(10, 4.0)), ax=left) is own
    assert plots.distribution(frame(jitter_in_ms=np.arange(10.0)), ax=right) is own
    assert len(left.child_axes) == 6
    assert left.get_title(loc="left") == "One call, second by second"


def rated(rows=10, **columns):
    """Samples with what a rating needs."""
    plain = {
        "rtt_ms": np.full(rows, 300.0),
        "playout_delay_ms": np.full(rows, 60.0),
        "interval_s": np.ones(rows),
        "packets_in": np.full(rows, 50.0),
        "loss_in": np.full(rows, 0.1),
        "packets_lost_in": np.full(rows, 5.0),
        "packets_recovered": np.full(rows, 3.0),
        "packets_discarded": np.zeros(rows),
        "concealed_ms": np.full(rows, 40.0),
    }
    known = frame(
        rows, **{name: values for name, values in plain.items() if name in {c.name for c in SAMPLES}}
    )
    return known.assign(**{name: values for name, values in (plain | columns).items() if name not in known})


@pytest.mark.parametrize("scale", ["g107", "g107_fb"])
def test_the_breakdown_stacks_what_each_cause_costs(scale):
    samples = rated()
    (axes,) = plots.mos_breakdown(samples, scale).axes
    costs = mos.explain(samples, scale)
    tops = [collection.get_datalim(axes.transData).y1 for collection in axes.collections]
    assert tops == pytest.approx(np.cumsum(costs[["rating", "codec", "delay", "loss", "discards"]].iloc[0]))
    assert tops[-1] == pytest.approx(costs["undisturbed"].iloc[0])
    assert axes.get_legend().get_texts()[0].get_text() == "what is left"


def test_a_breakdown_without_the_columns_that_it_needs_says_so():
    (axes,) = plots.mos_breakdown(frame()[["mos"]]).axes
    assert "needed" in axes.texts[0].get_text()
    assert not axes.axison, "no empty axes around the note"


def test_a_call_of_one_sample_has_its_place_in_the_breakdown():
    (axes,) = plots.mos_breakdown(rated(1)).axes
    box = axes.collections[0].get_datalim(axes.transData)
    assert (box.x0, box.x1) == (0.0, 1.0)


def test_the_distribution_names_median_and_95th_percentile():
    figure = plots.distribution({"one": frame(loss_in=np.linspace(0, 0.09, 10)), "none": frame()}, "loss_in")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "one: median 4.5, 95 % below 8.55 %"
    ]
    assert axes.get_xlabel() == "loss_in (%)"
    with pytest.raises(ValueError, match="no column 'jiter'"):
        plots.distribution(frame(), "jiter")


def test_calls_are_compared_from_their_beginnings():
    figure = plots.compare(two_calls(), ["mos", "rtt_ms"])
    over_time, spreads = (axes.child_axes for axes in figure.axes[0].child_axes)
    first, second = over_time[0].get_lines()
    assert first.get_xdata().tolist() == second.get_xdata().tolist() == list(range(11))
    assert first.get_drawstyle() == "steps-pre"
    assert (first.get_color(), first.get_linestyle()) != (second.get_color(), second.get_linestyle())
    assert [text.get_text() for text in over_time[0].get_legend().get_texts()] == ["a", "b"]
    assert len(spreads) == 2


def test_the_steps_of_a_set_up_have_bars_with_their_lengths():
    timings = {
        "socket_connecting": 0.0,
        "socket_connected": 0.05,
        "register_sent": 0.05,
        "registered": 0.1,
        "dialled": 60.0,
        "invite_sent": 60.02,
        "ringing": 60.3,
        "answered": 62.0,
        "ice_checking": 62.01,
        "ice_connected": 62.06,
        "dtls_connected": 62.1,
        "first_rtp_received": 62.13,
    }
    (axes,) = plots.setup_timeline(timings).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [name for name, _, _ in set_up.STEPS]
    assert [text.get_text() for text in axes.texts] == [
        "50 ms", "50 ms", "20 ms", "280 ms", "1700 ms", "50 ms", "40 ms", "30 ms",
    ]  # fmt: skip
    assert axes.get_xlim()[1] < 4, "the minute between login and call is left out"


def test_a_set_up_of_rows_of_calls_or_of_nothing_draws():
    calls = pd.DataFrame(
        {"dest": ["echo", "bob"], "post_dial_delay_ms": [20.0, np.nan], "answer_delay_ms": [500.0, 9.0]}
    )
    (axes,) = plots.setup_timeline(calls).axes
    assert {"echo", "bob", "20 ms", "500 ms", "9 ms"} == {text.get_text() for text in axes.texts}
    (empty,) = plots.setup_timeline({}).axes
    assert "no step" in empty.texts[0].get_text()


@pytest.mark.parametrize("columns", [[], ["mos"], ["loss_in", "call_uuid"], ["rtt_ms", "codec"]])
def test_frames_with_columns_missing_draw(columns, tmp_path):
    part = frame(mos=np.full(10, 3.0), call_uuid=["a"] * 10)[columns]
    for figure in (call_figure(part), plots.compare(part), plots.distribution(part, "mos")):
        figure.savefig(tmp_path / "part.png", dpi=50)


def test_limit_of_loss_follows_the_codec():
    assert "limit 20 % (PCMU)" in texts(call_figure(frame(codec=["PCMU"] * 10, loss_in=np.full(10, 0.2))))


def test_impairments_are_shaded_and_named():
    spans = [Span(START + pd.Timedelta(seconds=3), START + pd.Timedelta(seconds=6), "10 % loss")]
    figure = call_figure(frame(), spans)
    assert "10 % loss" in texts(figure)
    for panel in panels(figure):
        shade = panel.patches[0].get_extents().transformed(panel.transData.inverted())
        assert (shade.x0, shade.x1) == pytest.approx((3, 6))


def test_values_above_the_limit_stay_inside_the_panel():
    figure = call_figure(frame(rtt_ms=np.full(10, 900.0)))
    assert panels(figure)[3].get_ylim()[1] > 900


def test_missing_numbers_and_empty_frames_draw(tmp_path):
    for samples in (frame(), frame(0)):
        call_figure(samples).savefig(tmp_path / "call.png", dpi=60)
        assert (tmp_path / "call.png").read_bytes().startswith(b"\x89PNG")


def test_no_global_figures():
    call_figure(frame())
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


def test_compare_draws_values_of_far_end_reports_as_steps():
    rows = frame(jitter_in_ms=np.arange(10.0), rtt_ms=np.repeat([40.0, 60.0], 5))
    figure = plots.compare({"one": rows}, ["rtt_ms", "jitter_in_ms"])
    styles = {
        axes.get_ylabel().split("\n")[0]: axes.lines[0].get_drawstyle()
        for axes in every_axes(figure)
        if axes.lines and axes.get_ylabel()
    }
    assert styles == {"rtt_ms": "steps-post", "jitter_in_ms": "default"}


def every_axes(figure):
    found = list(figure.axes)
    for axes in found:  # panels are inset axes, at any depth
        found.extend(axes.child_axes)
    return found
