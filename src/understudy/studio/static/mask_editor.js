// The Masks page: one face at a time on a canvas, its polygons drawn by hand and saved as they are.

import { Faces } from "./mask_faces.js";
import { Hand, rounded } from "./mask_hand.js";
import { listen } from "./mask_keys.js";
import { Link } from "./mask_link.js";
import { Drawing } from "./mask_polygons.js";
import { Saver } from "./mask_saver.js";
import { Shell } from "./mask_shell.js";
import { veil, View } from "./mask_view.js";

const LOOK_MS = 1000;
const LEAP = 5;
const MOST_REMEMBERED = 200;

class Editor {
  constructor(host) {
    this.texts = JSON.parse(host.dataset.texts);
    this.link = new Link(host.dataset.workspace);
    this.faces = new Faces(this.link, host.dataset.workspace);
    this.shell = new Shell(host, this.texts, {
      act: (name) => this.act(name),
      goTo: (place) => this.go(place),
      jump: (text) => this.jump(text),
    });
    this.view = new View(this.shell.canvas);
    this.saver = new Saver(this.link, (state, reason) => this.told(state, reason));
    this.hand = new Hand(this, this.shell.canvas);
    this.drawing = new Drawing();
    this.remembered = new Map(); // drawings with their steps back, by face
    Object.assign(this, { name: "", kind: "include", shown: "edit", colour: "green", hasOverlay: false });
    Object.assign(this, { mask: null, overlay: null, isOpen: false, wanted: null, suggested: [] });
    new ResizeObserver(() => this.resized()).observe(this.shell.canvas);
  }

  get place() {
    return this.faces.names.indexOf(this.name);
  }

  get face() {
    return { side: this.faces.side, name: this.name };
  }

  async open(side, name) {
    this.isOpen = false;
    this.name = "";
    this.remembered.clear();
    this.suggested = [];
    this.shell.press({ src: side === "src", dst: side === "dst" });
    this.faces.open(side, []);
    this.faces.open(side, await this.link.json({ do: "list", side }));
    this.saver.forget();
    this.shell.warn(this.faces.names.length ? "" : this.texts.no_faces);
    this.paint();
    await this.go(Math.max(0, this.faces.names.indexOf(name)));
    await this.faces.count(() => this.tellCount());
  }

  // Show the face at a place; a key that comes meanwhile sets another goal.
  async go(place) {
    const isUnderWay = this.wanted !== null;
    this.wanted = Math.min(Math.max(place, 0), this.faces.names.length - 1);
    if (isUnderWay || this.wanted < 0) return void (this.wanted = isUnderWay ? this.wanted : null);
    try {
      while (this.wanted !== this.place) await this.show(this.wanted);
    } catch (error) {
      this.shell.tell(error.isLost ? this.texts.lost : error.message, "bad");
    } finally {
      this.wanted = null;
    }
  }

  async show(place) {
    if (this.isOpen && this.drawing.mode === "draw") this.drawing.leave();
    if (this.isOpen && !(await this.saver.flush())) return void (this.wanted = this.place);
    const { side, names } = this.faces;
    const name = names[place];
    const [picture, drawn] = await Promise.all([this.faces.picture(name), this.link.json({ do: "face", side, name })]);
    if (side !== this.faces.side) return;
    this.isOpen = true;
    this.name = name;
    this.drawing = this.recalled(name, drawn.outlines);
    this.saver.open({ side, name }, this.drawing, drawn.version);
    this.faces.labelled.set(name, Number(drawn.outlines.length > 0));
    this.hasMask = drawn.has_mask;
    this.hand.hovered = -1;
    this.view.show(picture);
    history.replaceState(null, "", `#${side}/${encodeURIComponent(name)}`);
    await this.look();
    this.tellFace();
    for (const next of [place + 1, place - 1]) if (names[next]) this.faces.picture(names[next]);
  }

  // The face's drawing with its steps back, if the file still holds what was drawn here.
  recalled(name, outlines) {
    const known = this.remembered.get(name);
    const drawing = known?.holds(outlines) ? known : Drawing.of(outlines);
    drawing.rest();
    this.remembered.delete(name);
    this.remembered.set(name, drawing);
    if (this.remembered.size > MOST_REMEMBERED) this.remembered.delete(this.remembered.keys().next().value);
    return drawing;
  }

  async step(way, { leap, labelled }) {
    if (!this.isOpen) return;
    const from = this.wanted ?? this.place;
    const place = labelled ? await this.faces.nextLabelled(from, way) : from + way * (leap ? LEAP : 1);
    if (place >= 0 || !labelled) await this.go(place);
  }

  async jump(text) {
    const { names } = this.faces;
    const exact = names.indexOf(text);
    const begins = names.findIndex((name) => name.startsWith(text));
    const number = /^\d+$/.test(text) ? Number(text) - 1 : -1;
    const place = exact >= 0 ? exact : number >= 0 && number < names.length ? number : begins;
    if (text && place >= 0) await this.go(place);
    else if (text) this.shell.tell(this.texts.no_such, "bad");
  }

