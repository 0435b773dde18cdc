// Keys of the Masks page. They come before those of the house: figures choose colours and views here.

import { isTyping } from "./keys.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const PLAIN = {
  q: "include", w: "exclude", 1: "red", 2: "green", 3: "blue", 4: "baked", 5: "applied", "`": "overlay",
  c: "from_previous", v: "from_next", f: "fit", g: "jump_field", x: "trash", s: "suggest",
  Enter: "close", Escape: "leave", Delete: "delete", " ": "click", n: "next_polygon", ".": "next_point", ",": "previous_point",
};

export function listen(editor) {
  window.addEventListener("keydown", (event) => {
    if (isTyping(event.target) || event.altKey || document.querySelector("dialog[open], .q-dialog")) return;
    if (event.key === "Shift") return editor.hand.centre(true);
    const onButton = event.target instanceof HTMLElement && event.target.closest("button, a");
    if (onButton && (event.key === "Enter" || event.key === " ")) return;
    if (!handle(editor, event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
  window.addEventListener("keyup", (event) => {
    if (event.key === "Shift") editor.hand.centre(false);
  });
}

function handle(editor, event) {
  const key = sign(event);
  const isCtrl = event.ctrlKey || event.metaKey;
  if (key === "a" || key === "d") {
    editor.step(key === "a" ? -1 : 1, { leap: event.shiftKey, labelled: isCtrl });
    return true;
  }
  if (isCtrl && key === "z") editor.act(event.shiftKey ? "redo" : "undo");
  else if (isCtrl) return false;
  else if (ARROWS[event.key]) editor.nudge(ARROWS[event.key], event.shiftKey ? 0.1 : 1);
  else if (PLAIN[key] && !(event.repeat && key === "x")) editor.act(PLAIN[key]);
  else return false;
  return true;
}

// The letter on the key as it is printed; on keyboards without Latin letters the one that lies there.
function sign(event) {
  if (/^[a-z]$/i.test(event.key)) return event.key.toLowerCase();
  if (/^[\x20-\x7e]$/.test(event.key)) return event.key;
  const letter = /^Key([A-Z])$/.exec(event.code);
  if (letter) return letter[1].toLowerCase();
  return event.code === "Backquote" ? "`" : event.key;
}
