"""quality.rule_engine: when mediaMetrics events are raised and cleared, and what they say."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest
import rules_recomputed
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.quality.rule_engine import RuleEngine
from plivo_nb.quality.rules import SDK_2_2, V2_1, EventRule, Rule, SpanRule, resolve
from plivo_nb.quality.sampler import SampleRow

NAN = math.nan
GOOD = {
    "time_utc_ns": 0,
    "codec": "OPUS",
    "muted": False,
    "rtt_ms": 20.0,
    "jitter_in_ms": 2.0,
    "jitter_out_ms": 2.0,
    "loss_in": 0.0,
    "loss_out": 0.0,
    "mos": 4.4,
    "level_in_dbfs": -20.0,
    "level_out_dbfs": -20.0,
    "packets_in": 50.0,
    "packets_out": 50.0,
    "packets_lost_in": 0.0,
    "packets_expected_in": 50.0,
    "packets_expected_out": 50.0,
    "source_bytes": 4000.0,
    "direction": "sendrecv",
    "interval_s": 1.0,
    "rtt_age_s": 0.4,
    "report_age_s": 0.4,
    "not_sent_in": False,
}


def row(second: float, **values: float | str | bool) -> SampleRow:
    missing = {field.name: NAN for field in fields(SampleRow)}
    return SampleRow(**{**missing, **GOOD, "time_monotonic_s": 100.0 + second, **values})


def judged(rules, column: str, values, **others) -> list[tuple[int, str, float, bool]]:
    """(number of the sample, type, value, active) of every event, one sample a second."""
    engine = RuleEngine(rules, started_at_s=100.0)
    found = []
    for number, value in enumerate(values, 1):
        for event in engine.sample(row(number, **{column: value}, **others)):
            found.append((number, event["type"], event["value"], event["active"]))
    return found


def only(type_: str, stream: str, preset=V2_1) -> Rule:
    (rule,) = [
        rule for rule in preset if isinstance(rule, Rule) and rule.type == type_ and rule.stream == stream
    ]
    return rule


# ---------------------------------------------------------------- the documented rules, row by row

DOCUMENTED = [
    # type, stream, column, a value that is over, one on the limit (not over), group, desc
    ("high_jitter", "local", "jitter_out_ms", 31.0, 30.0, "network", "jitterLocalMeasures"),
    ("high_jitter", "remote", "jitter_in_ms", 31.0, 30.0, "network", "jitterRemoteMeasures"),
    ("high_rtt", "None", "rtt_ms", 401.0, 400.0, "network", "high latency"),
    ("high_packetloss", "local", "loss_out", 0.11, 0.10, "network", "packetLossLocalMeasure"),
    ("high_packetloss", "remote", "loss_in", 0.11, 0.10, "network", "packetLossRemoteMeasure"),
    ("low_mos", "None", "mos", 2.9, 3.0, "network", "mosRemoteMeasure"),
]


@pytest.mark.parametrize("case", DOCUMENTED, ids=lambda case: f"{case[0]} {case[1]}")
@pytest.mark.spec("6 three of five")
def test_a_documented_rule_is_raised_at_the_third_of_five_and_cleared_once_when_none_is(case) -> None:
    type_, stream, column, over, limit, group, desc = case
    engine = RuleEngine(V2_1, started_at_s=100.0)
    told = []
    values = [over, limit, over, limit, over, limit, over] + [limit] * 8
    for number, value in enumerate(values, 1):
        told += [(number, event) for event in engine.sample(row(number, **{column: value}))]
    raised, cleared = told
    shared = {"group": group, "level": "warning", "type": type_, "desc": desc, "stream": stream}
    assert raised == (5, {**shared, "value": over, "active": True})
    assert cleared == (12, {**shared, "value": limit, "active": False})
    assert engine.active == []


@pytest.mark.parametrize("column", ["loss_in", "loss_out"])
@pytest.mark.spec("6 high_packetloss")
def test_the_limit_of_loss_is_that_of_the_codec(column: str) -> None:
    assert judged(V2_1, column, [0.15] * 5, codec="PCMU") == []
    assert judged(V2_1, column, [0.25] * 5, codec="PCMU") == [(3, "high_packetloss", 0.25, True)]
    assert judged(V2_1, column, [0.15] * 5, codec="OPUS") == [(3, "high_packetloss", 0.15, True)]
    assert judged(V2_1, column, [0.9] * 5, codec="") == [], "before a codec is chosen there is no limit"


def test_rtt_and_loss_tell_the_mean_of_those_over_and_jitter_and_mos_the_current_value() -> None:
    assert judged(V2_1, "rtt_ms", [500.0, 20.0, 600.0, 700.0]) == [(4, "high_rtt", 600.0, True)]
    assert judged(V2_1, "loss_in", [0.2, 0.0, 0.3, 0.4]) == [(4, "high_packetloss", 0.3, True)]
    assert judged(V2_1, "jitter_in_ms", [50.0, 2.0, 60.0, 70.0]) == [(4, "high_jitter", 70.0, True)]
    assert judged(V2_1, "mos", [2.0, 4.0, 1.5, 1.25]) == [(4, "low_mos", 1.25, True)]


@pytest.mark.parametrize(
    ("stream", "column", "desc"),
    [("local", "level_out_dbfs", "local_audio"), ("remote", "level_in_dbfs", "remote_audio")],
)
def test_silence_is_raised_when_all_of_five_are_silent(stream: str, column: str, desc: str) -> None:
    rules = [only("no_audio_received", stream)]
    assert rules[0].desc == desc
    assert judged(rules, column, [-70.0] * 4 + [-69.9] + [-70.0] * 4) == []
    quiet = [-100.0] * 5 + [-20.0] * 6
    assert judged(rules, column, quiet) == [
        (5, "no_audio_received", -100.0, True),
        (10, "no_audio_received", -20.0, False),
    ]


def test_silence_is_not_ours_while_muted_or_held_but_theirs_is_always_theirs() -> None:
    local, remote = [only("no_audio_received", "local")], [only("no_audio_received", "remote")]
    assert judged(local, "level_out_dbfs", [-100.0] * 9, muted=True) == []
    assert judged(local, "level_out_dbfs", [-100.0] * 9, direction="recvonly") == []
    assert len(judged(remote, "level_in_dbfs", [-100.0] * 9, muted=True)) == 1


# ---------------------------------------------------------------- windows, by property

_values = st.lists(st.one_of(st.none(), st.sampled_from([10.0, 29.0, 30.0, 30.5, 90.0])), max_size=60)


def expected(values: list[float | None], window: int, count: int) -> list[tuple[int, bool]]:
    """The documented rule in its own words: (number of the sample, raised or cleared)."""
    active, told = False, []
    for end in range(1, len(values) + 1):
        over = [value for value in values[max(0, end - window) : end] if value is not None and value > 30]
        if len(over) >= count and not active:
            active = True
            told.append((end, True))
        elif not over and active:
            active = False
            told.append((end, False))
    return told


@given(_values)
def test_raised_iff_three_of_the_last_five_are_over_and_cleared_iff_none_is(values) -> None:
    given_values = [NAN if value is None else value for value in values]
    found = judged([only("high_jitter", "remote")], "jitter_in_ms", given_values)
    assert [(number, active) for number, _, _, active in found] == expected(values, 5, 3)


@given(_values, st.integers(1, 8), st.data())
def test_the_window_and_the_count_are_the_rules_own(values, window, data) -> None:
    count = data.draw(st.integers(1, window))
    rule = Rule(
        type="t", group="g", desc="d", column="jitter_in_ms", over=">", limit=30, window=window, count=count
    )
    found = judged([rule], "jitter_in_ms", [NAN if value is None else value for value in values])
    assert [(number, active) for number, _, _, active in found] == expected(values, window, count)


@given(_values)
def test_events_alternate_and_their_values_are_numbers(values) -> None:
    found = judged(V2_1, "jitter_in_ms", [NAN if value is None else value for value in values])
    assert [active for *_, active in found] == [index % 2 == 0 for index in range(len(found))]
    assert all(math.isfinite(value) for _, _, value, _ in found)


@given(st.lists(st.booleans(), max_size=40))
def test_a_missing_sample_is_not_over_for_any_rule(missing: list[bool]) -> None:
    engine = RuleEngine(V2_1, started_at_s=100.0)
    names = [rule.column for rule in V2_1 if isinstance(rule, Rule)]
    for number, gone in enumerate(missing, 1):
        assert engine.sample(row(number, **(dict.fromkeys(names, NAN) if gone else {}))) == []


def test_what_went_missing_after_it_was_raised_is_cleared_with_the_last_value_known() -> None:
    found = judged(V2_1, "jitter_in_ms", [50.0, 50.0, 52.0] + [NAN] * 6)
    assert found[1] == (8, "high_jitter", 52.0, False)


# ---------------------------------------------------------------- what the far end reports

FAR_END = [
    ("loss_out", "report_age_s", "high_packetloss", 0.5, 0.0),
    ("jitter_out_ms", "report_age_s", "high_jitter", 60.0, 2.0),
    ("rtt_ms", "rtt_age_s", "high_rtt", 600.0, 20.0),
]


def reported(column: str, age: str, reports: list[float], every_s: int, **others) -> list[tuple]:
    """(second, type, value, active): a far end that reports every so many seconds, a sample each second."""
    engine = RuleEngine(V2_1, started_at_s=100.0)
    told = []
    for second in range(every_s * len(reports)):
        values = {column: reports[second // every_s], age: second % every_s + 0.4}
        for event in engine.sample(row(1.0 + second, **{**values, **others})):
            told.append((second, event["type"], event["value"], event["active"]))
    return told


@pytest.mark.parametrize("every_s", [1, 5])
@pytest.mark.parametrize(("column", "age", "type_", "over", "good"), FAR_END)
def test_one_report_of_the_far_end_counts_once_however_long_it_is_held(
    column: str, age: str, type_: str, over: float, good: float, every_s: int
) -> None:
    assert reported(column, age, [over, good, good, good], every_s) == []
    assert reported(column, age, [over, good, over, good, good], every_s) == []
    reports = [over, good, over, over, good, good, good, good, good, good]
    assert reported(column, age, reports, every_s) == [
        (3 * every_s, type_, over, True),
        (8 * every_s, type_, good, False),
    ]


@pytest.mark.parametrize(("column", "age", "type_", "over", "good"), FAR_END)
def test_what_the_far_end_reports_is_cleared_when_it_goes_missing(
    column: str, age: str, type_: str, over: float, good: float
) -> None:
    engine = RuleEngine(V2_1, started_at_s=100.0)
    told = []
    for second, value in enumerate([over] * 3 + [NAN] * 3 + [good] * 6, 1):
        fresh = {column: value, age: 0.4 if value == value else 3.0 + second}
        told += [(second, event["value"], event["active"]) for event in engine.sample(row(second, **fresh))]
    assert told[:2] == [(3, over, True), (4, over, False)], "the last value known"
    assert all(active is False for _, _, active in told[3:])


def test_a_rule_of_the_user_on_a_far_end_value_counts_reports_too() -> None:
    rule = Rule(type="t", group="g", desc="d", column="mos_out", over="<", limit=3, window=2, count=2)
    engine = RuleEngine([rule], started_at_s=100.0)
    ages = [0.4, 1.4, 2.4, 0.1, 1.1]
    raised = [
        second
        for second, age in enumerate(ages, 1)
        if engine.sample(row(second, mos_out=2.0, report_age_s=age))
    ]
    assert raised == [4]


# ---------------------------------------------------------------- both presets against a re-computation

_numbers = {
    "jitter_in_ms": st.sampled_from([NAN, 2.0, 30.0, 31.0, 80.0]),
    "loss_in": st.sampled_from([NAN, 0.0, 0.02, 0.1, 0.15, 0.3, 1.0]),
    "mos": st.sampled_from([NAN, 1.0, 2.9, 3.0, 3.4, 4.4]),
    "level_in_dbfs": st.sampled_from([-100.0, -70.0, -69.0, -20.0]),
    "level_out_dbfs": st.sampled_from([-100.0, -70.0, -69.0, -20.0]),
    "packets_expected_in": st.sampled_from([0.0, 10.0, 50.0]),
    "muted": st.booleans(),
    "direction": st.sampled_from(["sendrecv"] * 5 + ["recvonly", "sendonly", "inactive"]),
}
_report = st.fixed_dictionaries(
    {
        "jitter_out_ms": st.sampled_from([2.0, 31.0, 80.0]),
        "loss_out": st.sampled_from([0.0, 0.02, 0.1, 0.15, 0.3, 1.0]),
        "rtt_ms": st.sampled_from([20.0, 400.0, 401.0, 900.0]),
        "packets_expected_out": st.sampled_from([0.0, 10.0, 250.0]),
    }
)


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, list[dict]]:
    """A codec and a call of samples, one a second; reports come, are held, and go missing after 3 s."""
    codec = draw(st.sampled_from(["OPUS", "PCMU"]))
    seconds = draw(st.lists(st.fixed_dictionaries(_numbers), min_size=5, max_size=70))
    report: dict = {"jitter_out_ms": NAN, "loss_out": NAN, "rtt_ms": NAN}
    age = NAN
    samples = []
    for number, second in enumerate(seconds, 1):
        age += 1.0
        if draw(st.booleans()):
            report, age = draw(_report), draw(st.sampled_from([0.0, 0.4]))
        told = dict(report) if age < 3.0 else dict.fromkeys(report, NAN)
        told["packets_expected_out"] = report["packets_expected_out"] if age < 1.0 else 0.0
        samples.append({**GOOD, **second, **told, "codec": codec, "report_age_s": age, "rtt_age_s": age})
        samples[-1]["time_monotonic_s"] = 100.0 + number
    return codec, samples


def events_of(preset, samples: list[dict]) -> list[tuple]:
    rules = [rule for rule in preset if isinstance(rule, Rule)]
    engine = RuleEngine(rules, started_at_s=100.0)
    found = []
    for index, sample in enumerate(samples):
        values = {name: value for name, value in sample.items() if name != "time_monotonic_s"}
        for event in engine.sample(row(sample["time_monotonic_s"] - 100.0, **values)):
            found.append((index, event["type"], event["stream"], event["active"], event["value"]))
    return sorted(found)


def rounded(events: list[tuple]) -> list[tuple]:
    return [(*event[:4], pytest.approx(event[4], abs=0.0006)) for event in events]


@given(calls())
@pytest.mark.spec("6 three of five")
def test_the_documented_events_are_exactly_those_of_a_recomputation(call) -> None:
    _, samples = call
    assert events_of(V2_1, samples) == rounded(rules_recomputed.v2_1(samples))


@given(calls())
@pytest.mark.spec("6 sdk-2.2")
def test_the_published_packages_events_are_exactly_those_of_a_recomputation(call) -> None:
    _, samples = call
    assert events_of(SDK_2_2, samples) == rounded(rules_recomputed.sdk_2_2(samples, score))


def score(rtt_ms: float, jitter_ms: float, loss: float, codec: str) -> float:
    """Plivo's formula, in its own words."""
    latency = rtt_ms + 2 * jitter_ms + 10
    rating = 95.0 if codec == "OPUS" else 93.2
    rating -= latency / 40 if latency < 160 else (latency - 120) / 10
    rating -= 250 * loss
    if math.isnan(rating):
        return NAN
    if rating <= 0:
        return 1.0
    found = 1 + 0.035 * rating + 0.000007 * rating * (rating - 60) * (100 - rating)
    return min(max(round(found, 3), 1.0), 4.5)


