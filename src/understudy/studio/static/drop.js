// Places a clip is dropped on: sends the file as it is, shows how far it is, tells what went wrong.
// An element with data-upload (address), data-sending, data-failed; a file input and an output in it.

function tell(place, text, wrong) {
  const out = place.querySelector("output");
  out.textContent = text;
  place.classList.toggle("is-wrong", wrong);
}

function send(place, file) {
  const request = new XMLHttpRequest();
  request.open("PUT", `${place.dataset.upload}?name=${encodeURIComponent(file.name)}`);
  request.upload.onprogress = (event) => {
    const percent = Math.floor((100 * event.loaded) / Math.max(1, event.total));
    tell(place, `${place.dataset.sending} ${percent} %`, false);
  };
  request.onload = () => {
    if (request.status === 200) return tell(place, place.dataset.sent, false);
    let text = place.dataset.failed;
    try {
      text = JSON.parse(request.responseText).error;
    } catch {
      text += ` (${request.status})`;
    }
    tell(place, text, true);
  };
  request.onerror = () => tell(place, place.dataset.failed, true);
  request.send(file);
}

document.addEventListener("change", (event) => {
  const place = event.target.closest?.("[data-upload]");
  if (place && event.target.files?.length) send(place, event.target.files[0]);
});

for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    const place = event.target.closest?.("[data-upload]");
    document.querySelectorAll(".is-over").forEach((other) => other.classList.remove("is-over"));
    if (kind === "drop" || kind === "dragover") event.preventDefault();
    if (!place) return;
    if (kind === "dragover") place.classList.add("is-over");
    if (kind === "drop" && event.dataTransfer.files.length) send(place, event.dataTransfer.files[0]);
  });
}
