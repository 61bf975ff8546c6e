// Groups of items that show the same: of the collection, or of one item.

import { api } from "./api.js";
import { card, grid } from "./cards.js";
import { announce, byId, element } from "./elements.js";
import { number, word } from "./language.js";
import { showLoading } from "./results.js";

export async function showDuplicates(page, id, signal) {
  const title = id ? word("duplicatesOf", { id }) : word("duplicatesTitle");
  showLoading(title);
  const found = await api.duplicates(page.state.collection, id, signal);
  // An item is always a duplicate of itself.
  const groups = id ? found.map((group) => without(group, id)) : found;
  const shown = groups.filter((group) => group.items.length > 0);
  byId("results-body").replaceChildren(
    ...(shown.length ? shown.map((group) => box(page, group)) : [element("p", {}, word("noDuplicates"))]),
  );
  announce(shown.length ? `${title}: ${shown.length}` : word("noDuplicates"));
}

function without(group, id) {
  return { ...group, items: group.items.filter((item) => item.id !== id) };
}

function box(page, group) {
  const least = Math.min(...group.items.map((item) => item.similarity));
  const kind = group.identical ? word("identical") : `${word("alike")} (≥ ${number(least, 3)})`;
  return element(
    "section",
    { class: "group" },
    element("h3", {}, kind),
    grid(group.items.map((item) => card(page, item))),
  );
}