# ---------------------------------------------------------------- the byte rule

BYTES = [rule for rule in V2_1 if isinstance(rule, SpanRule)]


def test_fewer_than_80_bytes_in_three_seconds_is_no_microphone_and_80_are_one() -> None:
    found = judged(BYTES, "source_bytes", [0.0, 0.0, 79.0, 1.0, 40.0, 39.0, 4000.0])
    assert (
        found
        == [
            (3, "no_microphone_access", 0, True),
            (4, "no_microphone_access", 0, False),
            (7, "no_microphone_access", 0, False),
        ][:2]
    )


@pytest.mark.parametrize("exempt", [{"muted": True}, {"direction": "inactive"}], ids=["muted", "held"])
def test_the_byte_rule_rests_while_muted_or_held_and_begins_a_new_span_after(exempt: dict) -> None:
    assert judged(BYTES, "source_bytes", [0.0] * 9, **exempt) == []
    engine = RuleEngine(BYTES, started_at_s=100.0)
    states = [exempt] * 5 + [{}] * 4
    told = [
        number
        for number, state in enumerate(states, 1)
        if engine.sample(row(number, source_bytes=0.0, **state))
    ]
    assert told == [8], "three seconds after the mute or hold ended"


def test_silence_by_choice_is_no_lost_microphone_and_clears_the_warning() -> None:
    engine = RuleEngine(BYTES, started_at_s=100.0)
    told = []
    for second in range(1, 8):
        told += engine.sample(row(second, source_bytes=0.0), silent_source=second > 4)
    assert [event["active"] for event in told] == [True, False]


