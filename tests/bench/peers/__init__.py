"""This package beside stock aiortc, Chromium with JsSIP and pjsua2: what `python tests/bench` measures."""
