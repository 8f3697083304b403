"""Sources and sinks of sound.

sources, tones   silence, tones, files, loopback; call-progress and DTMF tones
sinks, recorder  none, several; a file
adapters         users' generators and functions as sources and sinks
rolling_buffer   the last minutes of a call
pump             a thread that fills a ring buffer
"""
