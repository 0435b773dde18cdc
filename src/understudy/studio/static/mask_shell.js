// The editor's elements around the canvas: buttons, status, banner, strip of faces. Knows no polygons.

const SIDE_OF_STRIP = 4;

export class Shell {
  // act(name) is called for a button, goTo(place) for a thumbnail, jump(text) for the field.
  constructor(host, texts, { act, goTo, jump }) {
    this.texts = texts;
    this.host = host;
    this.act = act;
    this.goTo = goTo;
    const tools = element("div", "mask-tools", this.tools());
    this.canvas = element("canvas", "mask-canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("aria-label", texts.canvas);
    this.banner = element("div", "mask-banner");
    this.banner.setAttribute("role", "alert");
    this.banner.hidden = true;
    const middle = element("div", "mask-middle", [this.canvas, this.banner]);
    this.strip = element("div", "mask-strip");
    host.replaceChildren(tools, middle, this.status(jump), element("div", "mask-row", [
      this.button("previous", "A"), this.strip, this.button("next", "D"),
    ]));
  }

  tools() {
    return [
      this.group("side", ["src", ""], ["dst", ""]),
      this.group("kind", ["include", "Q"], ["exclude", "W"]),
      this.group("change", ["undo", "Ctrl Z"], ["redo", "Ctrl ⇧ Z"], ["delete", "Del"]),
      this.group("views", ["edit", ""], ["baked", "4"], ["applied", "5"], ["overlay", "`"]),
      this.group("colour", ["red", "1"], ["green", "2"], ["blue", "3"]),
      this.group("make", ["from_previous", "C"], ["from_next", "V"], ["trace_applied", ""], ["trace_hull", ""]),
      this.group("pace", ["suggest", "S"], ["fit", "F"], ["trash", "X"]),
    ];
  }

  group(name, ...buttons) {
    const made = element("div", `mask-group is-${name}`, buttons.map(([act, key]) => this.button(act, key)));
    made.setAttribute("role", "group");
    made.setAttribute("aria-label", this.texts[name === "change" ? "mode_change" : name]);
    return made;
  }

  button(act, key) {
    const made = element("button", "mask-button", [element("span", "", [this.texts[act]])]);
    if (key) made.append(element("span", "key", [key]));
    made.lastChild.ariaHidden = key ? "true" : null;
    made.type = "button";
    made.dataset.act = act;
    made.onclick = () => {
      this.act(act);
      this.canvas.focus();
    };
    return made;
  }

  status(jump) {
    this.name = element("span", "mask-name num");
    this.count = element("span", "mask-count soft num");
    this.mode = element("span", "mask-mode soft");
    this.state = element("span", "mask-state soft");
    this.state.setAttribute("role", "status");
    this.field = element("input", "mask-jump");
    Object.assign(this.field, { placeholder: this.texts.jump, spellcheck: false });
    this.field.setAttribute("aria-label", this.texts.jump);
    this.field.onkeydown = (event) => {
      if (event.key === "Enter") jump(this.field.value.trim());
      if (event.key === "Enter" || event.key === "Escape") this.canvas.focus();
    };
    return element("div", "mask-status", [this.name, this.count, this.mode, element("span", "spring"), this.state, this.field]);
  }

  press(states) {
    for (const [act, isOn] of Object.entries(states)) {
      this.host.querySelector(`[data-act="${act}"]`).ariaPressed = String(isOn);
    }
  }

  tell(text, kind = "") {
    this.state.textContent = text;
    this.state.dataset.kind = kind;
  }

  // A message that stays until it is answered; choices are pairs of a text and what to do.
  warn(text, choices = []) {
    this.banner.replaceChildren(element("span", "", [text]));
    for (const [label, act] of choices) {
      const made = element("button", "plain-button", [label]);
      made.type = "button";
      made.onclick = () => {
        act();
        this.canvas.focus();
      };
      this.banner.append(made);
    }
    this.banner.hidden = !text;
  }

  async thumbnails(faces, place) {
    const cells = [];
    for (let offset = -SIDE_OF_STRIP; offset <= SIDE_OF_STRIP; offset++) {
      const name = faces.names[place + offset];
      const cell = element("button", "mask-thumb", name ? [element("canvas", "")] : []);
      cell.type = "button";
      cell.disabled = name === undefined;
      if (name !== undefined) this.thumbnail(cell, faces, name, place + offset);
      if (offset === 0) cell.ariaCurrent = "true";
      cells.push(cell);
    }
    this.strip.replaceChildren(...cells);
  }

  async thumbnail(cell, faces, name, place) {
    cell.title = name;
    cell.ariaLabel = name;
    cell.classList.toggle("is-labelled", faces.labelled.get(name) === 1);
    cell.onclick = () => this.goTo(place);
    const canvas = cell.firstChild;
    canvas.width = canvas.height = 80;
    try {
      canvas.getContext("2d").drawImage(await faces.picture(name), 0, 0, 80, 80);
    } catch {
      cell.classList.add("is-broken"); // told when it is gone to
    }
  }
}

function element(tag, classes, children = []) {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  made.append(...children);
  return made;
}
