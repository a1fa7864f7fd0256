// The page's behaviour. Photographs go to this page's own server and nowhere else.

const SAMPLES = ["00176", "00185", "00169", "00178", "00198", "00192"];
const PART_NAMES = { left_eye: "Left eye", right_eye: "Right eye", nose: "Nose", mouth: "Mouth" };
const SVG = "http://www.w3.org/2000/svg";
const PATIENCE = 6; // how often a busy server is asked again
const RATES = [0.1, 0.01, 0.001, 0.0001];
const PICTURES = /^image\//u;
const LISTED = 10; // people of the server's gallery, and of one's own without a threshold

const $ = (id) => document.getElementById(id);
const UNKNOWN = { max_file_mb: Infinity, max_batch: Infinity }; // until the server has said its limits
const state = {
  ...{ limits: UNKNOWN, face: null, source: null, gallery: [], served: null, naming: null },
  ...{ begun: null, translating: null, batch: null, token: null, camera: null },
};

// --- the server

class Failure extends Error {
  constructor(text, status) {
    super(text);
    this.status = status;
  }
}

async function send(method, url, { body, headers, signal } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    const shown = state.token ? { Authorization: `Bearer ${state.token}`, ...headers } : headers;
    const response = await reach(url, { method, body, headers: shown, signal });
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
  return `${number(count)} ${count === 1 ? one : several}`;
}

// As the server spells names: a letter and its accent are one character, blanks are single.
function spelled(name) {
  return name.normalize("NFC").trim().replace(/\s+/gu, " ");
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
  drawMatches({});
}

async function show(face, signal) {
  if (signal.aborted) return;
  state.face = face.face;
  state.source = face.source;
  $("result-title").textContent = face.source;
  $("result-notes").textContent = face.notes.map(sentence).join(" ");
  $("result-notes").hidden = !face.notes.length;
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
  $("camera-row").hidden = true;
  $("camera").showModal();
  await startCamera();
}

async function startCamera() {
  closeCamera();
  $("camera-take").disabled = true;
  try {
    const video = state.camera ? { deviceId: { exact: state.camera } } : true;
    $("camera-view").srcObject = await navigator.mediaDevices.getUserMedia({ video });
    if (!$("camera").open) return closeCamera(); // it was cancelled before the camera was ready
    await listCameras();
    await $("camera-view").play();
    $("camera-take").disabled = false;
  } catch {
    state.camera = null;
    complain("camera-error", "No camera can be used; allow it in the browser, or choose a file.");
  }
  return undefined;
}

// Names of cameras are told only after one was allowed.
async function listCameras() {
  const used = $("camera-view").srcObject.getVideoTracks()[0].getSettings().deviceId;
  const all = await navigator.mediaDevices.enumerateDevices();
  const cameras = all.filter((device) => device.kind === "videoinput");
  $("camera-choice").replaceChildren(
    ...cameras.map(({ deviceId, label }, place) =>
      element("option", { value: deviceId, textContent: label || `Camera ${place + 1}`, selected: deviceId === used }),
    ),
  );
  $("camera-row").hidden = cameras.length < 2;
}

