// Four panels of a call's quality on one canvas: jitter, round trip, packet loss, MOS.
// panels.py describes the messages, and gives the panels, their lines and their limits as the trait `spec`.

const WINDOWS = [[60, "1 min"], [300, "5 min"], [900, "15 min"], [Infinity, "All"]];
const SPANS = [30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 57600, 86400];
const TICKS = [5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400];
const GRIDS = [0.5, 1, 2, 2.5, 5, 10];
const MOST_ROWS = 8192; // with more rows of a call, the page asks for a shorter history
const OLD_S = 1.5; // the age of a value is shown from here on
const MANY_POINTS = 100; // with more points than this, the lines are thinner and have no markers
const WORDS = [{ received: "received", sent: "sent", text: "" }, { received: "in", sent: "out", text: "" }];
const COLOURS = {
  surface: "#fff", text: "#222", dim: "#5f6670", grid: "#d9d9d9", limit: "#8a1c4a", received: "#0072b2",
  sent: "#b84e00", poor: "#b04a00", focus: "#0072b2",
};

const clock = (seconds) => {
  const whole = Math.max(0, Math.floor(seconds)), hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60, rest = String(whole % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
};

/** Distance of the lines of a grid: a round number, of which at most five fit below `top`. */
const gridStep = (top) => {
  const power = 10 ** Math.floor(Math.log10(top / 2));
  return power * GRIDS.find((step) => top / (step * power) <= 5);
};

const scaleTop = (value, least) => {
  if (!(value > least)) return least;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 5, 10].map((step) => step * power).find((top) => top >= value);
};

const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

/** The rows of one call, and what is known about it. */
class Call {
  constructor(columns) {
    this.width = columns;
    this.about = { name: "", codec: "", ended: false, loss_limit: null, bands: [], marks: [] };
    this.clear();
  }

  clear() {
    this.values = new Float32Array(this.width * 512);
    this.length = 0; // rows kept here
    this.next = 0; // number of the next row of the call
  }

  append(rows) {
    const needed = this.length * this.width + rows.length;
    if (needed > this.values.length) {
      const wider = new Float32Array(Math.max(needed, 2 * this.values.length));
      wider.set(this.values);
      this.values = wider;
    }
    this.values.set(rows, this.length * this.width);
    this.length += rows.length / this.width;
  }

  at(row, column) {
    return this.values[row * this.width + column];
  }

  get seconds() {
    return this.length ? this.at(this.length - 1, 0) : 0;
  }

  /** Number of the first row at or after a time; `length` if there is none. */
  rowAt(seconds) {
    let low = 0, high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.at(middle, 0) < seconds) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The row whose value is drawn at a time: a value of a second ends there, a report is held. */
  rowShown(seconds, style) {
    if (!this.length || seconds < 0 || seconds > this.seconds + 1) return -1;
    const row = this.rowAt(seconds);
    if (style !== "steps-post") return Math.min(row, this.length - 1);
    return row < this.length && this.at(row, 0) === seconds ? row : row - 1;
  }
}

/** The calls as this page knows them; the views of the page draw from it. */
class Store {
  constructor(model) {
    this.model = model;
    this.page = Math.random().toString(36).slice(2);
    this.columns = model.get("spec").columns;
    this.calls = new Map();
    this.order = [];
    this.views = new Set();
    this.told = false;
    model.on("msg:custom", (message, buffers) => this.receive(message, buffers));
    this.send({ type: "hello" });
  }

  send(message) {
    this.model.send({ ...message, page: this.page });
  }

  /** Tell the kernel whether the canvas is shown: it sends nothing while it is not. */
  tell() {
    const shown = [...this.views].some((view) => view.shown);
    if (shown === this.told) return;
    this.told = shown;
    if (shown) this.ask();
    else this.send({ type: "hidden" });
  }

  ask() {
    const have = Object.fromEntries([...this.calls].map(([key, call]) => [key, call.next]));
    this.send({ type: "shown", have });
  }

