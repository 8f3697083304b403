// The table of a class and the knobs below it (class_board.py). Everything is built as text nodes, so that nothing
// from the network becomes HTML.

// [whose figures, columns]
const GROUPS = [
  ["", ["Student", "Call"]],
  ["by the student's client", ["MOS", "during the call", "Round trip"]],
  ["counted by the lab, last 5 s", ["Loss to", "Loss from"]],
  ["", ["Last call"]],
];
const WIDTH = 120;
const HEIGHT = 26;
const BEST = 4.5;

function element(name, className, text = "") {
  const made = document.createElement(name);
  if (className) {
    made.className = className;
  }
  made.textContent = text;
  return made;
}

/** The MOS over the call as a line; a gap where it is unknown. */
function curve(series) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("class", "plivo-class-curve");
  svg.setAttribute("role", "img");
  const known = series.filter((value) => value !== null);
  svg.setAttribute("aria-label", known.length ? `MOS from ${Math.min(...known)} to ${Math.max(...known)}` : "no MOS yet");
  const step = WIDTH / Math.max(series.length - 1, 11);
  let path = "";
  let pen = "M";
  series.forEach((value, at) => {
    if (value === null) {
      pen = "M";
      return;
    }
    const y = HEIGHT - 2 - ((value - 1) / (BEST - 1)) * (HEIGHT - 4);
    path += `${pen}${(at * step).toFixed(1)} ${y.toFixed(1)}`;
    pen = "L";
  });
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

function rowOf(student) {
  const row = element("tr", "plivo-class-row");
  row.dataset.user = student.user;
  row.dataset.state = student.state;
  const name = element("th", "", student.user);
  name.scope = "row";
  const call = student.state === "in call" || student.state === "calling";
  const words = call ? `${student.state === "calling" ? "calling " : ""}${student.with} ${student.length}` : student.state;
  const mos = element("td");
  if (student.mos) {
    const chip = element("span", "plivo-chip", student.mos);
    chip.dataset.verdict = student.verdict;
    chip.title = `MOS ${student.mos}: ${student.verdict}`;
    chip.append(element("span", "plivo-hidden", ` ${student.verdict}`));
    mos.append(chip);
  }
  const line = element("td");
  line.append(curve(student.series));
  const why = call ? "" : student.why;
  row.append(name, element("td", "plivo-cut", words), mos, line);
  row.append(...[student.rtt, student.loss_to, student.loss_from, why].map((text) => element("td", "", text)));
  return row;
}

function field(label, name, most, step) {
  const box = element("label", "plivo-class-field", `${label} `);
  const input = element("input");
  Object.assign(input, { type: "number", name, min: "0", max: String(most), step: String(step), value: "0" });
  input.setAttribute("data-lm-suppress-shortcuts", "true");
  box.append(input);
  return [box, input];
}

function formOf(model) {
  const form = element("form", "plivo-class-form");
  const who = element("select");
  who.setAttribute("aria-label", "Whose network");
  who.setAttribute("data-lm-suppress-shortcuts", "true");
  const [loss, lossInput] = field("Loss, %", "loss", 100, 1);
  const [delay, delayInput] = field("Delay one way, ms", "delay", 2000, 10);
  const [jitter, jitterInput] = field("Jitter, ± ms", "jitter", 1000, 5);
  const set = element("button", "plivo-class-button", "Set");
  set.type = "submit";
  const clear = element("button", "plivo-class-button", "Reset");
  clear.type = "button";
  form.append(element("span", "", "Network of "), who, loss, delay, jitter, set, clear);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    model.send({
      type: "set",
      user: who.value,
      loss: Number(lossInput.value) / 100,
      delay_ms: Number(delayInput.value),
      jitter_ms: Number(jitterInput.value),
    });
  });
  clear.addEventListener("click", () => model.send({ type: "clear", user: who.value }));
  return [form, who];
}

function render({ model, el }) {
  const table = element("table", "plivo-class-table");
  const caption = element("caption", "plivo-class-caption");
  const groups = element("tr", "plivo-class-groups");
  const head = element("tr");
  for (const [whose, columns] of GROUPS) {
    const group = element(whose ? "th" : "td", "", whose);
    group.colSpan = columns.length;
    if (whose) {
      group.scope = "colgroup";
    }
    groups.append(group);
    for (const text of columns) {
      const cell = element("th", "", text);
      cell.scope = "col";
      head.append(cell);
    }
  }
  const top = element("thead");
  top.append(groups, head);
  const body = element("tbody");
  table.append(caption, top, body);
  const scroll = element("div", "plivo-class-scroll");
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", "The class");
  scroll.append(table);
  const [form, who] = formOf(model);
  el.append(scroll, form);

  function draw() {
    const rows = model.get("rows");
    const inCalls = rows.filter((row) => row.state === "in call").length;
    const away = rows.filter((row) => row.state === "away").length;
    caption.textContent = `${rows.length} students · ${inCalls} in calls · ${away} away`;
    body.replaceChildren(...rows.map(rowOf));
    const users = ["", ...rows.map((row) => row.user)];
    if (users.length !== who.options.length) {
      const chosen = who.value;
      who.replaceChildren(
        ...users.map((user) => {
          const option = element("option", "", user || "all");
          option.value = user;
          return option;
        }),
      );
      who.value = chosen;
    }
  }
  model.on("change:rows", draw);
  draw();
  return () => model.off("change:rows", draw);
}

export default { render };
