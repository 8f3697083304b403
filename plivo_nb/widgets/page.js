// What a box of the widgets needs of the page that shows it: the keyboard, the focus, a mark on clicks that wait for the
// kernel, a sign when the kernel has stopped, a ring, and the title of the tab. The other end is page.py.

const CONTROL = "button, input, select, textarea, summary, a[href], [tabindex], [contenteditable]";
const TEXT = "input:not([type=checkbox], [type=radio], [type=range], [type=button]), select, textarea, [contenteditable]";
const DIAL = ".plivo-dial input";
const SENDS = "button.jupyter-button, .jupyter-widgets select, .jupyter-widgets input";
const SUPPRESS = "data-lm-suppress-shortcuts"; // an attribute that JupyterLab and Notebook obey (Lumino)
const PENDING_MS = 150; // an answer within this time needs no mark
const FOCUS_MS = 80;
const BUSY_MS = 2000;
const SILENT_MS = 30000; // without an answer, where the page cannot know the status of the kernel
const BEAT_MS = 30000;
const STOPPED = new Set(["dead", "restarting", "autorestarting", "terminating"]);
const WORDS = {
  stopped: "The kernel has stopped; run the cell again.",
  offline: "No connection to the kernel. Trying again…",
  silent: "The kernel does not answer: it is busy, or it has stopped.",
  busy: "The kernel is busy with another cell. Your click waits for it.",
};

/** The kernel as seen from the page. `changed` events tell that `state` is another: "", "silent", "offline" or "stopped". */
class Kernel extends EventTarget {
  constructor(model) {
    super();
    this.model = model;
    this.state = "";
    this.waiting = new Map();
    this.sent = 0;
    this.page = Math.random(); // the same widget may be open in two pages
    this.connection = model.widget_manager?.kernel;
    this.onStatus = () => this.update();
    for (const signal of ["statusChanged", "connectionStatusChanged", "disposed"]) {
      this.connection?.[signal]?.connect(this.onStatus);
    }
    model.on("comm_live_update", () => this.stop());
    model.on("msg:custom", (message) => message.type === "pong" && this.answered(message.id));
    this.beat(true);
    this.beating = setInterval(() => this.beat(), BEAT_MS);
  }

  beat(first = false) {
    this.send({ type: "beat", first, visible: document.visibilityState === "visible" });
    if (!this.connection) {
      const silence = setTimeout(() => this.become("silent"), SILENT_MS);
      this.ping().then(() => {
        clearTimeout(silence);
        this.become(this.state === "silent" ? "" : this.state);
      });
    }
  }

  /** A promise that is kept when the kernel has handled what was sent before. */
  ping() {
    if (this.state === "stopped") {
      return Promise.resolve();
    }
    const id = `${this.page}-${++this.sent}`;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.send({ type: "ping", id });
    });
  }

  send(message) {
    if (this.state !== "stopped") {
      this.model.send(message);
    }
  }

  answered(id) {
    this.waiting.get(id)?.();
    this.waiting.delete(id);
  }

  update() {
    if (this.connection.isDisposed || STOPPED.has(this.connection.status)) {
      this.stop();
    } else if (this.state !== "stopped") {
      this.become(this.connection.connectionStatus === "connected" ? "" : "offline");
    }
  }

  /** A restarted kernel knows nothing of these widgets, so that this is for good. */
  stop() {
    clearInterval(this.beating);
    this.become("stopped");
    for (const id of [...this.waiting.keys()]) {
      this.answered(id);
    }
  }

  become(state) {
    if (state !== this.state) {
      this.state = state;
      this.dispatchEvent(new Event("changed"));
    }
  }

  close() {
    clearInterval(this.beating);
    for (const signal of ["statusChanged", "connectionStatusChanged", "disposed"]) {
      this.connection?.[signal]?.disconnect(this.onStatus);
    }
  }
}

/** The ring of an incoming call. Browsers play nothing before the user has clicked or typed in the page. */
class Ring extends EventTarget {
  constructor() {
    super();
    this.blocked = false;
    this.stopPlaying = () => {};
  }

  start(tone, buffer) {
    this.stop();
    this.play = () => (tone.url || buffer ? this.playFile(tone.url, buffer) : this.playCadence(tone));
    this.retry();
  }

  async retry() {
    const played = this.play;
    this.stopPlaying();
    const allowed = await played?.();
    if (played && played === this.play) {
      this.block(!allowed);
    }
  }

