"""Media of a call: SDP, transport, RTP, play-out, codecs, sources and sinks. Imports nothing of `sound`.

sdp         offers and answers; text in, values out
transport   ICE and DTLS-SRTP; the only package that uses private parts of aiortc and aioice, and sockets
rtp         packets, RTCP, telephone-events, captures; audio_stream: one stream in both directions
playout     jitter buffer, concealment and time-stretching; one frame per tick
codecs      Opus (libopus through ctypes) and G.711
audio       sources and sinks
stats       level meters and W3C webrtc-stats
"""
