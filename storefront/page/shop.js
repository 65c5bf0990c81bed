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

// not crypto.randomUUID: on plain http it is there on localhost alone
const newId = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

function log(line) {
  byId("log").prepend(text("li", "", `${new Date().toLocaleTimeString()} ${line}`));
  while (byId("log").children.length > 12) byId("log").lastChild.remove();
}

async function ask(what, path, options) { // the answer; null where there is no good one, and the log says why
  try {
    const answer = await fetch(path, options);
    const body = await answer.json();
    if (answer.ok) return body;
    log(`${what} refused: ${body.error}`);
  } catch (error) {
    log(`${what} failed: ${error.message}`);
  }
  return null;
}

async function send(type, fields) { // whether it was taken, for the shopper who is still here
  const event = { event_id: newId(), event_type: type, event_time: Date.now(), user_id: user, ...fields };
  if (type !== "impression") asked = { id: event.event_id, at: event.event_time };
  const taken = await ask(type, "/v1/events", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(event) });
  if (taken === null && asked && asked.id === event.event_id) asked = null;
  return taken !== null && user === event.user_id;
}

async function view(item) {
  if (await send("view", { item_id: item.item_id })) log(`viewed ${name(item)}`);
}

function placeOf(item) { // the list that shows the item now, and its place there: what is not said is no outcome of a list
  const place = lastList && lastList.known ? lastList.items.findIndex((other) => other.item_id === item.item_id) : -1;
  return place < 0 ? {} : { recommendation_id: lastList.recommendation_id, position: place };
}

async function click(item) {
  if (await send("click", { item_id: item.item_id, ...placeOf(item) })) log(`clicked ${name(item)}`);
}

async function add(item) {
  const from = placeOf(item);
  if (!await send("add_to_cart", { item_id: item.item_id, ...from })) return;
  basket.set(item.item_id, { ...item, from });
  log(`added ${name(item)}`);
  drawBasket();
}

async function drop(item) {
  if (!await send("remove_from_cart", { item_id: item.item_id })) return;
  basket.delete(item.item_id);
  drawBasket();
}

async function buy() {
  const byList = new Map(); // all items of a purchase are outcomes of one list: an event for each list
  for (const [id, item] of basket) {
    const list = item.from.recommendation_id;
    byList.set(list, [...(byList.get(list) || []), id]);
  }
  let bought = 0;
  byId("buy").disabled = true;
  for (const [list, items] of byList) {
    if (!await send("purchase", { items, ...(list && { recommendation_id: list }) })) break;
    for (const item of items) basket.delete(item);
    bought += items.length;
  }
  if (bought) log(`bought ${bought} items`);
  drawBasket();
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
    trending: "trending this week", popular: "popular", for_you: "picked for you", new: of ? `like ${of}` : "", explore: "worth a look" }[item.reason.kind] || "";
}

function drawList(list) {
  lastList = list;
  byId("about").textContent = `${list.known ? `version ${list.version}` : list.expired ? "your last list has expired" : "you are new here"} · ${list.source} · ${list.model.name} ${list.model.version}`;
  byId("list").replaceChildren(...list.items.map((item) => {
    const row = document.createElement("li");
    row.dataset.item = item.item_id;
    if (shown.size && !shown.has(item.item_id)) row.className = "new";
    const middle = document.createElement("div");
    middle.append(button(name(item), "title", () => click(item)), ...(item.reason.kind === "new" ? [text("span", "badge", "new")] : []), text("span", "price", ` ${money(item)}`), text("span", "reason", because(item)));
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
  if (list.known && list.items.length) { // the id of an impression is that of its list: whoever else sends it, it counts once
    const of = list.recommendation_id;
    send("impression", { event_id: `shown-${of}`, items: list.items.map((item) => item.item_id), recommendation_id: of });
  }
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
    if (mine !== stream || mine.readyState !== EventSource.CLOSED) return;
    log(`no lists of ${id}: asked again in ${RETRY_MS / 1000} s`);
    setTimeout(() => { if (mine === stream) follow(id); }, RETRY_MS);
  };
}

async function search() {
  const mine = ++searches, q = byId("q").value;
  const found = await ask("search", `/v1/search?limit=24&q=${encodeURIComponent(q)}&user=${encodeURIComponent(user)}`);
  if (found === null || mine !== searches) return; // a newer search is under way
  byId("shelf").dataset.q = q;
  byId("meant").replaceChildren(...(found.did_you_mean ? [text("span", "", "Did you mean "), button(found.did_you_mean, "", () => { byId("q").value = found.did_you_mean; search(); })] : []),
    ...found.notes.map((note) => text("div", "", note)));
  byId("shelf").replaceChildren(...found.items.map((item) => {
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
byId("buy").onclick = buy;
follow(localStorage.getItem("user") || `shopper-${Math.random().toString(36).slice(2, 7)}`);
search();
