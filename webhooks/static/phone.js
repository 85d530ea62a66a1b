// The two phones. The server says what is so; this draws it, and hands over what is typed, pressed and switched.
"use strict";

const words = JSON.parse(document.body.dataset.words);
const chips = JSON.parse(document.body.dataset.chips);
const language = document.documentElement.lang;
const SVG = "http://www.w3.org/2000/svg";
const POLL = 700;
const MEMORY = "ramz-said";
const PATHS = {
  queued: "M8 2a5 5 0 1 0 .01 0M8 4.5v2.7l1.8 1",
  accepted: "M3 7l3.2 3.2L13 3.5",
  delivered: "M1 7l3.2 3.2L11 3.5M7.5 9.5l.8.7L15 3.5",
  failed: "M4 3l8 8M12 3l-8 8",
};

// A phone's own memory: what was texted from it in this tab, and when time was moved on.
const said = JSON.parse(sessionStorage.getItem(MEMORY) || "[]");
const phones = [...document.querySelectorAll("[data-phone]")].map((section) => ({
  section,
  place: section.dataset.phone,
  select: section.querySelector("select"),
  screen: section.querySelector(".screen"),
  list: section.querySelector(".screen ol"),
  bubbles: new Map(),
  other: section.querySelector("[data-other]"),
  get number() { return this.select.value || whole(this.other.value); },
  get chips() { return chips[this.select.value || "stranger"]; },
}));

// A number as the carrier writes it, with whatever digits it was typed; empty for what is no mobile.
function whole(written) {
  const plain = written.replace(/[۰-۹]/g, (digit) => "۰۱۲۳۴۵۶۷۸۹".indexOf(digit)).replace(/[^0-9]/g, "");
  const found = /^(?:0098|98|0)?(9[0-9]{9})$/.exec(plain);
  return found ? `+98${found[1]}` : "";
}

const number = new Intl.NumberFormat(language === "fa" ? "fa-IR" : "en-GB", { useGrouping: false });
const time = new Intl.DateTimeFormat(language === "fa" ? "fa-IR" : "en-GB", {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: "Asia/Tehran",
});

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function fill(pattern, value) {
  return pattern.replace("{}", number.format(value));
}

// Nothing of a person stands in an address, so nothing of one gets into a log of addresses.
async function ask(path, body) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer;
}

// What a phone shows

function tick(kind) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 13");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[kind]);
  svg.append(path);
  return element("span", { className: `tick ${kind}` }, svg, words.ticks[kind]);
}

function measure(size, length) {
  const texts = size.segments === 1 ? words.segments_1 : fill(words.segments_n, size.segments);
  const limit = size.segments === 1 ? `/${number.format(size.limit)}` : "";
  const counted = element("span", { dir: "ltr", textContent: `${number.format(size.units)}${limit} ${size.encoding}` });
  const characters = length === size.units ? [] : [`${number.format(length)} ${words.chars}`];
  return [...characters, counted, texts];
}

function wording(phone, text, code) {
  const paragraph = element("p", { dir: "auto" });
  const place = code ? text.indexOf(code) : -1;
  if (place < 0) {
    paragraph.textContent = text;
    return paragraph;
  }
  const button = element("button", { type: "button", className: "code", textContent: code });
  button.setAttribute("aria-label", `${words.send_code}: ${code}`);
  button.addEventListener("click", () => textBot(phone, code));
  paragraph.append(text.slice(0, place), button, text.slice(place + code.length));
  return paragraph;
}

const NOT_THERE = { queued: words.on_its_way, accepted: words.late, delivered: words.late, failed: words.not_delivered };

function draw(bubble, phone, it) {
  const there = it.text !== undefined;
  const about = element("small", {}, element("time", { dateTime: it.at, textContent: time.format(new Date(it.at)) }));
  if (there) about.append(...measure(it.size, [...it.text].length).map((part) => element("span", {}, part)));
  about.append(tick(it.tick));
  const sender = element("span", { className: "unseen", textContent: it.mine ? words.from_phone : words.from_bot });
  bubble.className = `bubble${it.mine ? " mine" : ""}${there ? "" : " faint"}`;
  bubble.replaceChildren(sender, wording(phone, there ? it.text : NOT_THERE[it.tick], it.code), about);
}

function ownTexts(phone) {
  return said
    .filter((it) => it.from === phone.number)
    .map((it) => ({ ...it, mine: true, tick: it.heard ? "delivered" : "failed" }));
}

function show(phone, texts) {
  // What came at the same moment is the answer: it comes after what was said.
  const all = [...ownTexts(phone), ...texts].sort((one, other) => Date.parse(one.at) - Date.parse(other.at));
  const seen = new Set(all.map((it) => String(it.id)));
  for (const [id, bubble] of phone.bubbles) {
    if (!seen.has(id)) { bubble.remove(); phone.bubbles.delete(id); }
  }
  phone.list.querySelector(".nothing")?.remove();
  if (!all.length) phone.list.append(element("li", { className: "nothing", textContent: words.nothing }));
  let fresh = false;
  all.forEach((it, place) => {
    const id = String(it.id);
    const asIs = JSON.stringify(it);
    const bubble = phone.bubbles.get(id) ?? element("li");
    if (bubble.dataset.as !== asIs) { draw(bubble, phone, it); bubble.dataset.as = asIs; fresh = true; }
    if (phone.list.children[place] !== bubble) phone.list.insertBefore(bubble, phone.list.children[place] ?? null);
    phone.bubbles.set(id, bubble);
  });
  if (fresh) phone.screen.scrollTop = phone.screen.scrollHeight;
}

// What stands beside the phones