  async act(name) {
    if (name === "src" || name === "dst") return this.turnTo(name);
    if (!this.isOpen) return;
    const act = ACTS[name];
    try {
      await act(this, name);
    } catch (error) {
      this.shell.tell(error.isLost ? this.texts.lost : error.message, "bad");
    }
    this.tellMode();
    this.paint();
  }

  async turnTo(side) {
    if (side === this.faces.side && this.isOpen) return;
    if (this.isOpen && !(await this.saver.flush())) return;
    await this.open(side, "").catch((error) => this.shell.warn(error.message));
  }

  nudge([dx, dy], step) {
    const { drawing, hand, view } = this;
    if (drawing.mode === "edit" && drawing.point >= 0) {
      const [x, y] = drawing.current.points[drawing.point];
      drawing.remember();
      drawing.move(rounded([x + dx * step, y + dy * step]));
      return this.changed();
    }
    const [x, y] = hand.cursor ?? view.toFace([view.width / 2, view.height / 2]);
    hand.cursor = rounded([x + dx * step, y + dy * step]);
    this.paint();
  }

  changed() {
    this.faces.labelled.set(this.name, Number(this.drawing.outlines().length > 0));
    this.saver.change();
    this.tellMode();
    this.tellCount();
    this.paint();
  }

  // Masks of the view that is on, for the face that is shown.
  async look() {
    this.mask = this.overlay = null;
    if (this.shown !== "edit") this.mask = await this.maskOf(this.shown === "baked" ? "drawn" : "applied");
    if (this.hasOverlay && this.hasMask) this.overlay = await veil(await this.maskOf("applied"));
    this.paint();
  }

  async maskOf(kind) {
    const has = kind === "applied" ? this.hasMask : this.drawing.outlines().length > 0;
    if (!has) {
      this.shell.tell(kind === "applied" ? this.texts.no_mask : this.texts.no_labels);
      const { width, height } = this.view.picture;
      const none = new OffscreenCanvas(width, height);
      none.getContext("2d").fillRect(0, 0, width, height);
      return none;
    }
    await this.saver.flush();
    return createImageBitmap(new Blob([await this.link.bytes({ do: "mask", ...this.face, kind })]));
  }

  // What another tab or program drew meanwhile; never while a hand is at work.
  async watch() {
    const { saver, face } = this;
    const isBusy = !this.isOpen || this.wanted !== null || this.drawing.mode === "draw" || this.hand.dragging;
    if (isBusy || !saver.isQuiet || document.hidden) return;
    const drawn = await this.link.json({ do: "face", ...face });
    const isSame = this.name === face.name && saver.isQuiet && saver.face?.side === face.side;
    if (!isSame || this.drawing.mode === "draw" || drawn.version === saver.version) return;
    this.drawing.replace(drawn.outlines);
    saver.version = drawn.version;
    this.faces.labelled.set(face.name, Number(drawn.outlines.length > 0));
    this.shell.tell(this.texts.taken_over);
    this.tellMode();
    this.paint();
  }

  told(state, reason) {
    const { texts, shell, saver } = this;
    shell.tell(texts[state === "conflict" ? "unsaved" : state], state === "saved" || state === "saving" ? "" : "bad");
    if (state === "conflict") {
      const settle = (act) => () => {
        shell.warn("");
        saver[act]();
        this.tellMode();
        this.paint();
      };
      shell.warn(texts.conflict, [[texts.take_theirs, settle("takeTheirs")], [texts.keep_mine, settle("keepMine")]]);
    } else if (state === "unsaved") {
      shell.warn(reason.isLost ? texts.lost : reason.message, [[texts.retry, () => saver.push()]]);
    } else if (state === "saved") {
      shell.warn("");
    }
  }

  tellFace() {
    this.tellMode();
    this.tellCount();
    this.shell.thumbnails(this.faces, this.place);
  }

  tellCount() {
    const { faces, shell, texts, place } = this;
    shell.name.textContent = this.name;
    const sign = faces.isCounted ? "" : "+";
    shell.count.textContent = `${place + 1} / ${faces.names.length}   ${texts.labelled} ${faces.numLabelled}${sign}`;
    for (const cell of shell.strip.children) cell.classList.toggle("is-labelled", faces.labelled.get(cell.title) === 1);
  }

  tellMode() {
    const { mode } = this.drawing;
    const text = { none: "mode_none", draw: "mode_draw", edit: "mode_points" }[mode];
    this.shell.mode.textContent = this.texts[this.shown === "edit" ? text : "view_help"];
    this.shell.press({
      include: this.kind === "include", exclude: this.kind === "exclude", overlay: this.hasOverlay,
      edit: this.shown === "edit", baked: this.shown === "baked", applied: this.shown === "applied",
      red: this.colour === "red", green: this.colour === "green", blue: this.colour === "blue",
    });
  }

  resized() {
    const isNew = this.view.canvas.width === 300; // as the browser makes it
    this.view.resize();
    if (isNew || this.view.zoom === 1) this.view.fit();
    this.paint();
  }

