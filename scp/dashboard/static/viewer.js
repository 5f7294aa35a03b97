// A film in the browser: window, zoom, pan, and what lies over it. No library: a canvas and CSS.
// Several stages may share one view and one window, so that two films move and brighten together.

const HEADER_BYTES = 28;
const FASTEST = 8; // largest zoom, in screen pixels per pixel of the film

/** Those who want to know of a change, once in a frame of the screen. */
class Told {
  #listeners = [];
  #waiting = false;

  tell(listener) { this.#listeners.push(listener); }

  changed() {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => { this.#waiting = false; this.#listeners.forEach((listener) => listener()); });
  }
}

/** Wait until what was drawn is on the screen. */
const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));

/** Which part of the film is seen: zoom 1 shows all of it; x and y are the middle, in shares of it. */
export class View extends Told {
  zoom = 1; x = 0.5; y = 0.5;

  fit() { this.zoom = 1; this.x = this.y = 0.5; this.changed(); }

  /** Zoom by a factor; the point of the film at (x, y) stays where it is. */
  zoomAt(factor, x = this.x, y = this.y) {
    const zoom = Math.min(40, Math.max(0.5, this.zoom * factor));
    const kept = this.zoom / zoom;
    this.x = x + (this.x - x) * kept;
    this.y = y + (this.y - y) * kept;
    this.zoom = zoom;
    this.changed();
  }

  pan(dx, dy) {
    this.x = Math.min(1, Math.max(0, this.x + dx));
    this.y = Math.min(1, Math.max(0, this.y + dy));
    this.changed();
  }
}

/** How values become greys, beside the window that hilum read the film by: level 0, width 1. */
export class Greys extends Told {
  level = 0; width = 1; inverted = false;

  set(level, width) {
    this.level = Math.min(1.5, Math.max(-1.5, level));
    this.width = Math.min(4, Math.max(0.02, width));
    this.changed();
  }

  reset() { this.inverted = false; this.set(0, 1); }

  invert() { this.inverted = !this.inverted; this.changed(); }
}

/** A film's values, as `scp/dashboard/images/pixels.py` packs them. */
export class Film {
  constructor(buffer) {
    [this.rows, this.columns, this.step, this.entries, this.bytes] = new Uint32Array(buffer, 0, 5);
    this.aspect = new Float32Array(buffer, 20, 1)[0]; // height of a pixel over its width
    const [left, right, annotated] = new Uint8Array(buffer, 24, 3);
    this.sides = left ? [left, right].map((letter) => String.fromCharCode(letter)) : ["", ""];
    this.annotated = annotated === 1;
    [this.height, this.width] = [this.rows, this.columns].map((length) => Math.ceil(length / this.step));
    this.shown = new Uint8Array(buffer, HEADER_BYTES, this.entries);
    const Values = this.bytes === 1 ? Uint8Array : Uint16Array;
    this.values = new Values(buffer, HEADER_BYTES + this.entries, this.height * this.width);
    const black = this.shown[0], white = this.shown[this.entries - 1];
    this.first = this.shown.findIndex((grey) => grey !== black);
    this.last = this.shown.findIndex((grey) => grey === white);
    if (this.last <= this.first) { this.first = 0; this.last = this.entries - 1; }
  }

  static async fetch(address) {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error((await answer.json()).detail);
    return new Film(await answer.arrayBuffer());
  }

  /** Return the colour of each value, as ImageData wants it on a little-endian machine. */
  table(greys) {
    const middle = (this.first + this.last) / 2, span = this.last - this.first;
    const table = new Uint32Array(this.entries);
    for (let value = 0; value < this.entries; value++) {
      const asked = Math.round(middle + (value - middle - greys.level * span) / greys.width);
      const grey = this.shown[Math.min(this.entries - 1, Math.max(0, asked))];
      table[value] = 0xff000000 | (greys.inverted ? 255 - grey : grey) * 0x010101;
    }
    return table;
  }

  paint(canvas, greys) {
    if (canvas.width !== this.width || canvas.height !== this.height) [canvas.width, canvas.height] = [this.width, this.height];
    const picture = new ImageData(this.width, this.height);
    const out = new Uint32Array(picture.data.buffer), table = this.table(greys), values = this.values;
    for (let i = 0; i < out.length; i++) out[i] = table[values[i]];
    canvas.getContext("2d").putImageData(picture, 0, 0);
  }
}

