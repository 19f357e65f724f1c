// The network in onnxruntime-web, and an image's depth by it: leadline/backends/graph_model.py in the browser.

import { viewSize } from "./camera.mjs";
import { MAX_AREA_PX, sharpenEdges } from "./edges.mjs";
import { resize, resizeDepth, sizeWithArea } from "./maps.mjs";

/** What the scripts beside the page bring, by name: gzip in base64, which a page from a disk may read too. */
const packed = (globalThis.leadlinePacked = {});

/** Open the network on the GPU where there is one, else on the processor. */
export async function openNetwork() {
  const model = load("model").then(() => unpacked("model.onnx"));
  try {
    const adapter = await navigator.gpu?.requestAdapter();
    // A processor that plays a GPU takes ten times as long as WebAssembly.
    if (adapter && !(adapter.info ?? adapter).isFallbackAdapter) return await openOn("gpu", "webgpu", await model);
  } catch (error) {
    console.info(`WebGPU does not do it (${error.message}): WebAssembly does`);
  }
  return openOn("cpu", "wasm", await model);
}

/** Metres, and their relative error or null, of an image {width, height, rgba} with a focal length in pixels. */
export async function predict(network, settings, image, focalPx) {
  const view = viewSize(settings.view, focalPx, image);
  const seen = new Float32Array(3 * view.width * view.height);
  for (let channel = 0; channel < 3; channel++) {
    const plane = resize(planeOf(image, (rgba, at) => rgba[at + channel]), view.width, view.height);
    seen.set(plane.values, channel * view.width * view.height);
  }
  const [depth, error] = await network.run(seen, view);
  depth.values = depth.values.map((depthM) => depthM * settings.scale);
  return {
    depth: finished(depth, settings, image, view.scale),
    relativeError: error ? resizeDepth(error, image.width, image.height) : null,
  };
}

/** Depth at the image's size, with its edges and at its focal length. */
function finished(depth, settings, image, scale) {
  if (settings.edge_radius_px > 0) {
    const { width, height } = sizeWithArea(image, Math.min(image.width * image.height, MAX_AREA_PX), 1, 1);
    const brightness = resize(planeOf(image, (rgba, at) => rgba[at] + rgba[at + 1] + rgba[at + 2]), width, height);
    depth = sharpenEdges(resizeDepth(depth, width, height), brightness, settings.edge_radius_px);
  }
  const whole = resizeDepth(depth, image.width, image.height);
  const { min_depth_m: least, max_depth_m: most } = settings;
  whole.values.forEach((depthM, at) => (whole.values[at] = Math.min(Math.max(depthM, least), most) * scale));
  return whole;
}

/** What a pixel's bytes make, as a map in units of white. */
function planeOf({ width, height, rgba }, value) {
  const values = new Float32Array(width * height);
  for (let at = 0; at < values.length; at++) values[at] = value(rgba, 4 * at) / 255;
  return { width, height, values };
}

/** Open the network in a worker, so that the page can be used meanwhile. */
async function openOn(kind, provider, model) {
  await load(kind);
  const worker = new Worker(URL.createObjectURL(new Blob([`(${serve})()`], { type: "text/javascript" })));
  const ask = (task, given, moved) =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => (data.problem ? reject(new Error(data.problem)) : resolve(data.answer));
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage({ task, given }, moved);
    });
  const [code, wasm] = [await unpacked(`${kind}.mjs`), await unpacked(`${kind}.wasm`)];
  await ask("open", { code, wasm, model, provider }, [wasm]).catch((error) => {
    worker.terminate();
    throw error;
  });
  const run = async (seen, { width, height }) => {
    const answers = await ask("run", { seen, width, height }, [seen.buffer]);
    return answers.map((values) => ({ width, height, values }));
  };
  return { run, provider: { webgpu: "WebGPU", wasm: "WebAssembly" }[provider] };
}

/** What the worker does: all of it is in this function, whose text is the worker's. */
function serve() {
  let ort, session;
  const tasks = {
    async open({ code, wasm, model, provider }) {
      // From a disk, a worker may import what it has made itself.
      ort = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
      ort.env.wasm.wasmBinary = wasm;
      const options = { executionProviders: [provider], logSeverityLevel: 3 };
      session = await ort.InferenceSession.create(new Uint8Array(model), options);
    },
    async run({ seen, width, height }) {
      const answers = await session.run({ working: new ort.Tensor("float32", seen, [1, 3, height, width]) });
      return session.outputNames.map((name) => answers[name].data);
    },
  };
  onmessage = ({ data: { task, given } }) =>
    tasks[task](given).then((answer) => postMessage({ answer }), (error) => postMessage({ problem: error.message }));
}

/** Run a script beside the page. */
function load(name) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = `${name}.js`;
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${name}.js is not beside this page: copy the whole folder again`));
    document.head.append(script);
  });
}

async function unpacked(name) {
  const response = await fetch(`data:application/gzip;base64,${packed[name]}`);
  delete packed[name];
  return new Response(response.body.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}
