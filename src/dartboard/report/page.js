"use strict";
// The epoch slider, and the small buttons. All numbers come from the JSON beside the pictures.

const SAVED_STYLES = [
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linecap",
  "stroke-linejoin", "stroke-dashoffset", "opacity", "font-family", "font-size", "font-weight", "text-anchor", "display",
];
const THINNEST = 1.2, THICKEST = 11, PLAY_MS = 420, SWAP_MS = 1600;
const STRIP_GAP = 10, STRIP_EDGE = 7, STRIP_LEAST = 0.75; // of strip.py; the smallest scale of a small picture

function strongest(row, none) {
  let best = -1;
  row.forEach((weight, operation) => {
    if (operation !== none && weight !== null && (best < 0 || weight > row[best])) best = operation;
  });
  return best;
}

function shareOf(weight, [low, high]) {
  return Math.min(Math.max((weight - low) / (high - low), 0), 1);
}

function drawRelaxed(svg, kind, data, index) {
  const none = data.operations.indexOf("none");
  const kept = new Map(kind.kept[index]); // an edge that is derived as none is in no cell
  const firstNode = svg.querySelector(".node");
  const words = [];
  const litLast = [...kind.edges.keys()].sort((one, other) => kept.has(one) - kept.has(other) || one - other);
  litLast.forEach((edge) => {
    const [source, target] = kind.edges[edge];
    const group = svg.querySelector(`.e-${source}-${target}`);
    const row = kind.weights[index][edge] ?? [];
    const lit = kept.has(edge) && kept.get(edge) !== none;
    const operation = lit ? kept.get(edge) : strongest(row, none);
    const weight = row[operation] ?? 0;
    const path = group.querySelector("path");
    path.style.stroke = data.colours[operation] ?? "var(--line)";
    path.style.strokeWidth = (THINNEST + (THICKEST - THINNEST) * shareOf(weight, kind.thickness)).toFixed(2);
    path.style.strokeOpacity = lit ? 1 : 0.3;
    group.classList.toggle("lit", lit);
    group.querySelector("title").textContent =
      `${kind.names[edge]}: ${data.operations[operation] ?? "no weights"} ${(100 * weight).toFixed(1)} %`;
    firstNode.parentNode.insertBefore(group, firstNode);
    if (lit) words.push(`${kind.names[edge]} ${data.operations[operation]}`);
  });
  svg.setAttribute("aria-label", `Relaxed ${kind.title}, ${data.frames[index].label}. Derived: ${words.join(", ")}.`);
}

function drawHeat(svg, kind, data, index) {
  const kept = new Set((kind.kept?.[index] ?? []).map(([edge, operation]) => `${edge},${operation}`));
  svg.querySelectorAll(".box").forEach((box) => {
    const edge = Number(box.dataset.edge), operation = Number(box.dataset.operation);
    const weight = kind.weights[index][edge]?.[operation] ?? null;
    const share = weight === null ? 0 : shareOf(weight, kind.heat);
    box.querySelector("rect").style.fillOpacity = share.toFixed(3);
    box.querySelector("text").textContent = weight === null ? "–" : written(weight, kind);
    box.classList.toggle("strong", share > 0.68);
    box.classList.toggle("kept", kept.has(`${edge},${operation}`));
  });
  svg.setAttribute("aria-label", `${kind.label ?? `Heat map of alpha, ${kind.title}`}, ${data.frames[index].label}`);
}

// Weights of operations in percent; the numbers of another table in its own unit.
function written(value, { unit, decimals }) {
  return unit === undefined ? Math.round(100 * value) : (value / unit).toFixed(decimals);
}

// A strip of cells in as many columns as fit into its box, at most the number that it was written with.
function fitStrip(svg) {
  const thumbs = [...svg.querySelectorAll(".thumb")], frame = thumbs[0].querySelector(".frame");
  const across = Number(frame.getAttribute("width")) + STRIP_GAP, down = Number(frame.getAttribute("height")) + STRIP_GAP;
  svg.dataset.columns ??= Math.round((svg.viewBox.baseVal.width - 2 * STRIP_EDGE + STRIP_GAP) / across);
  const room = Math.max(2, Math.floor(svg.parentElement.clientWidth / (STRIP_LEAST * across)));
  const columns = Math.min(Number(svg.dataset.columns), room), rows = Math.ceil(thumbs.length / columns);
  thumbs.forEach((thumb, number) => {
    const x = STRIP_EDGE + across * (number % columns), y = STRIP_EDGE + down * Math.floor(number / columns);
    thumb.setAttribute("transform", `translate(${x} ${y.toFixed(0)})`);
  });
  const [width, height] = [across * columns, down * rows].map((size) => Math.round(size - STRIP_GAP + 2 * STRIP_EDGE));
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
}

