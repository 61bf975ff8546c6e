// What the page asks its server for. Failures are `Failure`; without an answer, reason UNREACHABLE.

export class Failure extends Error {
  constructor(error) {
    super(error.message);
    Object.assign(this, { position: null, length: null, candidates: [], field: "" }, error);
  }

  get isConnection() {
    return ["UNREACHABLE", "UNAVAILABLE", "DEADLINE_EXCEEDED"].includes(this.reason);
  }
}

function of(collection, name, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  return `/api/collections/${encodeURIComponent(collection)}/${name}${query ? `?${query}` : ""}`;
}

async function ask(address, options = {}) {
  let response;
  let body;
  try {
    response = await fetch(address, options);
    body = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure({ reason: "UNREACHABLE", message: "the server does not answer", remedy: "" });
  }
  if (response.ok) return body;
  throw new Failure(body.error ?? { reason: "UNKNOWN", message: response.statusText, remedy: "" });
}

function post(address, body, signal) {
  return ask(address, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
}

export const api = {
  health: () => ask("/api/health"),
  collections: async () => (await ask("/api/collections")).collections,
  facets: async (collection) => (await ask(of(collection, "facets"))).facets,
  completion: (collection, text, cursor, signal) =>
    ask(of(collection, "completion", { text, cursor }), { signal }),
  sample: (collection, signal) => ask(of(collection, "sample", { count: 40 }), { signal }),
  item: (collection, id) => ask(of(collection, "item", { id })),
  duplicates: async (collection, id, signal) =>
    (await ask(of(collection, "duplicates", { id }), { signal })).groups,
  search: (collection, query, signal) => post(of(collection, "search"), query, signal),
  plainSum: (collection, query, signal) => post(of(collection, "plain-sum"), query, signal),
  map: (collection, query, signal) => post(of(collection, "map"), query, signal),
  keepPicture: async (blob) =>
    (await ask("/api/pictures", {
      method: "POST",
      headers: { "Content-Type": blob.type.startsWith("image/") ? blob.type : "image/unknown" },
      body: blob,
    })).token,
};
