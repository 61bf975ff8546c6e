// The values that the boxes admit, by facet.

// No prototype: a facet may be called `constructor`.
export function admitAll() {
  return Object.create(null);
}

export function toggled(only, facet, value) {
  const chosen = only[facet] ?? [];
  const values = chosen.includes(value) ? chosen.filter((one) => one !== value) : [...chosen, value];
  const admitted = Object.assign(admitAll(), only);
  if (values.length) admitted[facet] = values;
  else delete admitted[facet];
  return admitted;
}
