"use strict";

// Signs in with the token of the link that `chatbot up` prints. It stands behind a "#", which no browser sends and no
// server logs, and leaves the address bar at once.
function signInByLink() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", location.pathname);
  const form = document.createElement("form");
  form.method = "post";
  form.action = "/sign-in";
  const csrf = document.querySelector("[name=csrf]")?.value ?? "";
  for (const [name, value] of Object.entries({ token, csrf })) {
    const field = document.createElement("input");
    field.type = "hidden";
    field.name = name;
    field.value = value;
    form.append(field);
  }
  document.body.append(form);
  form.submit();
}

// Times as the service writes them, in the browser's time zone.
const written = new Intl.DateTimeFormat(document.documentElement.lang.replace(/^en$/, "en-GB"), {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

function prepare(part) {
  for (const time of part.querySelectorAll("time:not([data-zone])")) {
    time.textContent = written.format(new Date(time.dateTime));
  }
  for (const verdict of part.querySelectorAll(".verdict")) verdict.hidden = false;
}

async function ask(form) {
  const turns = form.parentElement.querySelector(".turns");
  const body = new URLSearchParams(new FormData(form));
  const button = form.querySelector("button");
  turns.querySelector(":scope > .wrong")?.remove();
  button.disabled = true;
  try {
    const response = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/html; fragment=turn" } });
    if (response.status === 401) return location.reload();
    if (!response.ok) throw new Error(response.statusText);
    turns.insertAdjacentHTML("beforeend", await response.text());
    prepare(turns.lastElementChild);
    form.elements.text.value = "";
  } catch {
    turns.insertAdjacentHTML("beforeend", '<p class="wrong"></p>');
    turns.lastElementChild.textContent = document.body.dataset.wentWrong;
  } finally {
    button.disabled = false;
    turns.scrollTop = turns.scrollHeight;
  }
}

async function judge(element, feedback) {
  const turn = element.closest(".turn");
  const said = turn.querySelector(".thanks");
  const address = `/v1/bots/${turn.dataset.bot}/turns/${turn.dataset.turn}/feedback`;
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(address, { method: "POST", headers, body: JSON.stringify(feedback) }).catch(() => null);
  said.textContent = response?.ok ? said.dataset.thanks : document.body.dataset.wentWrong;
  return response?.ok ?? false;
}

// Bots that are being made appear when they are ready; those that answer stay as they are, with what was said.
async function lookForNewBots() {
  const waiting = document.querySelectorAll('.card:not([data-state="live"])');
  if (!waiting.length) return;
  const response = await fetch("/").catch(() => null);
  if (response?.ok) {
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const card of waiting) {
      const now = page.getElementById(card.id);
      if (now && now.outerHTML !== card.outerHTML && !card.contains(document.activeElement)) {
        card.replaceWith(now);
        prepare(now);
      }
    }
  }
  setTimeout(lookForNewBots, 3000);
}

// What happened on a day depends on the time zone: without one in the address it is the browser's.
function chooseZone() {
  const asked = new URLSearchParams(location.search);
  if (!document.querySelector("form.period, form.choose") || asked.has("zone")) return;
  asked.set("zone", Intl.DateTimeFormat().resolvedOptions().timeZone);
  location.replace(`${location.pathname}?${asked}${location.hash}`);
}

// A link from another site comes without the session's cookie, but a request of our own page has it.
async function goBack() {
  const back = document.querySelector(".sign-in [name=next]")?.value ?? "/";
  if (back === "/" || location.hash) return;
  const ask = { redirect: "manual" };
  const response = await fetch(`/?next=${encodeURIComponent(back)}`, ask).catch(() => null);
  if (response?.type === "opaqueredirect") location.replace(back);
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches(".ask")) return;
  event.preventDefault();
  ask(event.target);
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-satisfied]");
  if (!button || !(await judge(button, { satisfied: button.dataset.satisfied === "true" }))) return;
  for (const each of button.parentElement.querySelectorAll("[data-satisfied]")) {
    each.setAttribute("aria-pressed", String(each === button));
  }
});

// "toggle" does not bubble.
document.addEventListener(
  "toggle",
  (event) => {
    const { candidate } = event.target.dataset;
    if (candidate && event.target.open) judge(event.target, { chosen_candidate: candidate });
  },
  true,
);

addEventListener("hashchange", signInByLink);
signInByLink();
prepare(document);
chooseZone();
goBack();
setTimeout(lookForNewBots, 3000);
