// The query bar: a combobox whose options come from the server.

import { api } from "./api.js";
import { byId, element } from "./elements.js";
import { count } from "./language.js";

const input = byId("expression");
const list = byId("completions");

let options = [];
let place = { start: 0, end: 0 };
let active = -1;
let asked = null;

export function attachQueryBar(page) {
  byId("query-form").addEventListener("submit", (event) => {
    event.preventDefault();
    close();
    page.change({ expression: input.value.trim() });
  });
  input.addEventListener("input", () => complete(page));
  input.addEventListener("keydown", onKey);
  input.addEventListener("blur", close);
}

export function setExpression(text) {
  if (input.value !== text) input.value = text;
}

async function complete(page) {
  asked?.abort();
  asked = new AbortController();
  const cursor = Array.from(input.value.slice(0, input.selectionStart ?? 0)).length;
  try {
    const text = input.value;
    const found = await api.completion(page.state.collection, text, cursor, asked.signal);
    if (input.value !== text || document.activeElement !== input) return;
    // The answer to the last letter must not undo a choice made among those of the one before.
    const chosen = options[active]?.insert;
    options = found.options;
    place = found;
    draw();
    const still = options.findIndex((option) => option.insert === chosen);
    if (still >= 0) activate(still);
  } catch (error) {
    // Completion is a help; the search itself says what is wrong.
    if (error.name !== "AbortError") close();
  }
}

function draw() {
  active = -1;
  list.replaceChildren(
    ...options.map((option, number) =>
      element(
        "li",
        {
          id: `completion-${number}`,
          role: "option",
          "aria-selected": "false",
          // Before the input loses the focus.
          onmousedown: (event) => {
            event.preventDefault();
            take(number);
          },
        },
        element("span", { class: "label" }, option.label),
        option.count > 0 ? element("span", { class: "count" }, count(option.count)) : null,
      ),
    ),
  );
  const open = options.length > 0;
  list.hidden = !open;
  input.setAttribute("aria-expanded", String(open));
  input.removeAttribute("aria-activedescendant");
}

function close() {
  asked?.abort();
  options = [];
  draw();
}

function onKey(event) {
  if (list.hidden || event.isComposing) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const step = event.key === "ArrowDown" ? 1 : -1;
    activate((active + step + options.length + (active < 0 && step < 0 ? 1 : 0)) % options.length);
  } else if ((event.key === "Enter" || event.key === "Tab") && active >= 0) {
    take(active);
  } else if (event.key === "Escape") {
    close();
  } else {
    return;
  }
  event.preventDefault();
}

function activate(number) {
  active = number;
  for (const [place, node] of [...list.children].entries()) {
    node.setAttribute("aria-selected", String(place === number));
  }
  input.setAttribute("aria-activedescendant", `completion-${number}`);
  list.children[number].scrollIntoView({ block: "nearest" });
}

function take(number) {
  const { insert, kind } = options[number];
  const characters = Array.from(input.value);
  const before = characters.slice(0, place.start).join("");
  const after = characters.slice(place.end).join("");
  input.value = before + insert + after;
  const cursor = (before + insert).length;
  input.setSelectionRange(cursor, cursor);
  close();
  // A facet's name before its colon asks for a value at once.
  if (kind === "facet" && insert.endsWith(":")) input.dispatchEvent(new Event("input"));
}
