// The visible surface: its triangles, as leadline/io/mesh.py makes them, and a view of it to turn.

import { largestAround, smallestAround } from "./maps.mjs";
import { rayOf } from "./measure.mjs";

const FLYING_RATIO = Math.fround(1.08);
const FLYING_AREA_PX = 640 * 480;
const BRIDGED_M = Math.fround(0.1); // depths around that differ by no more are of one surface
const MAX_TILT = 1.4;
const [KEY_TURN, KEY_ZOOM] = [0.1, 1.1]; // radians; times as near
/** Which pixels lie on a surface, and do not fly between one thing and what is behind it: 1 or 0 each. */
export function onSurface(depth, bridgedM = 0) {
  const reach = Math.max(1, Math.round(Math.sqrt(depth.values.length / FLYING_AREA_PX)));
  const far = largestAround(depth, reach).values;
  const near = smallestAround(depth, reach).values;
  const kept = new Uint8Array(far.length);
  for (let at = 0; at < kept.length; at++) {
    kept[at] = far[at] <= Math.max(FLYING_RATIO * near[at], Math.fround(near[at] + bridgedM));
  }
  return kept;
}

/** Positions (x right, y up, looking along −z, as in glTF), texture coordinates and triangles of the surface. */
export function meshOf({ depth, camera }, mostVertices) {
  const { width, height, values } = depth;
  const kept = onSurface(depth, BRIDGED_M);
  const step = Math.max(1, Math.ceil(Math.sqrt(values.length / mostVertices)));
  const [columns, rows] = [Math.ceil(width / step), Math.ceil(height / step)];
  const at = (row, column) => row * step * width + column * step;
  const [positions, uvs, indices] = [[], [], []];
  const numbers = new Int32Array(rows * columns).fill(-1);
  const vertex = (row, column) => {
    const place = row * columns + column;
    if (numbers[place] < 0) {
      const [x, y] = rayOf(camera, [column * step, row * step]);
      const depthM = values[at(row, column)];
      numbers[place] = positions.length / 3;
      positions.push(x * depthM, -y * depthM, -depthM);
      uvs.push((column * step + 0.5) / width, (row * step + 0.5) / height);
    }
    return numbers[place];
  };
  for (let row = 0; row + 1 < rows; row++) {
    for (let column = 0; column + 1 < columns; column++) {
      const corners = [[row, column], [row + 1, column], [row, column + 1], [row + 1, column + 1]];
      if (!corners.every((corner) => kept[at(...corner)])) continue;
      const [topLeft, bottomLeft, topRight, bottomRight] = corners.map((corner) => vertex(...corner));
      indices.push(topLeft, bottomLeft, topRight, topRight, bottomLeft, bottomRight);
    }
  }
  return { positions: new Float32Array(positions), uvs: new Float32Array(uvs), indices: new Uint32Array(indices) };
}

const VERTEX_SHADER = `#version 300 es
uniform vec3 pivot; uniform vec2 turn, lens; uniform float away;
in vec3 position; in vec2 uv; out vec2 place;
void main() {
  vec3 p = position - pivot;
  vec2 c = cos(turn), s = sin(turn);
  p = vec3(c.x * p.x + s.x * p.z, p.y, c.x * p.z - s.x * p.x);
  p = vec3(p.x, c.y * p.y - s.y * p.z, s.y * p.y + c.y * p.z);
  p.z -= away;
  gl_Position = vec4(lens * p.xy, -p.z * 1.0002 - 0.02, -p.z);
  place = uv;
}`;
const FRAGMENT_SHADER = `#version 300 es
precision mediump float;
uniform sampler2D picture; in vec2 place; out vec4 color;
void main() { color = texture(picture, place); }`;