function chooseCamera(event) {
  state.camera = event.target.value;
  complain("camera-error");
  return startCamera();
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

// --- whom the photographs are of

async function enrol(files, nameOf) {
  const problems = [];
  complain("enrol-error");
  for (const file of files) {
    say(`Enrolling ${file.name}.`);
    try {
      const entry = await upload("/api/gallery", file, { person: nameOf(file) });
      state.gallery.push(entry);
      problems.push(...entry.notes.map((note) => `${file.name} is enrolled; ${note}`));
      drawGallery();
    } catch (error) {
      problems.push(`${file.name}: ${sentence(error.message)}`);
      if (error.status === 409 || error.status === 503) break; // the next one would meet the same limit
    }
  }
  complain("enrol-error", ...problems);
  say(`${plural(peopleEnrolled().size, "person is", "people are")} enrolled.`);
  await refreshMatches();
}

function enrolChosen(files) {
  enrolGroups(files.map((file) => ({ files: [file], label: file.name, name: bare(file.name) })));
}

function enrolFolder(files) {
  const pictures = files.filter((file) => PICTURES.test(file.type) && !file.name.startsWith("."));
  complain("enrol-error", ...(pictures.length || !files.length ? [] : ["There are no photographs in this folder."]));
  enrolGroups(byFolder(pictures));
}

// Photographs are of the person after whom the folder below the chosen one is named; one that lies in the chosen
// folder itself, of the person after whom the file is named: as by pcfh gallery enrol.
function byFolder(files) {
  const groups = new Map();
  for (const file of files) {
    const inside = file.webkitRelativePath.split("/").slice(1);
    const alone = inside.length === 1;
    const name = spelled(alone ? bare(file.name) : inside[0]);
    const key = alone ? file.webkitRelativePath : `${name}/`;
    if (!groups.has(key)) groups.set(key, { files: [], name, alone });
    groups.get(key).files.push(file);
  }
  return [...groups.values()].map(({ files, name, alone }) => {
    const label = alone ? files[0].name : `${name}: ${plural(files.length, "photograph", "photographs")}`;
    return { files, name, label };
  });
}

function enrolGroups(groups) {
  const person = spelled($("person").value);
  if (!groups.length) return;
  if (person) {
    $("person").value = "";
    enrol(groups.flatMap((group) => group.files), () => person);
  } else askNames(groups);
}

// A name from a file or folder is a guess, and two people's may have one name: the visitor says who is who.
function askNames(groups) {
  closeNaming();
  state.naming = groups.map((group) => ({ ...group, address: URL.createObjectURL(group.files[0]) }));
  $("naming-rows").replaceChildren(...state.naming.map(namingRow));
  $("naming").hidden = false;
  noteNames();
  state.naming[0].field.focus();
}

function namingRow(row, place) {
  const id = `naming-${place}`;
  row.field = element("input", { type: "text", id, value: row.name, maxLength: 80, required: true });
  row.field.setAttribute("list", "known");
  row.field.addEventListener("input", noteNames);
  const label = element("label", { htmlFor: id, textContent: row.label });
  return element("li", {}, element("img", { src: row.address, alt: "" }), element("div", {}, label, row.field));
}

function noteNames() {
  const counts = new Map();
  const all = state.naming.reduce((sum, { files }) => sum + files.length, 0);
  const repeated = new Set();
  for (const { field, files } of state.naming) {
    const name = spelled(field.value);
    if (counts.has(name)) repeated.add(name);
    counts.set(name, (counts.get(name) ?? 0) + files.length);
  }
  const known = peopleEnrolled();
  const shared = [...counts].filter(([name]) => repeated.has(name) || known.has(name));
  const lines = shared.map(([name, count]) => {
    const before = known.get(name)?.length;
    return `${name}: ${plural(count, "photograph", "photographs")} of one person${before ? `, beside ${before} enrolled` : ""}`;
  });
  const people = plural(counts.size, "person", "people");
  $("naming-note").textContent = [`${plural(all, "photograph", "photographs")}, ${people}`, ...lines].join("; ");
}

async function enrolNamed() {
  const names = new Map(
    state.naming.flatMap(({ files, field }) => files.map((file) => [file, spelled(field.value)])),
  );
  closeNaming();
  await enrol([...names.keys()], (file) => names.get(file));
}

function closeNaming() {
  for (const { address } of state.naming ?? []) URL.revokeObjectURL(address);
  state.naming = null;
  $("naming").hidden = true;
  $("naming-rows").replaceChildren();
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

// Photographs by person, in the order in which people came.
function peopleEnrolled() {
  const people = new Map();
  for (const entry of state.gallery) people.set(entry.name, [...(people.get(entry.name) ?? []), entry]);
  return people;
}

function drawGallery() {
  const people = peopleEnrolled();
  $("gallery-count").textContent = people.size || "";
  $("gallery-empty").hidden = people.size > 0;
  $("gallery").replaceChildren(...[...people].map(galleryPerson));
  $("known").replaceChildren(...[...people.keys()].map((name) => element("option", { value: name })));
}

function galleryPerson([name, entries], place) {
  const remove = element("button", { type: "button", textContent: "×" });
  remove.setAttribute("aria-label", `Remove ${name}`);
  remove.addEventListener("click", () => removePerson(name, entries, place));
  const images = entries.map((entry) => element("img", { src: entry.picture, alt: "", title: entry.source }));
  const count = entries.length > 1 ? [element("span", { className: "from", textContent: `${entries.length} photographs` })] : [];
  return element("li", {}, element("div", { className: "stack" }, ...images), name, ...count, remove);
}

async function removePerson(name, entries, place) {
  for (const entry of entries) {
    try {
      await send("DELETE", `/api/gallery/${entry.id}`);
    } catch (error) {
      if (error.status !== 404) return complain("enrol-error", sentence(error.message));
    }
    state.gallery = state.gallery.filter((other) => other.id !== entry.id);
  }
  drawGallery();
  const buttons = $("gallery").querySelectorAll("button");
  (buttons[Math.min(place, buttons.length - 1)] ?? $("person")).focus();
  say(`${name} is removed.`);
  return refreshMatches();
}

// --- whom a face is like

async function refreshMatches() {
  const asked = state.face;
  const far = $("far").value;
  complain("matches-error");
  const found = { served: null, own: null };
  if (asked) {
    try {
      if (state.served) found.served = await send("GET", `/api/faces/${asked}/search?far=${far}&top=${LISTED}`);
      if (state.gallery.length) found.own = await send("GET", `/api/faces/${asked}/matches?far=${far}`);
    } catch (error) {
      complain("matches-error", sentence(error.message));
    }
  }
  if (asked === state.face && far === $("far").value) drawMatches(found);
}

function drawMatches({ served, own }) {
  const some = served ?? own;
  $("matches-of").textContent = some ? `of ${state.source}` : "";
  $("matches-empty").hidden = Boolean(some);
  $("matches-note").hidden = !some;
  $("served-found").replaceChildren(...(served ? foundIn(`In the gallery “${state.served.name}”`, served) : []));
  $("own-found").replaceChildren(...(own ? foundIn("In your gallery", own) : []));
}

function foundIn(title, { matches, compared, operating_point: point, no_threshold: why }) {
  const heading = element("h4", { textContent: title }, " ");
  heading.append(element("span", { className: "aside", textContent: plural(compared, "photograph", "photographs") }));
  const above = matches.filter((match) => match.decision === "above");
  const shown = point ? above : matches.slice(0, LISTED);
  const rest = matches.slice(shown.length);
  const parts = [heading, element("p", { className: "small", textContent: point ? decided(point, above, compared) : `No threshold: ${sentence(why)}` })];
  if (shown.length) parts.push(matchTable(title, shown, 0));
  if (rest.length) {
    const summary = `Show ${point ? `the ${rest.length} most alike below the threshold` : `${rest.length} more`}`;
    const below = element("details", {}, element("summary", { textContent: summary }), matchTable(title, rest, shown.length));
    parts.push(below);
  }
  return parts;
}

function decided({ threshold, low, high, far, people, pairs }, above, compared) {
  const chance = number(compared * far);
  return (
    `${above.length ? plural(above.length, "person is", "people are") : "Nobody is"} above the threshold ${threshold.toFixed(3)} ` +
    `for a false-accept rate of ${percent(far)} (95 % interval ${low.toFixed(3)} to ${high.toFixed(3)}, from ${number(pairs)} pairs ` +
    `of ${number(people)} people). Of ${number(compared)} photographs of other people about ${chance} would be above it by chance.`
  );
}

function number(value) {
  return value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 });
}

