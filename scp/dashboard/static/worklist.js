// Keys for the worklist. The film in hand is the one whose link has the focus: the browser opens it on Enter,
// shows where it is, and live.js gives the focus back after each look at the database.
"use strict";
(() => {
  const OFF = "hilum-keys-off"; // one letter may be what speech input types (WCAG 2.1.4)
  const by = (id) => document.getElementById(id);
  const isOn = () => localStorage.getItem(OFF) === null;

  function step(way) {
    const films = [...document.querySelectorAll(".films a.open")];
    if (!films.length) return;
    const here = document.activeElement.closest?.(".films tr")?.querySelector("a.open");
    const at = films.indexOf(here);
    const next = at < 0 ? (way > 0 ? 0 : films.length - 1) : Math.min(films.length - 1, Math.max(0, at + way));
    films[next].focus();
    films[next].closest("tr").scrollIntoView({ block: "nearest" });
  }

  function showKeys() {
    by("keys-on").checked = isOn();
    by("keys-on").onchange = (event) => { if (event.target.checked) localStorage.removeItem(OFF); else localStorage.setItem(OFF, "1"); };
    by("keys").showModal();
  }

  const DO = {
    "/": () => { by("q").focus(); by("q").select(); },
    j: () => step(1),
    k: () => step(-1),
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    u: () => by("other-order").click(),
    n: () => by("older")?.click(),
    "?": showKeys,
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || by("keys").open) return;
    if (event.target.matches("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (!Object.hasOwn(DO, event.key) || (!isOn() && event.key.length === 1)) return;
    event.preventDefault();
    DO[event.key]();
  });
  by("show-keys").hidden = false;
  by("show-keys").onclick = showKeys;
})();
