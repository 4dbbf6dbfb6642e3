// Asks one question after another. The server knows where a rater is; this page only shows it.

import { View } from "./view.js";

const by = (id) => document.getElementById(id);
const SCREENS = ["welcome", "rating", "paused", "finished"];
const buttons = { left: by("choose-left"), right: by("choose-right"), tie: by("choose-tie") };
const panes = { left: by("pane-left"), right: by("pane-right") };

let about = {}; // of the study
let state = null; // of the rater: the open question
let ready = false; // both pictures are shown and an answer is awaited
let visible = 0; // milliseconds that this question was looked at
let since = null; // when looking began, null while the page is hidden
let zoomed = false;

const view = new View(Object.values(panes), by("panes"), (now) => {
  zoomed ||= now;
  by("zoom").setAttribute("aria-pressed", String(now));
});

function screen(name) {
  for (const each of SCREENS) by(each).hidden = each !== name;
}

async function call(path, body) {
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  for (let wait = 500; ; wait = Math.min(2 * wait, 8000)) {
    try {
      const response = await fetch(path, options);
      if (response.status < 500) {
        by("status").textContent = "";
        return { ok: response.ok, ...(await response.json()) };
      }
    } catch {
      // No connection: an answer sent twice counts once, so asking again is safe.
    }
    by("status").textContent = "No connection to the study. Trying again …";
    await new Promise((done) => setTimeout(done, wait));
  }
}

function introduce(found) {
  about = found;
  for (const each of document.querySelectorAll("h1.question")) each.textContent = about.question;
  for (const each of document.querySelectorAll(".count")) each.textContent = about.questions;
  for (const each of document.querySelectorAll(".ties")) each.hidden = !about.ties;
  for (const each of document.querySelectorAll(".input")) each.hidden = !about.input;
}

function load(image, name) {
  image.classList.add("waiting");
  image.src = `picture/${name}.png`;
  return image.decode();
}

async function show(next) {
  if (!next.ok) {
    location.reload(); // no rater of this study any more
    return;
  }
  state = next;
  setReady(false);
  by("progress").max = state.questions;
  by("progress").value = state.place;
  by("count").textContent = `${Math.min(state.place + 1, state.questions)} / ${state.questions}`;
  by("undo").disabled = state.place === 0;
  if (state.finished) {
    screen("finished");
    return;
  }
  screen("rating");
  showInput(false);
  const mine = state;
  const images = Object.entries(panes).map(([side, pane]) => [pane.querySelector("img"), state.pictures[side]]);
  const loading = images.map(([image, name]) => load(image, name));
  for (let tries = 1; ; tries += 1) {
    try {
      await Promise.all(loading);
      break;
    } catch {
      if (state !== mine) return;
      by("status").textContent = "The pictures do not load. Trying again …";
      await new Promise((done) => setTimeout(done, 1000 * tries));
      images.forEach(([image, name], i) => (loading[i] = load(image, `${name}`)));
    }
  }
  if (state !== mine) return;
  by("status").textContent = "";
  view.show(state.width, state.height);
  zoomed = false;
  // Both at once, so that neither gets a longer look.
  for (const [image] of images) image.classList.remove("waiting");
  visible = 0;
  since = null;
  setReady(true);
  watch();
  if (state.pictures.input) new Image().src = `picture/${state.pictures.input}.png`;
}

function setReady(now) {
  ready = now;
  for (const button of Object.values(buttons)) button.disabled = !now;
}

async function choose(choice) {
  if (!ready || (choice === "tie" && !about.ties)) return;
  setReady(false);
  const milliseconds = Math.round(visible + (since === null ? 0 : performance.now() - since));
  await show(await call("api/answer", { place: state.place, choice, milliseconds, zoomed }));
}

async function undo() {
  if (!state || state.place === 0 || (!ready && !state.finished)) return;
  setReady(false);
  await show(await call("api/undo", {}));
}

// While held, both panes show the blurry input.
function showInput(on) {
  const wanted = on && ready && state.pictures.input;
  by("input").setAttribute("aria-pressed", String(Boolean(wanted)));
  for (const pane of Object.values(panes)) {
    pane.querySelector("img.over")?.remove();
    if (!wanted) continue;
    const image = new Image();
    image.className = "over";
    image.alt = "The blurry original";
    image.draggable = false;
    image.src = `picture/${state.pictures.input}.png`;
    pane.insertBefore(image, pane.querySelector("figcaption"));
  }
  view.draw();
}

const KEYS = {
  ArrowLeft: () => choose("left"),
  1: () => choose("left"),
  ArrowRight: () => choose("right"),
  2: () => choose("right"),
  ArrowDown: () => choose("tie"),
  0: () => choose("tie"),
  " ": () => ready && view.toggle(),
  Backspace: undo,
  b: () => showInput(true),
};

document.addEventListener("keydown", (event) => {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const action = KEYS[key];
  // A button reached with Tab keeps the keys that press it.
  const pressing = key === " " && event.target.matches("button:focus-visible");
  const rating = !by("rating").hidden || (key === "Backspace" && !by("finished").hidden);
  if (!action || !rating || pressing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  if (!event.repeat) action();
});
document.addEventListener("keyup", (event) => {
  if (event.key.toLowerCase() === "b") showInput(false);
});
window.addEventListener("blur", () => showInput(false));

// Time counts only while the pictures can be seen.
function watch() {
  const seen = ready && !document.hidden && !by("rating").hidden;
  if (!seen && since !== null) visible += performance.now() - since;
  if (!seen) since = null;
  else since ??= performance.now();
}
document.addEventListener("visibilitychange", watch);

function pause(on) {
  if (!ready) return;
  showInput(false);
  by("link").value = `${location.origin}${location.pathname}#${about.token}`;
  screen(on ? "paused" : "rating");
  watch();
}
by("pause").addEventListener("click", () => pause(true));
by("go-on").addEventListener("click", () => pause(false));
by("link").addEventListener("focus", () => by("link").select());

for (const [choice, button] of Object.entries(buttons)) button.addEventListener("click", () => choose(choice));
by("zoom").addEventListener("click", () => ready && view.toggle());
for (const id of ["undo", "undo-last"]) by(id).addEventListener("click", undo);
const hold = by("input");
hold.addEventListener("pointerdown", () => showInput(true));
for (const kind of ["pointerup", "pointercancel", "pointerleave"]) hold.addEventListener(kind, () => showInput(false));
hold.addEventListener("contextmenu", (event) => event.preventDefault());
by("begin").addEventListener("click", async () => {
  by("begin").disabled = true;
  await join({});
});
// A click leaves no focus on a button, or the next space would press it again.
document.addEventListener("pointerup", () => setTimeout(() => {
  if (document.activeElement?.matches("button")) document.activeElement.blur();
}));

async function join(body) {
  const found = await call("api/join", body);
  if (!found.ok) return false;
  introduce(found);
  await show(found);
  return true;
}

async function start() {
  // What follows # never reaches a server's log; it is how a rater goes on in another browser.
  const token = location.hash.slice(1);
  if (token) {
    history.replaceState(null, "", location.pathname);
    if (await join({ token })) return;
  }
  const found = await call("api/state");
  introduce(found);
  if (found.rater) await show(found);
  else screen("welcome");
}

start();
