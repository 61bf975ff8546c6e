// The results: a grid that grows as it is scrolled, or two beside each other.

import { admitAll } from "./admitted.js";
import { api } from "./api.js";
import { card, grid, wantedValues } from "./cards.js";
import { announce, button, byId, element } from "./elements.js";
import { orTry, tries } from "./examples.js";
import { clearFailure, showFailure } from "./failures.js";
import { count, word } from "./language.js";
import { resetWhy, showWhy } from "./why.js";

const COMPARED = 12;
const body = byId("results-body");
const heading = byId("results-title");

let watcher = null;

export function clearResults() {
  watcher?.disconnect();
  body.replaceChildren();
  heading.textContent = word("resultsTitle");
  resetWhy(false);
}

export function showLoading(title) {
  clearResults();
  heading.textContent = title;
  body.replaceChildren(element("p", { class: "quiet" }, word("loading")));
}

export function showBrowse(page, sample) {
  clearResults();
  const { collection } = page.state;
  heading.textContent = word("browseTitle", { collection, count: count(sample.item_count) });
  if (sample.items.length === 0) {
    body.append(element("p", {}, word("noItems")));
    announce(word("noItems"));
    return;
  }
  const examples = tries(page, sample.items);
  const hint = word(examples.length ? "browseHint" : "browseHintAlone");
  body.append(
    element("p", { class: "tries" }, hint, " ", ...examples),
    grid(sample.items.map((item) => card(page, item))),
  );
  announce(heading.textContent);
}

export function showResults(page, result) {
  clearResults();
  heading.textContent = word("resultsTitle");
  resetWhy(result.hits.length > 0);
  if (result.hits.length === 0) {
    const filtered = page.state.where || Object.keys(page.state.only).length > 0;
    const why = word(filtered ? "noneAdmitted" : "noneElse");
    body.append(element("p", {}, why));
    if (filtered) {
      body.append(withoutFilter(page));
      showWaysOn(page);
    }
    announce(why);
    return;
  }
  const cards = grid(hitCards(page, result));
  body.append(cards);
  const said = { count: count(result.hits.length), query: result.expression };
  announce(word(result.next_page_token ? "foundMore" : "found", said));
  if (result.next_page_token) offerMore(page, result, cards);
}

function withoutFilter(page) {
  const drop = button(word("withoutFilter"), () => page.change({ where: "", only: admitAll() }));
  return element("p", { class: "tries" }, drop);
}

// Below a failure, so that it is no dead end.
export function showWaysOn(page) {
  const ways = orTry(page);
  if (ways) body.append(ways);
}

// The same where what was found before stays.
export function keepResults(page) {
  watcher?.disconnect();
  for (const node of body.querySelectorAll(":scope > .more, :scope > .kept")) node.remove();
  const ways = body.querySelector(".tries") ? null : orTry(page);
  const note = element("p", { class: "quiet" }, word("kept"));
  body.prepend(element("div", { class: "kept" }, ways, note));
}

export async function showComparison(page, result, signal) {
  if (result.hits.length === 0) {
    showResults(page, result);
    return;
  }
  clearResults();
  resetWhy(true);
  const plain = element("section", {}, element("h3", {}, word("plainTitle")));
  const waiting = element("p", { class: "quiet" }, word("loading"));
  plain.append(waiting);
  const title = word(page.spaceIsSum() ? "sumTitle" : "factoredTitle");
  const ours = { ...result, hits: result.hits.slice(0, COMPARED) };
  body.append(
    element("p", { class: "quiet" }, word("compareHint")),
    element(
      "div",
      { class: "beside" },
      element("section", {}, element("h3", {}, title), grid(hitCards(page, ours))),
      plain,
    ),
  );
  try {
    const query = { ...page.query(), limit: COMPARED };
    const { hits, note } = await api.plainSum(page.state.collection, query, signal);
    const wanted = wantedValues(result.terms);
    if (note) waiting.textContent = word("plainNothing");
    else waiting.replaceWith(grid(hits.map((hit) => card(page, hit, { wanted }))));
  } catch (error) {
    if (error.name === "AbortError") return;
    const box = element("div", { class: "failure", role: "alert" });
    waiting.replaceWith(box);
    showFailure(box, error);
  }
}

function hitCards(page, result) {
  const wanted = wantedValues(result.terms);
  return result.hits.map((hit) =>
    card(page, hit, { wanted, why: (opened) => showWhy(page, result, hit, opened) }),
  );
}

function offerMore(page, first, cards) {
  let token = first.next_page_token;
  let loading = false;
  const failure = element("div", { class: "failure", role: "alert", hidden: true });
  const more = button(word("more"), () => load(), { class: "more" });
  body.append(failure, more);
  watcher = new IntersectionObserver(
    (entries) => entries.some((entry) => entry.isIntersecting) && load(),
    { rootMargin: "300px" },
  );
  // Only once the reader scrolls: a first page that fits the window is enough to begin with.
  const begin = () => watcher.observe(more);
  window.addEventListener("scroll", begin, { once: true, passive: true });

  async function load() {
    if (loading || !token || !more.isConnected) return;
    loading = true;
    clearFailure(failure);
    try {
      const next = await page.nextPage(token);
      if (!more.isConnected) return;
      token = next.next_page_token;
      cards.append(...hitCards(page, next));
      if (!token) more.remove();
      else {
        watcher.unobserve(more);
        watcher.observe(more);
      }
    } catch (error) {
      if (error.isConnection) page.fail(error);
      else {
        showFailure(failure, error);
        watcher.disconnect();
      }
    } finally {
      loading = false;
    }
  }
}
