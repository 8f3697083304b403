"""Call quality while a call is up: scores, samples, the frames they fill, and the mediaMetrics rules.

    counters      the numbers of an audio stream, made by the media stack (a leaf: anyone may import it)
    limits        warning limits, and the word of a MOS (a leaf)
    mos           scores by Plivo's formula, by ITU-T G.107 and by G.107.2
    outage        whether packets that are due do not arrive, in each direction
    sampler       the numbers of one interval; `SampleRow` defines the columns of `samples`
    merging       one sample of several
    columns       what a column of a frame is
    frames        the schema of all frames, and how they are built from it
    rules         when a mediaMetrics event is due, as data
    rule_engine   applies the rules to a call

Nothing here knows SIP, media or plots.
"""
