"""RFC 4475's torture messages: one of our own for each of its sections, with the defect or the oddity it
describes.

Each entry names the section and the RFC's short name, and what has to come of it: the message is read (and
says certain things), or is refused with a status, or is dropped without an answer. `agent` is what a user
agent answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sip_world import OFFER, World, names

from plivo_nb.sip import digest
from plivo_nb.sip.message import MalformedMessage, Request, Response, parse
from plivo_nb.sip.values import parse_uri

Message = Request | Response


@dataclass(frozen=True)
class Torture:
    """`status`: the refusal by the parser, 0 for a message dropped, None for one that is read."""

    section: str
    name: str
    text: str
    status: int | None = None
    agent: int | None = None
    says: Callable[[Message], bool] = lambda message: True
    body: bytes = b""

    @property
    def wire(self) -> bytes:
        return self.text.strip("\n").replace("\n", "\r\n").encode() + b"\r\n\r\n" + self.body


def request(line: str, *more: str, **fields: str | None) -> str:
    """A plain request with some fields changed (None leaves one out) and some added."""
    method = line.split()[0]
    plain: dict[str, str | None] = {
        "Via": "SIP/2.0/WS client.invalid;branch=z9hG4bKtorture",
        "Max-Forwards": "70",
        "To": "<sip:user@example.com>",
        "From": "<sip:caller@example.net>;tag=torture1",
        "Call-ID": "torture.0ha0isndaksdj@example.net",
        "CSeq": f"8 {method}",
        "Contact": "<sip:caller@client.invalid>",
        "Content-Length": "0",
    }
    plain |= {name.replace("_", "-"): value for name, value in fields.items()}
    kept = [f"{name}: {value}" for name, value in plain.items() if value is not None]
    return "\n".join([line, *kept, *more])


def response(line: str, **fields: str) -> str:
    plain = {
        "Via": "SIP/2.0/WS client.invalid;branch=z9hG4bKtorture",
        "To": "<sip:user@example.com>;tag=to1",
        "From": "<sip:caller@example.net>;tag=torture1",
        "Call-ID": "torture.response@example.net",
        "CSeq": "8 OPTIONS",
    }
    plain |= {name.replace("_", "-"): value for name, value in fields.items()}
    return "\n".join([line, *(f"{name}: {value}" for name, value in plain.items())])


ODD_USER = "1_odd.URI~(for-sure!)&isn't+it$/wild?,/;;*:&it+has=1,strange!*pas$wo~d_too.(isn't-it)"
ODD_METHOD = "!odd-Method0123456789_*+`.%indeed'~"
EXTENSION = "an-odd-name-!.%*+_`'~"

TORTURES = [
    # 3.1.1 valid messages
    Torture(
        "3.1.1.1",
        "wsinv",
        f"""
INVITE sip:watson@lab.example.com;unknownparam SIP/2.0
TO :
 sip:watson@lab.example.com ;   tag    = 1918181833n
from   : "A G Bell \\\\\\""       <sip:bell@example.com>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
Call-ID: wsinv.ndaksdj@192.0.2.1
Content-Length   : {len(OFFER)}
cseq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    192.0.2.2;branch=390skdjuw
s :
NewFangledHeader:   new fangled value
 continued here
UnknownHeaderWithUnusualValue: ;;,,;;,;
Content-Type: application/sdp
Route:
 <sip:services.example.com;lr;unknownwith=value;unknown-no-value>
v:  SIP  / 2.0  / TCP     spindle.example.com   ;
  branch  =   z9hG4bK9ikj8  ,
 SIP  /    2.0   / UDP  192.168.255.111   ; branch=
 z9hG4bK30239
m:"Quoted string \\"\\"" <sip:bell@example.com> ; newparam =
      newvalue ;
  secondparam ; q = 0.33
