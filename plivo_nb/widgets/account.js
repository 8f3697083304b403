// The login form of the phone (account.py). The password is never part of the widget's state, which notebooks save:
// it goes to the kernel in a message of its own and is cleared at once.

function control(tag, properties) {
  const made = Object.assign(document.createElement(tag), properties);
  made.dataset.lmSuppressShortcuts = "true"; // JupyterLab's single-key shortcuts
  return made;
}

function field(id, label, input) {
  const row = document.createElement("label");
  row.className = "plivo-field";
  const words = document.createElement("span");
  words.textContent = label;
  input.id = id;
  row.htmlFor = id;
  row.append(words, input);
  return row;
}

function render({ model, el }) {
  el.classList.add("jupyter-widgets", "plivo-account");
  const id = `plivo-account-${Math.random().toString(36).slice(2)}`;
  const form = document.createElement("form");
  form.className = "plivo-login";
  form.setAttribute("aria-label", "Log in");

  const names = document.createElement("datalist");
  names.id = `${id}-names`;
  const user = control("input", {
    type: "text", name: "username", autocomplete: "username", autocapitalize: "none", spellcheck: false,
    required: true,
  });
  user.setAttribute("list", names.id);
  const password = control("input", { type: "password", name: "password", autocomplete: "current-password" });

  const server = control("input", { type: "text", name: "server", spellcheck: false, autocomplete: "off" });
  const several = control("input", { type: "checkbox" });
  const codec = control("select", {});
  const more = document.createElement("details");
  more.className = "plivo-options";
  const summary = control("summary", {});
  const severalRow = document.createElement("label");
  severalRow.className = "plivo-check";
  severalRow.append(several, "Let several calls ring at the same time");
  more.append(
    summary,
    field(`${id}-server`, "Server", server),
    field(`${id}-codec`, "Codec", codec),
    severalRow,
  );

  const submit = control("button", { type: "submit" });
  submit.className = "jupyter-widgets jupyter-button plivo-go";
  const error = document.createElement("div");
  error.className = "plivo-login-error";
  error.setAttribute("role", "alert");
  form.append(
    field(`${id}-user`, "User", user),
    field(`${id}-password`, "Password", password),
    submit,
    more,
    error,
    names,
  );
  el.append(form);

  function passwordIsKnown() {
    return model.get("passwords_known") && model.get("accounts").includes(user.value.trim());
  }
  function showPassword() {
    const known = passwordIsKnown();
    password.required = !known;
    password.placeholder = known ? "not needed in the lab" : "";
  }
  function showAccounts() {
    const account = (name) => Object.assign(document.createElement("option"), { value: name });
    names.replaceChildren(...model.get("accounts").map(account));
    showPassword();
  }
  function showUser() {
    user.value = model.get("user");
    showPassword();
  }
  function showOptions() {
    summary.textContent = `Server: ${model.get("server_name")} · options`;
    server.value = model.get("server");
    several.checked = model.get("several");
    const codecs = model.get("codecs").map((text) => Object.assign(document.createElement("option"), { value: text, text }));
    codec.replaceChildren(...codecs);
    codec.value = model.get("codec");
  }
  function showProgress() {
    const busy = model.get("busy");
    form.setAttribute("aria-busy", busy); // nothing is disabled: the focus would go to the page
    for (const input of [user, password, server]) {
      input.readOnly = busy;
    }
    submit.textContent = busy ? "Logging in…" : "Log in";
    const text = model.get("error");
    if (error.textContent !== text) {
      error.textContent = text;
    }
    error.title = text;
  }

  user.addEventListener("input", showPassword);
  form.addEventListener("keydown", (event) => event.stopPropagation()); // what is typed here are no keys of the pad
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (model.get("busy")) {
      return;
    }
    const options = { server: server.value.trim(), several: several.checked, codec: codec.value };
    model.send({ event: "login", user: user.value.trim(), password: password.value, options });
    password.value = "";
  });

  // Where the focus goes when the form or the button that was clicked is hidden; not where it is elsewhere.
  function moveFocus({ focus }) {
    const phone = el.closest(".plivo-phone");
    if (document.activeElement !== document.body && !phone?.contains(document.activeElement)) {
      return;
    }
    const dial = phone?.querySelector(".plivo-dial input");
    const next = user.value && !passwordIsKnown() ? password : user;
    (focus === "form" ? next : dial)?.focus({ preventScroll: true });
    if (focus === "form") {
      next.select(); // another name is typed over the last one
    }
  }

  const shown = [
    ["msg:custom", moveFocus],
    ["change:accounts", showAccounts],
    ["change:user", showUser],
    ["change:server", showOptions],
    ["change:server_name", showOptions],
    ["change:several", showOptions],
    ["change:codec", showOptions],
    ["change:busy", showProgress],
    ["change:error", showProgress],
  ];
  for (const [event, show] of shown) {
    model.on(event, show);
  }
  showAccounts();
  showUser();
  showOptions();
  showProgress();
  try {
    model.send({ event: "shown" });
  } catch {
    // no kernel: a saved notebook
  }
  return () => {
    for (const [event, show] of shown) {
      model.off(event, show);
    }
    form.remove();
  };
}

export default { render };
