"""DTLS-SRTP over aiortc (RFC 5763, 5764), the only module that uses its private parts.

Work-arounds for aiortc 1.16, with the condition for their removal:

- No ICE restart: RTCDtlsTransport gets a `Switch` in place of an RTCIceTransport, whose connection can be
  exchanged. Until https://github.com/aiortc/aiortc/issues/211.
- RTP costs a task switch and a second parse for each packet: `protect` and `unprotect` are called directly.
  As long as RTP is processed here.
- pylibsrtp allocates for each packet: `_SrtpDirection` calls libsrtp with its own buffers.
- A refused certificate is only logged, and a handshake has no time-out: `DtlsSrtp` reports the reason, and
  has a time-out.
- A certificate has to match every fingerprint: `DtlsSrtp._validate_peer_identity` lets one match of the
  strongest hash be enough (RFC 8122 section 5.1).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, cast

from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from aiortc.rtcdtlstransport import State
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from pylibsrtp._binding import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pylibsrtp

    from plivo_nb.media.transport.ice import IceConnection


_LONGEST_PACKET = 2048  # bytes
_SRTP_TRAILER = 148  # SRTP_MAX_SRTCP_TRAILER_LEN of libsrtp


#: The second bytes that tell RTCP from RTP where both use one port (RFC 5761 section 4).
RTCP_SECOND_BYTES = range(192, 224)
#: The hash functions of fingerprints, by strength.
_STRENGTH = {"sha-256": 0, "sha-384": 1, "sha-512": 2}


def _digest(certificate: Any, algorithm: str) -> str | None:
    """A certificate's digest as in a=fingerprint; None without a certificate or for another hash."""
    hashes: dict[str, HashAlgorithm] = {"sha-256": SHA256(), "sha-384": SHA384(), "sha-512": SHA512()}
    if certificate is None or algorithm not in hashes:
        return None
    return ":".join(f"{byte:02X}" for byte in certificate.fingerprint(hashes[algorithm]))


class Switch:
    """Passes DTLS records to the present ICE connection."""

    role = "controlled"  # aiortc asks only where the DTLS role is left open; ours never is

    def __init__(self) -> None:
        self.connection: IceConnection | None = None
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    def deliver(self, data: bytes) -> None:
        """Queue a received record."""
        self._queue.put_nowait(data)

    def close(self) -> None:
        """End the wait for records."""
        self._queue.put_nowait(None)

    async def _recv(self) -> bytes:
        data = await self._queue.get()
        if data is None:
            raise ConnectionError("the transport is closed")
        return data

    async def _send(self, data: bytes) -> None:
        if self.connection is None:
            raise ConnectionError("there is no ICE connection")
        await self.connection.send(data)


