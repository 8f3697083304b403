"""widgets.class_view: the rows of a class, from what the lab reports."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.widgets.class_view import KEPT_POINTS, LOSS_OVER, ClassRecord


def call(
    caller: str, callee: str, *, uuid: str = "u-1", state: str = "answered", seconds: float = 5.0
) -> Any:
    return {"call_uuid": uuid, "caller": caller, "callee": callee, "state": state, "seconds": seconds}


def status(*calls: Any, online: tuple[str, ...] = ("ann", "bob")) -> dict[str, Any]:
    return {"registrations": [{"user": user} for user in online], "calls": list(calls)}


def report(
    user: str, mos: Any = 4.2, *, uuid: str = "u-1", loss: Any = 0.05, rtt: Any = 40
) -> dict[str, Any]:
    return {
        "user": user, "msg": "CALL_STATS", "xcallUUID": uuid,
        "local": {"mos": mos, "fractionLoss": 0.01, "rtt": rtt},
        "remote": {"fractionLoss": loss, "jitter": 3},
    }  # fmt: skip


def row_of(record: ClassRecord, user: str) -> dict[str, Any]:
    return next(row for row in record.rows() if row["user"] == user)


def test_both_parties_of_a_call_are_seen_and_who_is_away() -> None:
    record = ClassRecord(["ann", "bob", "carl"])
    record.update(status(call("ann", "bob", seconds=61.0)))
    assert [(row["state"], row["with"], row["length"]) for row in record.rows()] == [
        ("in call", "bob", "1:01"),
        ("in call", "ann", "1:01"),
        ("away", "", ""),
    ]
    record.update(status(call("ann", "echo", uuid="u-2", state="ringing")))
    assert (row_of(record, "ann")["state"], row_of(record, "bob")["state"]) == ("calling", "ready")


def test_reports_give_the_figures_of_the_call() -> None:
    record = ClassRecord(["ann", "bob"])
    record.update(status(call("ann", "bob")))
    for mos in (4.4, 3.0):
        record.take("collected", report("ann", mos))
    row = row_of(record, "ann")
    assert (row["mos"], row["verdict"], row["series"]) == ("3.0", "poor", [4.4, 3.0])
    assert row["rtt"] == "40 ms"
    assert (row["loss_to"], row["loss_from"]) == ("", "")  # what the client says of its loss is not believed
    assert row_of(record, "bob")["mos"] == ""


def test_the_loss_is_what_the_lab_dropped_in_the_last_seconds() -> None:
    record = ClassRecord(["ann", "bob"])

    def passed(to_caller: tuple[int, int], to_callee: tuple[int, int]) -> None:
        counted = [{"seen": seen, "dropped": dropped} for seen, dropped in (to_caller, to_callee)]
        rtp = dict(zip(("to_caller", "to_callee"), counted, strict=True))
        record.update(status(call("ann", "bob") | {"rtp": rtp}))

    passed((0, 0), (0, 0))
    assert row_of(record, "ann")["loss_to"] == ""
    passed((50, 10), (50, 0))
    assert [(row["loss_to"], row["loss_from"]) for row in record.rows()] == [
        ("20.0 %", "0.0 %"), ("0.0 %", "20.0 %"),
    ]  # fmt: skip
    for second in range(2, 3 + LOSS_OVER):
        passed((50 * second, 10), (50 * second, 25))
    assert (row_of(record, "ann")["loss_to"], row_of(record, "ann")["loss_from"]) == ("0.0 %", "0.0 %")
    record.update(status(call("ann", "echo", uuid="u-2") | {"rtp": {}}))
    assert row_of(record, "ann")["loss_to"] == ""


def test_the_next_call_begins_anew_and_the_end_of_the_last_one_is_told() -> None:
    record = ClassRecord(["ann"])
    record.update(status(call("ann", "echo")))
    record.take("collected", report("ann"))
    record.take("event", {"what": "call-ended", "call_uuid": "u-1", "detail": "BYE of the caller"})
    record.update(status())
    row = row_of(record, "ann")
    assert (row["state"], row["why"], row["series"]) == ("ready", "BYE of the caller", [4.2])
    record.update(status(call("ann", "echo", uuid="u-2")))
    assert (row_of(record, "ann")["series"], row_of(record, "ann")["why"]) == ([], "")


def test_an_end_that_is_told_before_the_call_was_seen_to_end_is_kept() -> None:
    record = ClassRecord(["ann"])
    record.update(status(call("ann", "echo")))
    record.take("event", {"what": "call-ended", "call_uuid": "u-1", "detail": "no packets"})
    record.update(status(call("ann", "echo")))  # asked for a moment before
    record.update(status())
    assert row_of(record, "ann")["why"] == "no packets"


def test_the_curve_is_bounded() -> None:
    record = ClassRecord(["ann"])
    for _ in range(3 * KEPT_POINTS):
        record.take("collected", report("ann"))
    assert len(row_of(record, "ann")["series"]) == KEPT_POINTS


@given(
    st.dictionaries(
        st.sampled_from(["user", "msg", "xcallUUID", "local", "remote", "what", "detail"]),
        st.one_of(
            st.none(), st.text(), st.floats(), st.just("CALL_STATS"), st.just("ann"),
            st.dictionaries(st.sampled_from(["mos", "rtt", "fractionLoss"]), st.text() | st.floats()),
        ),
    )
)  # fmt: skip
def test_what_a_client_reports_never_raises(entry: dict[str, Any]) -> None:
    record = ClassRecord(["ann"])
    for name in ("collected", "event"):
        record.take(name, entry)
    assert len(record.rows()) == 1