  async playFile(url, buffer) {
    const source = url || URL.createObjectURL(new Blob([buffer]));
    const sound = new Audio(source);
    sound.loop = true;
    this.stopPlaying = () => {
      sound.pause();
      if (!url) {
        URL.revokeObjectURL(source);
      }
    };
    try {
      await sound.play();
    } catch (error) {
      return error.name !== "NotAllowedError";
    }
    return true;
  }

  async playCadence({ frequencies, on_s: on, off_s: off, level }) {
    const context = new AudioContext();
    const gain = new GainNode(context, { gain: 0 });
    gain.connect(context.destination);
    for (const frequency of frequencies) {
      const tone = new OscillatorNode(context, { frequency });
      tone.connect(gain);
      tone.start();
    }
    const burst = () => {
      gain.gain.setValueAtTime(level, context.currentTime);
      gain.gain.setValueAtTime(0, context.currentTime + on);
    };
    const timer = setInterval(burst, 1000 * (on + off));
    this.stopPlaying = () => {
      clearInterval(timer);
      context.close();
      this.stopPlaying = () => {};
    };
    burst();
    if (context.state !== "running") {
      await Promise.race([context.resume(), new Promise((resolve) => setTimeout(resolve, 300))]);
    }
    return context.state === "running";
  }

  stop() {
    this.play = null;
    this.stopPlaying();
    this.block(false);
  }

  block(blocked) {
    if (blocked !== this.blocked) {
      this.blocked = blocked;
      this.dispatchEvent(new Event("changed"));
    }
  }
}

/** Shows a text in the title of the tab by turns with the page's own title. */
class Title {
  set(text) {
    clearInterval(this.timer);
    if (!this.text) {
      this.own = document.title;
    }
    if (text) {
      this.text = text;
      document.title = text;
      this.timer = setInterval(() => this.turn(), 1000);
    } else if (this.text) {
      document.title = document.title === this.text ? this.own : document.title;
      this.text = "";
    }
  }

  turn() {
    if (document.title !== this.text) {
      this.own = document.title; // the page may have changed it meanwhile
    }
    document.title = document.title === this.text ? this.own : this.text;
  }
}

/** The box around a view: its keyboard, focus, marks and notices. */
class Root {
  constructor(root, el, model, kernel, ring) {
    Object.assign(this, { root, el, model, kernel, ring });
    root.tabIndex = -1; // so that a click on the background puts the focus here, not into the notebook
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", model.get("label"));
    root.setAttribute(SUPPRESS, "true");
    this.notice = document.createElement("div");
    this.notice.className = "plivo-notice";
    this.notice.setAttribute("role", "status");
    this.unlock = document.createElement("button");
    this.unlock.className = "plivo-unlock";
    this.unlock.textContent = "Click here to let this page ring";
    this.unlock.hidden = true;
    this.unlock.addEventListener("click", () => ring.retry());
    el.replaceChildren(this.notice, this.unlock);

    this.abort = new AbortController();
    const { signal } = this.abort;
    root.addEventListener("keydown", (event) => this.keyCaptured(event), { signal, capture: true });
    root.addEventListener("keydown", (event) => this.keyBubbled(event), { signal });
    root.addEventListener("click", (event) => this.clicked(event), { signal, capture: true });
    root.addEventListener("change", (event) => this.sent(event.target), { signal });
    root.addEventListener("input", (event) => this.input(event), { signal, capture: true });
    root.addEventListener("focusin", (event) => this.focused(event.target), { signal });
    root.addEventListener("focusout", () => setTimeout(() => this.left()), { signal });
    kernel.addEventListener("changed", () => this.show(), { signal });
    this.received = (message) => message.type === "replace" && this.replaceTyped(message);
    model.on("msg:custom", this.received);
    ring.addEventListener("changed", () => this.show(), { signal });
    this.observer = new MutationObserver(() => this.changed());
    this.observer.observe(root, { childList: true, subtree: true, attributeFilter: ["disabled", "style", "class"] });
    this.changed();
    this.show();
  }

  close() {
    this.abort.abort();
    this.model.off("msg:custom", this.received);
    this.observer.disconnect();
  }

  controls() {
    return [...this.root.querySelectorAll(CONTROL)];
  }

  usable(control) {
    return control.isConnected && !control.disabled && control.tabIndex >= 0 && (control.checkVisibility?.() ?? true);
  }

  changed() {
    for (const control of this.controls()) {
      if (!control.hasAttribute(SUPPRESS)) {
        control.setAttribute(SUPPRESS, "true");
        this.name(control);
      }
    }
    for (const region of this.root.querySelectorAll(".plivo-region > .widget-html-content:not([role])")) {
      region.setAttribute("role", "status"); // the element stays when its text changes, so that it is read out
    }
    this.keepFocus();
  }

