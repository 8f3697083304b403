"""Digest authentication: the RFCs' published examples, and both sides against each other."""

from __future__ import annotations

import contextlib
import random
import time

import pytest

from plivo_nb.sip import digest
from plivo_nb.sip.digest import Challenge, Credentials


@pytest.mark.parametrize(
    ("header", "password"),
    [
        (
            'Digest username="Mufasa", realm="testrealm@host.com", '
            'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",'
            ' uri="/dir/index.html", qop=auth, nc=00000001, cnonce="0a4f113b",'
            ' response="6629fae49393a05397450978507c4ef1", opaque="5ccc069c403ebaf9f0171e9517f40e41"',
            "Circle Of Life",
        ),
        (
            'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm=MD5,'
            ' nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001,'
            ' cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth,'
            ' response="8ca523f5e9506fed4657c9700eebdbec"',
            "Circle of Life",
        ),
        (
            'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html",'
            " algorithm=SHA-256,"
            ' nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001,'
            ' cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth,'
            ' response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"',
            "Circle of Life",
        ),
    ],
)
def test_the_published_examples_of_digest(header: str, password: str) -> None:
    assert digest.verify(header, "GET", password)
    assert not digest.verify(header, "GET", password + "x")
    assert not digest.verify(header, "POST", password)
    assert not digest.verify(header, "GET", password, expected_nonce="another")


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", None, "MD5-sess", "SHA-256-sess", "sha-256"])
@pytest.mark.parametrize("qop", ["auth", None, "auth,auth-int", "auth-int"])
def test_both_sides_of_digest_agree(algorithm: str | None, qop: str | None) -> None:
    made = digest.make_challenge('a, "b"', "n, 1", algorithm, qop, opaque="o", stale=True)
    challenge = Challenge.parse(made, proxy=True)
    assert challenge.usable
    assert challenge.stale
    assert challenge.header == "Proxy-Authorization"
    credentials = Credentials("al ice", "pässword", random.Random(1))
    header = credentials.authorize(challenge, "INVITE", "sip:x@y", b"body", 3)
    assert digest.parse_digest(header)["opaque"] == "o"
    assert ("nc=00000003" in header) == (qop is not None)
    assert digest.verify(header, "INVITE", "pässword", "n, 1", b"body")
    assert digest.verify(header, "INVITE", "pässword", "n, 1", b"other") == (qop != "auth-int")
    assert not digest.verify(header, "INVITE", "password", "n, 1", b"body")


@pytest.mark.parametrize(
    "header",
    ["", "Digest", "Basic abc", "Digest a", 'Digest username="a', "Digest qop=auth", "Digest algorithm=X"],
)
def test_what_proves_nothing(header: str) -> None:
    assert not digest.verify(header, "INVITE", "pw")


@pytest.mark.parametrize("filling", [" ", "a", '"', "\\", ",", "=", "a=b,", "a = "])
def test_a_challenge_is_read_in_linear_time(filling: str) -> None:
    for start in ("Digest a=", 'Digest a="', "Digest "):
        took = []
        for _ in range(3):  # other work on the machine counts as well
            began = time.thread_time()
            with contextlib.suppress(ValueError):
                Challenge.parse(start + filling * (60_000 // len(filling)) + '"!')
            took.append(time.thread_time() - began)
        assert min(took) < 0.15
