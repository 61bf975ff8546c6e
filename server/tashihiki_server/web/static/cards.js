// A picture of the grid. Rows are justified: each card grows by the proportions of its picture.

import { button, element } from "./elements.js";
import { number, word } from "./language.js";

export function grid(cards) {
  return element("ul", { class: "grid" }, ...cards);
}

// `wanted` are the values that the query adds, by facet; `why` is called on hover and focus.
export function card(page, hit, { wanted = new Map(), why = null } = {}) {
  const thumbnail = hit.thumbnail;
  const ratio = thumbnail ? thumbnail.width / thumbnail.height : 1;
  const attributes = hit.attributes ?? [];
  const inWords = attributes.map((one) => `${one.facet}: ${one.value}`).join(", ");
  const similarity = hit.similarity === undefined ? "" : number(hit.similarity);
  const label = similarity
    ? word("card", { id: hit.id, similarity, attributes: inWords })
    : word("sampleCard", { id: hit.id, attributes: inWords });
  const picture = thumbnail
    ? element("img", { src: thumbnail.address, alt: "", loading: "lazy", decoding: "async" })
    : element("span", { class: "no-picture", "aria-hidden": "true" }, hit.id);
  const open = button("", () => page.useItem(hit.id), {
    class: "open",
    "aria-label": label,
    title: hit.id,
  });
  open.append(picture);
  const caption = element(
    "div",
    { class: "caption" },
    similarity ? element("strong", {}, similarity) : null,
    element(
      "span",
      { class: "values" },
      ...(attributes.length ? attributes.map((one) => value(one, wanted)) : [hit.id]),
    ),
  );
  const node = element("li", { class: "card", "--ratio": String(ratio) }, open, caption);
  if (why) {
    const ask = button(word("why"), () => why(true), {
      class: "ask",
      "aria-label": word("whyOf", { id: hit.id }),
    });
    caption.append(ask);
    node.addEventListener("mouseenter", () => why(false));
    node.addEventListener("focusin", () => why(false));
  }
  return node;
}

function value({ facet, value }, wanted) {
  const asked = wanted.get(facet);
  const kind = asked === undefined ? "" : asked.has(value) ? "match" : "miss";
  return element(kind === "miss" ? "s" : "span", { class: kind, title: facet }, value);
}

export function wantedValues(terms) {
  const wanted = new Map();
  for (const term of terms) {
    if (term.kind !== "attribute" || term.weight <= 0) continue;
    wanted.set(term.facet, (wanted.get(term.facet) ?? new Set()).add(term.value));
  }
  return wanted;
}