/** Give a line of SVG the look of a finding's outline: the same as on the pictures. */
function drawn(line, finding) {
  line.setAttribute("stroke", finding.colour);
  if (finding.dash) line.setAttribute("stroke-dasharray", `${finding.dash} ${finding.dash}`);
}

/** Name the outlines that lie over a film. */
export function legend(list, findings) {
  const outlined = findings.filter((finding) => finding.outline);
  list.hidden = outlined.length === 0;
  list.replaceChildren(...outlined.map((finding) => {
    const [item, svg] = [document.createElement("li"), document.createElementNS("http://www.w3.org/2000/svg", "svg")];
    const line = document.createElementNS(svg.namespaceURI, "line");
    svg.setAttribute("viewBox", "0 0 32 8");
    svg.setAttribute("aria-hidden", "true");
    for (const [name, value] of [["x1", 0], ["x2", 32], ["y1", 4], ["y2", 4]]) line.setAttribute(name, value);
    drawn(line, finding);
    svg.append(line);
    item.append(svg, finding.name);
    return item;
  }));
}

/** One film on the screen, with what lies over it. */
export class Stage {
  #drag = null;

  constructor(box, view, greys) {
    Object.assign(this, { box, view, greys });
    this.sheet = box.querySelector(".sheet");
    this.canvas = box.querySelector("canvas");
    view.tell(() => this.place());
    greys.tell(() => this.paint());
    new ResizeObserver(() => this.place()).observe(box);
    box.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    box.addEventListener("pointerdown", (event) => this.#down(event));
    box.addEventListener("pointermove", (event) => this.#move(event));
    box.addEventListener("pointerup", () => { this.#drag = null; });
    box.addEventListener("pointercancel", () => { this.#drag = null; });
    box.addEventListener("contextmenu", (event) => event.preventDefault());
    box.addEventListener("dblclick", () => { view.fit(); greys.reset(); });
  }

  /** Show the film of this address, coarse at first; `seen` is called then. Say what is wrong if it cannot be. */
  async show(address, seen = () => {}) {
    const said = this.box.querySelector(".said");
    try {
      this.film = await Film.fetch(`${address}?coarse=true`);
      this.place();
      this.#annotate(address);
      this.paint();
      said.hidden = true;
      await frame();
      performance.mark("film seen");
      seen();
      if (this.film.step > 1) this.film = await Film.fetch(address);
      this.paint();
      performance.mark("film whole");
    } catch (error) {
      said.textContent = error.message;
      said.hidden = false;
      this.box.dataset.shown = "no";
      return false;
    }
    this.box.dataset.shown = "yes";
    return true;
  }

  /** Write the letters of the sides, and lay the film's overlays and its shutter over all else. */
  #annotate(address) {
    this.box.querySelectorAll(".side").forEach((side, i) => { side.textContent = this.film.sides[i]; });
    const image = this.sheet.querySelector("img.annotations");
    image.hidden = !this.film.annotated;
    if (this.film.annotated) image.src = address.replace(/pixels$/, "annotations.png");
  }

  paint() { if (this.film) this.film.paint(this.canvas, this.greys); }

  /** How many screen pixels a pixel of the film takes when all of it is seen. */
  get fitted() { return Math.min(this.box.clientWidth / this.film.columns, this.box.clientHeight / (this.film.rows * this.film.aspect)); }

  place() {
    if (!this.film || !this.box.clientWidth) return;
    const scale = Math.min(this.fitted * this.view.zoom, FASTEST);
    const [width, height] = [this.film.columns * scale, this.film.rows * this.film.aspect * scale];
    const style = this.sheet.style;
    style.width = `${width}px`;
    style.height = `${height}px`;
    style.transform = `translate(${this.box.clientWidth / 2 - this.view.x * width}px, ${this.box.clientHeight / 2 - this.view.y * height}px)`;
    this.box.dataset.zoom = this.view.zoom.toFixed(2);
  }

  /** Lay outlines over the film; each is known by its finding's label. */
  outline(findings) {
    const svg = this.sheet.querySelector("svg");
    if (!svg || !this.film) return;
    svg.setAttribute("viewBox", `0 0 ${this.film.columns} ${this.film.rows}`);
    svg.replaceChildren(...findings.filter((finding) => finding.outline).map((finding) => {
      const path = document.createElementNS(svg.namespaceURI, "polygon");
      path.setAttribute("points", finding.outline.map((point) => point.join(",")).join(" "));
      path.setAttribute("class", "ring");
      drawn(path, finding);
      path.dataset.label = finding.label;
      return path;
    }));
    this.single(this.alone);
  }

  /** Show the outline of one finding alone, or of all without a label. */
  single(label) {
    this.alone = label;
    for (const ring of this.sheet.querySelectorAll(".ring")) ring.classList.toggle("other", Boolean(label) && ring.dataset.label !== label);
  }

  /** Put one layer over the film, or none. */
  layer(address) {
    const image = this.sheet.querySelector("img.layer");
    image.hidden = !address;
    if (address && image.getAttribute("src") !== address) image.src = address;
  }

  #wheel(event) {
    if (!this.film) return;
    event.preventDefault();
    const seen = this.sheet.getBoundingClientRect();
    this.view.zoomAt(Math.exp(-event.deltaY / 400), (event.clientX - seen.left) / seen.width, (event.clientY - seen.top) / seen.height);
  }

  #down(event) {
    if (!this.film || event.target.closest(".handle")) return;
    const pans = event.button === 1 || event.button === 2 || event.shiftKey;
    this.#drag = { pans, x: event.clientX, y: event.clientY, level: this.greys.level, width: this.greys.width };
    this.box.setPointerCapture(event.pointerId);
  }

  #move(event) {
    const drag = this.#drag;
    if (!drag) return;
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    if (drag.pans) {
      const seen = this.sheet.getBoundingClientRect();
      this.view.pan(-dx / seen.width, -dy / seen.height);
      [drag.x, drag.y] = [event.clientX, event.clientY];
    } else {
      // as in other viewers: right widens, down darkens (the centre of the window rises)
      this.greys.set(drag.level + dy / 500, drag.width * Math.exp(dx / 300));
    }
  }
}

/** Let buttons with data-key be pressed by that key, unless somebody is typing. */
export function keys(others = {}) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input:not([type=range]):not([type=checkbox]), textarea, select")) return;
    if (event.key.startsWith("Arrow") && event.target.closest("input")) return;
    const button = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (button && !button.disabled) button.click();
    else if (others[event.key]) others[event.key]();
    else return;
    event.preventDefault();
  });
}

