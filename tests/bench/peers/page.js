// Calls of a page with itself, and JsSIP through a server: driven from Python, bench/peers/chromium.py.
"use strict";

const context = new AudioContext({ sampleRate: 48000 });
const LOUD = 2000 / 32768;

function samples(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const pcm = new Int16Array(bytes.buffer);
  const buffer = context.createBuffer(1, pcm.length, 48000);
  buffer.getChannelData(0).set(Float32Array.from(pcm, (value) => value / 32768));
  return new AudioBufferSourceNode(context, { buffer });
}

function play(stream) { // Chromium decodes a remote track only while an element plays it
  const element = new Audio();
  element.muted = true;
  element.srcObject = stream;
  element.play();
}

function played(stream) {
  play(stream);
  return context.createMediaStreamSource(stream);
}

// A worker: what a call is given to say goes in by a clock of 10 ms, and what it gives to hear is kept as it
// comes. An audio context has a clock of its own: between it and the call, blocks of 128 samples were lost.
function frameWorker() {
  const SIZE = 480;
  let [loaded, said, heard] = [new Int16Array(0), new Int16Array(0), []];

  async function speak(writable) {
    const writer = writable.getWriter();
    const began = performance.now();
    for (let n = 0; ; n++) {
      await new Promise((done) => setTimeout(done, Math.max(0, began + 10 * n - performance.now())));
      const data = new Int16Array(SIZE); // silence, unless there is something to say
      data.set(said.subarray(0, SIZE));
      said = said.subarray(SIZE);
      writer.write(new AudioData({ format: "s16", sampleRate: 48000, numberOfFrames: SIZE, numberOfChannels: 1,
        timestamp: 10000 * n, data }));
    }
  }

  async function listen(readable) {
    const reader = readable.getReader();
    for (;;) {
      const { value: frame } = await reader.read();
      const part = new Float32Array(frame.numberOfFrames);
      frame.copyTo(part, { planeIndex: 0, format: "f32-planar" });
      heard.push([frame.sampleRate, Int16Array.from(part, (value) => 32767 * value)]);
      frame.close();
    }
  }

  onmessage = ({ data }) => {
    if (data.writable) speak(data.writable);
    if (data.readable) listen(data.readable);
    if (data.loaded) loaded = data.loaded;
    if (data.say) [said, heard] = [loaded, []];
    if (data.give) postMessage(heard);
  };
}

class Line {
  // With `frames` the speaker says and the listener records by a worker; without, the listener is an echo.
  constructor(codec, frames = false) {
    const kinds = RTCRtpSender.getCapabilities("audio").codecs;
    this.kinds = kinds.filter((c) => c.mimeType.toUpperCase().endsWith(codec));
    this.out = context.createMediaStreamDestination();
    [this.speaker, this.listener] = [new RTCPeerConnection(), new RTCPeerConnection()];
    this.parts = [];
    if (frames) {
      this.worker = new Worker(URL.createObjectURL(new Blob([`(${frameWorker})()`])));
      const track = new MediaStreamTrackGenerator({ kind: "audio" });
      this.worker.postMessage({ writable: track.writable }, [track.writable]);
      this.stream = new MediaStream([track]);
      return;
    }
    this.stream = this.out.stream;
    const silence = new ConstantSourceNode(context, { offset: 0 }); // without one nothing is sent
    silence.connect(this.out);
    silence.start();
  }

  async description(peer, kind) { // with all candidates: the line between the two is put into it
    await peer.setLocalDescription(await (kind === "offer" ? peer.createOffer() : peer.createAnswer()));
    while (peer.iceGatheringState !== "complete") await new Promise((done) => setTimeout(done, 10));
    return peer.localDescription.sdp;
  }

  offer() {
    this.speaker.addTrack(this.stream.getAudioTracks()[0], this.stream);
    this.speaker.getTransceivers()[0].setCodecPreferences(this.kinds);
    return this.description(this.speaker, "offer");
  }

  async answer(sdp) {
    const back = context.createMediaStreamDestination();
    this.listener.ontrack = ({ streams }) => {
      if (this.worker) this.keep(streams[0]);
      else played(streams[0]).connect(back);
    };
    this.speaker.ontrack = ({ streams }) => { if (!this.worker) this.record(played(streams[0])); };
    await this.listener.setRemoteDescription({ type: "offer", sdp });
    this.listener.addTrack(back.stream.getAudioTracks()[0], back.stream);
    return this.description(this.listener, "answer");
  }