function percent(share) {
  return `${Number((100 * share).toPrecision(3))} %`;
}

function matchTable(title, matches, before) {
  const names = ["Person", "Original", "Generated", "Fused"];
  const columns = names.map((name) => element("th", { scope: "col", textContent: name }));
  const rank = element("th", { scope: "col" }, element("span", { className: "unseen", textContent: "Rank" }));
  const caption = element("caption", { className: "unseen", textContent: `${title}, most alike first` });
  const head = element("thead", {}, element("tr", {}, rank, ...columns));
  const body = element("tbody", {}, ...matches.map((match, place) => matchRow(match, before + place)));
  const box = element("div", { className: "scroll", tabIndex: 0 }, element("table", { className: "matches" }, caption, head, body));
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", title);
  return box;
}

function matchRow(match, place) {
  const picture = match.picture ? [element("img", { src: match.picture, alt: "" })] : [];
  const source = element("span", { className: "from", textContent: match.source });
  const who = element("div", { className: "who" }, ...picture, element("span", {}, match.person, source));
  const tag = { className: `decision ${match.decision}`, textContent: `${match.decision} ` };
  const decision = match.decision ? [element("span", tag)] : [];
  const bar = element("span", { className: "bar" }, element("i"));
  bar.setAttribute("aria-hidden", "true");
  bar.style.setProperty("--part", `${100 * Math.max(0, match.fused)}%`);
  return element(
    "tr",
    {},
    element("td", { className: "rank", textContent: place + 1 }),
    element("th", { scope: "row" }, who),
    element("td", { textContent: match.original.toFixed(3) }),
    element("td", { textContent: match.generated.toFixed(3) }),
    element("td", { className: "fused" }, ...decision, match.fused.toFixed(3), bar),
  );
}

