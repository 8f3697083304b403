// The other party: JsSIP with an oscillator for a microphone. Driven from Python through `peer`.
"use strict";

class Peer {
  constructor() {
    this.log = []; // [name, detail] of everything that happened, in order
    this.ua = null;
    this.session = null;
    this.autoAnswer = false;
    this.context = new AudioContext();
    this.oscillator = this.context.createOscillator();
    this.microphone = this.context.createMediaStreamDestination();
    const level = this.context.createGain();
    level.gain.value = 0.25;
    this.oscillator.connect(level).connect(this.microphone);
    this.oscillator.start();
    this.analyser = this.context.createAnalyser();
    this.analyser.fftSize = 8192;
    this.analyser.smoothingTimeConstant = 0;
  }

  note(name, detail = null) {
    this.log.push([name, detail]);
  }

  register(url, user, password, frequency) {
    this.oscillator.frequency.value = frequency;
    this.ua = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(url)],
      uri: `sip:${user}@phone.plivo.com`,
      password,
      register_expires: 120,
    });
    this.ua.on("registered", () => this.note("registered"));
    this.ua.on("registrationFailed", (e) => this.note("registrationFailed", e.cause));
    this.ua.on("unregistered", () => this.note("unregistered"));
    this.ua.on("newRTCSession", ({ originator, session, request }) => {
      this.follow(session);
      if (originator !== "remote") return;
      this.note("incoming", { from: request.from.uri.user, uuid: request.getHeader("X-CallUUID") || null,
        header: request.getHeader("X-PH-Test") || null });
      if (this.autoAnswer) this.answer();
    });
    this.ua.start();
  }

  follow(session) {
    this.session = session;
    for (const name of ["progress", "accepted", "confirmed", "hold", "unhold", "reinvite"]) {
      session.on(name, (e) => this.note(name, (e && e.originator) || null));
    }
    session.on("failed", (e) => this.note("failed", `${e.originator}: ${e.cause}`));
    session.on("ended", (e) => this.note("ended", `${e.originator}: ${e.cause}`));
    session.on("newDTMF", (e) => this.note("dtmf", `${e.originator}: ${e.dtmf.tone}`));
    session.on("peerconnection:setremotedescriptionfailed", (e) => this.note("sdpRefused", String(e)));
    if (session.connection) this.hear(session.connection);
    session.on("peerconnection", ({ peerconnection }) => this.hear(peerconnection));
  }

  hear(connection) {
    connection.addEventListener("track", ({ track }) => {
      const stream = new MediaStream([track]);
      const element = new Audio(); // Chromium decodes a remote track only while an element plays it
      element.muted = true;
      element.srcObject = stream;
      element.play();
      this.element = element;
      this.context.createMediaStreamSource(stream).connect(this.analyser);
    });
  }

  options() { // a clone: JsSIP stops the tracks it was given when the call ends
    return { mediaStream: this.microphone.stream.clone(), pcConfig: { iceServers: [] } };
  }

  call(target, extraHeaders = []) {
    this.ua.call(`sip:${target}@phone.plivo.com`, { ...this.options(), extraHeaders });
  }

  answer() {
    this.session.answer(this.options());
  }

  async close() {
    if (this.ua) this.ua.stop();
    await this.context.close();
  }

  // The strongest frequency heard now in Hz, and its level in dB: {frequency, level}.
  heard() {
    const bins = new Float32Array(this.analyser.frequencyBinCount);
    this.analyser.getFloatFrequencyData(bins);
    let best = 1;
    for (let i = 2; i < bins.length - 1; i++) if (bins[i] > bins[best]) best = i;
    const width = this.context.sampleRate / this.analyser.fftSize;
    const [a, b, c] = [bins[best - 1], bins[best], bins[best + 1]];
    const shift = Number.isFinite(a + c) && a - 2 * b + c !== 0 ? (0.5 * (a - c)) / (a - 2 * b + c) : 0;
    return { frequency: (best + shift) * width, level: Number.isFinite(b) ? b : -200 };
  }
}

const peer = new Peer();
