// The picture on the canvas: where it lies, and what is drawn over it.

const COLOURS = { red: "255,70,70", green: "70,230,100", blue: "80,150,255" };
const MOST_ZOOM = 20;
const CROSS_PX = 4;

export class View {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.zoom = 1; // over the picture fitted into the canvas
    this.left = this.top = 0;
    this.picture = null;
  }

  get width() {
    return this.canvas.clientWidth;
  }

  get height() {
    return this.canvas.clientHeight;
  }

  get fitted() {
    const { width, height } = this.picture ?? { width: 1, height: 1 };
    return Math.min((this.width - 16) / width, (this.height - 16) / height);
  }

  // Screen pixels for one pixel of the face.
  get scale() {
    return this.fitted * this.zoom;
  }

  show(picture) {
    const same = this.picture && this.picture.width === picture.width && this.picture.height === picture.height;
    this.picture = picture;
    if (!same) this.fit();
  }

  fit() {
    if (!this.picture) return;
    this.zoom = 1;
    this.left = (this.width - this.picture.width * this.scale) / 2;
    this.top = (this.height - this.picture.height * this.scale) / 2;
  }

  toFace([x, y]) {
    return [(x - this.left) / this.scale, (y - this.top) / this.scale];
  }

  toScreen([x, y]) {
    return [this.left + x * this.scale, this.top + y * this.scale];
  }

  pan(dx, dy) {
    this.left += dx;
    this.top += dy;
  }

  // One notch of the wheel; what lies under the pointer stays there.
  zoomBy(notches, at) {
    const held = this.toFace(at);
    const step = (0.2 + this.zoom / 10) * notches;
    this.zoom = Math.min(MOST_ZOOM, Math.max(1, this.zoom + step));
    const [x, y] = this.toScreen(held);
    this.pan(at[0] - x, at[1] - y);
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  draw({ drawing, hovered, cursor, colour, shown, mask, overlay }) {
    const { context } = this;
    context.clearRect(0, 0, this.width, this.height);
    if (!this.picture) return;
    context.imageSmoothingEnabled = this.scale < 3;
    this.lay(shown === "edit" ? this.picture : mask ?? this.picture);
    if (shown !== "edit") return;
    if (overlay) this.lay(overlay);
    drawing.polygons.forEach((polygon, index) => this.outline(polygon, drawing, index, { hovered, colour, cursor }));
    if (cursor && drawing.mode !== "edit") this.cross(cursor, "rgb(240,240,240)", 7);
  }

  lay(image) {
    const { width, height } = this.picture;
    this.context.drawImage(image, this.left, this.top, width * this.scale, height * this.scale);
  }

  outline({ include, points }, drawing, index, { hovered, colour, cursor }) {
    const { context } = this;
    const isActive = index === drawing.active;
    const isDrawn = isActive && drawing.mode === "draw";
    context.beginPath();
    points.forEach((point) => context.lineTo(...this.toScreen(point)));
    if (!isDrawn) context.closePath();
    if (hovered === index && drawing.mode === "none") {
      context.fillStyle = `rgba(${COLOURS[colour]},${72 / 255})`;
      context.fill();
    }
    context.setLineDash(include ? [] : [2, 4]);
    for (const [style, line] of [["rgba(0,0,0,.55)", 4], [`rgb(${COLOURS[colour]})`, 2]]) {
      context.strokeStyle = style;
      context.lineWidth = line;
      context.stroke();
    }
    if (isDrawn && cursor) this.leash(points.at(-1), cursor, colour);
    context.setLineDash([]);
    const isQuiet = drawing.mode !== "none" && !isActive;
    if (!isQuiet) points.forEach((point) => this.cross(point, `rgb(${COLOURS[colour]})`, CROSS_PX));
    if (isActive && points[drawing.point]) this.knob(points[drawing.point]);
    if (isDrawn && points.length >= 3) this.knob(points[0]);
  }

  leash(from, to, colour) {
    const { context } = this;
    context.beginPath();
    context.moveTo(...this.toScreen(from));
    context.lineTo(...this.toScreen(to));
    context.strokeStyle = `rgba(${COLOURS[colour]},.6)`;
    context.lineWidth = 1;
    context.stroke();
  }

  cross(point, style, reach) {
    const { context } = this;
    const [x, y] = this.toScreen(point);
    context.beginPath();
    context.moveTo(x - reach, y);
    context.lineTo(x + reach, y);
    context.moveTo(x, y - reach);
    context.lineTo(x, y + reach);
    for (const [colour, line] of [["rgba(0,0,0,.6)", 3], [style, 1.25]]) {
      context.strokeStyle = colour;
      context.lineWidth = line;
      context.stroke();
    }
  }

  knob(point) {
    const { context } = this;
    context.beginPath();
    context.arc(...this.toScreen(point), 6, 0, 2 * Math.PI);
    context.strokeStyle = "#fff";
    context.lineWidth = 1.5;
    context.stroke();
  }
}

// A grey mask as a veil: what it leaves out at half its brightness.
export async function veil(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, bitmap.width, bitmap.height);
  for (let i = 0; i < pixels.data.length; i += 4) {
    pixels.data[i + 3] = Math.round((255 - pixels.data[i]) / 2);
    pixels.data[i] = pixels.data[i + 1] = pixels.data[i + 2] = 0;
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}