function followCurve(svg, epoch) {
  let line = svg.querySelector(".cursor");
  if (!line) {
    line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    line.setAttribute("class", "cursor");
    svg.append(line);
  }
  const { x0, x1, top, bottom, left, right } = svg.dataset;
  const x = Number(x0) + epoch * (Number(x1) - Number(x0));
  line.style.display = x >= Number(left) && x <= Number(right) ? "" : "none";
  for (const [name, value] of [["x1", x], ["x2", x], ["y1", top], ["y2", bottom]]) line.setAttribute(name, value);
}

function followHistory(svg, index) {
  const cursor = svg.querySelector(".cursor");
  cursor.setAttribute("x", Number(cursor.dataset.left) + index * Number(cursor.dataset.step));
}

function startSlider(part) {
  const data = JSON.parse(part.querySelector(".slider-data").textContent);
  const slider = part.querySelector(".slider"), play = part.querySelector(".play");
  const halves = [...part.querySelectorAll(".half")].map((half) => ({
    kind: data.kinds[half.dataset.kind],
    relaxed: half.querySelector("svg.cell"),
    heat: half.querySelector("svg.heat"),
  }));
  const logged = [...part.querySelectorAll(".logged")].map((logged) => ({
    table: data.tables[logged.dataset.table],
    heat: logged.querySelector("svg.heat"),
  }));
  const genotype = part.querySelector(".now"); // null if no epoch has an architecture
  let timer = 0;

  function show(index) {
    const frame = data.frames[index];
    slider.value = index;
    slider.setAttribute("aria-valuetext", frame.label);
    part.querySelector(".readout").textContent = frame.readout;
    if (genotype) genotype.textContent = frame.genotype;
    halves.forEach(({ kind, relaxed, heat }) => {
      drawRelaxed(relaxed, kind, data, index);
      drawHeat(heat, kind, data, index);
    });
    logged.forEach(({ table, heat }) => drawHeat(heat, table, data, index));
    document.querySelectorAll("#change svg.curves, #curves svg.curves, #stability svg.curves")
      .forEach((svg) => followCurve(svg, frame.epoch));
    document.querySelectorAll("svg.history").forEach((svg) => followHistory(svg, index));
    document.querySelectorAll("svg.strip .thumb").forEach((thumb) =>
      thumb.classList.toggle("now", thumb.dataset.index === String(index)));
  }

  function stop() {
    clearTimeout(timer);
    timer = 0;
    play.textContent = "Play";
  }

  function move(by) {
    const next = Math.min(Math.max(Number(slider.value) + by, 0), data.frames.length - 1);
    if (next === Number(slider.value)) stop();
    show(next);
  }

  // One epoch further; the last one before a swap is shown for longer.
  function playOn() {
    move(1);
    if (timer) timer = setTimeout(playOn, data.swaps.includes(Number(slider.value) + 1) ? SWAP_MS : PLAY_MS);
  }

  slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
  part.querySelectorAll(".step").forEach((button) =>
    button.addEventListener("click", () => { stop(); move(Number(button.dataset.by)); }));
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (Number(slider.value) === data.frames.length - 1) show(0);
    play.textContent = "Pause";
    timer = setTimeout(playOn, PLAY_MS);
  });
  document.querySelectorAll("svg.strip .thumb[data-index]").forEach((thumb) =>
    thumb.addEventListener("click", () => { stop(); show(Number(thumb.dataset.index)); }));
  show(data.frames.length - 1);
}

function standalone(svg) {
  const copy = svg.cloneNode(true);
  const before = [svg, ...svg.querySelectorAll("*")], after = [copy, ...copy.querySelectorAll("*")];
  before.forEach((element, number) => {
    const style = getComputedStyle(element);
    SAVED_STYLES.forEach((name) => after[number].style.setProperty(name, style.getPropertyValue(name)));
    after[number].style.removeProperty("--natural");
  });
  const [x, y, width, height] = svg.getAttribute("viewBox").split(/[\s,]+/).map(Number);
  const paper = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  Object.entries({ x, y, width, height }).forEach(([name, value]) => paper.setAttribute(name, value));
  paper.style.fill = getComputedStyle(svg.closest(".picture")).backgroundColor;
  copy.prepend(paper);
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  return new XMLSerializer().serializeToString(copy);
}

function save(button) {
  const svg = button.closest("figure").querySelector("svg[role=img]");
  const url = URL.createObjectURL(new Blob([standalone(svg)], { type: "image/svg+xml" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = button.dataset.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

async function copy(button) {
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1600);
}

addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((details) => { details.open = true; }));
const fitStrips = () => document.querySelectorAll("svg.strip").forEach(fitStrip);
addEventListener("resize", fitStrips);
fitStrips();
document.querySelectorAll(".epoch-slider").forEach(startSlider);
document.querySelectorAll(".save").forEach((button) => button.addEventListener("click", () => save(button)));
document.querySelectorAll(".copy").forEach((button) => button.addEventListener("click", () => copy(button)));
