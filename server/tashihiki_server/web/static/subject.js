// The item or picture that the query begins with: its attributes can be added, subtracted, ignored.

import { api } from "./api.js";
import { facetTint } from "./colours.js";
import { button, byId, element } from "./elements.js";
import { language, word } from "./language.js";

const box = byId("subject");

let shown = "";

export async function showSubject(page, facets = null) {
  const { collection, item, picture } = page.state;
  const key = JSON.stringify([language(), collection, item, picture]);
  // Drawn anew, its buttons would lose the focus.
  if (key === shown && !box.hidden) return;
  if (picture && !item) {
    shown = key;
    box.replaceChildren(
      title(word("thisImage")),
      element("img", { src: `/api/pictures/${encodeURIComponent(picture)}`, alt: "" }),
      element("p", {}, button(word("forget"), () => page.forget("picture"))),
    );
    box.hidden = false;
    return;
  }
  if (!item) {
    box.hidden = true;
    box.replaceChildren();
    return;
  }
  const found = await api.item(collection, item);
  await facets;
  if (page.state.item !== item || page.state.collection !== collection) return;
  shown = key;
  box.replaceChildren(...itemPanel(page, found));
  box.hidden = false;
}

export function hideSubject() {
  box.hidden = true;
  box.replaceChildren();
}

function itemPanel(page, item) {
  const metadata = Object.entries(item.metadata);
  return [
    title(word("thisItem")),
    item.thumbnail ? element("img", { src: item.thumbnail.address, alt: item.id }) : null,
    element("p", { class: "id" }, item.id),
    element("ul", { class: "attributes" }, ...item.attributes.map((one) => row(page, one))),
    element(
      "p",
      { class: "actions" },
      button(word("like"), () => page.change({ expression: "this item", view: "results" })),
      button(word("itemDuplicates"), () => page.showDuplicatesOf(item.id)),
      button(word("forget"), () => page.forget("item")),
    ),
    metadata.length ? metadataBox(metadata) : null,
  ].filter(Boolean);
}

function row(page, { facet, value, term, facet_term }) {
  const name = `${facet}: ${value}`;
  const act = (text, key, sign, what, called) =>
    button(text, () => page.addTerm(sign, what), { "aria-label": word(key, { term: called }) });
  return element(
    "li",
    { class: facetTint(page.facets, facet) },
    element("span", { class: "label" }, element("span", { class: "quiet" }, facet), ` ${value}`),
    element(
      "span",
      { class: "buttons" },
      act("+", "addTerm", "+", term, name),
      act("−", "subtractTerm", "−", term, name),
      act(word("ignore"), "ignoreTerm", "−", facet_term, facet),
    ),
  );
}

function metadataBox(entries) {
  const rows = entries.flatMap(([name, value]) => [
    element("dt", {}, name),
    element("dd", {}, typeof value === "string" ? value : JSON.stringify(value)),
  ]);
  return element(
    "details",
    {},
    element("summary", {}, word("metadata")),
    element("dl", {}, ...rows),
  );
}

function title(text) {
  return element("h2", { id: "subject-title" }, text);
}