@given(
    st.lists(
        st.tuples(st.sampled_from([0.2, 0.5, 1.0]), st.sampled_from([0.0, 30.0, 79.0, 80.0])), max_size=60
    )
)
def test_the_byte_rule_is_active_iff_the_last_three_seconds_had_fewer_than_80_bytes(parts) -> None:
    engine = RuleEngine(BYTES, started_at_s=0.0)
    now, active, history = 0.0, False, []
    for length, count in parts:
        history.append((now, count))
        now += length
        for event in engine.sample(row(now - 100.0, source_bytes=count)):
            active = event["active"]
        since = max((start for start, _ in history if now - start >= 3 - 0.05), default=None)
        if since is not None:
            assert active == (sum(count for start, count in history if start >= since) < 80)
        else:
            assert not active, "the call is not three seconds old"


# ---------------------------------------------------------------- states


def test_ice_connection_tells_each_change_for_the_worse_and_the_recovery_but_not_the_first_connect() -> None:
    engine, told = RuleEngine(V2_1), []
    for state in (
        "checking",
        "connected",
        "disconnected",
        "disconnected",
        "failed",
        "connected",
        "connected",
    ):
        told += engine.state("ice", state)
    assert [(event["value"], event["active"]) for event in told] == [
        ("disconnected", True),
        ("failed", True),
        ("connected", False),
    ]
    assert {(event["type"], event["group"], event["desc"], event["stream"]) for event in told} == {
        ("ice_connection", "network", "network drop", "None")
    }


