"use strict";

// Decides without loading the page anew, by mouse or by key; without this script the forms do the same.
const review = document.querySelector(".review");
const rows = () => [...review.querySelectorAll(".row:not([data-decided])")];
const decided = [];

function select(row) {
  if (!row) return;
  row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "center" });
}

function current() {
  return document.activeElement?.closest(".row") ?? null;
}

function step(by) {
  const all = rows();
  const at = all.indexOf(current());
  select(all[at < 0 ? 0 : Math.min(Math.max(at + by, 0), all.length - 1)]);
}

async function post(action, body) {
  const response = await fetch(action, { method: "POST", body, headers: { Accept: "application/json" } });
  if (response.status === 401) location.reload();
  if (!response.ok) throw new Error(await refusal(response));
  return response.json();
}

// What was asked for wrongly is told in the reader's language, all else in a developer's.
async function refusal(response) {
  return [409, 422].includes(response.status) ? (await response.json()).detail : document.body.dataset.wentWrong;
}

function undoable(row, id) {
  const form = row.querySelector(".decide");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet take-back";
  button.textContent = review.dataset.undo;
  button.addEventListener("click", () => undo(row, id));
  row.querySelector(".take-back")?.remove();
  form.after(button);
  decided.push([row, id]);
}

async function undo(row, id) {
  const body = new URLSearchParams({ back: review.dataset.back, csrf: review.dataset.csrf });
  const said = row.querySelector(".said-of-row");
  try {
    await post(`/review/${review.dataset.bot}/decisions/${id}/undo`, body);
    delete row.dataset.decided;
    row.querySelector(".take-back")?.remove();
    said.textContent = "";
    select(row);
  } catch (error) {
    said.textContent = error.message;
  }
}

async function decide(form, button) {
  const row = form.closest(".row");
  const body = new URLSearchParams(new FormData(form, button));
  const said = row.querySelector(".said-of-row");
  const following = rows()[rows().indexOf(row) + 1];
  said.classList.remove("wrong");
  try {
    const { decided: ids } = await post(form.getAttribute("action"), body);
    row.dataset.decided = "";
    undoable(row, ids[0]);
    select(following);
  } catch (error) {
    said.classList.add("wrong");
    said.textContent = error.message;
  }
}

async function foretell(form, button) {
  const row = form.closest(".row");
  const said = row.querySelector(".said-of-row");
  row.querySelector(".effect")?.remove();
  said.textContent = "";
  button.disabled = true;
  try {
    const body = new URLSearchParams(new FormData(form));
    const response = await fetch(button.formAction, { method: "POST", body, headers: { Accept: "text/html; fragment=effect" } });
    if (response.ok) form.insertAdjacentHTML("afterend", await response.text());
    else said.textContent = await refusal(response);
  } catch {
    said.textContent = document.body.dataset.wentWrong;
  } finally {
    button.disabled = false;
  }
}

async function lookAround(link) {
  const place = link.closest(".row").querySelector(".conversation");
  if (!place.hidden) return void (place.hidden = true);
  const response = await fetch(link.href, { headers: { Accept: "text/html; fragment=around" } });
  if (!response.ok) return location.assign(link.href);
  place.innerHTML = await response.text();
  place.hidden = false;
}

const press = (row, action) => row?.querySelector(`.decide [value="${action}"]`)?.click();
const keys = {
  j: () => step(1),
  k: () => step(-1),
  m: (row) => (row?.querySelector("[name=picked]:checked") ?? row?.querySelector("[name=picked], [name=intent]"))?.focus(),
  a: (row) => press(row, "accept"),
  h: (row) => press(row, "hold"),
  x: (row) => press(row, "exclude"),
  e: (row) => row?.querySelector(".effect-of")?.click(),
  u: () => decided.length && undo(...decided.pop()),
  "/": () => review.querySelector("[type=search]").focus(),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=radio], [type=checkbox]), select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") return void current()?.focus();
  if (typing || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key](current());
});

document.addEventListener("submit", (event) => {
  if (!event.target.matches(".decide")) return;
  event.preventDefault();
  if (event.submitter?.matches(".effect-of")) foretell(event.target, event.submitter);
  else decide(event.target, event.submitter);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest(".row .around");
  if (!link || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  lookAround(link);
});

// A suggestion that is chosen, or typed text, each replaces the other: one decision says one thing.
document.addEventListener("input", ({ target }) => {
  const form = target.closest(".decide");
  if (!form) return;
  if (target.name === "picked") for (const own of form.querySelectorAll(".own input:not([type])")) own.value = "";
  else if (target.value) for (const option of form.querySelectorAll("[name=picked]")) option.checked = false;
});

for (const note of review.querySelectorAll(".shortcuts")) note.hidden = false;
