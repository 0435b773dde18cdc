// The faces of a side: names in order, which are labelled, pictures of those around the shown one.

const AT_ONCE = 100;
const MOST_HELD = 48;

export class Faces {
  constructor(link, workspace) {
    this.link = link;
    this.workspace = workspace;
    this.open("src", []);
  }

  open(side, names) {
    this.side = side;
    this.names = names;
    this.labelled = new Map(); // 1 labelled, 0 not
    this.held = new Map();
    this.folder = `data_${side}/aligned`;
  }

  get numLabelled() {
    let count = 0;
    for (const value of this.labelled.values()) count += value === 1;
    return count;
  }

  get isCounted() {
    return this.names.every((name) => this.labelled.has(name));
  }

  remove(name) {
    this.names = this.names.filter((other) => other !== name);
    this.labelled.delete(name);
    this.held.delete(name);
  }

  // Finds out which faces are labelled, a part at a time; what is no face leaves the list.
  async count(told) {
    const side = this.side;
    for (;;) {
      const unknown = this.names.filter((name) => !this.labelled.has(name)).slice(0, AT_ONCE);
      if (!unknown.length || side !== this.side) return;
      await this.look(unknown);
      told();
    }
  }

  async look(names) {
    const side = this.side;
    const found = await this.link.json({ do: "labelled", side, names });
    if (side !== this.side) return;
    names.forEach((name, index) => {
      if (found[index] < 0) this.remove(name);
      else if (!this.labelled.has(name)) this.labelled.set(name, found[index]);
    });
  }

  // Place of the next labelled face from `start` on that way; -1 if there is none.
  async nextLabelled(start, way) {
    for (let place = start + way; place >= 0 && place < this.names.length; place += way) {
      const name = this.names[place];
      if (!this.labelled.has(name)) await this.look([name]);
      if (this.labelled.get(name) === 1) return this.names.indexOf(name);
    }
    return -1;
  }

  // The face's picture, pixel for pixel.
  picture(name) {
    if (!this.held.has(name)) {
      const path = `${this.folder}/${name}`.split("/").map(encodeURIComponent).join("/");
      const made = fetch(`/files/${this.workspace}/${path}`).then(async (answer) => {
        if (!answer.ok) throw new Error((await answer.json()).error);
        return createImageBitmap(await answer.blob());
      });
      made.catch(() => this.held.delete(name));
      this.held.set(name, made);
      if (this.held.size > MOST_HELD) this.held.delete(this.held.keys().next().value);
    }
    return this.held.get(name);
  }
}
