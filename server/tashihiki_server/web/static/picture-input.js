// A picture to search with: chosen, pasted, or dropped anywhere on the page.

import { api } from "./api.js";
import { byId } from "./elements.js";

const sent = new Map();

export function attachPictureInput(take, fail) {
  const veil = byId("drop");
  const use = async (file) => {
    if (!file) return;
    try {
      take(await keep(file));
    } catch (error) {
      fail(error);
    }
  };
  byId("picture-file").addEventListener("change", (event) => {
    use(event.target.files[0]);
    event.target.value = "";
  });
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    use(file);
  });
  document.addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    veil.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) veil.hidden = true;
  });
  document.addEventListener("drop", (event) => {
    veil.hidden = true;
    if (event.dataTransfer.files.length === 0) return;
    event.preventDefault();
    use(event.dataTransfer.files[0]);
  });
}

// A server that was started anew has forgotten the picture; this page has not.
export async function sendAgain(token) {
  const file = sent.get(token);
  if (!file) return false;
  await api.keepPicture(file);
  return true;
}

async function keep(file) {
  const token = await api.keepPicture(file);
  sent.set(token, file);
  return token;
}