  /** ipywidgets gives the handle of a slider no name, and other fields without a description only a tooltip. */
  name(control) {
    if (control.matches("[role=slider], input, select, textarea") && !control.hasAttribute("aria-label")) {
      const widget = control.closest(".jupyter-widgets");
      const label = widget?.querySelector(".widget-label")?.textContent.trim();
      const name = label || control.title || widget?.title || control.placeholder;
      if (name && !(label && control.labels?.length)) {
        control.setAttribute("aria-label", name);
      }
    }
  }

  // ---------------------------------------------------------------- keyboard

  keyCaptured(event) {
    const target = event.target;
    if (this.kernel.state === "stopped") {
      return;
    }
    if (event.ctrlKey || event.metaKey) {
      if (event.key === "s") {
        target.removeAttribute(SUPPRESS); // saving the notebook is the one command of the notebook that goes on
        this.root.removeAttribute(SUPPRESS);
        setTimeout(() => [target, this.root].forEach((one) => one.setAttribute(SUPPRESS, "true")));
      }
    } else if (event.key === "Enter" && target.matches(DIAL) && !target.value.trim()) {
      this.press(event, ".plivo-ringing .plivo-go:enabled");
    } else if (event.key === "Enter" && target.matches(DIAL)) {
      this.sendTyped();
    } else if (event.key === "Escape" && (!target.matches(TEXT) || target.matches(DIAL))) {
      this.clearDial(event);
    } else if (this.model.get("keypad") && !event.altKey && (!target.matches(TEXT) || (target.matches(DIAL) && this.sendsTones))) {
      if (/^[0-9*#]$/.test(event.key)) {
        const key = [...this.root.querySelectorAll(".plivo-key")].find((one) => one.textContent === event.key);
        this.press(event, key);
      } else if (event.key === "Enter" && !target.matches(`:is(${CONTROL}):not(.plivo-key, .plivo)`)) {
        this.press(event, ".plivo-ringing .plivo-go:enabled") || this.press(event, ".plivo-start:enabled");
      }
    }
  }

  keyBubbled(event) {
    if (!(event.key === "s" && (event.ctrlKey || event.metaKey))) {
      event.stopPropagation();
    }
    if (event.key === "Enter" && event.target.matches(DIAL)) {
      this.sent(event.target);
    }
  }

  /** Click the button, and use the event up. Returns false if there is no such button. */
  press(event, button) {
    const pressed = typeof button === "string" ? this.root.querySelector(button) : button;
    if (!pressed) {
      return false;
    }
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat || pressed.matches(".plivo-key")) {
      pressed.classList.add("plivo-pressed");
      setTimeout(() => pressed.classList.remove("plivo-pressed"), PENDING_MS);
      pressed.click();
    }
    return true;
  }

  /** In a call the keys send tones, and so do digits typed in the dial field, where nothing can be dialled. */
  get sendsTones() {
    return Boolean(this.root.querySelector(".plivo-tones"));
  }

  /** Else a key changes the dial field here: what the kernel knows of the field may be older. */
  pressKey(key) {
    const field = this.root.querySelector(DIAL);
    this.type(field, key.matches(".plivo-delete") ? field.value.slice(0, -1) : field.value + key.textContent);
  }

  input(event) {
    if (event.target.matches(DIAL)) {
      this.typed = true;
      if (event.inputType === "insertFromPaste" || event.inputType === "insertFromDrop") {
        setTimeout(() => this.sendTyped(true)); // after ipywidgets has sent the text
      }
    }
  }

  /** Send the text of the dial field if it was typed after the last call: else the kernel may know more. */
  sendTyped(pasted = false) {
    if (this.typed) {
      this.typed = false;
      this.kernel.send({ type: "typed", text: this.root.querySelector(DIAL)?.value ?? "", pasted });
    }
  }