/** A view of one surface after another, which drags turn and wheel or pinch bring nearer. */
export class SurfaceView {
  constructor(canvas) {
    this.canvas = canvas;
    this.gl = canvas.getContext("webgl2");
    if (!this.gl) return;
    this.program = linked(this.gl);
    this.gl.bindTexture(this.gl.TEXTURE_2D, this.gl.createTexture());
    this.pointers = new Map();
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, event);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
    canvas.addEventListener("pointermove", (event) => this.#drag(event));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.#approach(Math.exp(event.deltaY / 1000));
    }, { passive: false });
    canvas.addEventListener("dblclick", () => this.#look());
    canvas.addEventListener("keydown", (event) => this.scene && this.#press(event));
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  /** Show a surface with an image on it, from where the image was taken; `middleM` is how far its middle is. */
  show({ positions, uvs, indices }, image, camera, middleM) {
    const { gl, program } = this;
    if (!gl) return;
    gl.bindVertexArray(gl.createVertexArray());
    this.buffers?.forEach((buffer) => gl.deleteBuffer(buffer));
    this.buffers = [["position", 3, positions], ["uv", 2, uvs]].map(([name, size, values]) => {
      const buffer = filled(gl, gl.ARRAY_BUFFER, values);
      gl.enableVertexAttribArray(gl.getAttribLocation(program, name));
      gl.vertexAttribPointer(gl.getAttribLocation(program, name), size, gl.FLOAT, false, 0, 0);
      return buffer;
    });
    this.buffers.push(filled(gl, gl.ELEMENT_ARRAY_BUFFER, indices));
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, image);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
    this.scene = { camera, middleM, count: indices.length };
    this.#look();
  }

  draw() {
    const { gl, program, canvas, scene } = this;
    if (!scene) return;
    canvas.width = canvas.clientWidth * devicePixelRatio;
    canvas.height = canvas.clientHeight * devicePixelRatio;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.useProgram(program);
    const uniform = (name) => gl.getUniformLocation(program, name);
    const { focalPx, cx, cy } = scene.camera;
    // The whole image fits into the canvas.
    const pixel = Math.min(canvas.width / (2 * cx + 1), canvas.height / (2 * cy + 1));
    gl.uniform2f(uniform("lens"), (2 * focalPx * pixel) / canvas.width, (2 * focalPx * pixel) / canvas.height);
    gl.uniform3f(uniform("pivot"), 0, 0, -scene.middleM);
    gl.uniform2f(uniform("turn"), ...this.turn);
    gl.uniform1f(uniform("away"), this.away);
    gl.drawElements(gl.TRIANGLES, scene.count, gl.UNSIGNED_INT, 0);
  }

  #look() {
    this.turn = [0, 0];
    this.away = this.scene.middleM;
    this.draw();
  }

  #approach(times) {
    this.away = Math.min(Math.max(this.away * times, this.scene.middleM / 10), this.scene.middleM * 10);
    this.draw();
  }

  #drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const other = [...this.pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
    const apart = (pointer) => Math.hypot(pointer.clientX - other.clientX, pointer.clientY - other.clientY);
    this.pointers.set(event.pointerId, event);
    if (other) return this.#approach(apart(before) / Math.max(1, apart(event)));
    const moved = [event.clientX - before.clientX, event.clientY - before.clientY];
    this.#turn(...moved.map((px) => (2 * px) / this.canvas.clientWidth));
  }

  #press(event) {
    const done = {
      ArrowLeft: () => this.#turn(-KEY_TURN, 0),
      ArrowRight: () => this.#turn(KEY_TURN, 0),
      ArrowUp: () => this.#turn(0, -KEY_TURN),
      ArrowDown: () => this.#turn(0, KEY_TURN),
      "+": () => this.#approach(1 / KEY_ZOOM),
      "-": () => this.#approach(KEY_ZOOM),
      Home: () => this.#look(),
    }[event.key];
    if (!done) return;
    event.preventDefault();
    done();
  }

  #turn(right, down) {
    this.turn = [this.turn[0] + right, Math.min(Math.max(this.turn[1] + down, -MAX_TILT), MAX_TILT)];
    this.draw();
  }
}

function linked(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX_SHADER], [gl.FRAGMENT_SHADER, FRAGMENT_SHADER]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return program;
}

function filled(gl, kind, values) {
  const buffer = gl.createBuffer();
  gl.bindBuffer(kind, buffer);
  gl.bufferData(kind, values, gl.STATIC_DRAW);
  return buffer;
}
