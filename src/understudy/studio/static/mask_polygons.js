// Polygons of one face and what a hand does to them: draw, change, undo. Knows no screen.
// A polygon is {include, points: [[x, y], ...]} in pixels of the face; those that include come first.

const LEAST_POINTS = 3;
const MOST_STEPS_BACK = 400;

export class Drawing {
  constructor() {
    this.polygons = [];
    this.active = -1; // the polygon that is drawn or changed
    this.point = -1; // its chosen point
    this.mode = "none"; // or draw, edit
    this.past = [];
    this.future = [];
  }

  static of(outlines) {
    const drawing = new Drawing();
    drawing.polygons = fromOutlines(outlines);
    return drawing;
  }

  // What a file holds: finished polygons only.
  outlines() {
    const whole = this.polygons.filter(({ points }) => points.length >= LEAST_POINTS);
    const sorted = [...whole.filter((p) => p.include), ...whole.filter((p) => !p.include)];
    return sorted.map(({ include, points }) => [include, points]);
  }

  holds(outlines) {
    return JSON.stringify(this.outlines()) === JSON.stringify(outlines);
  }

  // All polygons anew, as one step that can be undone.
  replace(outlines) {
    this.remember();
    this.polygons = fromOutlines(outlines);
    this.rest();
  }

  append(outlines) {
    this.remember();
    for (const one of fromOutlines(outlines)) this.insert(one);
    this.rest();
  }

  begin(point, include) {
    this.remember();
    this.active = this.insert({ include, points: [point] });
    this.point = 0;
    this.mode = "draw";
  }

  add(point) {
    this.remember();
    this.point = this.current.points.push(point) - 1;
  }

  get current() {
    return this.polygons[this.active] ?? null;
  }

  get canClose() {
    return this.mode === "draw" && this.current.points.length >= LEAST_POINTS;
  }

  close() {
    if (!this.canClose) return false;
    this.mode = "edit";
    return true;
  }

  // Out of drawing or changing; a polygon that was never finished goes.
  leave() {
    if (this.mode === "draw" && !this.canClose) this.polygons.splice(this.active, 1);
    this.rest();
  }

  choose(polygon, point = -1) {
    this.active = polygon;
    this.point = point;
    this.mode = "edit";
  }

  move(point) {
    this.current.points[this.point] = point;
  }

  insertPoint(after, point) {
    this.remember();
    this.current.points.splice(after + 1, 0, point);
    this.point = after + 1;
  }

  removePoint(index) {
    this.remember();
    const points = this.current.points;
    points.splice(index, 1);
    this.point = Math.min(index, points.length - 1);
    if (points.length < LEAST_POINTS) this.drop();
  }

  removePolygon() {
    this.remember();
    this.drop();
  }

  flip() {
    this.remember();
    const [one] = this.polygons.splice(this.active, 1);
    this.active = this.insert({ ...one, include: !one.include });
  }

  undo() {
    return this.restore(this.past, this.future);
  }

  redo() {
    return this.restore(this.future, this.past);
  }

  // Before a change: what it can be undone to.
  remember() {
    this.past.push(this.copy());
    if (this.past.length > MOST_STEPS_BACK) this.past.shift();
    this.future = [];
  }

  // What lies within `reach` of a point: a point of a polygon before an edge, the topmost first.
  find(at, reach, only = -1) {
    let best = null;
    for (let index = this.polygons.length - 1; index >= 0 && best === null; index--) {
      if (only < 0 || index === only) best = near(this.polygons[index].points, at, reach, index);
    }
    return best;
  }

  insert(one) {
    const first = this.polygons.findIndex((other) => !other.include);
    const place = one.include && first >= 0 ? first : this.polygons.length;
    this.polygons.splice(place, 0, one);
    return place;
  }

  drop() {
    this.polygons.splice(this.active, 1);
    this.rest();
  }

  rest() {
    this.active = this.point = -1;
    this.mode = "none";
  }

  copy() {
    const { polygons, active, point, mode } = this;
    return structuredClone({ polygons, active, point, mode });
  }

  restore(from, to) {
    const state = from.pop();
    if (!state) return false;
    to.push(this.copy());
    Object.assign(this, state);
    return true;
  }
}

function fromOutlines(outlines) {
  return outlines.map(([include, points]) => ({ include, points: points.map(([x, y]) => [x, y]) }));
}

function near(points, at, reach, polygon) {
  let best = null;
  points.forEach((point, index) => {
    const gap = distance(point, at);
    if (gap <= reach && (best === null || gap < best.gap)) best = { polygon, point: index, gap };
  });
  if (best !== null) return best;
  points.forEach((start, index) => {
    const place = project(at, start, points[(index + 1) % points.length]);
    const gap = distance(place, at);
    if (gap <= reach && (best === null || gap < best.gap)) best = { polygon, edge: index, place, gap };
  });
  return best;
}

function project(at, [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : ((at[0] - ax) * dx + (at[1] - ay) * dy) / length;
  const part = Math.min(1, Math.max(0, along));
  return [ax + part * dx, ay + part * dy];
}

function distance([ax, ay], [bx, by]) {
  return Math.hypot(ax - bx, ay - by);
}
