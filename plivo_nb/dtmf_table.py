"""DTMF digits: their event codes (RFC 4733 section 3.2) and frequencies (ITU-T Q.23)."""

from __future__ import annotations

#: All digits. The index of a digit is its telephone-event code (RFC 4733 table 3).
DTMF_DIGITS = "0123456789*#ABCD"

_ROWS_HZ = (697.0, 770.0, 852.0, 941.0)
_COLUMNS_HZ = (1209.0, 1336.0, 1477.0, 1633.0)
_KEYPAD = "123A456B789C*0#D"

#: The low and the high frequency of each digit in Hz.
DTMF_HZ: dict[str, tuple[float, float]] = {
    key: (_ROWS_HZ[index // 4], _COLUMNS_HZ[index % 4]) for index, key in enumerate(_KEYPAD)
}
