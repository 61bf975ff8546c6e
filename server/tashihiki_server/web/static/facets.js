// All facets with their values and counts: add one, subtract it, ignore the facet, or filter by it.

import { toggled } from "./admitted.js";
import { facetTint } from "./colours.js";
import { button, byId, element } from "./elements.js";
import { count, word } from "./language.js";

const SHOWN_VALUES = 60;

export function showFacets(page) {
  const open = new Set(
    [...document.querySelectorAll("#facets details[open]")].map((node) => node.dataset.facet),
  );
  const focused = byId("facets").contains(document.activeElement)
    ? document.activeElement.getAttribute("aria-label")
    : null;
  byId("facets").replaceChildren(
    ...page.facets.map((facet) => facetBox(page, facet, open.has(facet.facet))),
  );
  if (focused !== null) refocus(focused);
  const used = Object.values(page.state.only).flat().length + (page.state.where ? 1 : 0);
  byId("filter-count").textContent = used ? word("filterCount", { count: used }) : "";
}

function refocus(label) {
  [...byId("facets").querySelectorAll("[aria-label]")]
    .find((node) => node.getAttribute("aria-label") === label)
    ?.focus();
}

function facetBox(page, facet, open) {
  const tint = facetTint(page.facets, facet.facet);
  const ignore = button(
    `− ${word("ignore")}`,
    () => page.addTerm("−", facet.term),
    { "aria-label": word("ignoreTerm", { term: facet.facet }) },
  );
  const rows = facet.values.slice(0, SHOWN_VALUES).map((value) => valueRow(page, facet, value));
  const hidden = facet.values.length - rows.length;
  const more = hidden > 0 ? element("p", { class: "quiet" }, word("moreValues", { count: count(hidden) })) : null;
  const foot = facet.unlabelled
    ? element("p", { class: "quiet" }, word("unlabelled", { count: count(facet.unlabelled) }))
    : null;
  return element(
    "details",
    { class: `facet ${tint}`, "data-facet": facet.facet, open: open || page.facets.length < 5 },
    element("summary", {}, facet.facet),
    ignore,
    element("ul", {}, ...rows),
    more,
    foot,
  );
}

function valueRow(page, facet, value) {
  const name = `${facet.facet}: ${value.value}`;
  const box = element("input", {
    type: "checkbox",
    "aria-label": word("onlyTerm", { term: name }),
    onchange: () => page.change({ only: toggled(page.state.only, facet.facet, value.value) }),
  });
  box.checked = (page.state.only[facet.facet] ?? []).includes(value.value);
  return element(
    "li",
    {},
    element("label", {}, box, " ", element("span", { class: "label" }, value.value)),
    element("span", { class: "count" }, count(value.count)),
    button("+", () => page.addTerm("+", value.term), {
      "aria-label": word("addTerm", { term: name }),
    }),
    button("−", () => page.addTerm("−", value.term), {
      "aria-label": word("subtractTerm", { term: name }),
    }),
  );
}
