// The first screen asks for itself anew, and puts in place only what has changed: where one is on the page, what has
// the focus and what is open stay. Without this script the page is a page like any other.
"use strict";

const page = document.querySelector("[data-refresh]");
const lost = document.getElementById("lost");

// Where the focus is within a part: by its id, else by its place among what can have it.
const FOCUSABLE = "a, button, input, select, summary, [tabindex]";

function put(old, fresh) {
  if (!fresh || (old.innerHTML === fresh.innerHTML && old.className === fresh.className)) return;
  const open = new Set([...old.querySelectorAll("details[open]")].map((it) => it.id));
  const scrolled = [...old.querySelectorAll("[tabindex]")].map((it) => [it.scrollLeft, it.scrollTop]);
  const place = [...old.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
  old.className = fresh.className;
  old.replaceChildren(...fresh.childNodes);
  for (const it of old.querySelectorAll("details")) it.open = it.open || open.has(it.id);
  old.querySelectorAll("[tabindex]").forEach((it, at) => it.scrollTo(...(scrolled[at] ?? [0, 0])));
  if (place >= 0) old.querySelectorAll(FOCUSABLE)[place]?.focus({ preventScroll: true });
}

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { headers: { "X-Refresh": "1" } });
    if (answer.status === 401) return location.reload(); // the session is over
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) put(part, fresh.getElementById(part.id));
    lost.textContent = "";
  } catch {
    lost.textContent = lost.dataset.words;
  }
}

setInterval(refresh, Number(page.dataset.refresh) * 1000);
document.addEventListener("visibilitychange", refresh);
document.getElementById("anew").addEventListener("click", (event) => {
  event.preventDefault();
  refresh();
});