/** Bind the tools that every stage has: fit, zoom, invert, the sliders of the window. */
export function tools(panel, view, greys) {
  const of = (name) => panel.querySelector(`[name=${name}]`);
  const acts = {
    fit: () => { view.fit(); greys.reset(); },
    closer: () => view.zoomAt(1.25),
    farther: () => view.zoomAt(0.8),
    invert: () => greys.invert(),
  };
  for (const [name, act] of Object.entries(acts)) of(name).addEventListener("click", act);
  const [level, width] = [of("level"), of("width")];
  const set = () => greys.set(-Number(level.value) / 100, Math.exp(-Number(width.value) / 50));
  level.addEventListener("input", set);
  width.addEventListener("input", set);
  greys.tell(() => {
    level.value = -100 * greys.level;
    width.value = -50 * Math.log(greys.width);
    of("invert").setAttribute("aria-pressed", String(greys.inverted));
  });
  const step = (dx, dy) => () => view.pan(dx / view.zoom, dy / view.zoom);
  return { ArrowLeft: step(-0.05, 0), ArrowRight: step(0.05, 0), ArrowUp: step(0, -0.05), ArrowDown: step(0, 0.05) };
}

/** Bind buttons of which one at most is pressed; `act` gets the pressed one's value, or "". */
export function oneOf(buttons, act) {
  const press = (pressed) => {
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button === pressed)));
    act(pressed ? pressed.value : "");
  };
  buttons.forEach((button) => button.addEventListener("click", () => {
    press(button.getAttribute("aria-pressed") === "true" ? null : button);
  }));
  return press;
}