def test_ice_timeout_comes_once_a_gathering_and_is_never_cleared() -> None:
    engine, told = RuleEngine(V2_1), []
    states = ("gathering", "timeout", "timeout", "complete", "gathering", "timeout", "complete")
    for waited_ms, state in enumerate(states):
        told += engine.state("gathering", state, waited_ms)
    assert [(event["type"], event["value"], event["active"]) for event in told] == [
        ("ice_timeout", 1, True),
        ("ice_timeout", 5, True),
    ]
    assert told[0]["desc"] == "Possible NAT/Firewall issue"
    assert engine.active == []


def test_a_lost_microphone_is_told_and_cleared_when_it_is_back() -> None:
    engine = RuleEngine(V2_1)
    (lost,) = engine.state("microphone", "lost")
    (back,) = engine.state("microphone", "present")
    assert (lost["type"], lost["desc"], lost["value"], lost["active"]) == (
        "no_microphone_access",
        "lost access to microphone",
        0,
        True,
    )
    assert back["active"] is False


# ---------------------------------------------------------------- the published packages' rules


def every_5_s(engine: RuleEngine, column: str, values, **others) -> list[tuple[int, float, bool]]:
    """Five samples of a second for each value: (which value, value told, active)."""
    told = []
    second = 0
    for number, value in enumerate(values, 1):
        for _ in range(5):
            second += 1
            for event in engine.sample(row(second, **{column: value}, **others)):
                told.append((number, event["value"], event["active"]))
    return told


