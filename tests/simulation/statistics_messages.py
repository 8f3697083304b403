"""A call's numbers, and messages of the statistics service about them."""

from plivo_nb.insights import Subject, messages
from plivo_nb.options import Options

ALICE = Subject("call-id-1", "x-call-uuid-1", "alice", "phone.plivo.com")
ABOUT = messages.About(Options())
SIGNALLING = {
    "call_initiation_time": 1_795_397_518_168,
    "ring_start_time": 1_795_397_518_226,
    "answer_time": 1_795_397_518_298,
    "call_confirmed_time": 1_795_397_518_308,
    "hangup_time": 1_795_397_540_908,
    "hangup_party": "local",
    "hangup_reason": "Terminated",
    "post_dial_delay": 58,
}
SAMPLE = {
    "codec": "OPUS",
    "rtt_ms": 41.7,
    "jitter_in_ms": 3.2,
    "jitter_out_ms": 2.8,
    "loss_in": 0.02,
    "loss_out": 0.01,
    "mos": 4.321,
    "level_in_dbfs": -20.5,
    "level_out_dbfs": -21.5,
    "playout_delay_ms": 39.6,
}
STATS = {
    "outbound-rtp": {"ssrc": 11, "packetsSent": 250, "bytesSent": 20_000},
    "inbound-rtp": {
        "ssrc": 22,
        "packetsReceived": 248,
        "bytesReceived": 19_840,
        "packetsLost": 2,
        "packetsDiscarded": 1,
    },
    "remote-inbound-rtp": {"packetsLost": 3},
}


def stats(**sample: float) -> dict:
    return messages.call_stats(ALICE, STATS, {**SAMPLE, **sample}, pdd_ms=58.0, media_setup_ms=110.4)