  receive(message, buffers) {
    if (!Array.isArray(message.calls) || (message.page && message.page !== this.page)) return;
    const bytes = buffers?.[0];
    const data = bytes
      ? new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
      : new Float32Array(0);
    let start = 0, missed = false;
    for (const part of message.calls) {
      const rows = data.subarray(start, start += part.rows * this.columns.length);
      missed = !this.take(part, rows) || missed;
    }
    if (message.show) {
      if (this.order[0] !== message.show[0]) for (const view of this.views) view.begin();
      this.order = message.show;
      for (const key of this.calls.keys()) if (!this.order.includes(key)) this.calls.delete(key);
    }
    if (missed && this.told) this.ask();
    for (const view of this.views) view.received("cursor" in message ? message.cursor : undefined);
  }

  /** Take over rows of a call; false if rows before them are missing here. */
  take(part, rows) {
    if (!this.calls.has(part.key)) this.calls.set(part.key, new Call(this.columns.length));
    const call = this.calls.get(part.key);
    if (part.about) call.about = part.about;
    if (part.reset) call.clear();
    else if (part.from > call.next) return false;
    const known = part.reset ? 0 : call.next - part.from;
    call.append(rows.subarray(Math.min(rows.length, known * this.columns.length)));
    call.next = Math.max(call.next, part.next);
    if (call.length <= MOST_ROWS) return true;
    call.next = 0;
    return false;
  }

  call(number) {
    return this.calls.get(this.order[number]);
  }
}

/** One canvas with its controls. */
class View {
  constructor(store, el) {
    this.store = store;
    this.el = el;
    this.spec = store.model.get("spec");
    this.window = 300;
    this.paused = null; // the time at which it was paused
    this.cursor = null;
    this.followed = null; // a time that the axis moves to: one that the kernel or a key has chosen
    this.overlay = false;
    this.visible = false;
    this.left = false; // the page is being closed
    this.waiting = false;
    this.build();
    this.observe();
    store.views.add(this);
  }

  get shown() {
    return this.visible && !this.left && document.visibilityState === "visible";
  }

  // ------------------------------------------------------------ elements

  button(text, action, label = text) {
    const attributes = { type: "button", "data-lm-suppress-shortcuts": "true", title: label };
    const made = element("button", attributes, text);
    made.addEventListener("click", action);
    return made;
  }

  build() {
    this.title = element("span", { class: "plivo-panels-title plivo-cut" });
    this.windows = WINDOWS.map(([seconds, text]) => this.button(text, () => {
      this.window = seconds;
      this.changed();
    }, seconds === Infinity ? "Show the whole call" : `Show the last ${text}`));
    this.pause = this.button("Pause", () => this.togglePause(), "Stop or resume the drawing; the call goes on");
    this.compare = this.button("Compare", () => {
      this.overlay = !this.overlay;
      this.changed();
    }, "Lay the call before under this one");
    this.moment = element("span", { class: "plivo-panels-moment plivo-cut" });
    const line = (name, text) => element("span", {}, element("i", { class: name }), text);
    this.plot = element("div", {
      class: "plivo-panels-plot", tabindex: "0", role: "slider", "data-lm-suppress-shortcuts": "true",
      "aria-label": "Moment of the call", "aria-orientation": "horizontal", "aria-valuemin": "0",
    });
    this.canvas = element("canvas", { "aria-hidden": "true" });
    this.plot.append(this.canvas);
    const group = element("span", { class: "plivo-panels-group", role: "group", "aria-label": "Time shown" });
    group.append(...this.windows);
    this.el.replaceChildren(
      element("div", { class: "plivo-panels-bar" }, this.title, group, this.pause, this.compare),
      element("div", { class: "plivo-panels-key" },
        line("plivo-panels-received", "received"),
        line("plivo-panels-sent", "sent, as the far end reports"),
        this.moment),
      this.plot,
    );
  }