@pytest.mark.spec("6 sdk-2.2")
def test_sdk_rules_judge_every_second_sample_of_five_seconds_and_tell_again_while_it_lasts() -> None:
    engine = RuleEngine([only("high_jitter", "remote", SDK_2_2)], started_at_s=100.0)
    told = every_5_s(engine, "jitter_in_ms", [40.0] * 6 + [5.0] * 4)
    assert told == [(2, 40.0, True), (4, 40.0, True), (6, 40.0, True), (8, 0, False)]


def test_sdk_loss_is_that_of_five_seconds_with_the_packages_limits_and_words() -> None:
    local, remote = only("high_packetloss", "local", SDK_2_2), only("high_packetloss", "remote", SDK_2_2)
    assert (local.desc, remote.desc) == ("packetLossLocalMeasures", "packetLossRemoteMeasures")
    for codec, limit in (("OPUS", 0.1), ("PCMU", 0.02)):
        engine = RuleEngine([remote], started_at_s=100.0)
        assert every_5_s(engine, "loss_in", [limit] * 2, codec=codec) == [(2, limit, True)]
        engine = RuleEngine([remote], started_at_s=100.0)
        assert every_5_s(engine, "loss_in", [limit - 0.001] * 2, codec=codec) == []
    assert every_5_s(RuleEngine([local], started_at_s=100.0), "loss_out", [0.1] * 2) == [(2, 0.1, True)]


