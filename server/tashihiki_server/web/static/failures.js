// A failure next to where it arose, with its place in the text marked.

import { button, element } from "./elements.js";
import { language, word } from "./language.js";
import { REASONS_JA } from "./words.js";

export function clearFailure(box, input) {
  box.hidden = true;
  box.replaceChildren();
  input?.removeAttribute("aria-invalid");
}

// `text` is what was sent; `choose` is called with a candidate that is to take the fault's place.
export function showFailure(box, failure, { input, text = "", choose } = {}) {
  const japanese = language() === "ja" ? REASONS_JA[failure.reason] : undefined;
  const message = japanese ?? sentence(failure.message);
  box.replaceChildren(element("p", {}, element("strong", {}, message)));
  if (text && failure.position !== null) box.append(marked(text, failure));
  const choices = choose ? failure.candidates : [];
  if (!japanese && failure.remedy && choices.length === 0) box.append(element("p", {}, failure.remedy));
  if (choices.length > 0) {
    const buttons = choices.map((one) => button(one, () => choose(one), { class: "candidate" }));
    // The English message asks that already.
    const asked = message.endsWith("?") ? [] : [`${word("didYouMean")}: `];
    box.append(element("p", { class: "candidates" }, ...asked, ...buttons));
  }
  box.hidden = false;
  input?.setAttribute("aria-invalid", "true");
}

// Places count characters, not the halves of which JavaScript makes some of them.
export function replacePlace(text, failure, replacement) {
  const characters = Array.from(text);
  characters.splice(failure.position, failure.length ?? 1, replacement);
  return characters.join("");
}

function marked(text, failure) {
  const characters = Array.from(text);
  const end = failure.position + (failure.length ?? 1);
  const fault = characters.slice(failure.position, end).join("");
  return element(
    "pre",
    {},
    characters.slice(0, failure.position).join(""),
    // At the end of the text there is nothing to mark but the gap.
    element("mark", {}, fault || "\u00a0"),
    characters.slice(end).join(""),
  );
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.?!]$/.test(text) ? "" : ".");
}