""",
        agent=481,
        body=OFFER,
        says=lambda m: (
            m.to.tag == "1918181833n"
            and m.from_.display_name == 'A G Bell \\"'
            and m.cseq.sequence == 9
            and len(m.values("Via")) == 3
            and m.headers.get("Subject") == ""
            and m.headers.get("newfangledheader") == "new fangled value continued here"
            and m.contacts[0].parameters == {"newparam": "newvalue", "secondparam": None, "q": "0.33"}
        ),
    ),
    Torture(
        "3.1.1.2",
        "intmeth",
        request(
            f"{ODD_METHOD} sip:{ODD_USER}@example.com SIP/2.0",
            f"{EXTENSION}: \ufeff\u5927\u505c\u96fb",
            To=f'"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f" <sip:{ODD_USER}@example.com>',
            From="token1~` token2'+_ token3*%!.- <sip:mundane@example.com>"
            ";fromParam''~+*_!.-%=\"\u0440\u0430\u0431\u043e\u0442\";tag=_token~1'+`*%!-.",
        ),
        agent=405,
        says=lambda m: m.from_.tag == "_token~1'+`*%!-." and m.to.display_name.startswith("BEL:\x07"),
    ),
    Torture(
        "3.1.1.3",
        "esc01",
        request(
            "INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0",
            To="sip:%75se%72@example.com",
            From="<sip:I%20have%20spaces@example.net>;tag=938",
            Contact="<sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>",
        ),
        agent=100,
        says=lambda m: (
            isinstance(m, Request)
            and parse_uri(m.uri).user == "sips:user@example.com"
            and parse_uri(m.to.uri).user == "user"
            and dict(parse_uri(m.contacts[0].uri).parameters) == {"lr": None, "name": "value%41"}
        ),
    ),
    Torture(
        "3.1.1.4",
        "escnull",
        request("REGISTER sip:example.com SIP/2.0", To="sip:null-%00-null@example.com"),
        agent=405,
        says=lambda m: parse_uri(m.to.uri).user == "null-\0-null",
    ),
    Torture(
        "3.1.1.5",
        "esc02",
        request("RE%47IST%45R sip:registrar.example.com SIP/2.0", Contact='"%Z%45" <sip:r@example.com>'),
        agent=405,
        says=lambda m: (
            isinstance(m, Request) and m.method == "RE%47IST%45R" and m.contacts[0].display_name == "%Z%45"
        ),
    ),
    Torture(
        "3.1.1.6",
        "lwsdisp",
        request("OPTIONS sip:user@example.com SIP/2.0", From="caller<sip:caller@example.com>;tag=323"),
        agent=200,
        says=lambda m: m.from_.display_name == "caller" and m.from_.tag == "323",
    ),
    Torture(
        "3.1.1.7",
        "longreq",
        request(
            "INVITE sip:user@example.com SIP/2.0",
            *[f"Unknown-{'Long' * 40}-Name: {'very-long-value-' * 20}" for _ in range(30)],
            *[f"Via: SIP/2.0/TCP sip{number}.example.com" for number in range(34)],
            To=f'"{"My name is of extreme proportion " * 5}" <sip:{"user" * 60}@example.com;{"p" * 250}=1>',
            Call_ID="longreq.one" + "really" * 40 + "longcallid",
        ),
        agent=100,
        says=lambda m: len(m.values("Via")) == 35 and len(m.call_id) > 250,
    ),
    Torture(
        "3.1.1.8",
        "dblreq",
        request("OPTIONS sip:user@example.com SIP/2.0"),
        agent=200,
        body=b"INVITE sip:joe@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.15\r\n\r\n",
        says=lambda m: m.body == b"",
    ),
    Torture(
        "3.1.1.9",
        "semiuri",
        request("OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0"),
        agent=200,
        says=lambda m: isinstance(m, Request) and parse_uri(m.uri).user == "user;par=u@example.net",
    ),
    Torture(
        "3.1.1.10",
        "transports",
        request(
            "OPTIONS sip:user@example.com SIP/2.0",
            *[
                f"Via: SIP/2.0/{kind} t{kind}.example.com;branch=z9hG4bK{kind}"
                for kind in ("SCTP", "TLS", "UNKNOWN")
            ],
        ),
        agent=200,
        says=lambda m: [value.split()[0] for value in m.values("Via")][-1] == "SIP/2.0/UNKNOWN",
    ),
    Torture(
        "3.1.1.11",
        "mpart01",
        request(
            "MESSAGE sip:user@example.com SIP/2.0",
            Content_Type="multipart/mixed;boundary=7a9cbec02ceef655",
            Content_Length="90",
        ),
        agent=200,
        body=b"--7a9cbec02ceef655\r\nContent-Type: text/plain\r\n\r\nHello\r\n--7a9cbec02ceef655".ljust(
            86, b"\0"
        )
        + b"\x30\x82\xff\x03",
        says=lambda m: m.content_type == "multipart/mixed" and m.body.endswith(b"\xff\x03"),
    ),
    Torture(
        "3.1.1.12",
        "unreason",
        response(
            "SIP/2.0 200 = 2**3 * 5**2 \u043d\u043e \u0441\u0442\u043e \u0434\u0435\u0432\u044f\u0442\u044c"
        ),
        says=lambda m: isinstance(m, Response) and m.reason.endswith("\u0434\u0435\u0432\u044f\u0442\u044c"),
    ),
    Torture(
        "3.1.1.13",
        "noreason",
        response("SIP/2.0 100 "),
        says=lambda m: isinstance(m, Response) and (m.status, m.reason) == (100, ""),
    ),
    # 3.1.2 invalid messages
    Torture(
        "3.1.2.1",
        "badinv01",
        request(
            "INVITE sip:user@example.com SIP/2.0",
            Via="SIP/2.0/UDP 192.0.2.15;;,;,,",
            Contact='"Joe" <sip:joe@example.org>;;;;',
        ),
        400,
    ),
    Torture(
        "3.1.2.2",
        "clerr",
        request("INVITE sip:user@example.com SIP/2.0", Content_Length="9999"),
        400,
        body=OFFER,
    ),
    Torture(
        "3.1.2.3",
        "ncl",
        request("INVITE sip:user@example.com SIP/2.0", Content_Length="-999"),
        400,
        body=OFFER,
    ),
    Torture(
        "3.1.2.4",
        "scalar02",
        request(
            "REGISTER sip:example.com SIP/2.0",
            "Expires: 10000000000000000000000000000",
            CSeq="36893488147419103232 REGISTER",
            Max_Forwards="300",
        ),
        400,
    ),
    Torture(
        "3.1.2.5", "scalarlg", response("SIP/2.0 503 Unavailable", CSeq="9292394834772304023312 OPTIONS"), 0
    ),
    Torture(
        "3.1.2.6",
        "quotbal",
        request("INVITE sip:user@example.com SIP/2.0", To='"Mr. J. User <sip:j.user@example.com>'),
        400,
    ),
    Torture("3.1.2.7", "ltgtruri", request("INVITE <sip:user@example.com> SIP/2.0"), 400),
    Torture("3.1.2.8", "lwsruri", request("INVITE sip:user@example.com; lr SIP/2.0"), 400),
    Torture("3.1.2.9", "lwsstart", request("INVITE  sip:user@example.com  SIP/2.0"), 400),
    Torture("3.1.2.10", "trws", request("OPTIONS sip:remote-target@example.com SIP/2.0  "), 400),
    Torture(
        "3.1.2.11", "escruri", request("INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0"), 400
    ),
    Torture(
        "3.1.2.12",
        "baddate",
        request("INVITE sip:user@example.com SIP/2.0", "Date: Fri, 01 Jan 2010 16:00:00 EST"),
        agent=100,
    ),
    Torture(
        "3.1.2.13",
        "regbadct",
        request(
            "REGISTER sip:example.com SIP/2.0", Contact="sip:user@example.com?Route=%3Csip:sip.example.com%3E"
        ),
        400,
    ),
    Torture(
        "3.1.2.14",
        "badaspec",
        request("OPTIONS sip:user@example.org SIP/2.0", To='"Watson, Thomas" < sip:t.watson@example.org >'),
        400,
    ),
    Torture(
        "3.1.2.15",
        "baddn",
        request("OPTIONS sip:user@example.org SIP/2.0", From="Bell, Alexander <sip:bell@example.com>;tag=43"),
        agent=200,
    ),
    Torture("3.1.2.16", "badvers", request("OPTIONS sip:user@example.org SIP/7.0"), 505),
    Torture("3.1.2.17", "mismatch01", request("OPTIONS sip:user@example.com SIP/2.0", CSeq="8 INVITE"), 400),
    Torture(
        "3.1.2.18", "mismatch02", request("NEWMETHOD sip:user@example.com SIP/2.0", CSeq="8 INVITE"), 400
    ),
    Torture("3.1.2.19", "bigcode", response("SIP/2.0 4294967301 better not break the receiver"), 0),
    # 3.2 transaction layer semantics
    Torture(
        "3.2.1",
        "badbranch",
        request("OPTIONS sip:user@example.com SIP/2.0", Via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK"),
        agent=200,
    ),
    # 3.3 application layer semantics
    Torture(
        "3.3.1",
        "insuf",
        request("INVITE sip:user@example.com SIP/2.0", To=None, From=None, Call_ID=None),
        400,
    ),
    Torture(
        "3.3.2", "unkscm", request("OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0"), agent=416
    ),
    Torture("3.3.3", "novelsc", request("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0"), agent=416),
    Torture(
        "3.3.4",
        "unksm2",
        request(
            "REGISTER sip:example.com SIP/2.0",
            To="isbn:2983792873",
            From="<http://www.example.com>;tag=3234233",
            Contact="<name:John_Smith>",
        ),
        agent=405,
        says=lambda m: m.to.uri == "isbn:2983792873",
    ),
    Torture(
        "3.3.5",
        "bext01",
        request(
            "OPTIONS sip:user@example.com SIP/2.0",
            "Require: nothingSupportsThis, nothingSupportsThisEither",
            "Proxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis",
        ),
        agent=420,
    ),
    Torture(
        "3.3.6",
        "invut",
        request(
            "INVITE sip:user@example.com SIP/2.0",
            Content_Type="application/unknownformat",
            Content_Length="5",
        ),
        agent=415,
        body=b"<sdp>",
    ),
    Torture(
        "3.3.7",
        "regaut01",
        request(
            "REGISTER sip:example.com SIP/2.0",
            'Authorization: NoOneKnowsThisScheme opaque-data=here, a="b, c"',
        ),
        agent=405,
        says=lambda m: not digest.verify(m.headers.get("Authorization") or "", "REGISTER", "x"),
    ),
    Torture(
        "3.3.8",
        "multi01",
        request(
            "INVITE sip:user@example.com SIP/2.0",
            "CSeq: 59 INVITE",
            "Call-ID: multi01.98asdh@192.0.2.2",
            "To: sip:user@example.com",
            "From: sip:caller@example.net;tag=3413415",
            "Max-Forwards: 5",
        ),
        400,
    ),
    Torture(
        "3.3.9",
        "mcl01",
        request("OPTIONS sip:user@example.com SIP/2.0", "Content-Length: 5"),
        400,
        body=b"There's",
    ),
    Torture(
        "3.3.10",
        "bcast",
        response("SIP/2.0 200 OK", Via="SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23"),
    ),
    Torture("3.3.11", "zeromf", request("OPTIONS sip:user@example.com SIP/2.0", Max_Forwards="0"), agent=200),
    Torture(
        "3.3.12",
        "cparam01",
        request("REGISTER sip:example.com SIP/2.0", Contact="sip:+19725552222@gw1.example.net;unknownparam"),
        agent=405,
        says=lambda m: (
            m.contacts[0].uri == "sip:+19725552222@gw1.example.net"
            and m.contacts[0].parameters == {"unknownparam": None}
        ),
    ),
    Torture(
        "3.3.13",
        "cparam02",
        request(
            "REGISTER sip:example.com SIP/2.0", Contact="<sip:+19725552222@gw1.example.net;unknownparam>"
        ),
        agent=405,
        says=lambda m: m.contacts[0].uri.endswith(";unknownparam") and m.contacts[0].parameters == {},
    ),
    Torture(
        "3.3.14",
        "regescrt",
        request(
            "REGISTER sip:example.com SIP/2.0",
            Contact="<sip:user@example.com?Route=%3Csip:sip.example.com%3E>",
        ),
        agent=405,
        says=lambda m: m.contacts[0].uri.endswith("?Route=%3Csip:sip.example.com%3E"),
    ),
    Torture(
        "3.3.15",
        "sdp01",
        request("INVITE sip:user@example.com SIP/2.0", "Accept: text/nobodyKnowsThis"),
        agent=406,
    ),
    # 3.4 backward compatibility
    Torture(
        "3.4.1",
        "inv2543",
        request(
            "INVITE sip:UserB@example.com SIP/2.0",
            Via="SIP/2.0/UDP iftgw.example.com",
            From="<sip:+13035551111@ift.client.example.net;user=phone>",
            Max_Forwards=None,
        ),
        agent=100,
    ),
]


def test_all_of_them_are_here() -> None:
    assert len(TORTURES) == len({torture.section for torture in TORTURES}) == 49


@pytest.mark.parametrize("torture", TORTURES, ids=lambda torture: f"{torture.section}-{torture.name}")
def test_torture(torture: Torture) -> None:
    if torture.status is None:
        assert torture.says(parse(torture.wire))
    else:
        with pytest.raises(MalformedMessage) as caught:
            parse(torture.wire)
        reply = caught.value.reply("tag")
        assert (0 if reply is None else reply.status) == torture.status
    world = World("bob", register=False)
    bob = world.agents["bob"]
    bob.receive(torture.wire, world.now)
    first = [int(text.split()[1]) for text in bob.outgoing()][:1]
    assert first == ([torture.status or torture.agent] if torture.status or torture.agent else [])
    assert names(bob.events()) == {100: ["InviteReceived"]}.get(
        torture.agent or 0, ["MessageReceived"] if torture.name == "mpart01" else []
    )
    assert bob.counters.malformed == (torture.status is not None)
    world.wait(200)
    assert bob.calls.transactions == bob.calls.dialogs == bob.calls.calls == 0


def test_the_refusals_say_what_is_missing() -> None:
    by_name = {torture.name: torture for torture in TORTURES}
    expected = {
        "bext01": ("Unsupported", "nothingSupportsThis, nothingSupportsThisEither"),
        "invut": ("Accept", "application/sdp"),
        "intmeth": ("Allow", "INVITE,ACK,CANCEL,BYE,OPTIONS,INFO,MESSAGE,NOTIFY,UPDATE"),
    }
    for name, (header, value) in expected.items():
        bob = World("bob", register=False).agents["bob"]
        bob.receive(by_name[name].wire, 1000.0)
        (answer,) = bob.outgoing()
        assert parse(answer).headers.get(header) == value
