"use strict";
const byId = (id) => document.getElementById(id);
const COLOURS = ["#2563a8", "#c2571a", "#2f7d4f", "#8a3ea8", "#a8862a", "#b3261e", "#3b8a91", "#6b7280"];
const WIDTH = 440, HEIGHT = 150, LEFT = 44, BOTTOM = 18, TOP = 8;
let minutes = 15;

function node(tag, cls, content) {
  const made = document.createElement(tag);
  if (cls) made.className = cls;
  if (content != null) made.textContent = content;
  return made;
}

function svg(tag, attributes, content) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (content != null) made.textContent = content;
  return made;
}

const short = (value) => value >= 1e6 ? `${Number((value / 1e6).toPrecision(3))}M` : value >= 1e4 ? `${Number((value / 1e3).toPrecision(3))}k`
  : value >= 100 ? value.toFixed(0) : value === 0 ? "0" : Number(value.toPrecision(3)).toString();
const time = (ms) => ms >= 1000 ? `${short(ms / 1000)} s` : `${short(ms)} ms`;
const newest = (line) => line && line.points.length ? line.points[line.points.length - 1][1] : null;
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: minutes <= 15 ? "2-digit" : undefined });

function nice(value) { // the next round number upwards
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

function draw(chart, from, to) {
  const figure = node("figure");
  figure.id = `chart-${chart.id}`;
  const caption = node("figcaption", "", chart.title);
  const latest = chart.lines.map(newest).filter((value) => value !== null);
  caption.append(node("span", "", latest.length === 1 ? `${short(latest[0])} ${chart.unit}` : chart.unit));
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": chart.title });
  const top = nice(Math.max(0, ...chart.lines.flatMap((line) => line.points.map((point) => point[1]))));
  const x = (at) => LEFT + (WIDTH - LEFT - 4) * (at - from) / (to - from);
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  for (const share of [0, 0.5, 1]) {
    drawing.append(svg("line", { class: "grid", x1: LEFT, x2: WIDTH - 4, y1: y(share * top), y2: y(share * top) }));
    drawing.append(svg("text", { x: LEFT - 6, y: y(share * top) + 3, "text-anchor": "end" }, short(share * top)));
  }
  for (const [share, anchor] of [[0, "start"], [0.5, "middle"], [1, "end"]]) {
    const at = from + share * (to - from);
    drawing.append(svg("text", { x: x(at), y: HEIGHT - 4, "text-anchor": anchor }, clock(at)));
  }
  const gap = 3 * Math.max(5, (to - from) / 180); // no value for so long: the line is broken, not drawn across
  const legend = node("div", "legend");
  chart.lines.forEach((line, number) => {
    const colour = COLOURS[number % COLOURS.length];
    let piece = [];
    const flush = () => { if (piece.length) drawing.append(svg("polyline", { stroke: colour, points: piece.join(" ") })); piece = []; };
    line.points.forEach(([at, value], place) => {
      if (place && at - line.points[place - 1][0] > gap) flush();
      piece.push(`${x(at).toFixed(1)},${y(value).toFixed(1)}`);
    });
    flush();
    if (chart.lines.length > 1) {
      const entry = node("span", "", `${line.label} ${newest(line) === null ? "" : short(newest(line))}`);
      const mark = node("i");
      mark.style.background = colour;
      entry.prepend(mark);
      legend.append(entry);
    }
  });
  if (!chart.lines.length) drawing.append(svg("text", { x: WIDTH / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "nothing yet"));
  figure.append(caption, drawing, legend);
  return figure;
}

function answer(id, state, head, text) {
  const box = byId(id);
  box.className = state;
  box.querySelector("b").textContent = head;
  box.querySelector("p").textContent = text;
}

const names = (alerts) => [...new Set(alerts.map((alert) => alert.name))].join(", "); // one alert may fire for several arms or features

function questions(overview) {
  const chart = (id) => overview.charts.find((one) => one.id === id).lines;
  const step = Math.max(5, overview.minutes * 60 / 180);
  const now = (line) => line && line.points.length && line.points[line.points.length - 1][0] > overview.at - 3 * step ? newest(line) : null;
  const lineOf = (id, label) => now(chart(id).find((line) => line.label === label));
  const made = chart("lists").map(now).filter((value) => value !== null).reduce((sum, value) => sum + value, 0);
  const p99 = lineOf("freshness", "p99"), p50 = lineOf("freshness", "p50"), shoppers = now(chart("shoppers")[0]);
  const flowing = made > 0 && p99 !== null;
  const parts = [p50 === null ? "" : `half within ${time(p50)}`, shoppers === null ? "" : `${short(shoppers)} % of active shoppers have theirs`];
  if (!flowing) answer("fresh", overview.alerts.some((a) => a.state === "firing") ? "bad" : "warn", "no lists now", "none was made in the last minute");
  else answer("fresh", p99 > 250 || (shoppers !== null && shoppers < 90) ? "bad" : "ok", `99 % within ${time(p99)}`, parts.filter(Boolean).join(" · "));

  const fallback = 100 * Number(overview.facts.fallback_share || 0), clicks = chart("clicks").map((line) => `${line.label === "all" ? "" : `${line.label} `}${short(newest(line) ?? 0)} %`);
  const about = [overview.facts.model, overview.facts.model_age_days && `${overview.facts.model_age_days} days old`, clicks.length && `click-through ${clicks.join(", ")}`];
  const known = flowing && overview.facts.fallback_share !== undefined;
  answer("good", !known ? "warn" : fallback > 5 ? "bad" : "ok", known ? `${short(100 - fallback)} % by the model` : "no lists now", about.filter(Boolean).join(" · "));

  const firing = overview.alerts.filter((alert) => alert.state === "firing"), down = overview.parts.filter((part) => !part.up);
  if (firing.length) answer("wrong", "bad", `${firing.length} alert${firing.length > 1 ? "s" : ""}`, names(firing));
  else if (down.length) answer("wrong", "warn", `${down.map((part) => part.name).join(", ")} down`, "no alert yet");
  else answer("wrong", "ok", "nothing", overview.alerts.length ? `pending: ${names(overview.alerts)}` : "no alert fires, all parts answer");
}

function show(overview) {
  const at = byId("at");
  at.className = overview.prometheus ? "" : "stale";
  at.textContent = overview.prometheus ? `as of ${new Date(overview.at * 1000).toLocaleTimeString()}` : "Prometheus does not answer: liveshelf status";
  if (!overview.prometheus) return;
  questions(overview);
  const told = overview.alerts.filter((alert) => alert.state === "firing" || alert.severity === "page");
  byId("alerts").replaceChildren(...told.map((alert) => {
    const row = node("li", `${alert.state} ${alert.severity}`);
    row.append(node("strong", "", `${alert.name} `), node("span", "", alert.summary), node("div", "meta",
      `${alert.state} since ${new Date(alert.since).toLocaleTimeString()} · ${alert.severity} · ${alert.kind} · ${alert.runbook}`));
    const what = node("div", "", "do: ");
    what.append(node("code", "", alert.do));
    row.append(what);
    return row;
  }));
  byId("parts").replaceChildren(...overview.parts.map((part) => node("li", part.up ? "" : "down", part.name)));
  byId("charts").replaceChildren(...overview.charts.map((chart) => draw(chart, overview.at - overview.minutes * 60, overview.at)));
  document.body.dataset.drawn = overview.at;
}

function stale(text) {
  byId("at").className = "stale";
  byId("at").textContent = text;
}

async function refresh() {
  try {
    const answer = await fetch(`/v1/ops?minutes=${minutes}`);
    const body = await answer.json();
    if (answer.ok) show(body);
    else stale(body.error);
  } catch (error) {
    stale("the storefront does not answer: liveshelf status");
  }
}

for (const button of document.querySelectorAll("#range button")) {
  button.onclick = () => {
    minutes = Number(button.dataset.minutes);
    for (const other of document.querySelectorAll("#range button")) other.classList.toggle("on", other === button);
    refresh();
  };
}
refresh();
setInterval(refresh, 5000);
