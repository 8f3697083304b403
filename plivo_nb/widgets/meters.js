// Level meters: two bars that follow 2-byte messages from the kernel, ten a second (meters.py).
// Byte 0 is the received level, byte 1 the sent one, each in steps of 0.5 dB above -100 dBFS. A page that
// displays the meters answers a message with {probe: true} at once, and the others every 2 s.

const FLOOR_DBFS = -60; // the left end of a bar
const CLIPPING_DBFS = -1;
const ARIA_INTERVAL_MS = 2000; // screen readers need no ten values a second
const RENEW_MS = 2000; // the kernel stops 6 s after the last renewal

function bar(name, kind) {
  const row = document.createElement("div");
  row.className = "plivo-meter";
  const label = document.createElement("span");
  label.textContent = name;
  label.setAttribute("aria-hidden", "true");
  const track = document.createElement("div");
  track.className = "plivo-meter-track";
  track.setAttribute("role", "meter");
  track.setAttribute("aria-label", `Level, ${name.toLowerCase()}`);
  track.setAttribute("aria-valuemin", FLOOR_DBFS);
  track.setAttribute("aria-valuemax", 0);
  const fill = document.createElement("div");
  fill.dataset.kind = kind;
  track.append(fill);
  row.append(label, track);
  let toldAt = -Infinity;

  function show(dbfs, now) {
    const share = Math.min(1, Math.max(0, 1 - dbfs / FLOOR_DBFS));
    fill.style.transform = `scaleX(${share.toFixed(3)})`;
    fill.toggleAttribute("data-clipping", dbfs >= CLIPPING_DBFS);
    if (now - toldAt >= ARIA_INTERVAL_MS) {
      toldAt = now;
      const value = Math.max(FLOOR_DBFS, Math.round(dbfs));
      track.setAttribute("aria-valuenow", value);
      track.setAttribute("aria-valuetext", value === FLOOR_DBFS ? "silent" : `${value} dB`);
    }
  }
  show(-100, -ARIA_INTERVAL_MS);
  return { row, show };
}

function render({ model, el }) {
  const received = bar("Received", "received");
  const sent = bar("Sent", "sent");
  const box = document.createElement("div");
  box.className = "plivo-meters";
  box.append(received.row, sent.row);
  el.append(box);

  let onScreen = true;
  let renewedAt = 0;
  let wasVisible = null;
  const visible = () => onScreen && !document.hidden;

  function tell() {
    renewedAt = performance.now();
    try {
      model.send({ visible: visible() });
    } catch {
      // The kernel is gone; page.js says so.
    }
  }
  function changed() {
    if (visible() !== wasVisible) {
      wasVisible = visible();
      tell();
    }
  }
  function take(content, buffers) {
    if (!visible()) {
      return;
    }
    const bytes = new Uint8Array(buffers[0].buffer, buffers[0].byteOffset, 2);
    const now = performance.now();
    received.show(bytes[0] / 2 - 100, now);
    sent.show(bytes[1] / 2 - 100, now);
    if (content.probe || now - renewedAt >= RENEW_MS) {
      tell();
    }
  }
  const observer = new IntersectionObserver((entries) => {
    onScreen = entries[entries.length - 1].isIntersecting;
    changed();
  });
  observer.observe(box);
  document.addEventListener("visibilitychange", changed);
  model.on("msg:custom", take);
  changed();
  return () => {
    observer.disconnect();
    document.removeEventListener("visibilitychange", changed);
    model.off("msg:custom", take);
  };
}

export default { render };
