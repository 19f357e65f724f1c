// The page: an image in; its depth to see, to measure in, to turn and to keep. Nothing leaves it.

import { assumedFocalPx, cameraOf, focalPxFromExif, focalPxFromFov, fovDegFromFocal, typedFovDeg } from "./camera.mjs";
import { depthPng, pointsPly, surfaceGlb } from "./files.mjs";
import { colorize, depthAt, depthLimits, distanceBetween, summarize, ticks, words } from "./measure.mjs";
import { openNetwork, predict } from "./network.mjs";
import { SurfaceView, meshOf } from "./surface.mjs";

const MAX_PIXELS = 4096 * 3072; // of most phones' photos; more would not fit into some phones' memory
const SHOWN_PX = 1024;
const SURFACE_VERTICES = 250_000;
const TICK_PX = 64;
const CROSS_STEPS = 100; // from one end of the longer side to the other
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const FILES = { png: ["_depth.png", depthPng], ply: [".ply", pointsPly], glb: [".glb", surfaceGlb] };

const settings = JSON.parse(document.getElementById("settings").textContent);
const palette = Uint8Array.from(settings.colors.match(/../g), (pair) => parseInt(pair, 16));
const part = (id) => document.getElementById(id);
const surface = new SurfaceView(part("surface"));
const network = openNetwork();
let last = Promise.resolve();
let shown = null; // the last prediction, what is drawn of it, the points measured at, and where the keys' cross is

/** Read an image file, upright and on white, and its focal length. */
async function readImage(file) {
  const upright = await createImageBitmap(file, { colorSpaceConversion: "none" }).catch(() => {
    throw new Error(`this browser cannot read ${file.name}: save it as JPEG or PNG`);
  });
  const full = { width: upright.width, height: upright.height };
  const scale = Math.min(1, Math.sqrt(MAX_PIXELS / (full.width * full.height)));
  const [width, height] = [full.width, full.height].map((side) => Math.max(1, Math.floor(side * scale)));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(upright, 0, 0, width, height);
  const exifPx = focalPxFromExif(await file.arrayBuffer(), full);
  const focalPx = exifPx && (exifPx * Math.max(width, height)) / Math.max(full.width, full.height);
  const stem = file.name.replace(/\.[^.]*$/, "");
  return { stem, width, height, canvas, rgba: context.getImageData(0, 0, width, height).data, exifFocalPx: focalPx };
}

/** Predict an image's depth and show it; `fovDeg` is given by the visitor, or null. */
async function answer(image, fovDeg = null) {
  const opened = await telling("Loading the model …", network);
  await telling("Looking …", new Promise((resolve) => setTimeout(resolve, 50))); // so that the words are drawn
  const camera = chooseCamera(image, fovDeg);
  const started = performance.now();
  const answered = await predict(opened, settings, image, camera?.focalPx ?? null);
  show({ image, camera, ...answered });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  part("how").textContent = `${settings.name}, ${opened.provider}, ${seconds} s`;
}

/** The best known camera: given → EXIF → assumed; null if nothing tells. */
function chooseCamera(image, fovDeg) {
  const known = [
    ["given", fovDeg && focalPxFromFov(fovDeg, image.width)],
    ["EXIF", image.exifFocalPx],
    ["assumed", assumedFocalPx(settings.view, image)],
  ].find(([, focalPx]) => focalPx);
  return known ? cameraOf(known[1], known[0], image) : null;
}

function show(prediction) {
  const { depth, camera, image } = prediction;
  const small = everyNth(depth, Math.ceil(Math.max(depth.width, depth.height) / SHOWN_PX));
  const limits = depthLimits(small.values);
  const colors = new ImageData(colorize(small.values, limits, palette), small.width, small.height);
  const [near, median, far] = summarize(depth.values).map((metres) => metres.toFixed(2));
  const summary = `near ${near} m, median ${median} m, far ${far} m`;
  const cross = [Math.floor(depth.width / 2), Math.floor(depth.height / 2)];
  shown = { ...prediction, colors, limits, summary, cross, points: [], found: "" };
  document.body.classList.add("answered");
  drawPicture();
  drawScale();
  drawPoints();
  part("summary").textContent = summary;
  part("result").textContent = "Click or tap a point to measure it.";
  if (camera) {
    part("fov").value = fovDegFromFocal(camera.focalPx, image.width).toFixed(1);
    part("focal").textContent = `focal length ${camera.focalPx.toFixed(0)} px (${camera.source})`;
    part("assumed").hidden = camera.source !== "assumed";
    showSurface(prediction, Number(median));
  }
  for (const id of ["space", "camera"]) part(id).hidden = !camera;
  for (const button of document.querySelectorAll("[data-file]")) {
    button.hidden = !camera && button.dataset.file !== "png";
  }
}

