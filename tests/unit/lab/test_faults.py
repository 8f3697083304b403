"""The state of the faults."""

from __future__ import annotations

import pytest

from plivo_nb.lab.faults import Faults


def test_faults_are_counted_and_cleared() -> None:
    faults = Faults()
    faults.refuse_registration(403, None, "alice", 1)
    assert faults.refusal_for("bob") is None
    refusal = faults.refusal_for("alice")
    assert refusal is not None
    assert refusal.status == 403
    assert faults.refusal_for("alice") is None
    faults.distrust = 1
    assert [faults.distrusts(), faults.distrusts()] == [True, False]
    faults.wrong_cseq = 1
    assert "CSeq: 1005 BYE" in faults.alter("SIP/2.0 200 OK\r\nCSeq: 5 BYE\r\n\r\n")
    assert faults.alter("SIP/2.0 200 OK\r\nCSeq: 5 BYE\r\n\r\n") == "SIP/2.0 200 OK\r\nCSeq: 5 BYE\r\n\r\n"
    faults.slow(3)
    faults.silent = True
    faults.clear()
    assert (faults.delay_s, faults.silent) == (0, False)
    for wrong in (-1, 1e9):
        with pytest.raises(ValueError, match="slow"):
            faults.slow(wrong)


def test_a_sequence_number_that_is_none_is_left_alone() -> None:
    faults = Faults()
    faults.wrong_cseq = 4
    assert faults.alter("SIP/2.0 200 OK\r\nCSeq: 7 INVITE").endswith("CSeq: 1007 INVITE")
    for number in ("1" * 5_000, "\u00b2", "\u0663"):
        text = f"SIP/2.0 200 OK\r\nCSeq: {number} INVITE"
        assert faults.alter(text) == text
