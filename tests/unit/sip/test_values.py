"""Values of header fields: addresses, URIs, lists, parameters."""

from __future__ import annotations

import pytest

from plivo_nb.sip.values import (
    NameAddr,
    Reason,
    Via,
    check_uri,
    format_parameters,
    parse_addresses,
    parse_cseq,
    parse_parameters,
    parse_uri,
    split_list,
)


@pytest.mark.parametrize(
    ("text", "name", "uri", "parameters"),
    [
        ("<sip:a@b>", "", "sip:a@b", {}),
        ("sip:a@b;tag=1", "", "sip:a@b", {"tag": "1"}),
        ('"A" <sip:a@b;x=1>;y=2', "A", "sip:a@b;x=1", {"y": "2"}),
        (
            '"A \\"x\\" <sip:evil@c>" <sip:a@b>;p="<sip:evil@d>;q"',
            'A "x" <sip:evil@c>',
            "sip:a@b",
            {"p": "<sip:evil@d>;q"},
        ),
        ("Alice Liddell <tel:+1-201-555-0123>", "Alice Liddell", "tel:+1-201-555-0123", {}),
        ("<sips:a@[2001:db8::1]:5061;transport=tcp>", "", "sips:a@[2001:db8::1]:5061;transport=tcp", {}),
    ],
)
def test_addresses(text: str, name: str, uri: str, parameters: dict[str, str | None]) -> None:
    address = NameAddr.parse(text)
    assert (address.display_name, address.uri, address.parameters) == (name, uri, parameters)
    assert NameAddr.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["", "<sip:a@b", "<>", '"A <sip:a@b>', '"A" sip:a@b', "sip:a@b?x=1", "a@b", "<sip:a b@c>", "<sip:a@b>x"],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError):
        NameAddr.parse(text)


@pytest.mark.parametrize(
    "uri",
    [
        "sip:a@host1",
        "sip:a@1.2.3.4:5060",
        "SIPS:a:pw@b.c",
        "tel:+14155550100;ext=1",
        "sip:[::1]",
        "urn:uuid:1",
        "mailto:a@b",
    ],
)
def test_uris(uri: str) -> None:
    assert check_uri(uri) == uri


@pytest.mark.parametrize(
    "uri", ["sip:", "sip:a@", "sip:@b", "sip:a@b:99999", "sip:a@b c", "sip:a@b>", "//x", "sip", "1x:y"]
)
def test_what_is_no_uri(uri: str) -> None:
    with pytest.raises(ValueError):
        parse_uri(check_uri(uri))


def test_uri_parts() -> None:
    uri = parse_uri("SIP:al%69ce:pw@Example.com:5070;Transport=ws;lr")
    assert (uri.scheme, uri.user, uri.password, uri.host, uri.port) == (
        "sip",
        "alice",
        "pw",
        "Example.com",
        5070,
    )
    assert dict(uri.parameters) == {"transport": "ws", "lr": None}


def test_lists_parameters_reasons() -> None:
    assert split_list('"a, b" <sip:c,d@e>, <x>') == ['"a, b" <sip:c,d@e>', "<x>"]
    assert split_list("") == []
    assert parse_parameters(';a="x;\\"y";B=2 ; c') == {"a": 'x;"y', "b": "2", "c": None}
    assert format_parameters({"a": 'x;"y', "b": "2", "c": None, "d": "::1"}) == ';a="x;\\"y";b=2;c;d=::1'
    assert Reason.parse('SIP;cause=486;text="Busy, really"') == Reason("SIP", 486, "Busy, really")
    assert Reason.parse("Q.850;cause=many") == Reason("Q.850", None, None)
    assert Reason.parse(";;;") is None
    assert parse_cseq("0012  BYE").sequence == 12
    assert (
        str(Via.parse("SIP/2.0/UDP [::1]:5060;received=[::2];branch=z9hG4bKx"))
        == "SIP/2.0/UDP [::1]:5060;received=[::2];branch=z9hG4bKx"
    )


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("Smith, John <sip:a@b>;q=1", ["Smith, John"]),
        ("Smith, John, Dr. <sip:a@b>, <sip:c@d>", ["Smith, John, Dr.", ""]),
        ('sip:c@d, "A" , B <sip:a@b>', ["", "A , B"]),
        ("<sip:c@d>;a=b, Smith, John <sip:a@b>", ["", "Smith, John"]),
        ("*", [""]),
        ("*, Star <sip:a@b>", ["", "Star"]),
        ("Smith, * <sip:a@b>", ["Smith, *"]),
    ],
)
def test_unquoted_display_names_may_have_commas_in_lists_of_addresses(value: str, names: list[str]) -> None:
    assert [address.display_name for address in parse_addresses(value)] == names


@pytest.mark.parametrize("value", ["Smith, John", "<sip:a@b>, Smith", "Smith, sip:a@b", "a,, b <sip:a@b>"])
def test_display_names_without_an_address_are_refused(value: str) -> None:
    with pytest.raises(ValueError):
        parse_addresses(value)


def test_a_tel_uri_is_read_in_linear_time() -> None:
    assert parse_uri("tel:+14155550100").user == "+14155550100"
    for text in (
        "tel:+" + "1" * 60_000 + "x",
        "tel:" + "1" * 60_000 + "x",
        "sip:" + "a-" * 30_000,
        "mailto:a@b",
    ):
        with pytest.raises(ValueError, match="is not a SIP, SIPS or TEL URI"):
            parse_uri(text)


@pytest.mark.parametrize("name", ["self", "SELF", "%73elf", "cls", "kwargs", "scheme"])
def test_a_parameter_of_a_sip_uri_may_have_any_name(name: str) -> None:
    """The library takes parameters as keyword arguments of Python."""
    assert parse_uri(f"sip:bob@x;{name}=1;lr").parameters["lr"] is None


@pytest.mark.parametrize("name", ["self", "%73elf"])
def test_a_parameter_that_the_library_cannot_hold_makes_a_tel_uri_unreadable(name: str) -> None:
    with pytest.raises(ValueError, match="has a parameter that cannot be read"):
        parse_uri(f"tel:+14155550100;{name}=1")


def test_long_values_are_not_kept_in_caches() -> None:
    name = "a" * 60_000
    one, other = (NameAddr.parse(f"{name} <sip:a@b>") for _ in range(2))
    assert one == other
    assert one is not other
    assert NameAddr.parse("<sip:a@b>") is NameAddr.parse("<sip:a@b>")
