// The two AudioWorklet processors of browser_sound.js: one records frames, one plays them. They run in the page's audio
// thread, whose rate may differ from that of the frames. Runs as a module of its own.
/* global AudioWorkletProcessor, currentTime, registerProcessor, sampleRate */

/** Records mono int16 frames of `samples` at `rate`, and posts each as an ArrayBuffer. */
class Recorder extends AudioWorkletProcessor {
  constructor({ processorOptions: { rate, samples } }) {
    super();
    this.step = sampleRate / rate;
    this.samples = samples;
    this.frame = new Int16Array(samples);
    this.filled = 0;
    this.sum = 0;
    this.count = 0;
    this.due = this.step;
  }

  process([input]) {
    const channel = input[0];
    if (channel) {
      for (const value of channel) {
        this.add(value);
      }
    }
    return true;
  }

  /** The mean of the input samples that fall on one output sample; the sample itself where both rates are equal. */
  add(value) {
    this.sum += value;
    this.count += 1;
    this.due -= 1;
    while (this.due <= 0) {
      const mean = this.count ? this.sum / this.count : value;
      this.sum = this.count = 0;
      this.due += this.step;
      this.frame[this.filled++] = Math.round(32767 * Math.max(-1, Math.min(1, mean)));
      if (this.filled === this.samples) {
        this.port.postMessage(this.frame.buffer, [this.frame.buffer]);
        this.frame = new Int16Array(this.samples);
        this.filled = 0;
      }
    }
  }
}

const FIRST_RESERVE_S = 0.02;
const STEP_S = 0.02;
const MOST_RESERVE_S = 0.3;
const CALM_S = 10; // without a gap for so long, the reserve shrinks by half a step
const WINDOW_S = 1; // the least reserve of so much time tells how much too much waits
const EXCESS_S = 0.25; // more than this above the reserve is dropped at once
const MOST_CORRECTION = 0.001; // of the speed: clocks differ by less
const QUIET = 0.01; // peak of a block that may be left out unheard

/**
 * Plays int16 frames of `rate` that arrive irregularly. It keeps what waits at the arrival of a frame near a reserve, which
 * grows with each gap and shrinks in calm times: it follows the clocks of both ends by playing up to 0.1 % faster or slower,
 * and leaves out quiet blocks when much more waits.
 */
class Player extends AudioWorkletProcessor {
  constructor({ processorOptions: { rate } }) {
    super();
    this.rate = rate;
    this.step = rate / sampleRate;
    this.frames = [];
    this.waiting = 0; // samples in `frames` from `at` on
    this.at = 0; // position in the first frame, a fraction
    this.last = 0;
    this.speed = 1;
    this.playing = false;
    this.reserve = FIRST_RESERVE_S * rate;
    this.least = Infinity;
    this.excess = 0; // samples to leave out
    this.windowEnd = 0;
    this.calmUntil = 0;
    this.underruns = 0;
    this.dropped = 0;
    this.port.onmessage = ({ data }) => this.take(data);
  }

  take(data) {
    if (data === "clear") {
      this.frames = [];
      this.waiting = this.at = 0;
      this.playing = false;
    } else if (data === "stats") {
      const { underruns, dropped, waiting, rate } = this;
      this.port.postMessage({ underruns, dropped, waitingMs: (1000 * waiting) / rate });
    } else {
      this.least = Math.min(this.least, this.waiting);
      this.frames.push(new Int16Array(data));
      this.waiting += data.byteLength / 2;
      if (this.waiting > this.reserve + EXCESS_S * this.rate) {
        this.drop(data.byteLength / 2);
      }
    }
  }

  drop(frame) {
    while (this.frames.length > 1 && this.waiting > this.reserve + frame) {
      const gone = this.frames.shift();
      this.waiting -= gone.length - this.at;
      this.at = 0;
      this.dropped += 1;
    }
  }

  process(_inputs, [[output]]) {
    const now = currentTime;
    if (!this.playing) {
      if (!this.frames.length || this.waiting < this.reserve + this.frames[0].length) {
        return true;
      }
      this.playing = true;
      this.least = Infinity;
      this.windowEnd = now + WINDOW_S;
      this.calmUntil = now + CALM_S;
      this.speed = 1;
    }
    this.adapt(now);
    const step = this.step * this.speed;
    do {
      let peak = 0;
      for (let index = 0; index < output.length; index++) {
        if (!this.frames.length) {
          this.gap();
          return true;
        }
        output[index] = this.next(step);
        peak = Math.max(peak, Math.abs(output[index]));
      }
      if (peak > QUIET || this.excess < output.length * step) {
        return true;
      }
      this.excess -= output.length * step;
    } while (this.waiting > this.reserve);
    return true;
  }

  next(step) {
    const frame = this.frames[0];
    const whole = Math.floor(this.at);
    const one = frame[whole];
    const other = frame[whole + 1] ?? this.frames[1]?.[0] ?? one;
    const value = (one + (other - one) * (this.at - whole)) / 32768;
    this.at += step;
    this.waiting -= step;
    if (this.at >= frame.length) {
      this.at -= frame.length;
      this.frames.shift();
      this.waiting = this.frames.length ? this.waiting : 0;
    }
    return value;
  }

  gap() {
    this.underruns += 1;
    this.playing = false;
    this.at = this.waiting = this.excess = 0;
    this.reserve = Math.min(MOST_RESERVE_S * this.rate, this.reserve + STEP_S * this.rate);
  }

  adapt(now) {
    if (now >= this.windowEnd) {
      this.windowEnd = now + WINDOW_S;
      if (Number.isFinite(this.least)) {
        const error = (this.least - this.reserve) / this.rate;
        this.speed = 1 + Math.max(-MOST_CORRECTION, Math.min(MOST_CORRECTION, error / 20));
        this.excess = Math.max(0, this.least - this.reserve);
      }
      this.least = Infinity;
    }
    if (now >= this.calmUntil) {
      this.calmUntil = now + CALM_S;
      this.reserve = Math.max(FIRST_RESERVE_S * this.rate, this.reserve - (STEP_S / 2) * this.rate);
    }
  }
}

registerProcessor("plivo-recorder", Recorder);
registerProcessor("plivo-player", Player);
