// Keys that work on every page: ? for help, figures for the rooms. Pages add their own modules.

const help = () => document.getElementById("help");

export function isTyping(target) {
  return target instanceof HTMLElement && (target.isContentEditable || target.closest("input, textarea, select, [role=combobox]") !== null);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (event.key === "?") {
    help()?.showModal();
    event.preventDefault();
  } else if (/^[1-9]$/.test(event.key) && !help()?.open && !document.querySelector(".q-dialog")) {
    const link = document.querySelector(`nav a[data-key="${event.key}"]`);
    if (link) {
      link.click();
      event.preventDefault();
    }
  }
});

document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-open-help]")) help()?.showModal();
});
