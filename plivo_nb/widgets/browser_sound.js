// The sound of this page for a kernel that is far away: its microphone, its speaker and its tones. Two ways carry the sound:
// messages of the widget (CommWay, below) and WebRTC (PagePeer). The other end is plivo_nb/sound/browser_sound.py; Python
// puts the text of sound_worklets.js into WORKLETS and page_peer.js before this file.
/* global PagePeer, WORKLETS */

const RATE = 24000; // PAGE_RATE of page_transport.py
const BEAT_MS = 1000;
const IDLE_BEATS = 10;
const SILENT_MS = 2500;
const HEAR_MS = 6000;
const HEAR_DELAY_S = 1;

/** Sound in messages of the widget. */
class CommWay {
  constructor(sound, send) {
    Object.assign(this, { sound, send, on: false, rttMs: null, underruns: 0, before: 0 });
  }

  async receive(message, buffers) {
    if (message.type === "start") {
      this.samples = message.samples;
    } else if (message.type === "use") {
      await this.use(message.on);
    } else if (message.type === "sound") {
      const { buffer, byteOffset, byteLength } = buffers[0];
      const frame = buffer.slice(byteOffset, byteOffset + byteLength);
      this.player?.port.postMessage(frame, [frame]);
    } else if (message.type === "echo") {
      this.rttMs = performance.now() - message.at;
      this.answeredAt = performance.now();
      this.sound.changed();
    }
  }

  async use(on) {
    this.on = on;
    this.answeredAt = performance.now();
    this.disconnect();
    if (on) {
      const context = await this.sound.audio();
      if (this.on && !this.player) {
        const options = { numberOfInputs: 0, outputChannelCount: [1], processorOptions: { rate: RATE } };
        this.player = new AudioWorkletNode(context, "plivo-player", options);
        this.player.port.onmessage = ({ data }) => {
          this.underruns = this.before + data.underruns;
          this.sound.waitingMs = data.waitingMs;
        };
        this.player.connect(this.sound.output);
        this.microphone(this.sound.stream);
      }
    }
  }

  microphone(stream) {
    this.source?.disconnect();
    this.recorder?.port.close();
    this.source = this.recorder = null;
    if (stream && this.on && this.player) {
      const { context } = this.sound;
      const processorOptions = { rate: RATE, samples: this.samples };
      this.source = context.createMediaStreamSource(stream);
      this.recorder = new AudioWorkletNode(context, "plivo-recorder", { processorOptions });
      this.recorder.port.onmessage = ({ data }) => this.send({ type: "sound", at: performance.now() }, [data]);
      this.source.connect(this.recorder);
    }
  }

  /** The kernel is busy: it answers nothing, and hears nothing. */
  get silent() {
    return performance.now() - this.answeredAt > SILENT_MS;
  }

  beat() {
    this.sound.changed();
    this.player?.port.postMessage("stats");
    this.send({ type: "stats", at: performance.now(), rtt_ms: this.rttMs, underruns: this.underruns });
  }

  disconnect() {
    this.microphone(null);
    this.before = this.underruns;
    this.player?.disconnect();
    this.player = null;
  }

  close() {
    this.on = false;
    this.disconnect();
  }
}