class DtlsSrtp(RTCDtlsTransport):
    """A DTLS association that provides keys; records pass through `switch`, media packets do not.

    Args:
        switch: sends and receives the records.
        on_state: called with (state, detail): connecting, connected, failed, closed; detail is a sentence.
        certificate: our certificate.
    """

    def __init__(
        self, switch: Switch, on_state: Callable[[str, str], None], certificate: RTCCertificate
    ) -> None:
        super().__init__(cast(Any, switch), [certificate])
        self._switch = switch
        self._on_state = on_state
        self._certificate = certificate
        self._reason = ""
        #: Return the SRTP or SRTCP packet of an RTP or RTCP packet; None if that is not possible.
        self.protect: Callable[[bytes], bytes | None] = _no_keys
        #: Return the RTP or RTCP packet of an SRTP or SRTCP packet; None if forged, replayed or too early.
        self.unprotect: Callable[[bytes], bytes | None] = _no_keys
        #: Whether packets can be protected.
        self.connected = False
        first = certificate.getFingerprints()[0]
        self.fingerprint = (first.algorithm, first.value)

    def successor(self, switch: Switch) -> DtlsSrtp:
        """Return a new association for another peer, with our certificate; this one is silent then."""
        made = DtlsSrtp(switch, self._on_state, self._certificate)
        self._on_state = lambda state, detail: None
        return made

    @property
    def role(self) -> str:
        """client, server, or unknown before the handshake (W3C RTCDtlsRole)."""
        return "unknown" if self._role == "auto" else self._role

    async def handshake(
        self, fingerprints: Sequence[tuple[str, str]], client: bool, timeout_s: float
    ) -> None:
        """Agree on keys with a peer that has these certificates; `on_state` reports the result.

        Args:
            fingerprints: (hash name, value) pairs of the peer's description; one of those with the strongest
                hash must match.
            client: whether we start the handshake.
            timeout_s: time-out in seconds.
        """
        self._set_role("client" if client else "server")
        prints = [RTCDtlsFingerprint(algorithm=name, value=value) for name, value in fingerprints]
        try:
            async with asyncio.timeout(timeout_s):
                await self.start(RTCDtlsParameters(fingerprints=prints))
        except TimeoutError:
            self._reason = "The other side did not answer the DTLS handshake."
            self._set_state(State.FAILED)

    def ciphers(self) -> dict[str, str]:
        """Return the protocol version and ciphers as W3C transport statistics; empty before the handshake."""
        if self._ssl is None or not self.connected:
            return {}
        profile = self._ssl.get_selected_srtp_profile()
        return {
            "tlsVersion": f"{self._ssl.get_protocol_version():04X}",
            "dtlsCipher": self._ssl.get_cipher_name() or "",
            "srtpCipher": profile.decode("ascii", "replace"),
        }

    async def close(self) -> None:
        """Send close_notify, and end the task that reads records."""
        pump = self._task
        with contextlib.suppress(ConnectionError):
            await self.stop()
        self._switch.close()
        if pump is not None:
            await asyncio.gather(pump, return_exceptions=True)

    def _validate_peer_identity(self, remoteParameters: RTCDtlsParameters) -> None:
        self._reason = (
            "The other side's certificate does not match the fingerprint of its SDP: "
            "the audio might reach another party, so the call is not connected."
        )
        super()._validate_peer_identity(RTCDtlsParameters(fingerprints=[self._matching(remoteParameters)]))
        if self._state is not State.FAILED:
            self._reason = ""

    def _matching(self, parameters: RTCDtlsParameters) -> RTCDtlsFingerprint:
        """The fingerprint that the peer's certificate has, or one that it does not have."""
        strongest = max(_STRENGTH.get(f.algorithm.lower(), -1) for f in parameters.fingerprints)
        usable = [f for f in parameters.fingerprints if _STRENGTH.get(f.algorithm.lower(), -1) == strongest]
        certificate = self._ssl.get_peer_certificate(as_cryptography=True) if self._ssl is not None else None
        for fingerprint in usable:
            digest = _digest(certificate, fingerprint.algorithm.lower())
            if digest is not None and digest == fingerprint.value.upper():
                return fingerprint
        return usable[0]

    def _set_state(self, state: State) -> None:
        before = self._state
        super()._set_state(state)
        if state is before:
            return
        self.connected = state is State.CONNECTED
        self.protect = _no_keys
        if self.connected:
            self.protect = _SrtpDirection(self._tx_srtp, protect=True).process
            self.unprotect = _SrtpDirection(self._rx_srtp, protect=False).process
        detail = ""
        if state is State.FAILED:
            detail = self._reason or "The DTLS handshake with the other side failed."
        elif state is State.CLOSED:
            detail = "The DTLS association is closed."
        self._on_state(self.state, detail)


class _SrtpDirection:
    """One direction of SRTP (RFC 3711), as pylibsrtp's `Session`, but without an allocation for each packet.

    Args:
        session: the session with the keys.
        protect: True: protect; False: unprotect.
    """

    __slots__ = ("_data", "_length", "_room", "_rtcp", "_rtp", "_session", "_srtp", "_view")

    def __init__(self, session: pylibsrtp.Session, protect: bool) -> None:
        self._session = session  # it frees what `_srtp` points to
        self._srtp = session._srtp[0]
        self._rtp = lib.srtp_protect if protect else lib.srtp_unprotect
        self._rtcp = lib.srtp_protect_rtcp if protect else lib.srtp_unprotect_rtcp
        self._room = _LONGEST_PACKET - (_SRTP_TRAILER if protect else 0)
        self._data = ffi.new("char[]", _LONGEST_PACKET)
        self._view = ffi.buffer(self._data)
        self._length = ffi.new("int *")

    def process(self, packet: bytes) -> bytes | None:
        """Return the packet, protected or unprotected; None if libsrtp refuses it or it is too long."""
        length = len(packet)
        if length > self._room:
            return None
        view, count = self._view, self._length
        view[0:length] = packet
        count[0] = length
        protocol = self._rtcp if packet[1] in RTCP_SECOND_BYTES else self._rtp
        if protocol(self._srtp, self._data, count):
            return None
        done: bytes = view[0 : count[0]]
        return done


def _no_keys(data: bytes) -> bytes | None:
    return None


def make_certificate() -> RTCCertificate:
    """Return a self-signed certificate for one call (RFC 5763 section 5)."""
    return RTCCertificate.generateCertificate()
