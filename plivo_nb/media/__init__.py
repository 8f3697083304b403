"""Media: what a call sounds like, and what is counted about it. Only `transport` has a loop and sockets.

sdp                      offers and answers, pure
transport, dtls, ice…    ICE and DTLS-SRTP: the only files that touch aiortc and aioice
audio_stream             one stream both ways, sans-I/O: a tick each 20 ms, packets in, packets out
  rtp, rtcp              RFC 3550: packets, counts, reports
  sending                source to packets: encoder, DTMF, pauses
  receiving, play_out    sources that come and go; a frame a tick, whatever is missing
  jitter_buffer, delay   a clock for packets; how long they must wait on this network
  concealment,           what is heard where a packet is missing; playing faster or slower
    time_stretch
  codecs                 Opus (libopus through ctypes) and PCMU
  dtmf                   RFC 4733
  stats                  counters for the sampler, W3C names for people
sources, sinks           what is sent, what hears: two small protocols; AudioFile, Tone, Tee, …
  pump, ring             how what takes time becomes a source that nobody waits for
  recorder, rolling      a file; the last minutes
  adapters               users' generators and functions
  tones                  call progress and DTMF, by formula
capture                  packets before protection, for Wireshark
devices                  what a sound device and a sound system are
  portaudio, pulse       this machine's; PulseAudio or PipeWire tells of plugs and moves streams
  sound_desk             the one thread that opens, moves, watches and closes devices
  line, microphone,      from the sound card's clock to the call's, and back; tones on the way
    speaker
  resampler, drift       what joins two clocks that never agree
"""
