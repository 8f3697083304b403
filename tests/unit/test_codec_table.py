"""codec_table: what a row says holds wherever the codec is used."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from plivo_nb.codec_table import CODECS, DEFAULT_CODECS, CodecName, codec_row
from plivo_nb.media import sdp
from plivo_nb.media.codecs import Codec, make_decoder, make_encoder
from plivo_nb.options import read_options
from plivo_nb.quality import mos


def test_opus_and_pcmu_are_offered_by_default() -> None:
    assert DEFAULT_CODECS == ("OPUS", "PCMU")
    assert read_options({}, {}).codecs == DEFAULT_CODECS


def test_every_codec_name_has_a_row_of_its_own() -> None:
    assert set(get_args(CodecName)) == set(CODECS)
    assert len({row.payload_type for row in CODECS.values()}) == len(CODECS)


def test_a_codec_is_found_by_its_name_in_any_case() -> None:
    assert codec_row("opus") is CODECS["OPUS"]
    with pytest.raises(ValueError, match="no codec 'G729'; choose among OPUS, PCMU, PCMA"):
        codec_row("G729")


@pytest.mark.parametrize("name", CODECS)
def test_every_codec_can_be_chosen_offered_and_coded(name: str) -> None:
    row = CODECS[name]
    assert read_options({"codecs": [name]}, {"strict": True}).codecs == (name,)
    (offered,) = sdp.offered_formats([name])
    assert (offered.payload_type, offered.clock_rate) == (row.payload_type, row.clock_rate_hz)
    codec = Codec(row.name, row.payload_type, row.clock_rate_hz)
    payload = make_encoder(codec).encode(np.zeros(row.clock_rate_hz // 50, np.int16))
    assert make_decoder(codec).samples(payload) == row.clock_rate_hz // 50
    assert 4.3 < mos.sdk(20.0, 1.0, 0.0, name) < 4.5
    assert 4.0 < mos.g107(20.0, 0.0, name) < 4.5
