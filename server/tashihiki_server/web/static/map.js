// The map: items as points, values as diamonds, the query as the path that its terms add up to.

import { api } from "./api.js";
import { valueTint } from "./colours.js";
import { announce, byId, drawn, element } from "./elements.js";
import { count, word } from "./language.js";
import { showLoading } from "./results.js";

const WIDTH = 1000;
const HEIGHT = 690;
const MARGIN = 60;

export async function showMap(page, query, signal) {
  const { collection } = page.state;
  showLoading(word("mapTitle", { collection }));
  const map = await api.map(collection, { ...query, facet: page.state.facet }, signal);
  const body = byId("results-body");
  if (map.points.length === 0) {
    body.replaceChildren(element("p", {}, word("mapFew")));
    return;
  }
  const values = [...new Set(map.points.map((point) => point.value).filter(Boolean))].sort();
  const hint = word(map.path.length ? "mapHint" : "mapHintEmpty", { count: count(map.sampled) });
  body.replaceChildren(
    chooser(page, map),
    element("p", { class: "quiet" }, hint),
    picture(page, map, values),
    legend(map, values),
    ...(map.path.length ? [steps(map)] : []),
  );
  announce(word("mapLabel", { count: count(map.sampled), facet: map.facet }));
}

function chooser(page, map) {
  const select = element("select", {
    id: "map-facet",
    onchange: () => page.change({ facet: select.value }),
  });
  for (const facet of map.facets) {
    select.append(element("option", { value: facet, selected: facet === map.facet }, facet));
  }
  return element("p", { class: "map-facet" }, element("label", {}, `${word("mapFacet")} `, select));
}

function picture(page, map, values) {
  const svg = drawn("svg", {
    class: "map",
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: "img",
    "aria-label": word("mapLabel", { count: count(map.sampled), facet: map.facet }),
  });
  svg.append(
    ...map.points.map((point) => dot(page, point, values)),
    ...map.hits.map((hit) => drawn("circle", { class: "hit", ...centre(hit), r: 11 })),
    ...map.prototypes.map((one) => diamond(one, values)),
    ...map.prototypes.map((one) => caption(at(one), one.value, "prototype-name", 28)),
  );
  if (map.path.length) svg.append(...path(map.origin, map.path));
  return svg;
}

function at({ x, y }) {
  return [
    WIDTH / 2 + x * (WIDTH / 2 - MARGIN),
    HEIGHT / 2 - y * (WIDTH / 2 - MARGIN),
  ];
}

function centre(point) {
  const [cx, cy] = at(point);
  return { cx, cy };
}

function dot(page, point, values) {
  const node = drawn("circle", {
    class: `point ${valueTint(values, point.value)}`,
    ...centre(point),
    r: 5,
    onclick: () => page.useItem(point.id),
  });
  node.append(drawn("title", {}, `${point.id}${point.value ? ` (${point.value})` : ""}`));
  return node;
}

function diamond(one, values) {
  const [x, y] = at(one);
  const size = 11;
  const points = `${x},${y - size} ${x + size},${y} ${x},${y + size} ${x - size},${y}`;
  return drawn("polygon", { class: `prototype ${valueTint(values, one.value)}`, points });
}

function caption([x, y], text, kind, below) {
  const edge = x > WIDTH - 140 ? "end" : x < 140 ? "start" : "middle";
  return drawn("text", { class: kind, x, y: y + below, "text-anchor": edge }, text);
}

function path(origin, steps) {
  const places = [at(origin), ...steps.map(at)];
  const line = drawn("polyline", {
    class: "path",
    points: places.map(([x, y]) => `${x},${y}`).join(" "),
  });
  const marks = places.slice(1).flatMap(([x, y], step) => [
    drawn("circle", { class: "step", cx: x, cy: y, r: 10 }),
    drawn("text", { class: "step-number", x, y, "text-anchor": "middle" }, String(step + 1)),
  ]);
  const [x, y] = places[0];
  return [line, drawn("circle", { class: "origin", cx: x, cy: y, r: 5 }), ...marks];
}

function legend(map, values) {
  const entries = values.map((value) => entry(valueTint(values, value), value));
  if (map.points.some((point) => !point.value)) entries.push(entry("tint-none", word("noLabel")));
  return element("ul", { class: "legend" }, ...entries);
}

function entry(tint, text) {
  return element("li", { class: tint }, element("span", { class: "swatch" }), text);
}

function steps(map) {
  const items = map.path.map((step) => element("li", {}, step.label));
  return element("section", {}, element("h3", {}, word("path")), element("ol", {}, ...items));
}
