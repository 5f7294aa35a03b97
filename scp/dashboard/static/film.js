// The page of one film: its viewer.
import { Greys, Stage, View, keys, legend, oneOf, tools } from "./viewer.js";

const viewer = document.getElementById("viewer");
if (viewer) {
  const [view, greys] = [new View(), new Greys()];
  const stage = new Stage(viewer.querySelector(".stage"), view, greys);
  const moves = tools(viewer, view, greys);
  const uid = viewer.dataset.film;

  const rings = viewer.querySelector("[name=outlines]");
  rings.addEventListener("click", () => {
    const hidden = stage.box.classList.toggle("bare");
    rings.setAttribute("aria-pressed", String(!hidden));
  });
  const thickness = viewer.querySelector("[name=opacity]");
  const thicken = () => stage.box.style.setProperty("--opacity", thickness.value / 100);
  thickness.addEventListener("input", thicken);
  thicken();
  const findings = [...viewer.querySelectorAll("button[name=heatmap]")];
  oneOf(findings, (label) => {
    stage.layer(label && `/films/${uid}/heatmaps/${label}.png`);
    stage.box.dataset.layer = label;
    stage.single(label);
  });
  const thicker = (by) => () => { thickness.value = Number(thickness.value) + by; thicken(); };
  keys({ ...moves, "[": thicker(-10), "]": thicker(10) });

  const outline = async () => {
    if (!findings.length) return;
    const outlined = await (await fetch(`/films/${uid}/overlay`)).json();
    stage.outline(outlined);
    legend(viewer.querySelector(".legend"), outlined);
  };
  await stage.show(`/films/${uid}/pixels`, outline);
}
