// The page's behaviour. Photographs go to this page's own server and nowhere else.

const SAMPLES = ["00176", "00185", "00169", "00178", "00198", "00192"];
const PART_NAMES = { left_eye: "Left eye", right_eye: "Right eye", nose: "Nose", mouth: "Mouth" };
const SVG = "http://www.w3.org/2000/svg";
const PATIENCE = 6; // how often a busy server is asked again

const $ = (id) => document.getElementById(id);
const UNKNOWN = { max_file_mb: Infinity, max_batch: Infinity }; // until the server has said its limits
const state = { limits: UNKNOWN, face: null, source: null, gallery: [], begun: null, translating: null, batch: null };

// --- the server

class Failure extends Error {
  constructor(text, status) {
    super(text);
    this.status = status;
  }
}

async function send(method, url, { body, headers, signal } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    const response = await reach(url, { method, body, headers, signal });
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    const wait = Number(response.headers.get("Retry-After"));
    if (response.status !== 503 || wait > 5 || attempt === PATIENCE) {
      throw new Failure(answer.error ?? `The server answered ${response.status}.`, response.status);
    }
    say("The server is busy; trying again.");
    await new Promise((resolve) => setTimeout(resolve, 1000 * wait));
  }
}

async function reach(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("The server cannot be reached; is pcfh serve still running?", 0);
  }
}

async function upload(url, file, { person, signal } = {}) {
  const most = state.limits.max_file_mb;
  if (file.size > most * 2 ** 20) {
    throw new Failure(`the file is larger than ${most} MiB; send a smaller one`, 413);
  }
  const headers = { "Content-Type": "application/octet-stream", "X-File-Name": encodeURIComponent(file.name ?? "") };
  if (person) headers["X-Person"] = encodeURIComponent(person);
  await begun();
  return send("POST", url, { body: file, headers, signal });
}

function begun() {
  state.begun ??= send("POST", "/api/session").catch((error) => {
    state.begun = null;
    throw error;
  });
  return state.begun;
}

// --- small things

function say(text) {
  $("status").textContent = text;
}

function complain(id, ...lines) {
  const box = $(id);
  box.hidden = !lines.length;
  box.replaceChildren(...lines.map((line) => element("p", { textContent: line })));
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

function plural(count, one, several) {
  return `${count} ${count === 1 ? one : several}`;
}

function bare(name) {
  return name.replace(/\.[^.]*$/, "");
}

async function sample(kind, person) {
  const name = `${kind}-${person}.jpg`;
  const response = await reach(`/page/samples/${name}`);
  return new File([await response.blob()], name);
}

// --- translate

async function translate(file) {
  state.translating?.abort();
  const mine = (state.translating = new AbortController());
  const name = file.name || "the photograph";
  complain("translate-error");
  clearResult(`Translating ${name} …`);
  $("result").setAttribute("aria-busy", "true");
  say(`Translating ${name}.`);
  try {
    const face = await upload("/api/faces", file, { signal: mine.signal });
    await show(face, mine.signal);
    if (mine.signal.aborted) return;
    say(`The face of ${face.source} is translated.`);
    await refreshMatches();
  } catch (error) {
    if (mine.signal.aborted) return;
    complain("translate-error", `${name}: ${sentence(error.message)}`);
    clearResult(`No face of ${name}`);
    say("");
  } finally {
    if (mine === state.translating) $("result").setAttribute("aria-busy", "false");
  }
}

// What is shown is always of the last photograph: nothing of the one before stays under its error.
function clearResult(title = "No face yet") {
  state.face = state.source = null;
  $("empty-title").textContent = title;
  $("result-empty").hidden = false;
  $("result-shown").hidden = true;
  for (const id of ["photo-frame", "crop-frame", "parts"]) $(id).replaceChildren();
  for (const id of ["before", "after"]) $(id).removeAttribute("src");
  $("download").removeAttribute("href");
  drawMatches([]);
}

async function show(face, signal) {
  if (signal.aborted) return;
  state.face = face.face;
  state.source = face.source;
  $("result-title").textContent = face.source;
  const { photo, crop, size } = face;
  const described = "Photograph with the 68 landmarks found on its face";
  $("photo-frame").replaceChildren(
    element("img", { src: photo.image, alt: described }),
    drawing(photo.width, photo.height, dots(photo.landmarks, Math.max(photo.width, photo.height))),
  );
  $("crop-frame").replaceChildren(
    element("img", { src: crop.image, alt: "Aligned face with boxes round eyes, nose and mouth" }),
    drawing(size, size, face.parts.map(box)),
  );
  $("photo-caption").textContent = "68 landmarks";
  $("crop-caption").textContent = `${size} × ${size}, four parts`;
  $("before").src = crop.image;
  $("after").src = face.generated;
  setDivider(50);
  $("download").href = face.generated;
  $("download").download = face.file;
  await Promise.all([$("before").decode(), $("after").decode()]);
  if (signal.aborted) return; // another photograph has been chosen meanwhile
  $("parts").replaceChildren(...face.parts.map(partPair));
  $("result-empty").hidden = true;
  $("result-shown").hidden = false;
  if (matchMedia("(max-width: 60rem)").matches) $("result").scrollIntoView({ block: "start" });
}

function drawing(width, height, shapes) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `-0.5 -0.5 ${width} ${height}`); // whole numbers are pixel centres
  svg.setAttribute("aria-hidden", "true");
  svg.append(...shapes);
  return svg;
}

