// The page: its state, and what happens when it changes.

import { admitAll } from "./admitted.js";
import { api } from "./api.js";
import { showChips } from "./chips.js";
import { connectionLost, watchConnection } from "./connection.js";
import { showDuplicates } from "./duplicates.js";
import { button, byId, element } from "./elements.js";
import { filterHint, queryHint } from "./examples.js";
import { appended, names, termOfCandidate, withSubject, withoutSubject } from "./expressions.js";
import { showFacets } from "./facets.js";
import { clearFailure, replacePlace, showFailure } from "./failures.js";
import { switchLanguage, translatePage, word } from "./language.js";
import { readLocation, writeLocation } from "./location.js";
import { showMap } from "./map.js";
import { attachPictureInput, sendAgain } from "./picture-input.js";
import { attachQueryBar, setExpression } from "./query-bar.js";
import {
  clearResults,
  keepResults,
  showBrowse,
  showComparison,
  showResults,
  showWaysOn,
} from "./results.js";
import { hideSubject, showSubject } from "./subject.js";

const PAGE = 40;
const VIEWS = ["results", "map", "duplicates"];

let collections = [];
let running = null;
// The collection and the view that are on the page; null while another takes their place.
let drawn = null;

const page = {
  state: readLocation(),
  facets: [],

  change(changes, { replace = false } = {}) {
    const facetsChange = "collection" in changes && changes.collection !== page.state.collection;
    page.state = { ...page.state, ...changes };
    writeLocation(page.state, replace);
    return refresh({ facetsChange });
  },

  changeTerms(terms) {
    if (terms.length === 0) return page.change({ expression: "", item: "", picture: "" });
    return refresh({ terms });
  },

  addTerm(sign, term) {
    return page.change({ expression: appended(page.state.expression, sign, term), ...toResults() });
  },

  useItem(id) {
    const expression = withSubject(page.state.expression, "this item");
    window.scrollTo({ top: 0 });
    // The card that was clicked goes.
    byId("results").focus({ preventScroll: true });
    const picture = names(expression, "this image") ? page.state.picture : "";
    return page.change({ item: id, picture, expression, ...toResults() });
  },

  forget(name) {
    const subject = name === "item" ? "this item" : "this image";
    return page.change({ [name]: "", expression: withoutSubject(page.state.expression, subject) });
  },

  showDuplicatesOf(id) {
    return page.change({ item: id, view: "item-duplicates" });
  },

  query() {
    const { expression, item, picture, where, only, mode } = page.state;
    return { expression, item, picture, where, only, mode };
  },

  nextPage(token) {
    return api.search(page.state.collection, { ...page.query(), page_token: token, limit: PAGE });
  },

  spaceIsSum() {
    return collections.find((one) => one.name === page.state.collection)?.space === "sum";
  },

  fail(error) {
    if (error.name === "AbortError") return;
    if (error.isConnection) {
      connectionLost();
      return;
    }
    if (!("reason" in error)) throw error;
    if (error.reason === "UNKNOWN_COLLECTION") failAtCollection(error);
    else if (error.field.startsWith("filter")) failAtFilter(error);
    else failAtQuery(error);
  },
};

function toResults() {
  return page.state.view === "map" ? {} : { view: "results" };
}

function failAtCollection(error) {
  showFailure(byId("query-failure"), error, {
    choose: (candidate) => page.change({ collection: candidate }),
  });
}

function failAtQuery(error) {
  const input = byId("expression");
  const text = page.state.expression;
  showFailure(byId("query-failure"), error, {
    input,
    text: error.field.startsWith("query") ? text : "",
    choose:
      error.position === null
        ? null
        : (candidate) => {
            const term = termOfCandidate(page.facets, candidate);
            input.focus();
            page.change({ expression: replacePlace(text, error, term) });
          },
  });
}

function failAtFilter(error) {
  const input = byId("where");
  byId("filters").open = true;
  showFailure(byId("filter-failure"), error, {
    input,
    text: page.state.where,
    choose:
      error.position === null
        ? null
        : (candidate) => {
            input.focus();
            page.change({ where: replacePlace(page.state.where, error, candidate) });
          },
  });
}

async function refresh({ terms = null, facetsChange = false, again = true } = {}) {
  running?.abort();
  const controller = new AbortController();
  running = controller;
  const { signal } = controller;
  // Those of another collection must not be offered should its own not come.
  if (facetsChange) {
    page.facets = [];
    showHints();
  }
  showControls();
  byId("results").setAttribute("aria-busy", "true");
  let facets = null;
  try {
    facets = facetsChange || page.facets.length === 0 ? loadFacets() : null;
    clearFailure(byId("query-failure"), byId("expression"));
    clearFailure(byId("filter-failure"), byId("where"));
    await Promise.all([facets, showSubject(page, facets), show(terms, signal, facets)]);
  } catch (error) {
    if (error.name === "AbortError" || running !== controller) return;
    if (error.reason === "PICTURE_GONE" && again && (await sendAgain(page.state.picture))) {
      await refresh({ terms, again: false });
      return;
    }
    if (error.reason === "UNKNOWN_ITEM" && page.state.item) hideSubject();
    page.fail(error);
    if (error.isConnection) return;
    const stays = drawn === place();
    if (!stays) {
      drawn = null;
      clearResults();
    }
    // The ways on are made of the facets, which may still be coming.
    await facets?.catch(() => {});
    const sample = stays ? null : await sampleInstead(signal);
    // Where the item alone was at fault, results may have come meanwhile.
    if (running !== controller || (!stays && drawn)) return;
    if (stays) keepResults(page);
    else if (sample) draw(() => showBrowse(page, sample));
    else showWaysOn(page);
  } finally {
    if (running === controller) byId("results").setAttribute("aria-busy", "false");
  }
}

