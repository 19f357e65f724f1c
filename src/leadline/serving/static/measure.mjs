// What a depth map says, in metres. The references are leadline/prediction/{measurement,colors}.py.

import { percentile, roundEven } from "./maps.mjs";

const WINDOW_PX = 5;
const MAX_SAMPLES = 1_000_000;

/** Near, median and far in metres: the 2nd, 50th and 98th percentile. */
export function summarize(depthM) {
  const step = Math.ceil(depthM.length / MAX_SAMPLES);
  const sorted = (step === 1 ? depthM.slice() : depthM.filter((_, at) => at % step === 0)).sort();
  return [2, 50, 98].map((percent) => percentile(sorted, percent));
}

/** Round ends for the colours of a depth map. */
export function depthLimits(depthM) {
  const [near, median, seenFar] = summarize(depthM);
  const far = near + Math.max(seenFar - near, 0.1 * Math.abs(median), 0.01);
  const step = roundStep((far - near) / 20);
  return [Math.floor(near / step + 1e-6) * step, Math.ceil(far / step - 1e-6) * step];
}

/** Both ends, and between them round depths, none closer to another than `apartM`. */
export function ticks(nearM, farM, apartM) {
  const step = roundStep(apartM);
  const between = [];
  for (let index = Math.ceil(nearM / step); index * step <= farM - apartM; index++) {
    if (index * step >= nearM + apartM) between.push(index * step);
  }
  return [nearM, ...between, farM];
}

/** Depth of a point [column, row] and its expected error: medians of the pixels around it. */
export function depthAt(prediction, [x, y]) {
  const { width, height, values } = prediction.depth;
  const [column, row, reach] = [roundEven(x), roundEven(y), (WINDOW_PX - 1) / 2];
  const window = [];
  for (let down = Math.max(0, row - reach); down <= Math.min(height - 1, row + reach); down++) {
    for (let right = Math.max(0, column - reach); right <= Math.min(width - 1, column + reach); right++) {
      window.push(down * width + right);
    }
  }
  const median = (value) => percentile(Float64Array.from(window, value).sort(), 50);
  const error = prediction.relativeError?.values;
  return {
    metres: median((at) => values[at]),
    uncertaintyM: error ? median((at) => values[at] * error[at]) : null,
  };
}

/** Straight distance between two points in space; its error is the sum of what each depth's can do to it. */
export function distanceBetween(prediction, first, second) {
  const ends = [first, second].map((point) => ({ ...depthAt(prediction, point), ray: rayOf(prediction.camera, point) }));
  const apart = [0, 1, 2].map((axis) => ends[0].metres * ends[0].ray[axis] - ends[1].metres * ends[1].ray[axis]);
  const metres = Math.hypot(...apart);
  const along = (ray) => Math.abs(apart.reduce((sum, length, axis) => sum + length * ray[axis], 0)) / (metres || 1);
  const known = ends.every((end) => end.uncertaintyM !== null);
  const uncertaintyM = known ? ends.reduce((sum, end) => sum + along(end.ray) * end.uncertaintyM, 0) : null;
  return { metres, uncertaintyM };
}

/** A measurement as one writes it; centimetres are the last digits. */
export function words({ metres, uncertaintyM }) {
  return `${metres.toFixed(2)} m${uncertaintyM === null ? "" : ` ± ${uncertaintyM.toFixed(2)} m`}`;
}

/** Where a point of depth 1 m is: x right, y down, z = 1. */
export function rayOf({ focalPx, cx, cy }, [x, y]) {
  return [(x - cx) / focalPx, (y - cy) / focalPx, 1];
}

/** Colours of a depth map as RGBA; `palette` has three bytes for each of 256 colours, nearest first. */
export function colorize(depthM, [nearM, farM], palette) {
  const rgba = new Uint8ClampedArray(4 * depthM.length);
  depthM.forEach((metres, at) => {
    const share = Math.min(Math.max((metres - nearM) / (farM - nearM), 0), 1);
    const color = 3 * roundEven(255 * share);
    rgba.set([palette[color], palette[color + 1], palette[color + 2], 255], 4 * at);
  });
  return rgba;
}

/** The smallest of 1, 2, 5, 10, ... times a power of ten that is at least a length. */
function roundStep(lengthM) {
  const power = 10 ** Math.floor(Math.log10(lengthM));
  return power * [1, 2, 5, 10].find((digit) => power * digit >= lengthM * (1 - 1e-9));
}
