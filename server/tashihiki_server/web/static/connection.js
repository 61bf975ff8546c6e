// Says when the server is gone, looks for it, and goes on when it is back.

import { api } from "./api.js";
import { announce, byId } from "./elements.js";
import { word } from "./language.js";

const RETRY_MS = 1000;
const WATCH_MS = 5000;

let down = false;
let whenBack = () => {};

export function watchConnection(resume) {
  whenBack = resume;
  setInterval(() => {
    if (!down && !document.hidden) look();
  }, WATCH_MS);
}

export function connectionLost() {
  if (down) return;
  down = true;
  byId("connection").textContent = word("down");
  byId("connection").hidden = false;
  setTimeout(retry, RETRY_MS);
}

async function look() {
  try {
    if (!(await api.health()).serving) connectionLost();
  } catch {
    connectionLost();
  }
}

async function retry() {
  try {
    if (!(await api.health()).serving) throw new Error("not yet");
  } catch {
    setTimeout(retry, RETRY_MS);
    return;
  }
  down = false;
  byId("connection").hidden = true;
  announce(word("back"));
  whenBack();
}
