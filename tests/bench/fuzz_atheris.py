"""The fuzz targets, guided by coverage (atheris, libFuzzer): for hours, on one target.

    pip install atheris
    cd tests && python -m bench.fuzz_atheris sip [--seconds 3600] [--corpus FOLDER]

It stops at the first input that raises what is not documented, or that takes longer than the target's limit,
and writes that input to a file; `--replay FILE` runs it again. Inputs that reached new code are kept in the
corpus.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[1]
sys.path[:0] = [str(HERE), str(HERE / "simulation")]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("target", help="sip, sdp, rtp, rtcp, statistics, scenario, options or control")
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--corpus", type=Path, help="folder of inputs to start from and to add to")
    parser.add_argument("--replay", type=Path, help="run this input once, without atheris")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    logging.disable(logging.WARNING)
    if given.replay is not None:
        from fuzz_targets import TARGETS
        from unit.test_fuzz import Check

        Check(TARGETS[given.target])(given.replay.read_bytes())
        print("no fault")
        return
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed: pip install atheris")
    with atheris.instrument_imports(include=["plivo_nb", "sipmessage"]):
        from fuzz_targets import MAX_BYTES, TARGETS
        from unit.test_fuzz import Check
    check = Check(TARGETS[given.target], seconds=given.seconds + 60)
    corpus = given.corpus or Path(tempfile.mkdtemp(prefix=f"fuzz_{given.target}_"))
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(check.target.seeds):
        (corpus / f"seed{number}").write_bytes(data)
    flags = [sys.argv[0], f"-max_total_time={given.seconds}", f"-max_len={MAX_BYTES}", "-rss_limit_mb=2048"]
    atheris.Setup([*flags, str(corpus)], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
