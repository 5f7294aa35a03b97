// Look again when the server says that there is something new, and say so when it falls silent: an old
// page must not pass for a new one.
"use strict";
(() => {
  const live = document.getElementById("live");
  const lost = document.getElementById("lost");
  if (!live) return;
  const periodMs = 1000 * Number(live.dataset.refreshS);
  let paused = false;
  let looking = false;
  let answered = new Date();
  let silence = null;

  function showPause() {
    const button = document.getElementById("pause");
    button.hidden = false;
    button.textContent = paused ? "Paused: go on" : "Pause";
    button.setAttribute("aria-pressed", String(paused));
  }

  document.addEventListener("click", (event) => {
    if (!event.target.closest("#pause")) return;
    paused = !paused;
    showPause();
    if (!paused) look();
  });

  // what a reader has typed, opened, scrolled or selected stays; so does a viewer with its film
  function keeps(node, next) {
    if (node.id && node.id === next.id && node.hasAttribute("data-keep") && next.hasAttribute("data-keep")) {
      if (node.dataset.keep !== next.dataset.keep) location.reload(); // other tools: begin anew
      return false;
    }
    if (node.nodeName === "DETAILS" && node.open) next.setAttribute("open", "");
    return true;
  }

  function putIn(text) {
    const next = new DOMParser().parseFromString(text, "text/html").getElementById("live");
    if (!next) throw new Error("no page");
    Idiomorph.morph(live, next, { morphStyle: "outerHTML", ignoreActiveValue: true, callbacks: { beforeNodeMorphed: keeps } });
    showPause();
  }

  async function look() {
    if (paused || looking || document.hidden) return;
    looking = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html", "X-Hilum-Look": "again" }, signal: AbortSignal.timeout(periodMs + 5000) });
      if (answer.status === 401) { location.reload(); return; } // the session is over: the films leave the screen
      if (!answer.ok) throw new Error(String(answer.status));
      const text = await answer.text();
      if (!paused && String(getSelection()) === "") putIn(text); // a reader who is copying keeps the selection
      answered = new Date();
      lost.hidden = true;
    } catch (error) {
      console.warn("hilum: this page could not be renewed:", error.message);
      saySilent();
    } finally {
      looking = false;
    }
  }

  function saySilent() {
    lost.textContent = `The dashboard does not answer. What you see is as of ${answered.toLocaleTimeString()}.`;
    lost.hidden = false;
  }

  function heard() {
    clearTimeout(silence);
    silence = setTimeout(saySilent, 2 * periodMs + 5000);
  }

  function listen() {
    const events = new EventSource("/events");
    events.addEventListener("hello", () => { heard(); if (!lost.hidden) look(); });
    events.addEventListener("look", () => { heard(); look(); });
    events.addEventListener("error", () => {
      if (events.readyState !== EventSource.CLOSED) return; // it tries again by itself
      look();
      setTimeout(listen, periodMs);
    });
  }

  document.addEventListener("visibilitychange", look);
  showPause();
  heard();
  listen();
})();
