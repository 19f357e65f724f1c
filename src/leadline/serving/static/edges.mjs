// Sharp edges of depth, as the image's shades say. The reference, and why, is leadline/geometry/edges.py.

import { largestAround, roundEven, smallestAround } from "./maps.mjs";

const USUAL_AREA_PX = 640 * 480;
export const MAX_AREA_PX = 4 * USUAL_AREA_PX;
const EDGE_RATIO = Math.fround(1.08);
const ALIKE = 0.1;
const NUM_NEIGHBOURS = 16;
const NEIGHBOUR_RADII = 5 / 3;
const GOLDEN_ANGLE = Math.PI * (3 - Math.sqrt(5));

/** Depth with sharp edges; `brightness` is the sum of red, green and blue in [0, 1] of the same size. */
export function sharpenEdges(depth, brightness, radiusPx) {
  const { width, height } = depth;
  const reach = Math.max(1, roundEven(radiusPx * Math.sqrt((height * width) / USUAL_AREA_PX)));
  const inverse = depth.values.map((depthM) => 1 / depthM);
  const shade = brightness.values.map((sum) => sum / (3 * ALIKE));
  const near = largestAround({ width, height, values: inverse }, reach).values;
  const far = smallestAround({ width, height, values: inverse }, reach).values;
  const corners = [[-reach, -reach], [-reach, reach], [reach, -reach], [reach, reach]];
  const neighbours = sunflower(reach * NEIGHBOUR_RADII);
  const sharp = depth.values.slice();
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const here = row * width + column;
      if (!(near[here] > EDGE_RATIO * far[here])) continue;
      const around = (offsets) =>
        offsets.map(([down, right]) => {
          const [y, x] = [Math.min(Math.max(row + down, 0), height - 1), Math.min(Math.max(column + right, 0), width - 1)];
          return y * width + x;
        });
      const share = stepShare(near, far, here, around(corners));
      if (share === 0) continue;
      const side = vote({ inverse, shade, near, far }, here, around(neighbours)) > 0 ? near[here] : far[here];
      sharp[here] = 1 / (inverse[here] + (side - inverse[here]) * share);
    }
  }
  return { width, height, values: sharp };
}

/** How much of a step there is, from 0 (a plane, whose range doubles with the window) to 1. */
function stepShare(near, far, here, corners) {
  const wideNear = Math.max(...corners.map((at) => near[at]));
  const wideFar = Math.min(...corners.map((at) => far[at]));
  const share = (2 * (near[here] - far[here])) / (wideNear - wideFar) - 1;
  return Math.sqrt(Math.min(Math.max(share, 0), 1));
}

/** On which side those neighbours are that look alike: positive for the near one. */
function vote({ inverse, shade, near, far }, here, neighbours) {
  const middle = (near[here] + far[here]) / 2;
  const half = (near[here] - far[here]) / 2;
  let votes = 0;
  for (const at of neighbours) {
    const leaning = Math.min(Math.max((inverse[at] - middle) / half, -1), 1);
    votes += leaning * Math.exp((shade[at] - shade[here]) ** 2 / -2);
  }
  return votes;
}

/** Offsets [down, right] spread evenly over a disc. */
function sunflower(radius) {
  return Array.from({ length: NUM_NEIGHBOURS }, (_, number) => {
    const far = radius * Math.sqrt((number + 0.5) / NUM_NEIGHBOURS);
    const angle = number * GOLDEN_ANGLE;
    return [roundEven(far * Math.sin(angle)), roundEven(far * Math.cos(angle))];
  });
}
