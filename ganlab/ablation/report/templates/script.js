"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  document.documentElement.classList.add("js");

  // Legends: a variant is shown or hidden in all charts at once.
  const boxes = all(".legend input");
  for (const box of boxes) {
    box.addEventListener("change", () => {
      const variant = box.dataset.variant;
      for (const other of boxes) if (other.dataset.variant === variant) other.checked = box.checked;
      for (const part of all(`.chart [data-variant="${variant}"]`)) part.classList.toggle("off", !box.checked);
    });
  }

  // Charts: what all lines say at the moment nearest to the pointer.
  const short = (value) => (Number.isFinite(value) ? Number(value.toPrecision(4)).toString().replace("-", "−") : String(value));
  const read = (figure, event) => {
    const svg = figure.querySelector("svg");
    const matrix = svg.getScreenCTM();
    if (!matrix) return;
    const at = (event.clientX - matrix.e) / matrix.a;
    const marks = all("g:not(.off) > .mark", svg).map((mark) => ({ mark, x: mark.transform.baseVal.getItem(0).matrix.e }));
    if (!marks.length) return;
    const nearest = marks.reduce((one, two) => (Math.abs(two.x - at) < Math.abs(one.x - at) ? two : one)).x;
    const here = marks.filter((found) => Math.abs(found.x - nearest) < 0.6).map((found) => found.mark);
    const cursor = svg.querySelector(".cursor");
    cursor.setAttribute("transform", `translate(${nearest} 0)`);
    cursor.setAttribute("visibility", "visible");
    const words = here.map((mark) => `${mark.parentNode.dataset.label} ${short(Number(mark.dataset.mean))}`);
    const readout = figure.querySelector(".readout");
    readout.replaceChildren(
      ...[`${Number(here[0].dataset.x).toLocaleString("en")} images shown:`, ...words.reverse()].map((text) => {
        const part = document.createElement("span");
        part.textContent = text;
        return part;
      }),
    );
  };
  for (const figure of all("figure.curve")) {
    figure.querySelector("svg").addEventListener("pointermove", (event) => read(figure, event));
    figure.addEventListener("pointerleave", () => {
      figure.querySelector(".cursor").setAttribute("visibility", "hidden");
      figure.querySelector(".readout").replaceChildren();
    });
  }

  // Samples: one seed at one moment.
  const seed = document.getElementById("seed");
  const moments = all(".moment");
  if (seed && moments.length) {
    const slider = document.getElementById("moment");
    const ofSeed = () => moments.filter((moment) => moment.dataset.seed === seed.value);
    const show = () => {
      const mine = ofSeed();
      const chosen = mine[Math.min(Number(slider.value), mine.length - 1)];
      for (const moment of moments) moment.classList.toggle("shown", moment === chosen);
      slider.nextElementSibling.textContent = Number(chosen.dataset.imagesShown).toLocaleString("en");
    };
    const choose = () => {
      const mine = ofSeed();
      slider.max = String(mine.length - 1);
      slider.value = slider.max;
      slider.parentElement.hidden = mine.length < 2;
      show();
    };
    seed.addEventListener("change", choose);
    slider.addEventListener("input", show);
    document.querySelector(".controls").hidden = false;
    choose();
    for (const image of all(".grids img")) {
      image.addEventListener("click", () => image.closest("figure").classList.toggle("large"));
    }
  }
})();
