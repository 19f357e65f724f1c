// Maps {width, height, values}: a Float32Array row by row. The reference is leadline/geometry/resizing.py.

const MIN_SIDE_PX = 32;

/** Resize a map, averaging where it gets smaller; the outer edges stay the outer edges. */
export function resize(map, width, height) {
  return resized(map, width, height, averaging);
}

/** Resize depth, between the four nearest pixels only. */
export function resizeDepth(map, width, height) {
  return resized(map, width, height, betweenNearest);
}

/** The size of about `areaPx` pixels with the aspect of a picture, its sides multiples of some number. */
export function sizeWithArea({ width, height }, areaPx, multiple = 1, smallest = MIN_SIDE_PX) {
  const least = Math.ceil(smallest / multiple) * multiple;
  const scale = Math.sqrt(areaPx / (height * width));
  const rounded = (side) => Math.max(least, Math.floor(side / multiple + 0.5) * multiple);
  let [newHeight, newWidth] = [rounded(height * scale), rounded(width * scale)];
  if (newHeight === least) newWidth = Math.min(newWidth, rounded(areaPx / least));
  if (newWidth === least) newHeight = Math.min(newHeight, rounded(areaPx / least));
  return { width: newWidth, height: newHeight };
}

/** How many times as long a focal length in pixels is after resizing. */
export function enlargement(old, size) {
  return Math.sqrt((size.width * size.height) / (old.width * old.height));
}

/** The largest value within `reach` pixels across and along. */
export function largestAround({ width, height, values }, reach) {
  const window = 2 * reach + 1;
  const tall = new Float32Array(width * (height + 2 * reach));
  const line = new Float32Array(width + 2 * reach);
  for (let row = 0; row < height; row++) {
    line.set(values.subarray(row * width, (row + 1) * width), reach);
    line.fill(line[reach], 0, reach).fill(line[reach + width - 1], reach + width);
    slideLargest(line, window, 1);
    tall.set(line.subarray(0, width), (row + reach) * width);
  }
  for (let row = 0; row < reach; row++) {
    tall.copyWithin(row * width, reach * width, (reach + 1) * width);
    tall.copyWithin((height + reach + row) * width, (height + reach - 1) * width, (height + reach) * width);
  }
  slideLargest(tall, window, width);
  return { width, height, values: tall.slice(0, width * height) };
}

/** The smallest value likewise. */
export function smallestAround(map, reach) {
  const around = largestAround({ ...map, values: map.values.map((value) => -value) }, reach);
  return { ...around, values: around.values.map((value) => -value) };
}

/** NumPy's percentile of a sorted array, with linear interpolation. */
export function percentile(sorted, percent) {
  const place = ((sorted.length - 1) * percent) / 100;
  const before = Math.floor(place);
  const after = Math.min(before + 1, sorted.length - 1);
  return sorted[before] + (sorted[after] - sorted[before]) * (place - before);
}

/** Python's round: halves go to the even number. */
export function roundEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

function resized({ width, height, values }, newWidth, newHeight, weightsOf) {
  const narrow = resampled(values, height, weightsOf(width, newWidth), 1, width, 1, newWidth);
  return {
    width: newWidth,
    height: newHeight,
    values: resampled(narrow, newWidth, weightsOf(height, newHeight), newWidth, 1, newWidth, 1),
  };
}

/** Each of `count` lines anew: `step` leads to the next value of a line, `stride` to the next line. */
function resampled(values, count, table, step, stride, newStep, newStride) {
  const result = new Float32Array(count * table.length);
  for (let line = 0; line < count; line++) {
    for (let place = 0; place < table.length; place++) {
      const { first, weights } = table[place];
      let sum = 0;
      for (let at = 0; at < weights.length; at++) sum += values[line * stride + (first + at) * step] * weights[at];
      result[line * newStride + place * newStep] = sum;
    }
  }
  return result;
}

/** Weights that fall linearly to where the neighbours' centres are, old or new, whichever are further apart. */
function averaging(own, side) {
  const scale = own / side;
  const reach = Math.max(1, scale);
  return Array.from({ length: side }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const count = Math.min(own, Math.floor(centre + reach + 0.5)) - first;
    const far = (at) => Math.abs(first + at - centre + 0.5) / reach;
    const weights = Array.from({ length: count }, (_, at) => Math.max(0, 1 - far(at)));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: weights.map((weight) => weight / total) };
  });
}

function betweenNearest(own, side) {
  return Array.from({ length: side }, (_, place) => {
    const exact = Math.min(Math.max((place + 0.5) * (own / side) - 0.5, 0), own - 1);
    const first = Math.floor(exact);
    return { first, weights: first === exact ? [1] : [1 - (exact - first), exact - first] };
  });
}

/** The largest of each window of values that are `step` apart: windows that double make up one of any size. */
function slideLargest(buffer, window, step) {
  let length = buffer.length;
  for (let covered = 1; covered < window; ) {
    const shift = Math.min(covered, window - covered);
    length -= shift * step;
    for (let at = 0; at < length; at++) {
      const other = buffer[at + shift * step];
      if (other > buffer[at]) buffer[at] = other;
    }
    covered += shift;
  }
}
