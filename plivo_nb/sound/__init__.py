"""Sound cards of this machine. Imports only leaves, nothing of `media`.

devices          what a device is; the protocol of a sound system
portaudio        the sound system of this machine
pulse            PulseAudio or PipeWire: reports device changes and moves streams
device_manager   the one thread that opens, moves, watches and closes devices
route            the connection to a device, which outlasts the device
microphone       sound from the sound card's clock to the call's clock
speaker          the same in the other direction, and tones
page_transport   protocols for the sound of a browser page
comm_transport   the sound of a page in messages of the notebook
page_stream      the open microphone and speaker of a page
browser_sound    the sound system of the pages that display a phone
path_quality     whether a direct path to the page is good enough
resampler        resampling by any ratio
clock_drift      the control of the buffer between two clocks
"""