  observe() {
    const own = (this.abort = new AbortController()), options = { signal: own.signal };
    const redraw = () => this.draw();
    const watchers = [new ResizeObserver(redraw), new MutationObserver(() => this.themeChanged())];
    watchers[0].observe(this.plot);
    for (const target of [document.documentElement, document.body]) {
      watchers[1].observe(target, { attributes: true });
    }
    const seen = new IntersectionObserver((entries) => {
      this.visible = entries.at(-1).isIntersecting;
      this.visibilityChanged();
    });
    // The tiles above are updated only while the canvas is said to be shown, so the whole box counts.
    const attached = () => this.el.isConnected
      ? seen.observe(this.el.closest(".plivo-dashboard") ?? this.plot)
      : own.signal.aborted || requestAnimationFrame(attached);
    attached();
    own.signal.addEventListener("abort", () => [...watchers, seen].forEach((watcher) => watcher.disconnect()));
    document.addEventListener("visibilitychange", () => this.visibilityChanged(), options);
    for (const [name, left] of [["pagehide", true], ["pageshow", false]]) {
      window.addEventListener(name, () => {
        this.left = left;
        this.visibilityChanged();
      }, options);
    }
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)", "(prefers-contrast: more)"]) {
      matchMedia(query).addEventListener("change", () => this.themeChanged(), options);
    }
    this.plot.addEventListener("pointermove", (event) => this.point(this.timeAt(event)), options);
    this.plot.addEventListener("pointerleave", () => this.point(this.followed), options);
    this.plot.addEventListener("click", (event) => this.choose(this.timeAt(event)), options);
    this.plot.addEventListener("keydown", (event) => this.key(event), options);
  }

  remove() {
    this.abort.abort();
    this.visible = false;
    this.store.views.delete(this);
    this.store.tell();
  }

  visibilityChanged() {
    this.store.tell();
    this.draw();
  }

  themeChanged() {
    this.draw();
    setTimeout(() => this.draw(), 500); // a theme's style sheet is loaded after its name has changed
  }

  /** Another call begins: nothing is left of what was chosen in the one before. */
  begin() {
    this.paused = null;
    this.cursor = null;
    this.followed = null;
  }

  received(cursor) {
    if (cursor !== undefined) this.cursor = this.followed = cursor;
    this.changed();
  }

  changed() {
    if (!this.waiting) this.draw();
  }

  // ------------------------------------------------------------ what a person does

  key(event) {
    const call = this.store.call(0), step = event.shiftKey ? 10 : 1;
    const moves = { ArrowLeft: -step, ArrowRight: step, ArrowDown: -step, ArrowUp: step, PageDown: -60, PageUp: 60 };
    if (event.key in moves) this.go((this.cursor ?? this.end(call)) + moves[event.key]);
    else if (event.key === "Home") this.go(0);
    else if (event.key === "End") this.go(this.end(call));
    else if (event.key === "Escape") this.go(null);
    else if (event.key === " ") this.togglePause();
    else if (event.key === "Enter") this.choose(this.cursor);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Move the cross-hair, and the time axis with it. */
  go(seconds) {
    this.point(seconds);
    this.followed = this.cursor;
  }

  point(seconds) {
    const call = this.store.call(0);
    this.cursor = seconds === null || !call?.length ? null : Math.min(Math.max(seconds, 0), this.end(call));
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  choose(seconds) {
    if (seconds !== null) this.store.send({ type: "moment", key: this.store.order[0], t: seconds });
  }

  togglePause() {
    this.paused = this.paused === null ? (this.store.call(0)?.seconds ?? 0) : null;
    this.changed();
  }

  timeAt(event) {
    const area = this.areas?.find(({ x, y, w, h }) =>
      event.offsetX >= x && event.offsetX <= x + w && event.offsetY >= y - 20 && event.offsetY <= y + h + 20);
    if (!area) return null;
    const [left, right] = this.range(this.store.call(0));
    return left + ((event.offsetX - area.x) / area.w) * (right - left);
  }

  // ------------------------------------------------------------ time

  end(call) {
    return this.paused ?? call?.seconds ?? 0;
  }

  /** From when to when is drawn. A short call grows in steps; then the axis scrolls, or grows with "All". */
  range(call) {
    const end = this.end(call);
    const span = Math.min(this.window, SPANS.find((one) => one >= end) ?? end);
    let left = this.window === Infinity ? 0 : Math.max(0, end - span);
    if (this.followed !== null && this.followed < left) left = Math.max(0, this.followed - span / 2);
    return [left, left + span];
  }

  // ------------------------------------------------------------ drawing

  colours() {
    const found = {};
    for (const [name, fallback] of Object.entries(COLOURS)) {
      this.canvas.style.color = `var(--plivo-${name}, ${fallback})`; // for the browser to resolve
      found[name] = getComputedStyle(this.canvas).color;
    }
    this.canvas.style.color = "";
    return found;
  }

  draw() {
    if (!this.shown) return;
    const width = this.plot.clientWidth, height = this.plot.clientHeight;
    if (!width || !height) return;
    const ratio = window.devicePixelRatio || 1;
    const wide = Math.round(width * ratio), high = Math.round(height * ratio);
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      Object.assign(this.canvas, { width: wide, height: high });
    }
    const call = this.store.call(0), columns = width >= 480 ? 2 : 1, lines = 4 / columns;
    if (this.cursor !== null && (!call || this.cursor < this.range(call)[0])) this.cursor = null;
    const pen = (this.pen = this.canvas.getContext("2d"));
    this.c = this.colours();
    this.size = width >= 1000 ? 13 : 12;
    this.family = getComputedStyle(this.el).fontFamily;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const gap = 18, cell = { w: (width - gap * (columns - 1)) / columns, h: height / lines };
    this.areas = this.spec.panels.map((_, index) => ({
      x: (index % columns) * (cell.w + gap) + 34, y: Math.floor(index / columns) * cell.h + 24,
      w: cell.w - 34 - 4, h: cell.h - 24 - 22,
    }));
    this.spec.panels.forEach((panel, index) => this.drawPanel(panel, this.areas[index], call, index));
    this.describe(call);
  }

  text(words, x, y, { colour = this.c.text, align = "left", bold = false, base = "middle", halo = false } = {}) {
    Object.assign(this.pen, {
      font: `${bold ? "600 " : ""}${this.size}px ${this.family}`, fillStyle: colour, textAlign: align, textBaseline: base,
    });
    if (halo) {
      Object.assign(this.pen, { strokeStyle: this.c.surface, lineWidth: 4, lineJoin: "round" });
      this.pen.strokeText(words, x, y);
    }
    this.pen.fillText(words, x, y);
    return this.pen.measureText(words).width;
  }

  stroke(points, { colour, width = 1, dash = [] }) {
    const pen = this.pen;
    Object.assign(pen, { strokeStyle: colour, lineWidth: width, lineJoin: "round" });
    pen.setLineDash(dash);
    pen.beginPath();
    for (const [x, y, jump] of points) jump ? pen.moveTo(x, y) : pen.lineTo(x, y);
    pen.stroke();
    pen.setLineDash([]);
  }

  drawPanel(panel, area, call, index) {
    const [left, right] = this.range(call), mos = panel.title === "MOS";
    const limit = panel.limit ?? (call?.about.loss_limit || 10), other = this.overlay ? this.store.call(1) : null;
    const highest = Math.max(this.highest(panel, call, left), this.highest(panel, other, left));
    const floor = mos ? 1 : 0, top = mos ? panel.top : scaleTop(highest, Math.max(panel.top, limit * 1.25));
    const scale = {
      x: (seconds) => area.x + ((seconds - left) / (right - left)) * area.w,
      y: (value) => area.y + area.h - ((Math.min(value, top) - floor) / (top - floor)) * area.h,
      left, right,
    };
    this.drawGrid(panel, area, scale, floor, top);
    const pen = this.pen;
    pen.save();
    pen.beginPath();
    pen.rect(area.x, area.y - 1, area.w + 1, area.h + 2);
    pen.clip();
    this.drawBands(area, scale, call, index);
    const y = scale.y(limit), edge = area.x + area.w;
    this.stroke([[area.x, y, true], [edge, y]], { colour: this.c.limit, width: 1.5, dash: [2, 3] });
    if (call) this.drawMarks(area, scale, call);
    if (other) this.drawLines(panel, scale, other, 0.38);
    if (call) this.drawLines(panel, scale, call, 1);
    const label = panel.label.replace("{:g}", String(+limit.toFixed(1)));
    this.text(label, edge - 2, y - 2, { colour: this.c.limit, align: "right", base: "bottom", halo: true });
    if (call) this.drawWords(area, scale, call, index);
    pen.restore();
    this.drawHead(panel, area, call);
    if (this.cursor !== null && call) this.drawCursor(panel, area, scale, call);
  }

  highest(panel, call, left) {
    let most = -Infinity;
    if (!call) return most;
    const places = panel.series.map(([column]) => this.place(column));
    const last = call === this.store.call(0) ? call.rowAt(this.end(call)) : call.length - 1;
    for (let row = Math.max(0, call.rowAt(left) - 1); row <= last && row < call.length; row += 1) {
      for (const place of places) {
        const value = call.at(row, place);
        if (value > most) most = value;
      }
    }
    return most;
  }

  drawGrid(panel, area, scale, floor, top) {
    const grid = panel.title === "MOS" ? 1 : gridStep(top);
    for (let value = floor; value <= top; value += grid) {
      const y = Math.round(scale.y(value)) + 0.5;
      this.stroke([[area.x, y, true], [area.x + area.w, y]], { colour: this.c.grid });
      this.text(String(+value.toFixed(2)), area.x - 5, y, { colour: this.c.dim, align: "right" });
    }
    const span = scale.right - scale.left, most = Math.max(2, Math.floor(area.w / 64));
    const step = TICKS.find((one) => span / one <= most) ?? span / most;
    let free = -Infinity;
    for (let at = Math.ceil(scale.left / step) * step; at <= scale.right; at += step) {
      const x = scale.x(at), width = this.pen.measureText(clock(at)).width;
      const start = Math.min(Math.max(x - width / 2, area.x), area.x + area.w - width);
      this.stroke([[x, area.y + area.h, true], [x, area.y + area.h + 4]], { colour: this.c.dim });
      if (start < free) continue;
      free = start + 6 + this.text(clock(at), start, area.y + area.h + 13, { colour: this.c.dim });
    }
  }

  drawBands(area, scale, call, index) {
    for (const [panel, start, end] of call?.about.bands ?? []) {
      if (panel !== null && panel !== index) continue;
      const from = scale.x(start), to = scale.x(Math.min(end ?? Infinity, this.end(call)));
      if (start > this.end(call) || to < area.x || from > area.x + area.w) continue;
      this.pen.fillStyle = this.c.poor;
      this.pen.globalAlpha = panel === null ? 0.07 : 0.13;
      this.pen.fillRect(from, area.y, Math.max(2, to - from), area.h);
      this.pen.globalAlpha = 1;
      this.pen.fillRect(from, area.y, Math.max(2, to - from), 3);
    }
  }

  /** The words of the bands of this panel, and of what happened: over the lines, where there is room. */
  drawWords(area, scale, call, index) {
    let free = -Infinity;
    const y = index === 3 ? area.y + area.h - 8 : area.y + 13; // good scores are above
    const now = this.end(call);
    for (const [panel, start, end, words] of call.about.bands.filter((band) => band[1] <= now)) {
      const x = Math.max(scale.x(start), area.x) + 4;
      if ((panel ?? 0) !== index || x < free || x > area.x + area.w) continue;
      if (scale.x(end ?? now) < area.x) continue;
      free = this.label(words, x, y, area, this.c.poor);
    }
    free = -Infinity;
    for (const [at, words] of call.about.marks.filter((mark) => mark[0] <= now)) {
      const x = scale.x(at) + 3;
      if (index > 1 || x < Math.max(free, area.x) || x > area.x + area.w) continue;
      free = this.label(words, x, area.y + area.h - 8, area, this.c.dim);
    }
  }

  drawLines(panel, scale, call, alpha) {
    const first = Math.max(0, call.rowAt(scale.left) - 1);
    const last = Math.min(call.length, call.rowAt(scale.right) + 1);
    const isPaused = this.paused !== null && call === this.store.call(0);
    const shown = isPaused ? Math.min(last, call.rowAt(this.paused) + 1) : last;
    const many = shown - first > MANY_POINTS;
    this.pen.globalAlpha = alpha;
    for (const [column, colour, style] of panel.series) {
      const place = this.place(column), age = this.age(column), points = [], dots = [];
      let before = null;
      for (let row = first; row < shown; row += 1) {
        const value = call.at(row, place), x = scale.x(call.at(row, 0)), y = scale.y(value);
        if (Number.isNaN(value)) {
          before = null;
          continue;
        }
        if (before && style === "steps-pre") points.push([before[0], y]);
        if (before && style === "steps-post") points.push([x, before[1]]);
        points.push([x, y, !before]);
        if (!many && (!(colour === "sent" || column === "rtt") || !(call.at(row, age) >= 1))) dots.push([x, y]);
        before = [x, y];
      }
      this.stroke(points, { colour: this.c[colour], width: many ? 1.5 : 2, dash: colour === "sent" ? [6, 3] : [] });
      this.pen.fillStyle = this.c[colour];
      for (const [x, y] of dots) this.dot(x, y, 2.2);
    }
    this.pen.globalAlpha = 1;
  }

  dot(x, y, radius) {
    this.pen.beginPath();
    this.pen.arc(x, y, radius, 0, 2 * Math.PI);
    this.pen.fill();
  }

  drawMarks(area, scale, call) {
    for (const [at] of call.about.marks.filter((mark) => mark[0] <= this.end(call))) {
      const x = Math.round(scale.x(at)) + 0.5;
      if (x < area.x - 1 || x > area.x + area.w) continue;
      this.stroke([[x, area.y, true], [x, area.y + area.h]], { colour: this.c.dim, dash: [1, 3] });
    }
  }

  /** Write words from a place on, or as far left of it as needed; gives the place after them. */
  label(words, x, y, area, colour) {
    const start = Math.min(x, area.x + area.w - 2 - this.pen.measureText(words).width);
    return start + 8 + this.text(words, start, y, { colour, halo: true });
  }

  /** The name of the panel, and its values: the last ones, or those under the cross-hair. */
  drawHead(panel, area, call) {
    const y = area.y - 13;
    const [name, unit] = panel.title.split(", ");
    let used = this.text(name, area.x - 30, y, { bold: true });
    if (unit) used += this.text(` ${unit}`, area.x - 30 + used, y, { colour: this.c.dim });
    this.pen.font = `${this.size}px ${this.family}`;
    const wide = (list) => list.reduce((sum, [words]) => sum + this.pen.measureText(words).width + 10, 0);
    const kinds = [[WORDS[0], true], [WORDS[1], true], [WORDS[1], false]];
    const lists = kinds.map((kind) => this.values(panel, call, ...kind));
    const room = area.w + 26 - used;
    let x = area.x + area.w;
    for (const [words, colour] of (lists.find((list) => wide(list) <= room) ?? lists[2]).reverse()) {
      x -= this.text(words, x, y, { colour: this.c[colour], align: "right" }) + 10;
    }
  }

  /** [words, colour] of each line of a panel at the cross-hair, else of the newest. */
  values(panel, call, names = WORDS[0], ages = true) {
    const seconds = this.cursor ?? this.end(call);
    return panel.series.flatMap(([column, colour, style]) => {
      const [row, value] = this.valueAt(call, column, style, seconds);
      if (Number.isNaN(value)) return [];
      const digits = panel.title === "MOS" ? 2 : value < 10 ? 1 : 0;
      const age = ages && colour !== "received" ? call.at(row, this.age(column)) : 0;
      const old = age >= OLD_S ? ` (${Math.round(age)} s old)` : "";
      return [[`${names[colour]} ${value.toFixed(digits)}${old}`.trim(), colour]];
    });
  }

  /** [row, value] of a line at a time; NaN where there is none. */
  valueAt(call, column, style, seconds) {
    const row = call?.rowShown(seconds, style) ?? -1;
    return [row, row < 0 ? NaN : call.at(row, this.place(column))];
  }

  place(column) {
    return this.spec.columns.indexOf(column);
  }

  /** Column of the age of the report that a value comes from. */
  age(column) {
    return this.place(column === "rtt" ? "rtt_age" : "report_age");
  }

  drawCursor(panel, area, scale, call) {
    const x = Math.round(scale.x(this.cursor)) + 0.5;
    if (x < area.x || x > area.x + area.w + 1) return;
    this.stroke([[x, area.y, true], [x, area.y + area.h]], { colour: this.c.text });
    for (const [column, colour, style] of panel.series) {
      const [, value] = this.valueAt(call, column, style, this.cursor);
      if (Number.isNaN(value)) continue;
      this.pen.fillStyle = this.c.surface;
      this.dot(x, scale.y(value), 5);
      this.pen.fillStyle = this.c[colour];
      this.dot(x, scale.y(value), 3.5);
    }
  }

  // ------------------------------------------------------------ words

  describe(call) {
    const about = call?.about, end = this.end(call);
    const parts = about
      ? [about.name, about.codec, call.length ? clock(end) : "", about.ended ? "ended" : ""]
      : ["No call yet"];
    if (this.paused !== null) parts.push("paused");
    this.title.textContent = parts.filter(Boolean).join(" · ");
    this.title.title = this.title.textContent;
    const seconds = this.cursor ?? end;
    const near = (about?.marks ?? []).filter(([at]) => Math.abs(at - seconds) <= 1).map(([, words]) => words);
    const bands = (about?.bands ?? []).filter(([, from, to]) => from <= seconds && seconds <= (to ?? Infinity));
    const said = [...near, ...new Set(bands.map((band) => band[3]))].join(", ");
    this.moment.textContent = this.cursor === null ? "" : [clock(seconds), said].filter(Boolean).join(" · ");
    const words = this.spec.panels.flatMap((panel) => {
      const list = this.values(panel, call).map(([value]) => value);
      return list.length ? [`${panel.title.replace(",", " in")}: ${list.join(", ")}`] : [];
    });
    const all = call?.length ? [clock(seconds), said, ...words].filter(Boolean).join("; ") : "No call yet";
    if (this.cursor !== null || document.activeElement !== this.plot) { // else a screen reader reads each second
      this.set(this.plot, {
        "aria-valuemax": Math.round(call?.seconds ?? 0),
        "aria-valuenow": Math.round(seconds),
        "aria-valuetext": all,
      });
    }
    this.windows.forEach((button, index) => this.set(button, { "aria-pressed": WINDOWS[index][0] === this.window }));
    this.pause.textContent = this.paused === null ? "Pause" : "Resume";
    this.set(this.pause, { "aria-pressed": this.paused !== null });
    this.set(this.compare, { "aria-pressed": this.overlay });
    this.compare.disabled = !this.store.call(1)?.length;
  }

  set(target, attributes) {
    for (const [name, value] of Object.entries(attributes)) {
      if (target.getAttribute(name) !== String(value)) target.setAttribute(name, value);
    }
  }
}

export default () => {
  let store;
  return {
    initialize({ model }) {
      store = new Store(model);
    },
    render({ el }) {
      const view = new View(store, el);
      return () => view.remove();
    },
  };
};