/** The surface to turn: coarser than the one to keep. */
function showSurface({ depth, camera, image }, middleM) {
  const step = Math.ceil(Math.sqrt(depth.values.length / SURFACE_VERTICES));
  const own = { ...camera, focalPx: camera.focalPx / step, cx: camera.cx / step, cy: camera.cy / step };
  part("surface").style.aspectRatio = `${image.width} / ${image.height}`;
  surface.show(meshOf({ depth: everyNth(depth, step), camera: own }, SURFACE_VERTICES), image.canvas, camera, middleM);
}

function everyNth({ width, height, values }, step) {
  const size = { width: Math.ceil(width / step), height: Math.ceil(height / step) };
  const kept = (_, at) => values[Math.floor(at / size.width) * step * width + (at % size.width) * step];
  return { ...size, values: Float32Array.from({ length: size.width * size.height }, kept) };
}

function drawPicture() {
  const canvas = part("picture");
  [canvas.width, canvas.height] = [shown.colors.width, shown.colors.height];
  const context = canvas.getContext("2d");
  const photo = part("photo").checked;
  if (photo) context.drawImage(shown.image.canvas, 0, 0, canvas.width, canvas.height);
  else context.putImageData(shown.colors, 0, 0);
  canvas.ariaLabel = photo ? `The photo ${shown.image.stem}` : `Depth in colours: ${shown.summary}`;
}

function drawScale() {
  const [near, far] = shown.limits;
  const bar = part("bar");
  const stops = Array.from({ length: 33 }, (_, number) => {
    const color = 3 * Math.round((255 * number) / 32);
    return `rgb(${palette.slice(color, color + 3).join()})`;
  });
  bar.style.background = `linear-gradient(to right, ${stops.join()})`;
  const labels = ticks(near, far, ((far - near) * TICK_PX) / bar.clientWidth).map((tick) => {
    const label = document.createElement("span");
    label.textContent = `${Number(tick.toFixed(3))} m`;
    label.style.left = `${((tick - near) / (far - near)) * 100}%`;
    return label;
  });
  part("ticks").replaceChildren(...labels);
}

/** Measure where was clicked. */
function click(event) {
  if (!shown) return;
  const { width, height } = shown.depth;
  const box = event.currentTarget.getBoundingClientRect();
  shown.cross = within([
    ((event.clientX - box.left) / box.width) * width - 0.5,
    ((event.clientY - box.top) / box.height) * height - 0.5,
  ]);
  measure();
}

/** Move the cross by the arrow keys, pixel by pixel with Shift; measure there by Enter or the space bar. */
function press(event) {
  const arrow = ARROWS[event.key];
  if (!shown || !(arrow || event.key === "Enter" || event.key === " ")) return;
  event.preventDefault();
  if (!arrow) return measure();
  const { width, height } = shown.depth;
  const step = event.shiftKey ? 1 : Math.ceil(Math.max(width, height) / CROSS_STEPS);
  shown.cross = within(shown.cross.map((at, axis) => at + step * arrow[axis]));
  drawPoints();
}

function within(point) {
  return point.map((at, axis) => Math.min(Math.max(at, 0), [shown.depth.width, shown.depth.height][axis] - 1));
}

/** Measure at the cross: a depth, after one point the distance from there; a third starts anew. */
function measure() {
  const point = shown.cross;
  shown.points = shown.points.length === 1 && shown.camera ? [...shown.points, point] : [point];
  const two = shown.points.length === 2;
  shown.found = words(two ? distanceBetween(shown, ...shown.points) : depthAt(shown, point));
  const strong = document.createElement("strong");
  strong.textContent = shown.found;
  const next = shown.camera ? "; a second point gives the distance" : "";
  part("result").replaceChildren(strong, two ? " from point to point" : ` away along the optical axis${next}`);
  drawPoints();
}

