// Saves what is drawn, at once and in order; tells of a conflict instead of settling it.

const AGAIN_MS = 2000;

export class Saver {
  // told(state, reason): "saved", "saving", "unsaved" with a reason, or "conflict".
  constructor(link, told) {
    this.link = link;
    this.told = told;
    this.forget();
  }

  forget() {
    clearTimeout(this.timer);
    this.face = null; // {side, name}
    this.drawing = null;
    this.version = "";
    this.isDirty = false;
    this.theirs = null;
    this.work = null;
  }

  open(face, drawing, version) {
    this.forget();
    Object.assign(this, { face, drawing, version });
    this.told("saved");
  }

  get isQuiet() {
    return !this.isDirty && this.work === null && this.theirs === null;
  }

  change() {
    this.isDirty = true;
    if (this.theirs === null) this.push();
  }

  // Whether all is on disk; waits for what is under way.
  async flush() {
    if (this.isDirty && this.theirs === null) this.push();
    await this.work;
    return this.isQuiet;
  }

  takeTheirs() {
    const { version, outlines } = this.theirs;
    this.drawing.replace(outlines);
    Object.assign(this, { version, theirs: null, isDirty: false });
    this.told("saved");
  }

  keepMine() {
    this.version = this.theirs.version;
    this.theirs = null;
    this.change();
  }

  push() {
    clearTimeout(this.timer);
    this.work ??= this.send().finally(() => (this.work = null));
  }

  async send() {
    const face = this.face;
    while (this.isDirty && this.theirs === null) {
      this.isDirty = false;
      this.told("saving");
      try {
        const { version } = this;
        const saved = await this.link.json({ do: "save", ...face, version, outlines: this.drawing.outlines() });
        if (saved.is_written) this.version = saved.now.version;
        else Object.assign(this, { theirs: saved.now, isDirty: true });
      } catch (error) {
        this.isDirty = true;
        this.told("unsaved", error);
        this.timer = setTimeout(() => this.push(), AGAIN_MS);
        return;
      }
    }
    this.told(this.theirs === null ? "saved" : "conflict");
  }
}
