// The address bar holds the query, so that a link can be shared and the back button works.

import { admitAll } from "./admitted.js";

const FILTER = "only.";

export function readLocation() {
  const parameters = new URLSearchParams(window.location.search);
  const only = admitAll();
  for (const [name, value] of parameters) {
    if (name.startsWith(FILTER)) (only[name.slice(FILTER.length)] ??= []).push(value);
  }
  const text = (name) => parameters.get(name) ?? "";
  return {
    collection: text("collection"),
    expression: text("q"),
    item: text("item"),
    picture: text("picture"),
    where: text("where"),
    only,
    mode: text("mode") === "add" ? "add" : "replace",
    view: ["map", "duplicates", "item-duplicates"].includes(text("view")) ? text("view") : "results",
    facet: text("facet"),
    compare: text("compare") === "1",
  };
}

export function writeLocation(state, replace) {
  const parameters = new URLSearchParams();
  const put = (name, value) => value && parameters.append(name, value);
  put("collection", state.collection);
  put("q", state.expression);
  put("item", state.item);
  put("picture", state.picture);
  put("where", state.where);
  for (const [facet, values] of Object.entries(state.only)) {
    for (const value of values) put(FILTER + facet, value);
  }
  put("mode", state.mode === "add" ? "add" : "");
  put("view", state.view === "results" ? "" : state.view);
  put("facet", state.facet);
  put("compare", state.compare ? "1" : "");
  const address = `/?${parameters}`;
  if (address === window.location.pathname + window.location.search) return;
  window.history[replace ? "replaceState" : "pushState"](null, "", address);
}