def test_sdk_mos_and_rtt() -> None:
    mos = only("low_mos", "None", SDK_2_2)
    assert (mos.limit, mos.desc) == (3.5, "mosRemoteMeasures")
    told = every_5_s(RuleEngine([mos], started_at_s=100.0), "rtt_ms", [600.0, 600.0, 600.0, 20.0, 20.0, 20.0])
    assert [(number, active) for number, _, active in told] == [(2, True), (4, True), (6, False)]
    rtt = only("high_rtt", "None", SDK_2_2)
    assert every_5_s(RuleEngine([rtt], started_at_s=100.0), "rtt_ms", [600.0, 20.0, 20.0, 700.0]) == []


def test_sdk_silence_is_two_equal_levels_of_three() -> None:
    rule = only("no_audio_received", "remote", SDK_2_2)
    told = every_5_s(
        RuleEngine([rule], started_at_s=100.0), "level_in_dbfs", [-100.0, -100.0, -21.0, -22.0, -23.0, -24.0]
    )
    assert [(number, active) for number, _, active in told] == [(2, True), (4, False)]
    assert (
        every_5_s(RuleEngine([rule], started_at_s=100.0), "level_in_dbfs", [-20.0, -21.0, -22.0, -20.0]) == []
    )


# ---------------------------------------------------------------- rules of the user


def test_rules_of_your_own_work_beside_the_documented_ones() -> None:
    own = Rule(
        type="quiet", group="audio", desc="d", stream="remote", column="level_in_dbfs", over="<", limit=-40
    )
    rules = resolve([*V2_1, own])
    assert judged(rules, "level_in_dbfs", [-50.0] * 4) == [(3, "quiet", -50.0, True)]


def test_every_event_has_plivos_keys_in_plivos_order() -> None:
    engine = RuleEngine(
        [EventRule(type="t", group="g", desc="d", what="ice", raised_by=frozenset({"failed"}))]
    )
    (event,) = engine.state("ice", "failed")
    assert list(event) == ["group", "level", "type", "value", "active", "desc", "stream"]
    assert event["level"] == "warning"
