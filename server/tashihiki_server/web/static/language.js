// English and Japanese: the browser's at first, then whatever was chosen.

import { WORDS } from "./words.js";

const KEY = "tashihiki.language";

let current = remembered() ?? (navigator.language.startsWith("ja") ? "ja" : "en");

export function language() {
  return current;
}

export function word(key, values = {}) {
  return WORDS[current][key].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export function number(value, digits = 2) {
  return new Intl.NumberFormat(current, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(value);
}

export function count(value) {
  return new Intl.NumberFormat(current).format(value);
}

export function switchLanguage() {
  current = current === "en" ? "ja" : "en";
  try {
    localStorage.setItem(KEY, current);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

export function translatePage() {
  document.documentElement.lang = current;
  const write = (attribute, put) => {
    for (const node of document.querySelectorAll(`[data-${attribute}]`)) {
      put(node, word(node.dataset[attribute]));
    }
  };
  write("word", (node, text) => (node.textContent = text));
  write("label", (node, text) => node.setAttribute("aria-label", text));
  write("title", (node, text) => node.setAttribute("title", text));
}

function remembered() {
  try {
    const found = localStorage.getItem(KEY);
    return found in WORDS ? found : null;
  } catch {
    return null;
  }
}
