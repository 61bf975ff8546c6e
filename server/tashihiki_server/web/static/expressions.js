// Edits of expression text that need no parser; all others are the server's.

const SUBJECTS = { "this item": /\bthis\s+item(?!\w)/gi, "this image": /\bthis\s+image(?!\w)/gi };

export function appended(expression, sign, term) {
  const text = expression.trim();
  if (!text) return sign === "+" ? term : `−${term}`;
  return `${text} ${sign} ${term}`;
}

export function names(expression, subject) {
  return expression.search(SUBJECTS[subject]) >= 0;
}

// Another item or picture takes the place of the one there was; the refinements stay.
export function withSubject(expression, subject) {
  if (names(expression, subject)) return expression;
  const other = subject === "this item" ? "this image" : "this item";
  return names(expression, other) ? expression.replace(SUBJECTS[other], subject) : subject;
}

// What is left of `this item − background` asks for nothing.
export function withoutSubject(expression, subject) {
  const weighted = new RegExp(`([\\d.]+\\s*[*]\\s*)?${SUBJECTS[subject].source}`, "gi");
  const left = expression.replace(weighted, "").replace(/^\s*[+]\s*/, "").trim();
  return /^[−–-]/.test(left) || /[+−–-]$/.test(left) ? "" : left;
}

// The text that names what a failure offers, for example `colour:red` or a facet.
export function termOfCandidate(facets, candidate) {
  for (const facet of facets) {
    if (facet.facet === candidate) return facet.term;
    for (const value of facet.values) {
      if (`${facet.facet}:${value.value}` === candidate || value.value === candidate) {
        return value.term;
      }
    }
  }
  return /[\s+\-]/.test(candidate) && !candidate.includes('"') ? `"${candidate}"` : candidate;
}
