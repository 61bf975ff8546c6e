// One tint for each facet, and for each value on the map.

const NAMED = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey", "gray", "navy", "beige", "teal"];
const TINTS = 10;

export function facetTint(facets, facet) {
  const place = facets.findIndex((one) => one.facet === facet);
  return `tint-${(place < 0 ? 0 : place) % TINTS}`;
}

export function valueTint(values, value) {
  if (!value) return "tint-none";
  const name = value.toLowerCase();
  if (NAMED.includes(name)) return `paint-${name}`;
  return `tint-${Math.max(0, values.indexOf(value)) % TINTS}`;
}
