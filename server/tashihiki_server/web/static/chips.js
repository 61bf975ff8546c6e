// A chip for each term as the service understood it: sign, weight, and a way out.

import { facetTint } from "./colours.js";
import { button, byId, element } from "./elements.js";
import { number, word } from "./language.js";

const DELAY_MS = 150;
const list = byId("chips");

let terms = [];
let drawn = "";
let timer = 0;

export function showChips(page, found) {
  terms = found.map((term) => ({ ...term }));
  const structure = JSON.stringify([
    document.documentElement.lang,
    terms.map((term) => [term.label, term.kind]),
  ]);
  if (structure === drawn) {
    // A slider that is being moved keeps the focus.
    for (const [place, node] of [...list.children].entries()) node.show(terms[place]);
    return;
  }
  drawn = structure;
  list.replaceChildren(...terms.map((term, place) => chip(page, term, place)));
}

function chip(page, term, place) {
  const ignored = term.kind === "facet";
  const sign = ignored
    ? element("span", { class: "sign" }, "−")
    : button("", () => edit(page, place, -terms[place].weight, 0), { class: "sign" });
  const label = `${named(term)}${ignored ? ` (${word("ignored")})` : ""}`;
  const slider = element("input", {
    type: "range",
    min: "0",
    max: "3",
    step: "0.1",
    "aria-label": word("weightOf", { term: named(term) }),
    oninput: () => {
      const size = Number(slider.value);
      edit(page, place, negative(terms[place]) ? -size : size, DELAY_MS);
    },
  });
  const output = element("output", {});
  const out = button("×", () => remove(page, place), {
    class: "remove",
    "aria-label": word("remove", { term: named(term) }),
  });
  const tint = term.facet ? facetTint(page.facets, term.facet) : "tint-subject";
  const node = element("li", { class: `chip ${tint}` }, sign, element("span", { class: "label" }, label));
  if (!ignored) node.append(slider, output);
  node.append(out);
  node.show = (current) => {
    if (ignored) return;
    const size = Math.abs(current.weight);
    sign.textContent = negative(current) ? "−" : "+";
    sign.setAttribute(
      "aria-label",
      `${named(current)}: ${word(negative(current) ? "subtracts" : "adds")}`,
    );
    slider.max = String(Math.max(3, Math.ceil(size)));
    slider.value = String(size);
    output.textContent = `× ${number(size, 1)}`;
    node.classList.toggle("negative", negative(current));
  };
  node.show(term);
  return node;
}

// A weight of −0 is still a subtraction whose slider is at its end.
function negative(term) {
  return term.weight < 0 || Object.is(term.weight, -0);
}

function named(term) {
  if (term.kind === "item") return term.name;
  if (term.kind === "image") return word("thisImage");
  return term.kind === "facet" ? term.facet : term.label;
}

function edit(page, place, weight, delay) {
  terms[place].weight = weight;
  list.children[place].show(terms[place]);
  clearTimeout(timer);
  timer = setTimeout(() => page.changeTerms(terms), delay);
}

function remove(page, place) {
  clearTimeout(timer);
  const left = terms.filter((_, other) => other !== place);
  page.changeTerms(left);
  byId("expression").focus();
}