/** The microphone, speaker and tones of this page. `changed` events tell that `state()` is another. */
class PageSound extends EventTarget {
  constructor(model) {
    super();
    this.model = model;
    this.page = `${Date.now()}-${Math.random()}`;
    this.used = this.speaking = this.hearing = this.clickKnown = false;
    this.wanted = null; // the microphone that the kernel asked for
    this.stream = null;
    this.error = "";
    this.permission = "prompt";
    this.label = "";
    this.way = "";
    this.ways = {};
    this.tones = new Map();
    this.request = 0;
    this.beats = 0;
    this.secure = window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);
    this.abort = new AbortController();
    const { signal } = this.abort;
    document.addEventListener("pointerdown", () => this.clicked(), { signal, capture: true });
    document.addEventListener("keydown", () => this.unlock(), { signal, capture: true });
    window.addEventListener("pagehide", () => this.send({ type: "bye" }), { signal });
    window.addEventListener("pageshow", (event) => event.persisted && this.hello(), { signal });
    navigator.mediaDevices?.addEventListener("devicechange", () => this.tellDevices("devices"), { signal });
    model.on("msg:custom", (message, buffers) => this.receive(message, buffers));
    this.beating = setInterval(() => this.beat(), BEAT_MS);
    this.hello();
  }

  // ---------------------------------------------------------------- messages

  send(message, buffers) {
    try {
      this.model.send({ ...message, page: this.page }, undefined, buffers);
    } catch {
      // The kernel is gone; page.js says so.
    }
  }

  async hello() {
    try {
      const status = await navigator.permissions.query({ name: "microphone" });
      this.permission = status.state;
      status.onchange = () => {
        this.permission = status.state;
        this.tellDevices("devices");
      };
    } catch {
      // Some browsers do not tell; then asking shows it.
    }
    await this.tellDevices("hello");
  }

  async tellDevices(type) {
    const found = this.secure ? await navigator.mediaDevices.enumerateDevices() : [];
    const devices = found.map(({ deviceId, kind, label, groupId }) => ({ deviceId, kind, label, groupId }));
    const clicked = this.clickKnown || (navigator.userActivation?.hasBeenActive ?? false);
    this.send({ type, secure: this.secure, permission: this.permission, devices, clicked });
    this.changed();
  }

  receive(message, buffers) {
    if (message.type === "who") {
      this.hello();
    }
    if (message.page !== this.page) {
      return;
    }
    if (message.transport) {
      this.carry(message, buffers);
    } else if (message.type === "use") {
      this.use(message.on);
    } else if (message.type === "microphone") {
      this.wanted = message.on ? message : null;
      message.on ? this.openMicrophone(message) : this.closeMicrophone();
    } else if (message.type === "reveal") {
      this.reveal(message.constraints);
    } else if (message.type === "speaker") {
      this.speaker(message);
    } else if (message.type === "tone") {
      this.tone(message, buffers);
    } else if (message.type === "way") {
      this.way = message.name;
      this.changed();
    }
  }

  /** A message for one of the two ways. */
  carry(message, buffers) {
    const { transport } = message;
    if (message.type === "start" && !this.ways[transport]) {
      const Way = transport === "webrtc" ? PagePeer : CommWay;
      this.ways[transport] = new Way(this, (content, data) => this.send({ ...content, transport }, data));
      this.ways[transport].microphone(this.stream);
    }
    this.ways[transport]?.receive(message, buffers);
    if (message.type === "stop") {
      this.ways[transport]?.close();
      delete this.ways[transport];
      this.way = this.way === transport ? "" : this.way;
      this.changed();
    }
  }

  beat() {
    this.beats += 1;
    const { comm } = this.ways;
    if (comm?.on) {
      comm.beat();
    } else if (this.active || this.beats % IDLE_BEATS === 0) {
      this.send({ type: "beat" });
    }
  }

  changed() {
    this.dispatchEvent(new Event("changed"));
  }

  // ---------------------------------------------------------------- this page among others

  /** The kernel uses the page in which the user clicked last. */
  clicked() {
    this.unlock();
    if (!(this.used && this.clickKnown) && this.model.get("active")) {
      this.clickKnown = true;
      this.send({ type: "click" });
    }
  }

  use(on) {
    this.used = on;
    if (!on) {
      this.wanted = null;
      this.closeMicrophone();
      this.speaker({ on: false });
      for (const name of [...this.tones.keys()]) {
        this.stopTone(name);
      }
      for (const [name, way] of Object.entries(this.ways)) {
        way.close();
        delete this.ways[name];
      }
      this.way = "";
    }
    this.changed();
  }

  get active() {
    return Boolean(this.stream) || this.speaking || this.tones.size > 0 || this.hearing;
  }

  get blocked() {
    return this.active && this.context?.state === "suspended";
  }

  unlock() {
    if (this.blocked) {
      this.context.resume().then(() => this.changed());
    }
  }

  // ---------------------------------------------------------------- microphone and speaker

  /** A promise of the running AudioContext, with the worklets. */
  audio() {
    this.loading ??= this.load();
    this.rest();
    return this.loading;
  }

  async load(rate = RATE) {
    this.context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
    this.context.onstatechange = () => this.changed();
    this.output = new GainNode(this.context);
    this.output.connect(this.context.destination);
    const url = URL.createObjectURL(new Blob([WORKLETS], { type: "text/javascript" }));
    await this.context.audioWorklet.addModule(url);
    URL.revokeObjectURL(url);
    this.rest();
    return this.context;
  }

  /** Let the audio thread rest while there is no sound. */
  rest() {
    clearTimeout(this.resting);
    if (this.active) {
      this.context?.resume();
    } else {
      this.resting = setTimeout(() => !this.active && this.context?.suspend(), BEAT_MS);
    }
  }

  async userMedia(constraints, device) {
    if (!this.secure) {
      throw new DOMException("The page is not secure.", "NotAllowedError");
    }
    const audio = { ...constraints, ...(device && { deviceId: { exact: device } }) };
    return navigator.mediaDevices.getUserMedia({ audio: Object.keys(audio).length ? audio : true });
  }

  async openMicrophone({ device, constraints }) {
    const request = ++this.request;
    let stream;
    try {
      stream = await this.userMedia(constraints, device);
    } catch (error) {
      if (request === this.request) {
        this.tellMicrophone(error.name);
      }
      return;
    }
    if (request !== this.request) {
      stream.getTracks().forEach((track) => track.stop());
      return;
    }
    this.setStream(stream);
    const [track] = stream.getAudioTracks();
    track.onended = () => {
      if (this.stream === stream) {
        this.setStream(null);
        this.tellMicrophone("NotFoundError"); // unplugged, or the permission was withdrawn
      }
    };
    await this.audio();
    this.tellMicrophone("", track.label);
  }

  tellMicrophone(error, label = "") {
    this.error = error;
    this.label = label || this.label;
    if (!error) {
      this.permission = "granted";
    }
    this.send({ type: "microphone", error });
    this.tellDevices("devices"); // now with their labels
  }

  setStream(stream) {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = stream;
    for (const way of Object.values(this.ways)) {
      way.microphone(stream);
    }
    this.rest();
    this.changed();
  }

  closeMicrophone() {
    this.request += 1;
    this.setStream(null);
  }

  /** Ask for permission; the microphone is closed again unless a call uses it. */
  async reveal(constraints = {}) {
    if (this.wanted) {
      await this.openMicrophone(this.wanted);
      return;
    }
    try {
      const stream = await this.userMedia(constraints);
      const { label } = stream.getAudioTracks()[0];
      stream.getTracks().forEach((track) => track.stop());
      this.tellMicrophone("", label);
    } catch (error) {
      this.tellMicrophone(error.name);
    }
  }

  async speaker({ on, device }) {
    this.speaking = on;
    this.rest();
    this.changed();
    if (on) {
      await setSink(await this.audio(), device);
    }
  }

  /** Play the microphone a second later, so that the user hears what the others hear. */
  async hearYourself() {
    if (this.hearing) {
      return;
    }
    this.hearing = true;
    this.changed();
    try {
      const stream = this.stream ?? (await this.userMedia(this.model.get("constraints")));
      const context = await this.audio();
      const source = context.createMediaStreamSource(stream);
      const delay = new DelayNode(context, { delayTime: HEAR_DELAY_S, maxDelayTime: HEAR_DELAY_S });
      source.connect(delay).connect(this.output);
      if (stream !== this.stream) {
        this.tellMicrophone("", stream.getAudioTracks()[0].label);
      }
      await new Promise((resolve) => setTimeout(resolve, HEAR_MS));
      source.disconnect();
      delay.disconnect();
      if (stream !== this.stream) {
        stream.getTracks().forEach((track) => track.stop());
      }
    } catch (error) {
      this.tellMicrophone(error.name);
    }
    this.hearing = false;
    this.rest();
    this.changed();
  }

  // ---------------------------------------------------------------- tones

  async tone({ name, on, loop, volume, device }, buffers) {
    this.stopTone(name);
    if (!on) {
      return;
    }
    const tone = {};
    this.tones.set(name, tone);
    const context = name === "ring" ? await this.ringer() : await this.audio();
    const { buffer, byteOffset, byteLength } = buffers[0];
    try {
      await setSink(context, device, name !== "ring");
      const sound = await context.decodeAudioData(buffer.slice(byteOffset, byteOffset + byteLength));
      if (this.tones.get(name) !== tone) {
        return;
      }
      tone.source = new AudioBufferSourceNode(context, { buffer: sound, loop });
      tone.source.onended = () => this.tones.get(name) === tone && this.stopTone(name);
      tone.source.connect(new GainNode(context, { gain: volume })).connect(context.destination);
      tone.source.start();
      context.resume();
    } catch {
      this.tones.delete(name); // no sound file that this browser can read
    }
    this.rest();
    this.changed();
  }

  stopTone(name) {
    const tone = this.tones.get(name);
    this.tones.delete(name);
    tone?.source?.stop();
    if (name === "ring") {
      this.ringing?.suspend();
    }
    this.rest();
    this.changed();
  }

  /** The ring tone may have a device of its own, and so needs a context of its own. */
  async ringer() {
    this.ringing ??= new AudioContext();
    return this.ringing;
  }

  close() {
    this.use(false);
    this.send({ type: "bye" });
    clearInterval(this.beating);
    clearTimeout(this.resting);
    this.abort.abort();
    this.context?.close();
    this.ringing?.close();
  }
}

