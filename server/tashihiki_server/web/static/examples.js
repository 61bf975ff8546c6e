// Queries to begin with, made of the facets and values that the open collection has.

import { admitAll } from "./admitted.js";
import { button, element } from "./elements.js";
import { word } from "./language.js";

// Where a collection has no values, an item or a picture is all there is to ask with.
const WITHOUT_VALUES = "this item";

// A facet with one value cannot be asked for; the more values, the more a query tells apart.
function askable(facets) {
  return facets
    .filter((facet) => facet.values.length > 1)
    .sort((one, other) => other.values.length - one.values.length)
    .map((facet) => ({ ...facet, values: byCount(facet.values) }));
}

// An item's own label may be spelt otherwise than the value that it is counted for.
function folded(name) {
  return name.normalize("NFKC").toLowerCase().trim().replace(/\s+/g, " ");
}

function byCount(values) {
  return [...values].sort((one, other) => other.count - one.count);
}

export function queryHint(facets) {
  return examples(facets)[0]?.expression ?? WITHOUT_VALUES;
}

export function filterHint(facets) {
  return askable(facets)[0]?.filter ?? "";
}

// Two values of different facets, one value, and an item with another value where one is at hand.
function examples(facets, items = []) {
  const [first, second, ...others] = askable(facets);
  if (!first) return [];
  // The facet with the fewest values tells items apart least, and is what an item can best change.
  const least = others.at(-1) ?? second ?? first;
  const one = { expression: first.values[0].term };
  const two = second && { expression: `${first.values[0].term} + ${second.values[0].term}` };
  return [two, one, changed(least, items)].filter(Boolean);
}

function changed(facet, items) {
  for (const item of items) {
    const own = item.attributes.find((one) => one.facet === facet.facet);
    if (!own) continue;
    const meant = folded(own.value);
    const other = facet.values.find(
      ({ value, aliases }) => ![value, ...aliases].some((name) => folded(name) === meant),
    );
    if (other) return { expression: `this item + ${other.term}`, item };
  }
  return null;
}

// Buttons that ask them; nothing of the present query stays, which may be what led nowhere.
export function tries(page, items = []) {
  return examples(page.facets, items).map(({ expression, item }) => {
    const query = { expression, item: item?.id ?? "", picture: "", where: "", only: admitAll() };
    const node = button("", () => page.change({ ...query, view: "results" }), { class: "example" });
    if (item?.thumbnail) node.append(element("img", { src: item.thumbnail.address, alt: item.id }));
    node.append(element("span", {}, expression));
    return node;
  });
}

// The same with words in front; null where nothing can be tried.
export function orTry(page) {
  const buttons = tries(page);
  return buttons.length ? element("p", { class: "tries" }, word("orTry"), " ", ...buttons) : null;
}
