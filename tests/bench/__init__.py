"""Benches: each prints its figures. Run one in the folder `tests`: ``python -m bench.NAME``."""
