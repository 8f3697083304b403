// The list of calls that have ended (history.py): folded under a summary that counts missed calls.
// Rows are built as text nodes, so that nothing from the network becomes HTML.

const SIGNS = { outgoing: "↗", incoming: "↙", missed: "↯" };
const WORDS = { outgoing: "Outgoing call to", incoming: "Incoming call from", missed: "Missed call from" };

function element(name, className, text = "") {
  const made = document.createElement(name);
  if (className) {
    made.className = className;
  }
  made.textContent = text;
  return made;
}

function when(atMs) {
  const at = new Date(atMs);
  const time = at.toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });
  if (at.toDateString() === new Date().toDateString()) {
    return time;
  }
  return `${at.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
}

function cell(...children) {
  const made = element("div", "plivo-past-cell");
  made.setAttribute("role", "gridcell");
  made.append(...children);
  return made;
}

function rowOf(call, redial) {
  const row = element("div", "plivo-past");
  row.setAttribute("role", "row");
  row.dataset.id = call.id;
  row.dataset.kind = call.kind;
  row.setAttribute("data-lm-suppress-shortcuts", "true");
  const sign = element("span", "plivo-past-sign", SIGNS[call.kind]);
  sign.setAttribute("aria-hidden", "true");
  const who = element("div", "plivo-past-who plivo-cut");
  who.append(element("span", "plivo-hidden", `${WORDS[call.kind]} `), element("b", "", call.who));
  const facts = [when(call.at_ms), call.length, call.why].filter(Boolean).join(" · ");
  const about = element("div", "plivo-past-about plivo-cut", facts);
  about.title = new Date(call.at_ms).toLocaleString() + (call.why ? `: ${call.why}` : "");
  const heading = element("div", "plivo-past-heading");
  heading.append(who);
  const text = element("div", "plivo-past-text");
  text.append(heading, about);
  const main = cell(sign, text);
  main.classList.add("plivo-past-main");
  if (call.mos) {
    const chip = element("span", "plivo-chip", call.mos);
    chip.dataset.verdict = call.verdict;
    chip.title = `Mean MOS ${call.mos}: ${call.verdict}`;
    chip.append(element("span", "plivo-hidden", ` MOS, ${call.verdict}`));
    heading.append(chip);
  }
  const again = element("button", "plivo-redial", "Call");
  again.type = "button";
  again.title = `Call ${call.who}`;
  again.setAttribute("aria-label", `Call ${call.who}`);
  again.setAttribute("data-lm-suppress-shortcuts", "true");
  again.addEventListener("click", (event) => {
    event.stopPropagation();
    redial(call.id);
  });
  row.append(main, cell(again));
  return row;
}

function render({ model, el }) {
  const box = element("details", "plivo-history");
  const title = element("summary", "plivo-history-title");
  title.setAttribute("data-lm-suppress-shortcuts", "true");
  const count = element("span", "");
  const badge = element("span", "plivo-badge");
  badge.setAttribute("role", "status");
  title.append(count, badge);
  const list = element("div", "plivo-history-list");
  list.setAttribute("role", "grid");
  list.setAttribute("aria-label", "Calls, the latest first");
  const none = element("div", "plivo-history-none plivo-dim", "Calls that have ended are listed here.");
  box.append(title, list, none);
  el.append(box);
  let rows = [];

  const redial = (id) => model.send({ redial: id });

  function mark(focused) {
    const selected = model.get("selected");
    const inOrder = focused ?? rows.find((row) => row.dataset.id === selected) ?? rows[0];
    for (const row of rows) {
      row.setAttribute("aria-selected", String(row.dataset.id === selected));
      row.tabIndex = row === inOrder ? 0 : -1;
      row.querySelector("button").tabIndex = row === inOrder ? 0 : -1;
    }
  }
  function select(row) {
    const id = row.dataset.id;
    model.set("selected", model.get("selected") === id ? "" : id);
    model.save_changes();
    mark(row);
  }
  function draw() {
    const calls = model.get("rows");
    const focused = list.contains(document.activeElement) && document.activeElement.closest(".plivo-past");
    const missed = model.get("missed");
    count.textContent = calls.length ? `History (${calls.length}) ` : "History";
    badge.textContent = missed ? `${missed} missed` : "";
    badge.hidden = !missed;
    none.hidden = calls.length > 0;
    list.hidden = !calls.length;
    rows = calls.map((call) => rowOf(call, redial));
    list.replaceChildren(...rows);
    const again = focused && rows.find((row) => row.dataset.id === focused.dataset.id);
    mark(again || undefined);
    if (again) {
      again.focus();
    }
  }
  function pressed(event) {
    const row = event.target.closest(".plivo-past");
    if (!row || event.target !== row) {
      return; // Enter on a button presses that button
    }
    const at = rows.indexOf(row);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (to !== undefined) {
      const next = rows[Math.min(Math.max(to, 0), rows.length - 1)];
      mark(next);
      next.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      select(row);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
  const clicked = (event) => {
    const row = event.target.closest(".plivo-past");
    if (row) {
      select(row);
    }
  };
  const opened = () => {
    if (box.open && model.get("missed")) {
      model.set("missed", 0);
      model.save_changes();
    }
  };
  const reselected = () => mark();
  list.addEventListener("focusin", (event) => mark(event.target.closest(".plivo-past") ?? undefined));
  list.addEventListener("keydown", pressed);
  list.addEventListener("click", clicked);
  box.addEventListener("toggle", opened);
  model.on("change:rows", draw);
  model.on("change:missed", draw);
  model.on("change:selected", reselected);
  draw();
  return () => {
    model.off("change:rows", draw);
    model.off("change:missed", draw);
    model.off("change:selected", reselected);
  };
}

export default { render };
