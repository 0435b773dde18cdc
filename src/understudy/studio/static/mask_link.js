// Questions to the server about labels, each answered or failed; the connection opens itself again.

export class Link {
  constructor(workspace) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.address = `${scheme}://${location.host}/socket/labels/${workspace}`;
    this.waiting = new Map();
    this.number = 0;
    this.socket = null;
  }

  // Bytes of the answer; fails with the server's reason, or with isLost where there is no server.
  async bytes(question) {
    const socket = await this.opened();
    const id = (this.number = (this.number + 1) % 2 ** 32);
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      socket.send(JSON.stringify({ id, ...question }));
    });
  }

  async json(question) {
    return JSON.parse(new TextDecoder().decode(await this.bytes(question)));
  }

  opened() {
    if (this.socket === null) this.socket = this.connect();
    return this.socket;
  }

  connect() {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(this.address);
      socket.binaryType = "arraybuffer";
      socket.onopen = () => resolve(socket);
      socket.onmessage = (event) => this.receive(event.data);
      socket.onclose = () => {
        this.socket = null;
        reject(lost());
        for (const { reject: fail } of this.waiting.values()) fail(lost());
        this.waiting.clear();
      };
    });
  }

  receive(data) {
    const isText = typeof data === "string";
    const failed = isText ? JSON.parse(data) : null;
    const id = isText ? failed.id : new DataView(data).getUint32(0, true);
    const asked = this.waiting.get(id);
    this.waiting.delete(id);
    if (isText) asked?.reject(new Error(failed.error));
    else asked?.resolve(data.slice(4));
  }
}

function lost() {
  return Object.assign(new Error("lost"), { isLost: true });
}
