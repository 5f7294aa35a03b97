// The page of a comparison: two films side by side, or in one place to be swiped or blinked between.
import { Greys, Stage, View, keys, oneOf, tools } from "./viewer.js";

const BLINK_MS = 700;

const viewer = document.getElementById("viewer");
if (viewer) {
  const [view, greys] = [new View(), new Greys()];
  const [before, now] = [...viewer.querySelectorAll(".stage")].map((box) => new Stage(box, view, greys));
  const moves = tools(viewer, view, greys);
  const { film, prior } = viewer.dataset;
  const pair = `/films/${film}/compare/${prior}`;
  const comparable = viewer.dataset.comparable === "yes";

  const thickness = viewer.querySelector("[name=opacity]");
  const thicken = () => viewer.style.setProperty("--opacity", thickness.value / 100);
  thickness.addEventListener("input", thicken);
  thicken();
  const layers = [...viewer.querySelectorAll("button[name=layer]")];
  oneOf(layers, (value) => {
    for (const stage of [before, now]) stage.layer(value && `${pair}/${value}.png`);
    viewer.dataset.layer = value;
  });

  // the swiped edge, as a share of the stage; the prior is seen on its left
  const edge = viewer.querySelector("[name=edge]");
  const swipe = () => viewer.style.setProperty("--edge", `${edge.value}%`);
  edge.addEventListener("input", swipe);
  swipe();
  const pull = (event) => {
    const box = now.box.getBoundingClientRect();
    edge.value = 100 * (event.clientX - box.left) / box.width;
    swipe();
  };
  const handle = viewer.querySelector(".handle");
  handle.addEventListener("pointerdown", (event) => handle.setPointerCapture(event.pointerId));
  handle.addEventListener("pointermove", (event) => { if (event.buttons) pull(event); });

  let timer = null;
  const flip = () => viewer.classList.toggle("flipped");
  function arrange(mode) {
    clearInterval(timer);
    viewer.classList.remove("flipped");
    viewer.dataset.mode = mode || "beside";
    if (mode === "blink") timer = setInterval(flip, BLINK_MS);
    edge.disabled = mode !== "swipe";
    view.changed();
  }
  oneOf([...viewer.querySelectorAll("button[name=mode]")], arrange);
  arrange("");
  const push = (by) => () => {
    if (viewer.dataset.mode !== "swipe") return moves[by < 0 ? "ArrowLeft" : "ArrowRight"]();
    edge.value = Number(edge.value) + by;
    return swipe();
  };
  // the space bar flips by hand, as slowly as the reader likes
  const byHand = () => { if (viewer.dataset.mode === "blink") { clearInterval(timer); flip(); } };
  const thicker = (by) => () => { thickness.value = Number(thickness.value) + by; thicken(); };
  keys({ ...moves, ArrowLeft: push(-4), ArrowRight: push(4), " ": byHand, "[": thicker(-10), "]": thicker(10) });

  await Promise.all([now.show(`/films/${film}/pixels`), before.show(comparable ? `${pair}/pixels` : `/films/${prior}/pixels`)]);
}
