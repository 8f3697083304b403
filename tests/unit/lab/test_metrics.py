"""lab.metrics: the text of the lab's page /metrics."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from plivo_nb.lab.metrics import LabCollector, exposition


def test_states_requests_events_and_packets() -> None:
    packets = {
        "to_callee": {"rtp_forwarded": 100, "rtp_dropped": 5},
        "to_caller": {"rtp_forwarded": 90, "rtp_dropped": 0},
    }
    collector = LabCollector(
        registrations=2, calls=["ringing", "answered", "answered"], requests={"INVITE": 3},
        events={"call-ended": 1}, packets=packets,
    )  # fmt: skip
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(exposition(collector))
        for sample in family.samples
    }
    assert values["plivo_nb_lab_registrations",] == 2
    assert [values["plivo_nb_lab_calls", state] for state in ("connecting", "ringing", "answered")] == [
        0,
        1,
        2,
    ]
    assert values["plivo_nb_lab_sip_requests_total", "INVITE"] == 3
    assert values["plivo_nb_lab_events_total", "call-ended"] == 1
    assert values["plivo_nb_lab_rtp_packets", "to_callee", "dropped"] == 5