/** Play on this device, where the browser can; `keep` leaves the device as it is when none is named. */
async function setSink(context, device, keep = false) {
  const wanted = device ?? "";
  if (context.setSinkId && context.sinkId !== wanted && !(keep && !device)) {
    try {
      await context.setSinkId(wanted);
    } catch {
      // The device is gone; the sound stays where it is.
    }
  }
}

const WAYS = { webrtc: "WebRTC", comm: "messages" };

/** What the phone shows: a sentence, and the button for what can be done about it (a label and a method of PageSound). */
function shown(sound) {
  if (!sound.secure) {
    return ["Browsers give a page sound by https or on localhost only. Open this notebook by https to speak in calls."];
  }
  if (!sound.used) {
    return ["Another page has the sound of this phone.", "Use the sound here", () => sound.send({ type: "click" })];
  }
  if (sound.blocked) {
    return ["The browser plays nothing before a click.", "Turn on the sound", () => sound.unlock()];
  }
  if (sound.permission === "denied" || sound.error === "NotAllowedError") {
    const words = "The browser refuses the microphone. Allow it in the settings of this page, beside its address.";
    return [words, "Try again", () => sound.reveal(sound.model.get("constraints"))];
  }
  if (sound.error) {
    return ["The browser finds no microphone it can open.", "Try again", () => sound.reveal(sound.model.get("constraints"))];
  }
  if (sound.hearing) {
    return ["Speak: you hear yourself after one second."];
  }
  if (sound.way === "comm" && sound.ways.comm?.silent) {
    return ["The kernel is busy: it hears you again when the running cell is done."];
  }
  if (sound.way) {
    const rtt = sound.ways[sound.way]?.rttMs;
    const time = Number.isFinite(rtt) && rtt !== null ? `, round trip to the kernel ${Math.round(rtt)} ms` : "";
    return [`Sound of this page by ${WAYS[sound.way]}${time}`];
  }
  if (sound.permission !== "granted") {
    const words = "To speak in calls, allow the microphone: your browser will ask. Its sound goes to the kernel of this notebook.";
    return [words, "Allow", () => sound.reveal(sound.model.get("constraints"))];
  }
  return [`Calls use this page: ${sound.label || "its microphone and speaker"}.`, "Hear yourself", () => sound.hearYourself()];
}

export default () => {
  let sound;
  return {
    initialize({ model }) {
      sound = new PageSound(model);
      return () => sound.close();
    },

    render({ model, el }) {
      const text = document.createElement("span");
      text.setAttribute("role", "status");
      const button = document.createElement("button");
      button.className = "plivo-page-button";
      let act = () => {};
      button.addEventListener("click", () => act());
      const line = document.createElement("div");
      line.className = "plivo-page-sound";
      line.append(text, button);
      el.replaceChildren(line);
      const abort = new AbortController();
      const show = () => {
        el.hidden = !model.get("active");
        const [words, label = "", action = () => {}] = shown(sound);
        if (text.textContent !== words) {
          text.textContent = words;
          text.title = words;
        }
        act = action;
        button.textContent = label;
        button.hidden = !label;
      };
      sound.addEventListener("changed", show, { signal: abort.signal });
      model.on("change:active", show);
      show();
      return () => {
        abort.abort();
        model.off("change:active", show);
      };
    },
  };
};
