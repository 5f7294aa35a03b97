// Look again every few seconds, and say so when there is no answer: an old page must not pass for a new one.
"use strict";
(() => {
  const live = document.getElementById("live");
  const lost = document.getElementById("lost");
  if (!live) return;
  const periodMs = 1000 * Number(live.dataset.refreshS);
  let paused = false;
  let answered = new Date();

  function showPause() {
    const button = document.getElementById("pause");
    button.hidden = false;
    button.textContent = paused ? "Paused: go on" : "Pause";
    button.setAttribute("aria-pressed", String(paused));
    button.onclick = () => { paused = !paused; showPause(); if (!paused) look(); };
  }

  function putIn(text) {
    const next = new DOMParser().parseFromString(text, "text/html").getElementById("live");
    if (!next) throw new Error("no page");
    const focused = document.activeElement && document.activeElement.id;
    const scrolled = [...document.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
    for (const kept of live.querySelectorAll("[data-keep]")) next.querySelector(`#${kept.id}`)?.replaceWith(kept);
    live.replaceChildren(...next.childNodes);
    document.querySelectorAll(".scroll").forEach((box, i) => { box.scrollLeft = scrolled[i] || 0; });
    if (focused && document.getElementById(focused)) document.getElementById(focused).focus({ preventScroll: true });
    showPause();
  }

  async function look() {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(periodMs + 5000) });
      if (!answer.ok) throw new Error(String(answer.status));
      const text = await answer.text();
      if (!paused && String(getSelection()) === "") putIn(text); // a reader who is copying keeps the selection
      answered = new Date();
      lost.hidden = true;
    } catch {
      lost.textContent = `The dashboard does not answer. What you see is as of ${answered.toLocaleTimeString()}.`;
      lost.hidden = false;
    }
  }

  async function rounds() {
    if (!paused && !document.hidden) await look();
    setTimeout(rounds, periodMs);
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden && !paused) look(); });
  showPause();
  setTimeout(rounds, periodMs);
})();