function dots(points, side) {
  return points.map(([x, y]) => shape("circle", { cx: x, cy: y, r: side / 150, "stroke-width": side / 600 }));
}

function box({ x, y, width, height }) {
  return shape("rect", { x: x - 0.5, y: y - 0.5, width, height, rx: 1 });
}

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function partPair(part) {
  const name = PART_NAMES[part.name];
  const pair = element(
    "div",
    { className: "pair" },
    cutout($("before"), part, `${name} in near-infrared light`),
    cutout($("after"), part, `${name}, generated`),
  );
  return element("li", {}, element("figure", {}, pair, element("figcaption", { textContent: name })));
}

function cutout(image, { x, y, width, height }, label) {
  const zoom = 4;
  const canvas = element("canvas", { width: width * zoom, height: height * zoom });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(image, x, y, width, height, 0, 0, canvas.width, canvas.height);
  return canvas;
}

function setDivider(percent) {
  const slider = $("slider");
  slider.value = percent;
  slider.setAttribute("aria-valuetext", `${percent} % near-infrared, ${100 - percent} % generated`);
  $("compare").style.setProperty("--cut", `${percent}%`);
}

// --- camera

async function openCamera() {
  complain("camera-error");
  $("camera-take").disabled = true;
  $("camera").showModal();
  try {
    $("camera-view").srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
    if (!$("camera").open) return closeCamera(); // it was cancelled before the camera was ready
    await $("camera-view").play();
    $("camera-take").disabled = false;
  } catch {
    complain("camera-error", "No camera can be used; allow it in the browser, or choose a file.");
  }
  return undefined;
}

function closeCamera() {
  for (const track of $("camera-view").srcObject?.getTracks() ?? []) track.stop();
  $("camera-view").srcObject = null;
}