  accept(sdp) {
    return this.speaker.setRemoteDescription({ type: "answer", sdp });
  }

  keep(stream) {
    play(stream);
    const { readable } = new MediaStreamTrackProcessor({ track: stream.getAudioTracks()[0], maxBufferSize: 500 });
    this.worker.postMessage({ readable }, [readable]);
  }

  record(node) {
    const recorder = context.createScriptProcessor(1024, 1, 1);
    recorder.onaudioprocess = ({ inputBuffer, playbackTime }) => {
      this.parts.push([playbackTime, new Float32Array(inputBuffer.getChannelData(0))]);
    };
    node.connect(recorder).connect(context.destination);
  }

  say(base64) {
    this.parts = [];
    this.source = samples(base64);
    this.source.connect(this.out);
    this.source.start();
  }

  async counts() {
    const reports = [...(await this.listener.getStats()).values()];
    const { concealedSamples, totalSamplesReceived } = reports.find((r) => r.type === "inbound-rtp");
    return [concealedSamples, totalSamplesReceived];
  }

  load(base64) {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    this.worker.postMessage({ loaded: new Int16Array(bytes.buffer) });
  }

  sayLoaded() {
    this.worker.postMessage({ say: true });
  }

  // The rate in Hz, and the samples in base64, since the last `sayLoaded`.
  async heard() {
    const parts = await new Promise((done) => {
      this.worker.onmessage = ({ data }) => done(data);
      this.worker.postMessage({ give: true });
    });
    const bytes = new Uint8Array(Int16Array.from(parts.flatMap(([, part]) => [...part])).buffer);
    let text = "";
    for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    return [parts[0][0], btoa(text)];
  }

  // Both are recorded by one clock: what goes into the call, and what comes back.
  async echo(base64, seconds) {
    const direct = new Line("OPUS");
    direct.record(this.out.context.createMediaStreamSource(this.out.stream));
    this.say(base64);
    await new Promise((done) => setTimeout(done, (seconds + 0.5) * 1000));
    const onsets = ({ parts }) => {
      const found = [];
      for (const [at, part] of parts) {
        for (let i = 0; i < part.length; i++) {
          const now = at + i / 48000;
          if (Math.abs(part[i]) > LOUD && (!found.length || now - found.at(-1)[1] > 1 / 3)) found.push([now, now]);
          else if (Math.abs(part[i]) > LOUD) found.at(-1)[1] = now;
        }
      }
      return found.map(([began]) => began);
    };
    return [onsets(direct), onsets(this)];
  }
}

const lines = [];

// One login and one call between two JsSIP phones: times in ms.
async function setUp(url, alice, bob) {
  const tone = new OscillatorNode(context);
  const microphone = context.createMediaStreamDestination();
  tone.connect(microphone);
  tone.start();
  const options = () => ({ mediaStream: microphone.stream.clone(), pcConfig: { iceServers: [] } });
  const phone = (user) => new JsSIP.UA({ sockets: [new JsSIP.WebSocketInterface(url)],
    uri: `sip:${user}@phone.plivo.com`, password: `${user}-secret`, register_expires: 120 });
  const once = (target, name) => new Promise((done) => target.on(name, done));
  const [caller, callee] = [phone(alice), phone(bob)];
  let began = performance.now();
  const registered = once(caller, "registered");
  caller.start();
  await registered;
  const login = performance.now() - began;
  const ready = once(callee, "registered");
  callee.start();
  await ready;
  const came = new Promise((done) => callee.on("newRTCSession", ({ session }) => done(session)));
  began = performance.now();
  const session = caller.call(`sip:${bob}@phone.plivo.com`, options());
  const incoming = await Promise.all([came, once(session, "progress")]).then(([one]) => one);
  const ringing = performance.now() - began;
  const heard = new Promise((done) => incoming.on("peerconnection", ({ peerconnection }) => {
    peerconnection.addEventListener("track", ({ track }) => {
      played(new MediaStream([track]));
      track.addEventListener("unmute", done, { once: true }); // with its first RTP packet
    });
  }));
  began = performance.now();
  incoming.answer(options());
  await heard;
  const rtp = performance.now() - began;
  const ended = once(session, "ended");
  incoming.terminate();
  await ended;
  caller.stop();
  callee.stop();
  return { login, ringing, rtp };
}
