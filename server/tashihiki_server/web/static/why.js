// Why a result is there: a bar for each facet's block, and one for each term.

import { facetTint } from "./colours.js";
import { button, byId, element } from "./elements.js";
import { number, word } from "./language.js";

const box = byId("why");

export function resetWhy(shown) {
  box.hidden = !shown;
  box.classList.remove("raised");
  box.replaceChildren(title(word("why")), element("p", { class: "quiet" }, word("whyHint")));
}

// `opened` keeps it in view on narrow screens, where it would cover the results otherwise.
export function showWhy(page, result, hit, opened) {
  const blocks = result.blocks.map((block, place) => {
    const { similarity } = hit.blocks[place];
    const name = block.facet || word(result.blocks.length > 1 ? "rest" : "all");
    const note = block.weight > 0 ? word("weight", { weight: number(block.weight) }) : word("empty");
    return bar(name, note, similarity, block.weight > 0, tint(page, block.facet));
  });
  const terms = result.terms.map((term, place) =>
    bar(
      `${term.weight < 0 ? "−" : "+"} ${term.label}`,
      "",
      hit.contributions[place],
      term.kind !== "facet",
      tint(page, term.facet),
    ),
  );
  const posterior =
    hit.posterior === null ? "" : `, ${word("posterior", { value: number(hit.posterior) })}`;
  box.replaceChildren(
    title(word("whyOf", { id: hit.id })),
    element("p", {}, `${word("total")} ${number(hit.similarity)}${posterior}`),
    element("h3", {}, word("byFacet")),
    element("ul", { class: "bars" }, ...blocks),
    element("h3", {}, word("byTerm")),
    element("ul", { class: "bars" }, ...terms),
    button(word("close"), () => box.classList.remove("raised"), { class: "close" }),
  );
  box.hidden = false;
  if (opened) {
    box.classList.add("raised");
    box.querySelector(".close").focus({ preventScroll: true });
  }
}

function tint(page, facet) {
  return facet ? facetTint(page.facets, facet) : "tint-subject";
}

function bar(name, note, value, filled, colour) {
  const size = Math.min(1, Math.abs(value));
  const side = value < 0 ? "against" : "for";
  return element(
    "li",
    { class: `${colour}${filled ? "" : " empty"}` },
    element("span", { class: "name" }, name),
    element("span", { class: "note" }, note),
    element("span", { class: "value" }, filled ? number(value) : "–"),
    element(
      "span",
      { class: "track", "aria-hidden": "true" },
      filled ? element("span", { class: `bar ${side}`, "--size": String(size) }) : null,
    ),
  );
}

function title(text) {
  return element("h2", { id: "why-title" }, text);
}