async function takePicture() {
  const view = $("camera-view");
  const canvas = element("canvas", { width: view.videoWidth, height: view.videoHeight });
  canvas.getContext("2d").drawImage(view, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  $("camera").close();
  translate(new File([blob], "camera.png"));
}

// --- identify

async function enrol(files, nameOf) {
  const problems = [];
  complain("enrol-error");
  for (const file of files) {
    say(`Enrolling ${file.name}.`);
    try {
      state.gallery.push(await upload("/api/gallery", file, { person: nameOf(file) }));
      drawGallery();
    } catch (error) {
      problems.push(`${file.name}: ${sentence(error.message)}`);
      if (error.status === 409 || error.status === 503) break; // the next one would meet the same limit
    }
  }
  complain("enrol-error", ...problems);
  say(`${plural(state.gallery.length, "face is", "faces are")} enrolled.`);
  await refreshMatches();
}

function enrolChosen(files) {
  const person = $("person").value.trim();
  $("person").value = "";
  return enrol(files, (file) => person || bare(file.name));
}

async function enrolSamples() {
  $("enrol-samples").disabled = true;
  try {
    const files = await Promise.all(SAMPLES.map((person) => sample("vis", person)));
    await enrol(files, (file) => `Sample ${files.indexOf(file) + 1}`);
  } catch (error) {
    complain("enrol-error", error.message);
  } finally {
    $("enrol-samples").disabled = false;
  }
}

function drawGallery() {
  $("gallery-count").textContent = state.gallery.length || "";
  $("gallery-empty").hidden = state.gallery.length > 0;
  $("gallery").replaceChildren(...state.gallery.map(galleryEntry));
}

function galleryEntry(entry, place) {
  const remove = element("button", { type: "button", textContent: "×" });
  remove.setAttribute("aria-label", `Remove ${entry.name}`);
  remove.addEventListener("click", () => removeEntry(entry, place));
  return element("li", {}, element("img", { src: entry.picture, alt: "" }), entry.name, remove);
}

async function removeEntry(entry, place) {
  try {
    await send("DELETE", `/api/gallery/${entry.id}`);
  } catch (error) {
    if (error.status !== 404) return complain("enrol-error", sentence(error.message));
  }
  state.gallery = state.gallery.filter((other) => other !== entry);
  drawGallery();
  const buttons = $("gallery").querySelectorAll("button");
  (buttons[Math.min(place, buttons.length - 1)] ?? $("person")).focus();
  say(`${entry.name} is removed.`);
  return refreshMatches();
}

async function refreshMatches() {
  const asked = state.face;
  let matches = [];
  if (state.face && state.gallery.length) {
    try {
      ({ matches } = await send("GET", `/api/faces/${state.face}/matches`));
    } catch (error) {
      complain("enrol-error", sentence(error.message));
    }
  }
  if (asked === state.face) drawMatches(matches);
}

function drawMatches(matches) {
  $("matches-of").textContent = matches.length ? `of ${state.source}` : "";
  $("matches-empty").hidden = matches.length > 0;
  $("matches-shown").hidden = $("matches-note").hidden = !matches.length;
  $("matches").replaceChildren(...matches.map(matchRow));
}

function matchRow(match, place) {
  const who = element("div", { className: "who" }, element("img", { src: match.picture, alt: "" }), match.name);
  const bar = element("span", { className: "bar" }, element("i"));
  bar.setAttribute("aria-hidden", "true");
  bar.style.setProperty("--part", `${100 * Math.max(0, match.fused)}%`);
  const person = element("th", { scope: "row" }, who);
  return element(
    "tr",
    {},
    element("td", { className: "rank", textContent: place + 1 }),
    person,
    element("td", { textContent: match.original.toFixed(3) }),
    element("td", { textContent: match.generated.toFixed(3) }),
    element("td", { className: "fused" }, match.fused.toFixed(3), bar),
  );
}

// --- batch

async function runBatch(files) {
  if (!files.length || state.batch) return;
  const job = (state.batch = { through: 0, failed: 0, stopped: new AbortController() });
  await startBatch(files);
  const most = state.limits.max_batch;
  const taken = files.slice(0, most);
  if (files.length > most) {
    complain("batch-error", `A batch holds ${most} photographs; ${files.length - most} were left out.`);
  }
  for (const file of taken) {
    try {
      addThumb(await upload("/api/batch", file, { signal: job.stopped.signal }));
    } catch (error) {
      if (error.name === "AbortError") break;
      addFailure(file.name, error.message);
      job.failed += 1;
      if (error.status === 0) break;
    }
    job.through += 1;
    drawProgress(job, taken.length);
  }
  endBatch(job, taken.length);
}

async function startBatch(files) {
  complain("batch-error");
  $("batch-made").replaceChildren();
  $("batch-failed").replaceChildren();
  $("batch-progress").hidden = $("batch-stop").hidden = false;
  $("batch-zip").hidden = $("batch-clear").hidden = true;
  drawProgress(state.batch, Math.min(files.length, state.limits.max_batch));
  try {
    await send("DELETE", "/api/batch");
  } catch (error) {
    complain("batch-error", sentence(error.message));
  }
}

function drawProgress(job, all) {
  $("batch-bar").max = all;
  $("batch-bar").value = job.through;
  const failed = job.failed ? `, ${job.failed} failed` : "";
  $("batch-count").textContent = `${job.through} of ${all} photographs${failed}`;
}

function endBatch(job, all) {
  state.batch = null;
  $("batch-stop").hidden = true;
  $("batch-clear").hidden = false;
  $("batch-zip").hidden = !$("batch-made").children.length;
  const end = job.stopped.signal.aborted ? "Stopped" : "Done";
  $("batch-count").textContent = `${end}: ${job.through} of ${all} photographs, ${job.failed} failed`;
  say($("batch-count").textContent);
}

function addThumb({ source, made, image }) {
  const frame = element(
    "div",
    { className: "frame" },
    element("img", { src: image, alt: "" }),
    element("span", { className: "tag", textContent: "Synthetic" }),
  );
  const from = element("span", { className: "from", textContent: `of ${source}` });
  $("batch-made").append(element("li", {}, frame, made, from));
}

function addFailure(name, reason) {
  $("batch-failed").append(element("li", {}, element("b", { textContent: name }), `: ${sentence(reason)}`));
}

async function clearBatch() {
  await send("DELETE", "/api/batch").catch((error) => complain("batch-error", sentence(error.message)));
  emptyBatch();
  say("The batch is cleared.");
  document.querySelector("#batch-files").focus();
}

function emptyBatch() {
  $("batch-made").replaceChildren();
  $("batch-failed").replaceChildren();
  complain("batch-error");
  for (const id of ["batch-progress", "batch-zip", "batch-clear"]) $(id).hidden = true;
}

// --- everything

async function forget() {
  state.batch?.stopped.abort();
  await send("DELETE", "/api/session").catch(() => {});
  Object.assign(state, { gallery: [], begun: null });
  clearResult();
  pressSample(null);
  drawGallery();
  emptyBatch();
  say("Everything of yours is forgotten.");
}

function pressSample(pressed) {
  for (const button of $("samples").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button === pressed));
  }
}

