// Depth as files. The references are leadline/io/png.py and leadline/io/mesh.py.

import { meshOf, onSurface } from "./surface.mjs";
import { rayOf } from "./measure.mjs";

const MAX_MM = 65535;
const MAX_VERTICES = 2_000_000;
const MAX_TEXTURE_PX = 4096;
const [GREY, UP] = [0, 2];

/** 16-bit PNG in millimetres; 0 where 16 bits cannot hold them. */
export async function depthPng({ depth: { width, height, values } }) {
  const rows = new Uint8Array(height * (1 + 2 * width));
  const millimetres = (at) => {
    const rounded = Math.round(values[at] * 1000);
    return rounded <= MAX_MM ? rounded : 0;
  };
  for (let row = 0; row < height; row++) {
    const start = row * (1 + 2 * width);
    rows[start] = UP;
    for (let column = 0; column < width; column++) {
      const at = row * width + column;
      const [here, above] = [millimetres(at), row ? millimetres(at - width) : 0];
      rows[start + 1 + 2 * column] = (here >> 8) - (above >> 8);
      rows[start + 2 + 2 * column] = here - above;
    }
  }
  const size = new DataView(new ArrayBuffer(13));
  size.setUint32(0, width);
  size.setUint32(4, height);
  size.setUint8(8, 16);
  size.setUint8(9, GREY);
  const deflated = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const texts = { unit: "millimetre", invalid: "0", software: "leadline" };
  return new Blob([
    new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", new Uint8Array(size.buffer)),
    ...Object.entries(texts).map(([key, text]) => chunk("tEXt", new TextEncoder().encode(`${key}\0${text}`))),
    chunk("IDAT", new Uint8Array(await new Response(deflated).arrayBuffer())),
    chunk("IEND", new Uint8Array()),
  ], { type: "image/png" });
}

/** Coloured points as binary PLY: x right, y down, z forward, in metres. */
export async function pointsPly({ depth: { width, height, values }, camera, image }) {
  const kept = onSurface({ width, height, values });
  const count = kept.reduce((sum, one) => sum + one, 0);
  const bytes = new DataView(new ArrayBuffer(15 * count));
  let end = 0;
  kept.forEach((one, at) => {
    if (!one) return;
    const point = rayOf(camera, [at % width, Math.floor(at / width)]);
    point.forEach((length, axis) => bytes.setFloat32(end + 4 * axis, length * values[at], true));
    for (let channel = 0; channel < 3; channel++) bytes.setUint8(end + 12 + channel, image.rgba[4 * at + channel]);
    end += 15;
  });
  const properties = [["float", "x y z"], ["uchar", "red green blue"]].flatMap(([type, names]) =>
    names.split(" ").map((name) => `property ${type} ${name}`));
  const lines = ["ply", "format binary_little_endian 1.0", "comment leadline", `element vertex ${count}`, ...properties];
  return new Blob([[...lines, "end_header", ""].join("\n"), bytes], { type: "application/octet-stream" });
}

/** The visible surface with the image on it as binary glTF, in metres: x right, y up, looking along −z. */
export async function surfaceGlb(prediction) {
  const { positions, uvs, indices } = meshOf(prediction, MAX_VERTICES);
  const picture = new Uint8Array(await (await textureJpeg(prediction.image)).arrayBuffer());
  const parts = [positions, uvs, indices, picture].map((part) => new Uint8Array(part.buffer, 0, part.byteLength));
  let end = 0;
  const views = parts.map((part) => {
    const view = { buffer: 0, byteOffset: end, byteLength: part.length };
    end += padded(part.length);
    return view;
  });
  const tree = {
    asset: { version: "2.0", generator: "leadline" },
    scene: 0,
    scenes: [{ nodes: [0] }],
    nodes: [{ mesh: 0 }],
    meshes: [{ primitives: [{ attributes: { POSITION: 0, TEXCOORD_0: 1 }, indices: 2, material: 0 }] }],
    // Lit by its own picture alone: the light of the room is in it already.
    materials: [{
      pbrMetallicRoughness: { baseColorTexture: { index: 0 }, metallicFactor: 0, roughnessFactor: 1 },
      doubleSided: true,
    }],
    textures: [{ source: 0 }],
    images: [{ bufferView: 3, mimeType: "image/jpeg" }],
    accessors: [
      { bufferView: 0, componentType: 5126, count: positions.length / 3, type: "VEC3", ...rangeOf(positions) },
      { bufferView: 1, componentType: 5126, count: uvs.length / 2, type: "VEC2" },
      { bufferView: 2, componentType: 5125, count: indices.length, type: "SCALAR" },
    ],
    bufferViews: views,
    buffers: [{ byteLength: end }],
  };
  const json = new TextEncoder().encode(JSON.stringify(tree));
  const header = new Uint32Array([0x46546c67, 2, 12 + 8 + padded(json.length) + 8 + end]);
  const body = parts.flatMap((part) => [part, filler(part.length, "\0")]);
  return new Blob([
    header,
    new Uint32Array([padded(json.length), 0x4e4f534a]), json, filler(json.length, " "),
    new Uint32Array([end, 0x004e4942]), ...body,
  ], { type: "model/gltf-binary" });
}

const padded = (length) => Math.ceil(length / 4) * 4;
const filler = (length, character) => character.repeat(padded(length) - length);

function rangeOf(positions) {
  const range = { min: [Infinity, Infinity, Infinity], max: [-Infinity, -Infinity, -Infinity] };
  positions.forEach((value, at) => {
    range.min[at % 3] = Math.min(range.min[at % 3], value);
    range.max[at % 3] = Math.max(range.max[at % 3], value);
  });
  return range;
}

function textureJpeg({ canvas, width, height }) {
  const scale = Math.min(1, MAX_TEXTURE_PX / Math.max(width, height));
  const small = new OffscreenCanvas(Math.round(width * scale), Math.round(height * scale));
  small.getContext("2d").drawImage(canvas, 0, 0, small.width, small.height);
  return small.convertToBlob({ type: "image/jpeg", quality: 0.92 });
}

function chunk(kind, data) {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(kind), 4);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 255];
  return ~crc >>> 0;
}

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, number) => {
  for (let bit = 0; bit < 8; bit++) number = number & 1 ? (number >>> 1) ^ 0xedb88320 : number >>> 1;
  return number;
});
