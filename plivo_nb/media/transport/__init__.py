"""ICE, DTLS-SRTP and the transport over them: the only modules that use private parts of aiortc, aioice."""