function drawPoints() {
  const canvas = part("points");
  [canvas.width, canvas.height] = [canvas.clientWidth * devicePixelRatio, canvas.clientHeight * devicePixelRatio];
  const context = canvas.getContext("2d");
  const { width, height } = shown.depth;
  const place = ([x, y]) => [((x + 0.5) / width) * canvas.width, ((y + 0.5) / height) * canvas.height];
  const places = shown.points.map(place);
  const arm = 9 * devicePixelRatio;
  for (const [lineWidth, color] of [[5, "white"], [2, "#141414"]]) { // seen on dark and on bright
    context.lineWidth = lineWidth * devicePixelRatio;
    context.strokeStyle = color;
    context.beginPath();
    if (places.length === 2) places.forEach((end) => context.lineTo(...end));
    for (const [x, y] of places) {
      context.moveTo(x - arm, y);
      context.lineTo(x + arm, y);
      context.moveTo(x, y - arm);
      context.lineTo(x, y + arm);
    }
    if (canvas.matches(":focus-visible")) drawCross(context, place(shown.cross), arm);
    context.stroke();
  }
  if (shown.found) writeBeside(context, shown.found, places.reduce((low, end) => (end[1] > low[1] ? end : low)), arm);
}

/** Where the keys measure: a ring with four arms, unlike the points that were measured at. */
function drawCross(context, [x, y], arm) {
  context.moveTo(x + arm, y);
  context.arc(x, y, arm, 0, 2 * Math.PI);
  for (const [right, down] of Object.values(ARROWS)) {
    context.moveTo(x + right * arm, y + down * arm);
    context.lineTo(x + 2 * right * arm, y + 2 * down * arm);
  }
}

function writeBeside(context, text, [x, y], arm) {
  const size = 16 * devicePixelRatio;
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.lineWidth = 4 * devicePixelRatio;
  context.strokeStyle = "#141414";
  context.fillStyle = "white";
  context.lineJoin = "round";
  const left = Math.max(0, Math.min(x, context.canvas.width - context.measureText(text).width - size / 2));
  const base = y + arm + size < context.canvas.height ? y + arm + size : y - arm;
  context.strokeText(text, left, base);
  context.fillText(text, left, base);
}

async function download(kind) {
  const [ending, write] = FILES[kind];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await telling("Writing …", write(shown)));
  link.download = shown.image.stem + ending;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Say what is waited for. */
async function telling(text, work) {
  part("status").textContent = text;
  try {
    return await work;
  } finally {
    part("status").textContent = "";
  }
}

/** Do one thing after the other; what goes wrong is told in one line. */
function attempt(work) {
  last = last.then(() => attempted(work));
}

async function attempted(work) {
  document.body.classList.add("busy");
  part("problem").textContent = "";
  try {
    await work();
  } catch (error) {
    tellProblem(error);
  } finally {
    document.body.classList.remove("busy");
  }
}

function tellProblem(error) {
  part("problem").textContent = error.message;
  part("problem").scrollIntoView({ block: "nearest" });
}

/** Answer the first image of some files, or else say what is wrong with what was given. */
function openFirst(files) {
  const given = [...(files ?? [])];
  const file = given.find((each) => each.type.startsWith("image/")) ?? given[0];
  if (file) attempt(async () => answer(await readImage(file)));
}

part("file").addEventListener("change", (event) => {
  openFirst(event.target.files);
  event.target.value = "";
});
addEventListener("paste", (event) => openFirst(event.clipboardData.files));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  openFirst(event.dataTransfer.files);
});
addEventListener("resize", () => {
  if (!shown) return;
  drawScale();
  drawPoints();
});
part("points").addEventListener("click", click);
part("points").addEventListener("keydown", press);
part("points").addEventListener("blur", () => shown && drawPoints());
part("points").addEventListener("focus", () => {
  if (!shown || !part("points").matches(":focus-visible")) return;
  if (!shown.found) part("result").textContent = "Arrow keys move the cross, finer with Shift; Enter measures there.";
  drawPoints();
});
for (const id of ["depth", "photo"]) part(id).addEventListener("change", drawPicture);
part("camera").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(() => answer(shown.image, typedFovDeg(part("fov").value)));
});
for (const button of document.querySelectorAll("[data-file]")) {
  button.addEventListener("click", () => attempt(() => download(button.dataset.file)));
}
network.catch(tellProblem);