function drawSamples() {
  const items = SAMPLES.map((person, place) => {
    const image = element("img", { src: `/page/samples/nir-${person}.jpg`, alt: `Sample ${place + 1}` });
    const button = element("button", { type: "button" }, image);
    button.addEventListener("click", () => {
      pressSample(button);
      sample("nir", person).then(translate, (error) => complain("translate-error", error.message));
    });
    return element("li", {}, button);
  });
  $("samples").replaceChildren(...items);
  pressSample(null);
}

function translateChosen([file]) {
  if (!file) return;
  pressSample(null);
  translate(file);
}

const TAKERS = { translate: translateChosen, enrol: enrolChosen, batch: runBatch };

function listen() {
  for (const [id, taker] of [["photo", translateChosen], ["enrol-files", enrolChosen], ["batch-files", runBatch]]) {
    $(id).addEventListener("change", (event) => {
      const files = [...event.target.files];
      event.target.value = ""; // so that the same file can be chosen again
      taker(files);
    });
  }
  const on = (id, event, action) => $(id).addEventListener(event, action);
  on("slider", "input", (event) => setDivider(Number(event.target.value)));
  on("marks", "change", (event) => $("result-shown").classList.toggle("unmarked", !event.target.checked));
  on("camera-open", "click", openCamera);
  on("camera-take", "click", takePicture);
  on("camera-close", "click", () => $("camera").close());
  on("camera", "close", closeCamera);
  on("enrol", "submit", (event) => event.preventDefault());
  on("enrol-samples", "click", enrolSamples);
  on("batch-stop", "click", () => state.batch?.stopped.abort());
  on("batch-clear", "click", clearBatch);
  on("forget", "click", forget);
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) translateChosen(files);
  });
  listenToDrops();
}

function listenToDrops() {
  const zoneOf = (event) => event.target.closest?.("[data-drop]");
  const mark = (zone) => {
    for (const each of document.querySelectorAll("[data-drop]")) each.classList.toggle("over", each === zone);
  };
  document.addEventListener("dragover", (event) => {
    event.preventDefault(); // or the browser would open the file
    mark(zoneOf(event));
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget ?? mark(null));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(null);
    const taker = TAKERS[zoneOf(event)?.dataset.drop ?? "translate"];
    taker([...event.dataTransfer.files]);
  });
}

function drawFacts({ limits, model, gallery, batch }) {
  $("photo-limits").textContent =
    `JPEG, PNG, WebP, BMP or TIFF, up to ${limits.max_file_mb}\u00a0MiB and ${limits.max_megapixels}\u00a0megapixels`;
  $("batch-limits").textContent = `up to ${limits.max_batch} at once`;
  $("idle").textContent = plural(limits.max_idle_minutes, "minute", "minutes");
  const facts = {
    Program: `pcfh ${model.version}`,
    Generator: `${model.size} × ${model.size} pixels, SHA-256 ${model.generator.slice(0, 12)}…`,
    Recogniser: model.recognizer,
  };
  const rows = Object.entries(facts).flatMap(([name, value]) => [
    element("dt", { textContent: name }),
    element("dd", { textContent: value }),
  ]);
  $("facts").replaceChildren(...rows);
  state.gallery = gallery;
  if (batch?.made) {
    $("batch-progress").hidden = $("batch-zip").hidden = $("batch-clear").hidden = false;
    $("batch-bar").value = $("batch-bar").max;
    $("batch-count").textContent = `${plural(batch.made, "face", "faces")} from before can still be downloaded`;
    for (const { source, error } of batch.failed) addFailure(source, error);
  }
}

async function begin() {
  drawSamples();
  listen();
  try {
    const session = await send("GET", "/api/session");
    state.limits = session.limits;
    drawFacts(session);
    drawGallery();
  } catch (error) {
    complain("translate-error", sentence(error.message));
  }
}

begin();
