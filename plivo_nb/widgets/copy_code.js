// The button "Copy as code", and the code folded below it. The other end is copy_code.py.

const SAID_MS = 4000;

const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

/** Select the text of an element, so that the browser's own command copies it. */
const select = (target) => {
  const range = document.createRange();
  range.selectNodeContents(target);
  const selection = window.getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
};

/** Copy a text; where the page may not use the clipboard, by the older command. */
const copy = async (text, shown) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    select(shown);
    return document.execCommand("copy");
  }
};

const render = ({ model, el }) => {
  const code = element("pre", { tabindex: "0", "aria-label": "What was clicked, as Python" });
  const button = element("button", { type: "button", class: "jupyter-widgets jupyter-button" }, "Copy as code");
  const said = element("span", { role: "status" });
  const folded = element("details", {}, element("summary", {}, "What was clicked, as Python"), code);
  el.replaceChildren(element("div", { class: "plivo-code-bar" }, button, said), folded);
  let timer;
  const show = () => {
    const text = model.get("code");
    code.textContent = text || "Nothing was clicked yet.";
    button.disabled = !text;
    code.scrollTop = code.scrollHeight;
  };
  button.addEventListener("click", async () => {
    folded.open ||= !navigator.clipboard; // only what is displayed can be selected
    const copied = await copy(model.get("code"), code);
    said.textContent = copied ? "Copied." : "Press Ctrl+C to copy.";
    clearTimeout(timer);
    timer = setTimeout(() => { said.textContent = ""; }, SAID_MS);
  });
  model.on("change:code", show);
  show();
  return () => {
    clearTimeout(timer);
    model.off("change:code", show);
  };
};

export default { render };
