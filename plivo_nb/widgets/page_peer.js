// The page's end of its WebRTC connection with the kernel (plivo_nb/engine/audio/webrtc_transport.py).
// The page offers, the kernel answers; the messages are JSON and carry the number of the attempt. What the
// kernel sends is played through the graph of the page's sound, so that one context plays everything.

const PEER_GATHER_MS = 1500; // a STUN server that does not answer must not delay the offer for longer
const PEER_STATS_MS = 1000;

function peerGathered(connection) {
  return new Promise((done) => {
    const check = () => connection.iceGatheringState === "complete" && done();
    connection.addEventListener("icegatheringstatechange", check);
    setTimeout(done, PEER_GATHER_MS);
    check();
  });
}

/** The entry of that type in the statistics; of the pairs the one in use. */
function peerEntry(report, type) {
  for (const entry of report.values()) {
    if (entry.type === type && (type !== "candidate-pair" || entry.nominated)) {
      return entry;
    }
  }
  return {};
}

export class PagePeer {
  /**
   * `sound.audio()` resolves to the AudioContext, `sound.output` is the node to play into, `sound.stream` the
   * microphone or null; `sound.changed()` tells that `rttMs` is another. `send(message, buffers)` sends a
   * message to the kernel.
   */
  constructor(sound, send) {
    this.sound = sound;
    this.send = send;
    this.attempt = 0;
    this.connection = null;
    this.used = false;
    this.played = null; // {element, node} of the kernel's sound
    this.rttMs = null; // round trip to the kernel, by ICE
    this.timer = 0;
  }

  /** Take a message of the kernel: "start" asks for an offer, "answer" answers it. */
  receive(message) {
    if (message.type === "start") {
      this.attempt = message.attempt;
      this.offer(message.ice_servers).catch((error) => this.failed(error));
    } else if (message.attempt !== this.attempt) {
      // of an earlier attempt
    } else if (message.type === "answer") {
      const answer = { type: "answer", sdp: message.sdp };
      this.connection?.setRemoteDescription(answer).catch((error) => this.failed(error));
    } else if (message.type === "use") {
      this.use(message.on);
    } else if (message.type === "stop") {
      this.close();
    }
  }

  /** Send this microphone (a MediaStream), or nothing (null). */
  microphone(stream) {
    const track = stream ? stream.getAudioTracks()[0] : null;
    this.sender?.replaceTrack(track).catch((error) => this.failed(error));
  }

  /** Play the kernel's sound, or cease to. */
  use(on) {
    this.used = on;
    this.connect();
  }

  close() {
    clearInterval(this.timer);
    this.connection?.close();
    this.connection = this.sender = null;
    if (this.played) {
      this.played.node.disconnect();
      this.played.element.srcObject = null;
      this.played = null;
    }
  }

  async offer(iceServers) {
    this.close();
    const connection = new RTCPeerConnection({ iceServers });
    this.connection = connection;
    const transceiver = connection.addTransceiver("audio", { direction: "sendrecv" });
    this.sender = transceiver.sender;
    if ("jitterBufferTarget" in transceiver.receiver) {
      transceiver.receiver.jitterBufferTarget = 0; // as short as the network allows
    }
    connection.ontrack = ({ track }) => {
      this.play(new MediaStream([track])).catch((error) => this.failed(error));
    };
    connection.onconnectionstatechange = () => {
      if (connection === this.connection && connection.connectionState === "failed") {
        this.failed(new Error("no path to the kernel works"));
      }
    };
    this.microphone(this.sound.stream);
    await connection.setLocalDescription();
    await peerGathered(connection);
    if (connection === this.connection) {
      this.tell({ type: "offer", sdp: connection.localDescription.sdp });
      this.timer = setInterval(() => this.measure(connection), PEER_STATS_MS);
    }
  }

  async play(stream) {
    // Chromium gives a remote stream's sound to a node only while a media element plays it too
    // (https://crbug.com/121673).
    const element = new Audio();
    element.muted = true;
    element.srcObject = stream;
    element.play().catch(() => {}); // a muted element may play; one that was closed need not
    const { connection } = this;
    const context = await this.sound.audio();
    if (connection === this.connection) {
      this.played = { element, node: context.createMediaStreamSource(stream) };
      this.connect();
    }
  }

  connect() {
    if (this.played && this.used) {
      this.played.node.connect(this.sound.output);
    } else {
      this.played?.node.disconnect();
    }
  }

  async measure(connection) {
    const report = await connection.getStats();
    if (connection !== this.connection) {
      return;
    }
    const received = peerEntry(report, "inbound-rtp");
    const pair = peerEntry(report, "candidate-pair");
    const rttMs = 1000 * pair.currentRoundTripTime; // NaN before the first check
    this.rttMs = Number.isFinite(rttMs) ? rttMs : null;
    this.tell({
      type: "stats",
      packets_received: received.packetsReceived ?? 0,
      concealment_events: received.concealmentEvents ?? 0,
      rtt_ms: this.rttMs,
      microphone: Boolean(this.sender?.track),
    });
    this.sound.changed();
  }

  failed(error) {
    this.tell({ type: "failed", reason: String(error.message ?? error) });
  }

  tell(message) {
    this.send({ ...message, attempt: this.attempt }, []);
  }
}
