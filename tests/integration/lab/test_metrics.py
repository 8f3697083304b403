"""What Prometheus would fetch: the lab's page /metrics, and a client's metrics after a call in it."""

from __future__ import annotations

from collections.abc import Callable

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from waiting import until

from plivo_nb import Client, Lab, Tone

pytestmark = pytest.mark.asyncio(loop_scope="session")


def read(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_call_shows_in_the_labs_page_and_in_the_clients_text(
    lab: Lab, clients: Callable[..., Client]
) -> None:
    client = clients()
    await client.login("alice", lab.password("alice"))
    call = await client.call("echo")
    call.play(Tone(440.0))
    await until(lambda: len(call.samples) >= 2)
    page = lab.url.replace("ws://", "http://") + "/metrics"
    async with aiohttp.ClientSession() as session, session.get(page) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        of_lab = read(await response.text())
    assert of_lab["plivo_nb_lab_registrations",] >= 1
    assert of_lab["plivo_nb_lab_calls", "answered"] >= 1
    assert of_lab["plivo_nb_lab_sip_requests_total", "INVITE"] >= 1
    assert of_lab["plivo_nb_lab_rtp_packets", "to_callee", "forwarded"] > 0
    ongoing = read(client.metrics())
    assert "plivo_nb_calls_total" not in {name for name, *_ in ongoing}
    assert ongoing["plivo_nb_calls_ongoing",] == ongoing["plivo_nb_logged_in",] == 1
    await call.hangup()
    after = read(client.metrics())
    assert after["plivo_nb_calls_ongoing",] == 0
    assert after["plivo_nb_calls_total", "", "outgoing", "ended"] == 1, "cause, direction, state"
    assert after["plivo_nb_packets_total", "received"] >= ongoing["plivo_nb_packets_total", "received"] > 50
    assert after["plivo_nb_mos_count",] >= 2
    assert lab.password("alice") not in client.metrics()
