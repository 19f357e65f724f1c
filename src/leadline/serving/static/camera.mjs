// Focal lengths: what EXIF says, what is assumed, and at which size the network sees an image of one.
// The references are leadline/io/exif.py, leadline/geometry/camera.py and leadline/geometry/view.py.

import { enlargement, sizeWithArea } from "./maps.mjs";

const FILM_DIAGONAL_MM = Math.hypot(36, 24);
const MM_PER_UNIT = { 2: 25.4, 3: 10, 4: 1, 5: 0.001 };
const LEAST_FILM_MM = 7;
const STITCHED_ASPECT = 2.5;
const SAME_ASPECT = 0.02;
const SENSORS_MM = [
  [53.4, 40], [49.1, 36.8], [45, 30], [43.8, 32.9], [36, 24], [28.7, 19.1], [23.5, 15.6], [22.3, 14.9],
  [17.3, 13], [13.2, 8.8], [7.6, 5.7], [6.17, 4.55],
];
const SAME_SENSOR = 0.03;
const USUAL_ASPECT = 1.4;
const LEAST_KEPT = 0.01;
const CROP = /crs:(HasCrop|AlreadyApplied|Crop(?:Left|Top|Right|Bottom|Angle))\s*(?:=\s*["']|>)\s*([\w.+-]+)/g;
const PLAUSIBLE_FOCAL = [0.1, 100];
const MAX_RESIZED = 4;
const TAGS = {
  0xa405: "focalIn35mm",
  0x920a: "focalMm",
  0xa20e: "pixelsPerUnit",
  0xa210: "unit",
  0xa002: "shotWidth",
  0xa003: "shotHeight",
  0xa404: "digitalZoom",
  0xa434: "lensModel",
};
const EXIF_POINTER = 0x8769;
/** How to read a value of each of TIFF's types: its bytes, and what reads it. */
const TYPES = {
  1: [1, (view, at) => view.getUint8(at)],
  2: [1, () => 1], // a text: that it is there
  3: [2, (view, at, little) => view.getUint16(at, little)],
  4: [4, (view, at, little) => view.getUint32(at, little)],
  5: [8, (view, at, little) => view.getUint32(at, little) / view.getUint32(at + 4, little)],
  9: [4, (view, at, little) => view.getInt32(at, little)],
  10: [8, (view, at, little) => view.getInt32(at, little) / view.getInt32(at + 4, little)],
  11: [4, (view, at, little) => view.getFloat32(at, little)],
  12: [8, (view, at, little) => view.getFloat64(at, little)],
};

/** Focal length in pixels of an image file of this size, by its EXIF block and XMP; null if they do not say. */
export function focalPxFromExif(bytes, { width, height }) {
  const tags = exifTags(bytes);
  const number = (name) => (Number.isFinite(tags[name]) && tags[name] > 0 ? tags[name] : 0);
  const size = sorted(width, height);
  const shot = sorted(number("shotWidth"), number("shotHeight"));
  const uncut = beforeCrop(bytes, width, height);
  const whole = uncut ?? (shot[0] ? shot : size);
  if (whole[1] > STITCHED_ASPECT * whole[0]) return null;
  let focalPx = scaleSince(size, shot);
  if (number("focalIn35mm") >= LEAST_FILM_MM) {
    if (uncut || !shot[0]) focalPx = 1; // `whole` is of this size
    focalPx *= (number("focalIn35mm") * Math.hypot(...whole)) / FILM_DIAGONAL_MM;
  } else {
    const pxPerMm = number("pixelsPerUnit") / (MM_PER_UNIT[number("unit")] ?? MM_PER_UNIT[2]);
    if (number("lensModel") && !isSensor(whole, pxPerMm)) return null;
    focalPx *= number("focalMm") * pxPerMm * (number("digitalZoom") || 1);
  }
  const [low, high] = PLAUSIBLE_FOCAL;
  return low * size[1] <= focalPx && focalPx <= high * size[1] ? focalPx : null;
}

const sorted = (...sides) => sides.sort((one, other) => one - other);

/** How much an image was enlarged since it was shot; 0 where nobody knows. */
function scaleSince(size, shot) {
  if (!shot[1]) return 1;
  const scale = size[1] / shot[1];
  if (!shot[0] || Math.abs(size[0] / (shot[0] * scale) - 1) <= SAME_ASPECT) return scale;
  return size.some((now, side) => Math.abs(now - shot[side]) < 1) ? 1 : 0;
}

/** Shorter and longer side, in today's pixels, of an image that Adobe's programs cut; null if they did not. */
function beforeCrop(bytes, width, height) {
  const text = new TextDecoder("latin1").decode(bytes);
  const told = Object.fromEntries([...text.matchAll(CROP)].map(([, name, value]) => [name, value]));
  if (told.HasCrop !== "True" || told.AlreadyApplied !== "True") return null;
  const share = (side) => Math.max(0, Number(told[`Crop${side}`]) || 0);
  const [left, top, right, bottom] = ["Left", "Top", "Right", "Bottom"].map(share);
  const [across, down] = [right - left, bottom - top];
  if (!(Math.min(across, down) >= LEAST_KEPT && Math.max(across, down) <= 1)) return null;
  const unusual = ([wide, high]) => Math.abs(Math.log(wide / high / USUAL_ASPECT));
  const angle = ((Number(told.CropAngle) || 0) * Math.PI) / 180; // clockwise, of the part that was kept
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const before = ([wide, high]) => [(wide * cos - high * sin) / across, (high * cos + wide * sin) / down];
  const wholes = [[width, height], [height, width]].map(before).filter((whole) => Math.min(...whole) > 0);
  return wholes.length ? sorted(...wholes.reduce((as, turned) => (unusual(as) <= unusual(turned) ? as : turned))) : null;
}

/** Whether so many pixels, the shorter side first, fill a sensor that is made, or are a part as long or as high. */
function isSensor(sidesPx, pxPerMm) {
  const shares = SENSORS_MM.map(([long, short]) => Math.max(sidesPx[0] / pxPerMm / short, sidesPx[1] / pxPerMm / long));
  return pxPerMm > 0 && shares.some((share) => Math.abs(share - 1) <= SAME_SENSOR);
}

/** The camera that looks through the middle of an image, and where its focal length is from. */
export function cameraOf(focalPx, source, { width, height }) {
  return { focalPx, source, cx: (width - 1) / 2, cy: (height - 1) / 2 };
}

/** Focal length in pixels of a horizontal field of view in degrees, and the other way. */
export const focalPxFromFov = (fovDeg, widthPx) => widthPx / 2 / Math.tan((fovDeg * Math.PI) / 360);
export const fovDegFromFocal = (focalPx, widthPx) => (Math.atan(widthPx / 2 / focalPx) * 360) / Math.PI;

/** The field of view in degrees that somebody types, whose comma is a point; null where nothing is typed. */
export function typedFovDeg(text) {
  const fovDeg = Number(text.replace(",", "."));
  if (!text.trim()) return null;
  if (fovDeg > Math.PI && fovDeg < 180) return fovDeg;
  if (fovDeg > 0 && fovDeg <= Math.PI) {
    const told = ((fovDeg * 180) / Math.PI).toFixed(1);
    throw new Error(`a field of view of ${text} degrees looks like radians, which is ${told}: give degrees`);
  }
  throw new Error(`a field of view lies between 0 and 180 degrees, got "${text}": write 70, say`);
}

/** Focal length that an image is taken to have where its own is unknown; null if the training images' is. */
export function assumedFocalPx(view, size) {
  return view.focal_px === null ? null : view.focal_px / enlargement(size, usualSize(view, size));
}

/** At which size the network sees an image of a focal length, and what its metres are multiplied by. */
export function viewSize(view, focalPx, size) {
  const usual = usualSize(view, size);
  if (view.focal_px === null || focalPx === null) return { ...usual, scale: 1 };
  const ratio = (focalPx * enlargement(size, usual)) / view.focal_px;
  const within = Math.min(Math.max(ratio, 1 / MAX_RESIZED), MAX_RESIZED);
  const resized = usualSize(view, size, within ** -view.focal_share);
  const scale = (focalPx * enlargement(size, resized)) / view.focal_px;
  return { ...resized, scale: scale * within ** view.focal_gain };
}

function usualSize(view, size, times = 1) {
  return sizeWithArea(size, Math.round(view.height * view.width * times ** 2), view.multiple_px);
}

/** The numbers of `TAGS` in an image file; none where it has no EXIF block, or a damaged one. */
function exifTags(bytes) {
  try {
    const start = tiffStart(new DataView(bytes));
    return start === null ? {} : readTags(new DataView(bytes, start));
  } catch (error) {
    if (error instanceof RangeError) return {};
    throw error;
  }
}

function readTags(tiff) {
  const little = tiff.getUint16(0) === 0x4949;
  const entries = (offset) =>
    Array.from({ length: tiff.getUint16(offset, little) }, (_, number) => offset + 2 + 12 * number);
  const tagAt = (at) => tiff.getUint16(at, little);
  const pointer = entries(tiff.getUint32(4, little)).find((at) => tagAt(at) === EXIF_POINTER);
  const tags = {};
  for (const at of pointer === undefined ? [] : entries(tiff.getUint32(pointer + 8, little))) {
    const [size, read] = TYPES[tiff.getUint16(at + 2, little)] ?? [];
    if (!(tagAt(at) in TAGS) || !read) continue;
    tags[TAGS[tagAt(at)]] = read(tiff, size > 4 ? tiff.getUint32(at + 8, little) : at + 8, little);
  }
  return tags;
}

/** Where the EXIF block's TIFF header lies in a JPEG, PNG or WebP file. */
function tiffStart(file) {
  const text = (at, length) => String.fromCharCode(...new Uint8Array(file.buffer, at, length));
  const behindName = (at) => (text(at, 4) === "Exif" ? at + 6 : at);
  if (file.getUint16(0) === 0xffd8) {
    for (let at = 2; file.getUint8(at) === 0xff && file.getUint8(at + 1) !== 0xda; at += 2 + file.getUint16(at + 2)) {
      if (file.getUint8(at + 1) === 0xe1 && text(at + 4, 4) === "Exif") return at + 10;
    }
  } else if (text(1, 3) === "PNG") {
    for (let at = 8; at < file.byteLength; at += 12 + file.getUint32(at)) {
      if (text(at + 4, 4) === "eXIf") return behindName(at + 8);
    }
  } else if (text(0, 4) === "RIFF" && text(8, 4) === "WEBP") {
    for (let at = 12; at < file.byteLength; at += 8 + file.getUint32(at + 4, true) + (file.getUint32(at + 4, true) % 2)) {
      if (text(at, 4) === "EXIF") return behindName(at + 8);
    }
  }
  return null;
}