  /** Change the dial field as if it were typed: ipywidgets may have an older text of it still to send. */
  type(field, text) {
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  replaceTyped({ text, by }) {
    const field = this.root.querySelector(DIAL);
    if (field?.value === text) {
      this.type(field, by);
    }
  }

  clearDial(event) {
    const field = this.root.querySelector(DIAL);
    if (field?.value) {
      this.type(field, "");
      event.preventDefault();
    }
  }

  // ---------------------------------------------------------------- focus

  focused(control) {
    this.last = control;
    this.order = this.controls();
    this.row = control.parentElement;
  }

  /** The focus went elsewhere, unless the control itself has become unusable. */
  left() {
    if (this.last && this.usable(this.last) && document.activeElement !== this.last) {
      this.last = this.root.contains(document.activeElement) ? document.activeElement : null;
    }
  }

  keepFocus() {
    const { last } = this;
    const nowhere = [null, document.body, last].includes(document.activeElement);
    if (!last || last === this.root || this.usable(last) || !nowhere) {
      return;
    }
    const { order, row } = this;
    this.root.focus({ preventScroll: true });
    // Another control of the row may become usable by the next message of the kernel.
    setTimeout(() => document.activeElement === this.root && this.handOn(last, order, row), FOCUS_MS);
  }

  handOn(last, order, row) {
    const at = order.indexOf(last);
    const around = [...order.slice(at + 1), ...order.slice(0, at).reverse()];
    const usable = around.filter((control) => this.root.contains(control) && this.usable(control));
    const beside = usable.filter((control) => row.contains(control));
    const next =
      beside.find((control) => control.matches(".plivo-go, .plivo-stop")) ??
      beside[0] ??
      usable.find((control) => control.matches("button:not(.plivo-key, .plivo-delete)")) ??
      usable[0] ??
      this.root;
    next.focus({ preventScroll: true });
  }

  // ---------------------------------------------------------------- marks and notices

  clicked(event) {
    const button = event.target.closest?.("button.jupyter-button");
    if (button?.matches("[aria-busy=true]:not(.plivo-key, .plivo-delete)")) {
      event.preventDefault();
      event.stopImmediatePropagation();
    } else if (button?.matches(".plivo-key, .plivo-delete") && !this.sendsTones) {
      event.stopImmediatePropagation();
      this.pressKey(button);
    } else if (button) {
      if (button.matches(".plivo-start")) {
        this.sendTyped();
      }
      setTimeout(() => this.sent(button)); // after ipywidgets has sent the click
    }
  }

  /** Mark the control until the kernel has handled what it sent. */
  sent(control) {
    if (!control.matches(SENDS)) {
      return;
    }
    const mark = setTimeout(() => control.setAttribute("aria-busy", "true"), PENDING_MS);
    const busy = setTimeout(() => {
      this.busy = true;
      this.show();
    }, BUSY_MS);
    this.kernel.ping().then(() => {
      clearTimeout(mark);
      clearTimeout(busy);
      control.removeAttribute("aria-busy");
      this.busy = false;
      this.show();
    });
  }

  show() {
    const { state } = this.kernel;
    const words = WORDS[state || (this.busy ? "busy" : "")] ?? "";
    if (this.notice.textContent !== words) {
      this.notice.textContent = words;
    }
    this.unlock.hidden = !this.ring.blocked;
    if (state === "stopped" && !this.root.classList.contains("plivo-dead")) {
      const within = this.root.contains(document.activeElement);
      this.root.classList.add("plivo-dead");
      for (const child of this.root.children) {
        child.inert = child !== this.el;
      }
      if (within) {
        this.root.focus({ preventScroll: true });
      }
    }
  }
}

export default () => {
  let kernel;
  let ring;
  return {
    initialize({ model }) {
      kernel = new Kernel(model);
      ring = new Ring();
      const title = new Title();
      const visible = () => kernel.beat();
      const allowed = () => ring.blocked && ring.retry();
      document.addEventListener("visibilitychange", visible);
      document.addEventListener("pointerdown", allowed, true);
      ring.addEventListener("changed", () => kernel.send({ type: "ring", blocked: ring.blocked }));
      kernel.addEventListener("changed", () => {
        if (kernel.state === "stopped") {
          ring.stop();
          title.set("");
        }
      });
      model.on("msg:custom", (message, buffers) => {
        if (message.type === "ring") {
          message.on ? ring.start(message, buffers?.[0]) : ring.stop();
        } else if (message.type === "title") {
          title.set(message.text);
        }
      });
      return () => {
        kernel.close();
        ring.stop();
        title.set("");
        document.removeEventListener("visibilitychange", visible);
        document.removeEventListener("pointerdown", allowed, true);
      };
    },

    render({ model, el }) {
      let root;
      let timer;
      const attach = () => {
        const box = el.closest(".plivo");
        if (box) {
          root = new Root(box, el, model, kernel, ring);
        } else {
          timer = setTimeout(attach, 50);
        }
      };
      attach();
      return () => {
        clearTimeout(timer);
        root?.close();
      };
    },
  };
};