  paint() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      const { drawing, colour, shown, mask, overlay, hand } = this;
      this.view.draw({ drawing, colour, shown, mask, overlay, hovered: hand.hovered, cursor: hand.cursor });
    });
  }
}

function setKind(editor, kind) {
  const { drawing } = editor;
  editor.kind = kind;
  if (drawing.mode !== "none" && drawing.current.include !== (kind === "include")) {
    drawing.flip();
    editor.changed();
  }
}

function setColour(editor, colour) {
  editor.colour = colour;
  return setView(editor, "edit");
}

async function setView(editor, shown) {
  if (editor.drawing.mode !== "none") editor.drawing.leave();
  editor.shown = editor.shown === shown ? "edit" : shown;
  await editor.look();
}

async function copyFrom(editor, way) {
  const { faces, place, drawing } = editor;
  const name = faces.names[place + way];
  const drawn = name ? await editor.link.json({ do: "face", side: faces.side, name }) : { outlines: [] };
  if (!drawn.outlines.length) return editor.shell.tell(editor.texts.copied_none, "bad");
  if (drawing !== editor.drawing) return;
  drawing.leave();
  drawing.append(drawn.outlines);
  editor.changed();
}

async function trace(editor, kind) {
  const { drawing, face } = editor;
  const outlines = await editor.link.json({ do: "trace", ...face, kind });
  if (drawing !== editor.drawing) return;
  drawing.leave();
  drawing.append(outlines);
  editor.changed();
}

async function trash(editor) {
  editor.drawing.leave();
  if (!(await editor.saver.flush())) return;
  const { faces, place, face } = editor;
  await editor.link.json({ do: "trash", ...face });
  faces.remove(face.name);
  editor.isOpen = false;
  editor.saver.forget();
  editor.name = "";
  if (faces.names.length) await editor.go(place);
  else editor.shell.warn(editor.texts.no_faces);
  editor.shell.tell(`${face.name}: ${editor.texts.trashed}`);
}

async function suggest(editor) {
  if (!editor.suggested.length) {
    editor.shell.tell(editor.texts.suggest_help);
    editor.suggested = await editor.link.json({ do: "suggest", side: editor.faces.side });
  }
  await editor.go(editor.faces.names.indexOf(editor.suggested.shift()));
}

function travel(editor, way) {
  if (editor.drawing[way]()) editor.changed();
}

function leave(editor) {
  const wasDrawn = editor.drawing.mode === "draw";
  editor.drawing.leave();
  if (wasDrawn) editor.changed();
}

function nextPoint({ drawing }, way) {
  const count = drawing.current?.points.length ?? 0;
  if (drawing.mode === "edit") drawing.point = (drawing.point + way + count) % count;
}

function nextPolygon({ drawing }) {
  if (drawing.mode !== "draw" && drawing.polygons.length) drawing.choose((drawing.active + 1) % drawing.polygons.length, 0);
}

function remove(editor) {
  if (editor.drawing.mode !== "edit") return;
  editor.drawing.removePolygon();
  editor.changed();
}

const ACTS = {
  include: setKind,
  exclude: setKind,
  red: setColour,
  green: setColour,
  blue: setColour,
  edit: (editor) => editor.shown === "edit" || setView(editor, "edit"),
  baked: setView,
  applied: setView,
  overlay: (editor) => {
    editor.hasOverlay = !editor.hasOverlay;
    return editor.look();
  },
  undo: travel,
  redo: travel,
  delete: remove,
  close: (editor) => editor.drawing.close() && editor.changed(),
  leave,
  click: (editor) => editor.hand.cursor && editor.shown === "edit" && editor.hand.click(editor.hand.cursor, false),
  next_point: (editor) => nextPoint(editor, 1),
  previous_point: (editor) => nextPoint(editor, -1),
  next_polygon: nextPolygon,
  from_previous: (editor) => copyFrom(editor, -1),
  from_next: (editor) => copyFrom(editor, 1),
  trace_applied: (editor) => trace(editor, "applied"),
  trace_hull: (editor) => trace(editor, "hull"),
  suggest,
  trash,
  fit: (editor) => editor.view.fit(),
  jump_field: (editor) => editor.shell.field.select(),
  previous: (editor) => editor.step(-1, {}),
  next: (editor) => editor.step(1, {}),
};

function start() {
  const host = document.getElementById("mask-editor");
  if (!host) return void requestAnimationFrame(start); // the page's elements come a little later
  const editor = new Editor(host);
  const [side, name] = location.hash.slice(1).split("/").map(decodeURIComponent);
  listen(editor);
  window.addEventListener("beforeunload", (event) => {
    if (!editor.saver.isQuiet) event.preventDefault();
  });
  editor.open(side === "dst" ? "dst" : "src", name).catch((error) => editor.shell.warn(error.message));
  setInterval(() => editor.watch().catch((error) => editor.shell.tell(error.isLost ? editor.texts.lost : error.message, "bad")), LOOK_MS);
}

start();
