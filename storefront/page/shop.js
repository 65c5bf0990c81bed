"use strict";
const byId = (id) => document.getElementById(id);
const basket = new Map();
let searches = 0;
let user, stream, asked = null, shown = new Set(), lastList = null;

function text(tag, cls, content) {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  node.textContent = content;
  return node;
}

function button(label, cls, act) {
  const node = text("button", cls, label);
  node.type = "button";
  node.onclick = act;
  return node;
}

const money = (item) => item.price == null ? "" : `${{ GBP: "£", EUR: "€", USD: "$" }[item.currency] || ""}${item.price.toFixed(2)}`;
const name = (item) => item.title || item.item_id;

const RETRY_MS = 10000;

function newId() { // randomUUID is there only on https and localhost
  if (crypto.randomUUID) return crypto.randomUUID();
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function log(line) {
  byId("log").prepend(text("li", "", `${new Date().toLocaleTimeString()} ${line}`));
  while (byId("log").children.length > 12) byId("log").lastChild.remove();
}

async function send(type, fields) {
  const event = { event_id: newId(), event_type: type, event_time: Date.now(), user_id: user, ...fields };
  if (type !== "impression") asked = { id: event.event_id, at: event.event_time };
  try {
    const answer = await fetch("/v1/events", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(event) });
    if (!answer.ok) log(`refused: ${(await answer.json()).error}`);
  } catch (error) {
    log(`not sent: ${error.message}`);
  }
}

function view(item) { log(`viewed ${name(item)}`); send("view", { item_id: item.item_id }); }

function add(item) {
  basket.set(item.item_id, item);
  log(`added ${name(item)}`);
  drawBasket();
  const place = lastList && lastList.items.findIndex((other) => other.item_id === item.item_id);
  const from = place >= 0 && lastList ? { recommendation_id: lastList.recommendation_id, position: place } : {};
  send("add_to_cart", { item_id: item.item_id, ...from });
}

function drop(item) {
  basket.delete(item.item_id);
  drawBasket();
  send("remove_from_cart", { item_id: item.item_id });
}

function drawBasket() {
  byId("basket").replaceChildren(...[...basket.values()].map((item) => {
    const row = text("li", "", `${name(item)} ${money(item)} `);
    row.append(button("×", "", () => drop(item)));
    return row;
  }));
  byId("buy").disabled = basket.size === 0;
}

function because(item) {
  const of = item.reason_title || item.reason.item_id;
  return { viewed: `because you viewed ${of}`, in_basket: `goes with ${of} in your basket`, bought: `because you bought ${of}`, similar: `like ${of}`,
    trending: "trending this week", popular: "popular", for_you: "picked for you" }[item.reason.kind] || "";
}

function drawList(list) {
  lastList = list;
  byId("about").textContent = `${list.known ? `version ${list.version}` : list.expired ? "your last list has expired" : "you are new here"} · ${list.source} · ${list.model.name} ${list.model.version}`;
  byId("list").replaceChildren(...list.items.map((item) => {
    const row = document.createElement("li");
    row.dataset.item = item.item_id;
    if (shown.size && !shown.has(item.item_id)) row.className = "new";
    const middle = document.createElement("div");
    middle.append(text("span", "title", name(item)), text("span", "price", ` ${money(item)}`), text("span", "reason", because(item)));
    row.append(text("span", "rank", item.rank), middle, button("Add", "add", () => add(item)));
    return row;
  }));
  shown = new Set(list.items.map((item) => item.item_id));
  if (asked && list.event_id === asked.id) {
    const ms = Date.now() - asked.at;
    byId("ms").textContent = ms;
    byId("freshness").className = "";
    log(`new list after ${ms} ms`);
    asked = null;
  }
  if (list.known) send("impression", { items: list.items.map((item) => item.item_id), recommendation_id: list.recommendation_id });
}

function follow(id) {
  user = id;
  byId("user").value = id;
  localStorage.setItem("user", id);
  shown = new Set();
  if (stream) stream.close();
  stream = new EventSource(`/v1/users/${encodeURIComponent(id)}/recommendations/stream`);
  const mine = stream;
  mine.addEventListener("list", (message) => drawList(JSON.parse(message.data)));
  mine.onerror = () => { // a browser asks again by itself, but not after a refusal: too many streams
    if (mine.readyState === EventSource.CLOSED) setTimeout(() => { if (mine === stream) follow(id); }, RETRY_MS);
  };
}

async function search() {
  const mine = ++searches, q = byId("q").value;
  const items = await (await fetch(`/v1/search?limit=24&q=${encodeURIComponent(q)}`)).json();
  if (mine !== searches) return; // a newer search is under way
  byId("shelf").dataset.q = q;
  byId("shelf").replaceChildren(...items.map((item) => {
    const card = document.createElement("li");
    card.dataset.item = item.item_id;
    const buttons = text("div", "buttons", "");
    buttons.append(button("View", "", () => view(item)), button("Add", "add", () => add(item)));
    card.append(text("span", "title", name(item)), text("span", "price", money(item)), buttons);
    return card;
  }));
}

byId("who").onsubmit = (event) => { event.preventDefault(); basket.clear(); drawBasket(); follow(byId("user").value || user); };
byId("search").onsubmit = (event) => { event.preventDefault(); search(); };
byId("q").oninput = search;
byId("buy").onclick = () => { log(`bought ${basket.size} items`); send("purchase", { items: [...basket.keys()] }); basket.clear(); drawBasket(); };
follow(localStorage.getItem("user") || `shopper-${Math.random().toString(36).slice(2, 7)}`);
search();