function showState(phone, states) {
  phone.section.querySelector("[data-state]").textContent = states.join(" · ");
  phone.states = states;
  const last = said.findLast((it) => it.from === phone.number);
  phone.event = last?.event ?? "";
  phone.section.querySelector("[data-event]").textContent = phone.event;
  phone.section.querySelector("[data-rule]").textContent = last?.rule ? [last.rule, ...(last.by ?? [])].join(" · ") : "";
  phone.section.querySelector(".understood").hidden = !phone.event;
  phone.section.querySelector(".call").hidden = !last?.call;
  phone.section.querySelector("[data-call]").textContent = last?.call ?? "";
}

function showDiagram() {
  for (const box of document.querySelectorAll("[data-box]")) {
    const here = phones.filter((phone) => phone.states?.includes(box.dataset.box));
    box.classList.toggle("lit", here.length > 0);
    for (const mark of box.querySelectorAll("[data-at]")) {
      mark.classList.toggle("lit", here.some((phone) => phone.place === mark.dataset.at));
    }
    for (const entry of box.querySelectorAll("[data-entry]")) {
      entry.classList.toggle("lit", here.some((phone) => phone.event === entry.dataset.entry));
    }
  }
}

function showRows(phone, tables) {
  const part = document.querySelector(`[data-rows="${phone.place}"]`);
  for (const [name, found] of Object.entries(tables)) {
    const table = part.querySelector(`[data-table="${name}"] table`);
    const asIs = JSON.stringify(found);
    if (table.dataset.as === asIs) continue;
    table.dataset.as = asIs;
    const rows = found.rows.length ? found.rows : [[words.no_rows]];
    const head = found.names.map((it) => element("th", { scope: "col", textContent: it }));
    table.tHead.replaceChildren(...(head.length ? [element("tr", {}, ...head)] : []));
    table.tBodies[0].replaceChildren(
      ...rows.map((row) => element("tr", {}, ...row.map((it) => element("td", { textContent: it })))),
    );
  }
}

// How often a fault has been switched. An answer to what was asked before the last time says nothing of the switches.
let switched = 0;
function showSimulation(now, asked) {
  const clock = document.getElementById("clock");
  if (!clock) return;
  clock.textContent = time.format(new Date(now.now));
  document.getElementById("ahead").textContent = now.ahead ? fill(words.ahead, Math.round(now.ahead / 60)) : "";
  if (asked !== switched) return;
  for (const box of document.querySelectorAll(".faults input")) {
    if (!box.disabled) box.checked = now.faults.includes(box.name);
  }
}

async function refresh() {
  const chosen = phones.map((phone) => phone.number);
  const asked = switched;
  try {
    const now = await (await ask("/phone/now", { numbers: chosen })).json();
    if (phones.some((phone, place) => phone.number !== chosen[place])) return;
    for (const phone of phones) {
      const found = now.phones[phone.number];
      if (!found) continue; // a number that is being typed
      show(phone, found.texts);
      showState(phone, found.states);
      showRows(phone, found.rows);
    }
    showDiagram();
    showSimulation(now, asked);
    document.getElementById("lost").hidden = true;
  } catch {
    document.getElementById("lost").hidden = false;
  }
}

let waiting;
async function keepLooking() {
  clearTimeout(waiting);
  await refresh();
  clearTimeout(waiting);
  waiting = setTimeout(keepLooking, POLL);
}

// What is done to them

// One after another, in the order in which they were pressed.
let busy = Promise.resolve();
function doing(work) {
  busy = busy.then(work).catch(() => { document.getElementById("lost").hidden = false; });
  busy.then(keepLooking);
}

function remember(it) {
  said.push(it);
  sessionStorage.setItem(MEMORY, JSON.stringify(said));
}

function textBot(phone, text) {
  const from = phone.number;
  if (!from) return phone.other.focus();
  return doing(async () => {
    const heard = await (await ask("/phone/texts", { from, text })).json();
    remember({ ...heard, from, text });
  });
}

function dress(phone) {
  for (const chip of phone.section.querySelectorAll("[data-chip]")) {
    const text = phone.chips[chip.dataset.chip];
    chip.title = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  }
}

for (const phone of phones) {
  const form = phone.section.querySelector("form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = form.elements.text.value;
    form.reset();
    textBot(phone, text);
  });
  phone.section.querySelector(".chips").addEventListener("click", (event) => {
    const chip = event.target.closest("[data-chip]");
    if (chip) textBot(phone, phone.chips[chip.dataset.chip]);
  });
  const change = () => {
    phone.section.querySelector(".other").hidden = phone.select.value !== "";
    phone.list.replaceChildren();
    phone.bubbles.clear();
    dress(phone);
    keepLooking();
  };
  phone.select.addEventListener("change", change);
  phone.other.addEventListener("change", change);
  dress(phone);
}

for (const box of document.querySelectorAll(".faults input")) {
  box.addEventListener("change", () => {
    const on = box.checked;
    box.disabled = true; // until the server has it, what it says of the switch is old
    doing(async () => {
      try {
        await ask("/phone/faults", { name: box.name, on });
      } finally {
        switched += 1;
        box.disabled = false;
      }
    });
  });
}

document.getElementById("later")?.addEventListener("click", () => doing(async () => {
  remember(await (await ask("/phone/later", {})).json());
}));

document.getElementById("copy").addEventListener("click", () => doing(async () => {
  const dialog = document.getElementById("transcript");
  const area = dialog.querySelector("textarea");
  area.value = await (await ask("/phone/transcript", { said })).text();
  dialog.showModal();
  area.select();
  area.scrollTop = 0;
  const copied = await navigator.clipboard?.writeText(area.value).then(() => true, () => false);
  dialog.querySelector("[role=status]").textContent = copied ? words.copied : words.copy_by_hand;
}));

keepLooking();