function place() {
  return JSON.stringify([page.state.collection, page.state.view]);
}

async function draw(show) {
  drawn = null;
  const where = place();
  await show();
  drawn = where;
}

// Pictures to go on from where nothing was shown yet; the failure that led here is told already.
function sampleInstead(signal) {
  if (page.state.view !== "results") return null;
  return api.sample(page.state.collection, signal).catch(() => null);
}

// What is drawn needs the facets, and waits for them once its own answer is there.
async function show(terms, signal, facets) {
  const { collection, expression, item, view, compare } = page.state;
  const of = view === "item-duplicates" ? item : "";
  const query = page.query();
  if (terms) {
    delete query.expression;
    query.terms = terms;
  }
  if (!expression && !terms) {
    showChips(page, []);
    const sample = view === "results" ? await api.sample(collection, signal) : null;
    await facets;
    await draw(() => {
      if (view === "map") return showMap(page, query, signal);
      if (view !== "results") return showDuplicates(page, of, signal);
      return showBrowse(page, sample);
    });
    return;
  }
  const result = await api.search(collection, { ...query, limit: PAGE }, signal);
  await facets;
  page.state.expression = result.expression;
  setExpression(result.expression);
  writeLocation(page.state, true);
  showChips(page, result.terms);
  await draw(() => {
    if (view === "map") return showMap(page, page.query(), signal);
    if (view !== "results") return showDuplicates(page, of, signal);
    if (compare) return showComparison(page, result, signal);
    return showResults(page, result);
  });
}

function showHints() {
  byId("expression").placeholder = queryHint(page.facets);
  byId("where").placeholder = filterHint(page.facets);
}

async function loadFacets() {
  const { collection } = page.state;
  const found = await api.facets(collection);
  if (page.state.collection !== collection) return;
  page.facets = found;
  showFacets(page);
  showHints();
}

function showControls() {
  const { expression, where, mode, compare, collection, view } = page.state;
  setExpression(expression);
  byId("where").value = where;
  document.querySelector(`#mode input[value="${mode}"]`).checked = true;
  byId("compare").checked = compare;
  byId("collection").value = collection;
  document.title = expression ? `${expression} · Tashihiki` : "Tashihiki";
  byId("views").replaceChildren(
    ...VIEWS.map((name) =>
      button(word(`view_${name}`), () => page.change({ view: name }).then(() => focusView(name)), {
        "aria-pressed": String(view.endsWith(name)),
        "data-view": name,
      }),
    ),
  );
  showFacets(page);
}

// The buttons are drawn anew with every change.
function focusView(name) {
  document.querySelector(`[data-view="${name}"]`)?.focus();
}

async function loadCollections() {
  collections = await api.collections();
  const usable = collections.filter((one) => !one.fault);
  byId("collection").replaceChildren(
    ...usable.map((one) => element("option", { value: one.name }, one.name)),
  );
  if (!usable.some((one) => one.name === page.state.collection)) {
    page.state.collection ||= usable[0]?.name ?? "";
  }
  return usable.length > 0;
}

async function begin() {
  translatePage();
  byId("language").textContent = word("otherLanguage");
  try {
    const listed = loadCollections();
    // A link names its collection and need not wait for the others.
    const early = page.state.collection ? refresh({ facetsChange: true }) : null;
    const some = await listed;
    byId("collection").value = page.state.collection;
    if (!some) {
      showControls();
      byId("results-body").replaceChildren(element("p", {}, word("noCollections")));
    } else if (!early) await refresh({ facetsChange: true });
    await early;
  } catch (error) {
    page.fail(error);
  }
}

function attach() {
  attachQueryBar(page);
  attachPictureInput(
    (token) => {
      const expression = withSubject(page.state.expression, "this image");
      const item = names(expression, "this item") ? page.state.item : "";
      page.change({ picture: token, item, expression, ...toResults() });
    },
    (error) => page.fail(error),
  );
  byId("collection").addEventListener("change", (event) => {
    const collection = event.target.value;
    const query = { expression: "", item: "", picture: "", where: "", only: admitAll(), facet: "" };
    page.change({ ...query, collection });
  });
  byId("filter-form").addEventListener("submit", (event) => {
    event.preventDefault();
    page.change({ where: byId("where").value.trim() });
  });
  byId("mode").addEventListener("change", (event) => page.change({ mode: event.target.value }));
  byId("compare").addEventListener("change", (event) =>
    page.change({ compare: event.target.checked, view: "results" }),
  );
  byId("language").addEventListener("click", () => {
    switchLanguage();
    begin();
  });
  document.querySelector(".skip").addEventListener("click", (event) => {
    // Followed, the link would be one more entry of the history.
    event.preventDefault();
    byId("results").focus();
  });
  window.addEventListener("popstate", () => {
    const { collection } = page.state;
    page.state = readLocation();
    page.state.collection ||= collections.find((one) => !one.fault)?.name ?? "";
    refresh({ facetsChange: page.state.collection !== collection });
  });
  watchConnection(begin);
}

attach();
begin();
