// The mouse on the canvas: what a click, a drag, the wheel and held Shift do to the drawing.

const REACH_PX = 8;

export class Hand {
  // The editor gives drawing, view, kind; it is told of changes and of what only looks different.
  constructor(editor, canvas) {
    this.editor = editor;
    this.canvas = canvas;
    this.dragging = ""; // point or pan
    this.cursor = null; // in pixels of the face
    this.hovered = -1;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", () => this.up());
    canvas.addEventListener("pointercancel", () => this.up());
    canvas.addEventListener("pointerleave", () => this.rest());
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  get isCentred() {
    return document.pointerLockElement === this.canvas;
  }

  get reach() {
    return REACH_PX / this.editor.view.scale;
  }

  rest() {
    if (this.dragging) return;
    this.cursor = null;
    this.hovered = -1;
    this.editor.paint();
  }

  down(event) {
    if (!this.editor.isOpen || this.dragging) return;
    this.canvas.focus();
    if (event.button === 1) {
      this.dragging = "pan";
      this.canvas.setPointerCapture(event.pointerId);
      event.preventDefault();
    } else if (event.button === 0 && this.editor.shown === "edit") {
      if (!this.isCentred) this.cursor = this.place(event);
      this.click(this.cursor, event.ctrlKey || event.metaKey);
      if (this.dragging) this.canvas.setPointerCapture(event.pointerId);
    }
  }

  // What a click at a place of the face does; keys can do the same.
  click(at, isCtrl) {
    const { drawing } = this.editor;
    if (drawing.mode === "draw") this.draw(drawing, at);
    else if (drawing.mode === "edit") this.edit(drawing, at, isCtrl);
    else this.start(drawing, at);
    this.editor.paint();
  }

  start(drawing, at) {
    const found = drawing.find(at, this.reach);
    if (found) return drawing.choose(found.polygon, found.point ?? -1);
    drawing.begin(at, this.editor.kind === "include");
    this.editor.changed();
  }

  draw(drawing, at) {
    const [x, y] = drawing.current.points[0];
    const isFirst = Math.hypot(x - at[0], y - at[1]) <= this.reach;
    if (isFirst && drawing.canClose) drawing.close();
    else drawing.add(at);
    this.editor.changed();
  }

  edit(drawing, at, isCtrl) {
    const found = drawing.find(at, this.reach, drawing.active);
    if (!found) return isCtrl ? undefined : drawing.leave();
    const isPoint = found.point !== undefined;
    if (isCtrl && isPoint) drawing.removePoint(found.point);
    else if (isCtrl) drawing.insertPoint(found.edge, rounded(found.place));
    else if (isPoint) return this.grab(drawing, found.point);
    if (isCtrl) this.editor.changed();
  }

  grab(drawing, point) {
    drawing.point = point;
    this.dragging = "point";
    this.hasMoved = false;
  }

  move(event) {
    if (!this.editor.isOpen) return;
    const { view, drawing } = this.editor;
    if (this.isCentred) {
      view.pan(-event.movementX, -event.movementY);
      this.cursor = rounded(view.toFace([view.width / 2, view.height / 2]));
    } else if (this.dragging === "pan") {
      view.pan(event.movementX, event.movementY);
    } else {
      this.cursor = this.place(event);
      if (this.dragging === "point") this.drag(drawing);
      else this.hovered = drawing.find(this.cursor, this.reach)?.polygon ?? -1;
    }
    this.editor.paint();
  }

  drag(drawing) {
    if (!this.hasMoved) drawing.remember();
    this.hasMoved = true;
    drawing.move(this.cursor);
  }

  up() {
    if (this.dragging === "point" && this.hasMoved) this.editor.changed();
    this.dragging = "";
  }

  wheel(event) {
    event.preventDefault();
    const at = [event.offsetX, event.offsetY];
    this.editor.view.zoomBy(-Math.sign(event.deltaY), at);
    this.editor.paint();
  }

  // While Shift is held and a polygon is drawn, the picture moves under a pointer that stands still.
  centre(isHeld) {
    const { view, drawing } = this.editor;
    if (!isHeld && this.isCentred) document.exitPointerLock();
    if (!isHeld || drawing.mode !== "draw" || this.isCentred || !this.cursor) return;
    const [x, y] = view.toScreen(this.cursor);
    const locked = () => {
      view.pan(view.width / 2 - x, view.height / 2 - y);
      this.editor.paint();
    };
    // A browser may refuse to hold the pointer; then it moves as ever.
    this.canvas.requestPointerLock().then(locked, (error) => this.editor.shell.tell(error.message));
  }

  place(event) {
    return rounded(this.editor.view.toFace([event.offsetX, event.offsetY]));
  }
}

export function rounded([x, y]) {
  return [Math.round(x * 100) / 100, Math.round(y * 100) / 100];
}