function drawRates() {
  const rates = [...new Set([...RATES, ...(state.served?.rates ?? [])])].sort((a, b) => b - a);
  const chosen = state.served?.rates[0] ?? 0.01;
  const options = rates.map((far) => element("option", { value: far, textContent: percent(far), selected: far === chosen }));
  $("far").replaceChildren(...options);
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

function addThumb({ source, made, image, notes }) {
  const frame = element(
    "div",
    { className: "frame" },
    element("img", { src: image, alt: "" }),
    element("span", { className: "tag", textContent: "Synthetic" }),
  );
  const from = element("span", { className: "from", textContent: [`of ${source}`, ...notes].join("; ") });
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
  closeNaming();
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
  const inputs = { photo: translateChosen, "enrol-files": enrolChosen, "enrol-folder": enrolFolder, "batch-files": runBatch };
  for (const [id, taker] of Object.entries(inputs)) {
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
  on("camera-choice", "change", chooseCamera);
  on("enrol", "submit", (event) => event.preventDefault());
  on("naming", "submit", (event) => {
    event.preventDefault();
    enrolNamed();
  });
  on("naming-cancel", "click", closeNaming);
  on("far", "change", refreshMatches);
  on("token-form", "submit", (event) => {
    event.preventDefault();
    state.token = $("token-text").value.trim();
    $("token").close();
    load();
  });
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

function drawFacts({ limits, model, gallery, batch, served }) {
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
  Object.assign(state, { gallery, served });
  if (served) {
    $("people-lead").textContent =
      `The near-infrared face above is searched for in this server's gallery “${served.name}” ` +
      `(${plural(served.faces, "photograph", "photographs")}), and compared with people whom you enrol.`;
    $("matches-empty").textContent = "Translate a face to see scores.";
  }
  if (batch?.made) {
    $("batch-progress").hidden = $("batch-zip").hidden = $("batch-clear").hidden = false;
    $("batch-bar").value = $("batch-bar").max;
    $("batch-count").textContent = `${plural(batch.made, "face", "faces")} from before can still be downloaded`;
    for (const { source, error } of batch.failed) addFailure(source, error);
  }
}

async function load() {
  try {
    const session = await send("GET", "/api/session");
    state.limits = session.limits;
    drawFacts(session);
    drawRates();
    drawGallery();
    if (state.token) await begun(); // pictures and downloads show the cookie of a session in place of the token
  } catch (error) {
    if (error.status === 401) askToken();
    else complain("translate-error", sentence(error.message));
  }
}

function askToken() {
  complain("token-error", ...(state.token ? ["The server does not take this token."] : []));
  state.token = null;
  $("token-text").value = "";
  $("token").showModal();
}

drawSamples();
listen();
load();
