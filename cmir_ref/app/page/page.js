"use strict";
/* The wiring of the page: what the reader does becomes a question to the server, its answer is put on the page. */

const $ = (id) => document.getElementById(id);
const state = { runs: [], run: null, way: "", question: null, scene: null, asked: 0, abort: null };
const audio = new Audio();
const samples = new Map();

function make(tag, given = {}, ...inside) {
  const node = Object.assign(document.createElement(tag), given);
  node.append(...inside.filter((part) => part !== null && part !== undefined));
  return node;
}

const kinds = () => state.run.modalities.map((m) => m.kind);
const ofKind = (kind) => state.run.modalities.find((m) => m.kind === kind);
const ofLetter = (letter) => state.run.modalities.find((m) => m.letter === letter);
const base = () => `/api/${encodeURIComponent(state.run.name)}`;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function say(text, bad = false) {
  $("status").textContent = text;
  $("status").className = bad ? "bad" : "";
}

async function fetchJson(url, options = {}) {
  let answer;
  try {
    answer = await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("the server does not answer; is it still running?");
  }
  const told = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  if (!answer.ok) throw new Error(told.error);
  return told;
}

/* ---- runs and ways to ask ---- */

const WAYS = {
  draw: { title: "Draw", fits: () => kinds().includes("sketch") },
  speak: { title: "Speak", fits: () => kinds().includes("sound") },
  write: { title: "Write", fits: () => kinds().includes("text") },
  file: { title: "File", fits: () => kinds().some((kind) => ["image", "sketch", "sound"].includes(kind)) },
  sample: { title: "Sample", fits: () => true },
};

function showTabs() {
  $("tabs").replaceChildren(...state.runs.map((run) =>
    make("button", { type: "button", role: "tab", id: `tab-${run.name}`, textContent: run.title, title: run.name, onclick: () => choose(run) })));
  const titles = state.runs.map((run) => run.title);
  state.runs.forEach((run, i) => {
    if (titles.filter((t) => t === run.title).length > 1) $("tabs").children[i].textContent = `${run.title} · ${run.name}`;
    $("tabs").children[i].setAttribute("aria-controls", "run");
  });
}

$("tabs").onkeydown = (event) => {
  const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!move) return;
  const next = (state.runs.indexOf(state.run) + move + state.runs.length) % state.runs.length;
  choose(state.runs[next]);
  $("tabs").children[next].focus();
};

function choose(run, settings = {}) {
  state.run = run;
  Object.assign(state, { question: null, scene: null });
  state.abort?.abort();
  clearTimeout(timer);
  ++state.asked; // what is still on its way belongs to another run
  $("found").classList.remove("old");
  [...$("tabs").children].forEach((tab, i) => {
    tab.setAttribute("aria-selected", state.runs[i] === run);
    tab.tabIndex = state.runs[i] === run ? 0 : -1;
  });
  const counts = run.modalities.map((m) => `${m.name} (${m.count})`).join(", ");
  $("note").textContent = `Gallery, ${run.gallery} part: ${counts} · ${run.note}`;
  $("ways").replaceChildren(...Object.entries(WAYS).filter(([, way]) => way.fits()).map(([name, way]) =>
    make("button", { type: "button", textContent: way.title, onclick: () => chooseWay(name) })));
  const one = run.labels.length > 8 ? `${run.labels.slice(0, 8).join(", ")}, …` : run.labels.join(", ");
  $("drawhint").textContent = `This run knows: ${one}.`;
  $("speakhint").textContent = `Say one word after you have clicked: ${run.labels.join(", ")}. It stops by itself.`;
  const files = { image: "a picture", sketch: "a drawing", sound: "a recording" };
  const read = [...new Set(kinds().map((kind) => files[kind]).filter(Boolean))].join(" or ");
  $("filehint").textContent = `Or drop ${read} here, or paste it.`;
  $("chosen").accept = [kinds().some((k) => k !== "sound") ? "image/*,.svg,.svgz,.tif,.tiff" : "", kinds().includes("sound") ? "audio/*" : ""].filter(Boolean).join(",");
  $("camera").hidden = !kinds().some((kind) => kind === "image" || kind === "sketch");
  $("words").replaceChildren(...run.words.map((text) =>
    make("button", { type: "button", textContent: text, onclick: () => { $("sentence").value = text; askWords(); } })));
  $("draws").replaceChildren(...run.modalities.filter((m) => run.plane?.points[m.letter]).map((m) =>
    make("button", { type: "button", textContent: `Any ${m.name}`, onclick: () => askAny(m.letter) })));
  const readable = run.modalities.filter((m) => ["image", "sketch", "sound"].includes(m.kind));
  $("as").replaceChildren(make("option", { value: "", textContent: "what it looks like" }),
    ...readable.map((m) => make("option", { value: m.letter, textContent: m.name })));
  $("scene").hidden = !run.modalities.some((m) => m.locates);
  leaveScene();
  $("k").value = settings.k ?? $("k").value;
  offerTargets(settings.to);
  chooseWay(Object.keys(WAYS).find((name) => WAYS[name].fits()));
  $("found").hidden = true;
  say("");
}

function chooseWay(name) {
  state.way = name;
  stopCamera();
  for (const way of Object.keys(WAYS)) $(way).hidden = way !== name;
  [...$("ways").children].forEach((button) => button.setAttribute("aria-pressed", button.textContent === WAYS[name].title));
  $("asrow").hidden = name !== "file" || $("as").children.length < 3;
  if (name === "draw") paint();
}

/* What can be searched: with a question of modality `letter` what the system compares it with. */
function offerTargets(wanted, letter) {
  const some = letter ? ofLetter(letter).to : [...new Set(state.run.modalities.flatMap((m) => m.to))];
  const title = (to) => (to === "all" ? state.run.modalities.map((m) => m.name).join(" or ") : ofLetter(to).name);
  $("to").replaceChildren(make("option", { value: "", textContent: "the other sense" }),
    ...some.map((to) => make("option", { value: to, textContent: title(to) })));
  $("to").value = some.includes(wanted) ? wanted : "";
}

/* The modality that is searched for a question of modality `letter`: the chosen one, or by default the other. */
function target(letter) {
  const can = ofLetter(letter).to;
  if (can.includes($("to").value)) return $("to").value;
  return can.find((to) => to !== letter && to !== "all") ?? can[0];
}

/* ---- asking ---- */

/* A question is {words: {sentence, keywords}}, {item: "a.17"} or {blob, from}. */
async function ask(question, { note = true } = {}) {
  state.question = question;
  state.abort?.abort();
  state.abort = new AbortController();
  const mine = ++state.asked;
  say("Searching …");
  $("found").classList.add("old");
  try {
    const letter = question.item ? question.item[0] : question.words ? ofKind("text").letter : question.from;
    const to = letter ? target(letter) : $("to").value; // "": the server, which reads the file, knows the other sense
    const given = new URLSearchParams({ to, k: $("k").value });
    if (question.from) given.set("from", question.from);
    if (state.scene && (!letter || ofLetter(letter).locates)) given.set("scene", state.scene);
    const json = question.item ? { item: question.item } : question.words;
    const options = json
      ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(json) }
      : { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: question.blob };
    const start = performance.now();
    const told = await fetchJson(`${base()}/search?${given}`, { ...options, signal: state.abort.signal });
    const known = told.query.row === null ? null : await sampleOf(told.query.letter, told.query.row);
    if (mine !== state.asked) return;
    show(told, told.to, known, performance.now() - start);
    if (note) history.pushState(null, "", link());
  } catch (error) {
    if (error.name === "AbortError" || mine !== state.asked) return;
    say(error.message, true);
  } finally {
    if (mine === state.asked) $("found").classList.remove("old");
  }
}

const again = () => state.question && ask(state.question);
$("to").onchange = again;
$("k").onchange = again;
$("as").onchange = () => {
  if (state.question?.blob && !state.question.fixed) ask({ blob: state.question.blob, from: $("as").value });
};

function askWords() {
  ask({ words: { sentence: $("sentence").value, keywords: $("keywords").value } });
}

$("write").onsubmit = (event) => {
  event.preventDefault();
  askWords();
};
$("sentence").onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  askWords();
};

function askAny(letter) {
  const rows = state.run.plane.points[letter].rows;
  ask({ item: `${letter}.${rows[Math.floor(Math.random() * rows.length)]}` });
}

function askFile(blob) {
  if (!blob) return;
  if (blob.size > 50 * 2 ** 20) return say("a file of more than 50 MiB; send a smaller one", true);
  ask({ blob, from: $("as").value });
}

$("chosen").onchange = (event) => {
  askFile(event.target.files[0]);
  event.target.value = "";
};
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files][0];
  if (file) askFile(file);
});
/* Whether words are dragged into the sentence or the keywords, which the browser does by itself. */
const wordsForField = (event) => !event.dataTransfer.types.includes("Files") && event.target.closest?.("textarea, input");
document.addEventListener("dragover", (event) => {
  if (wordsForField(event)) return;
  event.preventDefault();
  document.body.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  if (wordsForField(event)) return;
  event.preventDefault();
  document.body.classList.remove("over");
  const file = [...event.dataTransfer.files][0];
  if ($("scene").contains(event.target)) openScene(file);
  else askFile(file);
});

/* ---- drawing ---- */

const paper = $("paper");
const PEN = 6, ERASER = 36;
let strokes = [], stroke = null, erasing = false, cursor = null, down = false, timer = 0;

function paint(canvas = paper, withCursor = true) {
  const ink = canvas.getContext("2d");
  ink.fillStyle = "#fff";
  ink.fillRect(0, 0, paper.width, paper.height);
  ink.lineCap = ink.lineJoin = "round";
  for (const { erase, points } of strokes) {
    ink.strokeStyle = erase ? "#fff" : "#000";
    ink.lineWidth = erase ? ERASER : PEN;
    ink.beginPath();
    ink.moveTo(...points[0]);
    for (const point of points) ink.lineTo(...point);
    ink.stroke();
  }
  if (withCursor && cursor && document.activeElement === paper) {
    ink.strokeStyle = down ? "#a33b00" : "#3d7ea6";
    ink.lineWidth = 2;
    ink.strokeRect(cursor[0] - 8, cursor[1] - 8, 16, 16);
  }
}

function pointOf(event) {
  const box = paper.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * paper.width, ((event.clientY - box.top) / box.height) * paper.height];
}

function begin(point) {
  stroke = { erase: erasing, points: [point] };
  strokes.push(stroke);
}

function finish() {
  stroke = null;
  clearTimeout(timer);
  timer = setTimeout(askDrawing, 350);
}

function askDrawing() {
  if (!strokes.some((s) => !s.erase)) return;
  const sheet = make("canvas", { width: paper.width / 2, height: paper.height / 2 }); // more than any network sees
  sheet.getContext("2d").scale(0.5, 0.5);
  paint(sheet, false);
  const run = state.run;
  sheet.toBlob((blob) => state.run === run && ask({ blob, from: ofKind("sketch").letter, fixed: true }), "image/png");
}

paper.onpointerdown = (event) => {
  if (event.button) return;
  cursor = null;
  paper.setPointerCapture(event.pointerId);
  begin(pointOf(event));
  paint();
};
paper.onpointermove = (event) => {
  if (!stroke || down) return;
  for (const part of event.getCoalescedEvents?.() ?? [event]) stroke.points.push(pointOf(part));
  paint();
};
paper.onpointerup = paper.onpointercancel = () => {
  if (stroke && !down) finish();
};
paper.onkeydown = (event) => {
  if (event.key === "z" && (event.ctrlKey || event.metaKey)) return undo();
  const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!move && event.key !== " ") return;
  event.preventDefault();
  cursor ??= [256, 256];
  if (move) {
    const step = event.shiftKey ? 4 : 16;
    cursor = cursor.map((c, i) => Math.min(512, Math.max(0, c + step * move[i])));
    stroke?.points.push(cursor);
  } else {
    down = !down;
    if (down) begin(cursor);
    else finish();
  }
  paint();
};
paper.onblur = () => {
  if (down) finish();
  down = false;
  paint();
};

function tool(erase) {
  erasing = erase;
  $("pen").setAttribute("aria-pressed", !erase);
  $("eraser").setAttribute("aria-pressed", erase);
}

function undo() {
  strokes.pop();
  down = false;
  paint();
  finish();
}

$("pen").onclick = () => tool(false);
$("eraser").onclick = () => tool(true);
$("undo").onclick = undo;
$("clear").onclick = () => {
  strokes = [];
  clearTimeout(timer);
  tool(false);
  paint();
};

/* ---- microphone and camera ---- */

const LONGEST = 2.5; // seconds of a recording
let recorder = null, camera = null;

function deviceProblem(error, what) {
  if (!navigator.mediaDevices) return `the browser gives the ${what} to pages of this machine (127.0.0.1) or over https only`;
  return error.name === "NotAllowedError" ? `the browser was not allowed to use the ${what}` : `no ${what} can be used here`;
}

$("record").onclick = async () => {
  if (recorder) return recorder.stop();
  const button = $("record"), run = state.run;
  try {
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: plain });
    const lossless = "audio/webm;codecs=pcm";
    recorder = new MediaRecorder(stream, MediaRecorder.isTypeSupported(lossless) ? { mimeType: lossless } : {});
    const parts = [], mine = recorder;
    mine.ondataavailable = (event) => parts.push(event.data);
    mine.onstop = async () => {
      recorder = null;
      button.textContent = "Record a word";
      stream.getTracks().forEach((track) => track.stop());
      if (state.run !== run) return; // the tab was changed meanwhile
      try {
        const blob = await toWav(new Blob(parts, { type: mine.mimeType }));
        if (state.run === run) ask({ blob, from: ofKind("sound").letter, fixed: true });
      } catch {
        if (state.run === run) say("the recording cannot be read", true);
      }
    };
    mine.start();
    button.textContent = "Listening … click to stop";
    say("");
    setTimeout(() => mine.state === "recording" && mine.stop(), 1000 * LONGEST);
  } catch (error) {
    recorder = null;
    say(deviceProblem(error, "microphone"), true);
  }
};

/* A recording of whatever format the browser has as WAV of 16 bits and one channel. */
async function toWav(blob) {
  const context = new AudioContext();
  const sound = await context.decodeAudioData(await blob.arrayBuffer()).finally(() => context.close());
  const bytes = new DataView(new ArrayBuffer(44 + 2 * sound.length));
  const text = (at, word) => [...word].forEach((c, i) => bytes.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF"); bytes.setUint32(4, 36 + 2 * sound.length, true); text(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true); bytes.setUint16(20, 1, true); bytes.setUint16(22, 1, true);
  bytes.setUint32(24, sound.sampleRate, true); bytes.setUint32(28, 2 * sound.sampleRate, true);
  bytes.setUint16(32, 2, true); bytes.setUint16(34, 16, true); text(36, "data"); bytes.setUint32(40, 2 * sound.length, true);
  const channels = Array.from({ length: sound.numberOfChannels }, (_, c) => sound.getChannelData(c));
  for (let i = 0; i < sound.length; i++) {
    const value = channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length;
    bytes.setInt16(44 + 2 * i, Math.max(-1, Math.min(1, value)) * 32767, true);
  }
  return new Blob([bytes], { type: "audio/wav" });
}

function stopCamera() {
  camera?.getTracks().forEach((track) => track.stop());
  camera = null;
  $("view").hidden = $("take").hidden = true;
}

$("camera").onclick = async () => {
  if (camera) return stopCamera();
  try {
    camera = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    $("view").srcObject = camera;
    $("view").hidden = $("take").hidden = false;
    await $("view").play();
  } catch (error) {
    stopCamera();
    say(deviceProblem(error, "camera"), true);
  }
};
$("take").onclick = () => {
  const view = $("view");
  const side = Math.min(view.videoWidth, view.videoHeight);
  const still = make("canvas", { width: side, height: side });
  still.getContext("2d").drawImage(view, (side - view.videoWidth) / 2, (side - view.videoHeight) / 2);
  stopCamera();
  still.toBlob(askFile, "image/png");
};

/* ---- a large picture ---- */

function leaveScene() {
  state.scene = null;
  $("forget").hidden = true;
  $("scenehint").textContent = "";
}

async function openScene(file) {
  if (!file) return;
  leaveScene();
  const run = state.run;
  $("scenehint").textContent = "Cutting it into slices …";
  try {
    if (file.size > 50 * 2 ** 20) throw new Error("a file of more than 50 MiB; send a smaller one");
    const told = await fetchJson(`${base()}/scene`, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file });
    if (state.run !== run) return;
    state.scene = told.scene;
    $("forget").hidden = false;
    $("scenehint").textContent = `${told.width} × ${told.height} pixels, ${told.slices} slices. Now ask.`;
    if (state.question) ask(state.question);
  } catch (error) {
    if (state.run === run) $("scenehint").textContent = error.message;
  }
}

$("large").onchange = (event) => {
  openScene(event.target.files[0]);
  event.target.value = "";
};
$("forget").onclick = () => {
  leaveScene();
  again();
};

/* ---- what is shown ---- */

async function sampleOf(letter, row) {
  const key = `${base()}/sample/${letter}/${row}`;
  if (!samples.has(key)) {
    if (samples.size > 500) samples.clear();
    samples.set(key, fetchJson(key).catch((error) => {
      samples.delete(key); // asked again the next time
      return { pictures: [], sound: false, note: error.message, labels: [] };
    }));
  }
  return samples.get(key);
}

const pictures = (list, name) => list.map((p) => make("img", { src: p.uri, alt: `${p.text} of ${name}`, title: p.text }));

function show(told, to, known, milliseconds) {
  showQuery(told, known);
  const cards = told.hits.map((hit) => card(hit, told.query.labels));
  const within = $("results").contains(document.activeElement);
  $("results").replaceChildren(...cards.map((c) => c.node));
  $("found").hidden = false;
  if (within) $("results").querySelector("button")?.focus(); // who goes on by the keyboard does not begin at the top
  showLocated(told.located);
  showPlane(told);
  showGate(told.gate);
  showWrong(told.wrong);
  const what = to === "all" ? state.run.modalities.map((m) => m.name).join(" and ") : ofLetter(to).name;
  if (state.way !== "draw" && matchMedia("(max-width: 46rem)").matches) $("status").scrollIntoView();
  say([`The ${told.hits.length} nearest of ${told.searched} (${what}), in ${(milliseconds / 1000).toFixed(2)} s`, ...told.remarks].join(" · "));
  $("copy").disabled = !shareable();
  $("copied").textContent = shareable() ? "" : "A file is not kept, so no link can hold it.";
}

function showQuery(told, known) {
  const query = told.query;
  const shown = query.pictures.length ? query.pictures : known?.pictures ?? [];
  const lines = [make("strong", { textContent: query.text ?? (query.row === null && query.letter && ofLetter(query.letter).kind === "text" ? query.name : "") })];
  const labels = query.labels.join(", ");
  const name = query.row === null ? "" : ` · ${query.name}`;
  lines.push(make("span", { className: "soft", textContent: `Query, read as ${query.modality}${labels ? `: ${labels}` : ""}${query.text ? "" : name}` }));
  const line = make("p", {}, lines[0], lines[0].textContent ? make("br") : null, lines[1]);
  const play = known?.sound ? playButton(query) : null;
  $("query").replaceChildren(...pictures(shown, "the query"), make("div", {}, line, play));
}

function playButton(hit) {
  const button = make("button", { type: "button", className: "play", textContent: "▶ play" });
  button.setAttribute("aria-label", `play ${hit.name}`);
  button.onclick = () => {
    audio.src = `${base()}/sound/${hit.letter}/${hit.row}`;
    audio.play().catch(() => say("the recording cannot be played", true));
  };
  return button;
}

function card(hit, wanted) {
  const shown = make("span", { className: "shown" });
  const mark = hit.right === null ? "" : hit.right ? " ✓" : " ✗";
  const top = make("span", { className: "top" }, make("span", { className: "mark", textContent: `${hit.rank}${mark}` }), make("span", { textContent: hit.distance.toFixed(3) }));
  const labels = make("span", { className: "labels" });
  hit.labels.forEach((label, i) => labels.append(i ? ", " : "", wanted.includes(label) ? make("b", { textContent: label }) : label));
  const button = make("button", { type: "button", onclick: () => ask({ item: `${hit.letter}.${hit.row}` }) }, top, shown, hit.text ? null : labels,
    make("span", { className: "name", textContent: hit.text ? "" : hit.name }));
  button.title = "make this the query";
  const side = hit.right === null ? "" : hit.right ? "right" : "wrong";
  const node = make("li", { className: `card ${side}` }, button);
  if (hit.text) {
    shown.classList.add("sentence");
    shown.textContent = hit.text;
    return { node, ready: null };
  }
  const ready = sampleOf(hit.letter, hit.row).then((sample) => {
    const note = make("span", { className: "soft", textContent: sample.note || "no picture" });
    if (sample.pictures.length) shown.replaceChildren(...pictures(sample.pictures, hit.name));
    else shown.append(note);
    if (sample.pictures.length && sample.note) button.append(note);
    if (sample.sound) node.append(playButton(hit));
  });
  return { node, ready };
}

function showLocated(located) {
  $("located").hidden = !located;
  if (!located) return $("located").replaceChildren();
  const where = (p) => (p.x === null ? `row ${p.row.toFixed(0)}, column ${p.column.toFixed(0)}` : `${p.x.toPrecision(8)}, ${p.y.toPrecision(8)}`);
  const places = located.places.map((p) => `${p.rank}: ${where(p)}`).join(" · ");
  $("located").replaceChildren(make("img", { src: located.picture, alt: "heat map of the query over the large picture" }),
    make("figcaption", { textContent: `Bright: more like the query (${located.slices} slices). Best places, ${places}${located.system ? ` (${located.system})` : ""}.` }));
}

function prepareCanvas(figure, height) {
  const canvas = figure.querySelector("canvas");
  const scale = window.devicePixelRatio || 1, width = Math.max(240, figure.clientWidth);
  canvas.width = width * scale;
  canvas.height = height * scale;
  const ink = canvas.getContext("2d");
  ink.scale(scale, scale);
  return [canvas, ink, width];
}

function showPlane(told) {
  const plane = state.run.plane, figure = $("plane");
  figure.hidden = !plane || !told.point;
  if (figure.hidden) return;
  const height = Math.min(360, Math.max(240, figure.clientWidth * 0.62));
  const [canvas, ink, width] = prepareCanvas(figure, height);
  const every = Object.values(plane.points), shown = told.hits.map((hit) => hit.point).concat([told.point]);
  const range = (axis, i) => {
    const values = every.flatMap((p) => p[axis]).concat(shown.map((p) => p[i]));
    return [values.reduce((a, b) => Math.min(a, b), Infinity), values.reduce((a, b) => Math.max(a, b), -Infinity)];
  };
  const [x0, x1] = range("x", 0), [y0, y1] = range("y", 1), edge = 14;
  const scale = Math.min((width - 2 * edge) / (x1 - x0 || 1), (height - 2 * edge) / (y1 - y0 || 1));
  const at = (x, y) => [width / 2 + (x - (x0 + x1) / 2) * scale, height / 2 - (y - (y0 + y1) / 2) * scale];
  const dot = (x, y, r) => { ink.beginPath(); ink.arc(...at(x, y), r, 0, 7); };
  const tints = [colour("one"), colour("two")];
  Object.values(plane.points).forEach((p, i) => {
    ink.fillStyle = tints[i % 2];
    ink.globalAlpha = 0.3;
    p.x.forEach((x, j) => { dot(x, p.y[j], 2.6); ink.fill(); });
  });
  ink.globalAlpha = 1;
  ink.lineWidth = 1.5;
  ink.strokeStyle = colour("ink");
  told.hits.forEach((hit) => { dot(...hit.point, 4); ink.fillStyle = hit.right === false ? colour("bad") : hit.right ? colour("good") : colour("paper"); ink.fill(); ink.stroke(); });
  ink.lineWidth = 2.5;
  dot(...told.point, 10); ink.stroke();
  const [cx, cy] = at(...told.point);
  ink.beginPath(); ink.moveTo(cx - 14, cy); ink.lineTo(cx + 14, cy); ink.moveTo(cx, cy - 14); ink.lineTo(cx, cy + 14); ink.stroke();
  canvas.setAttribute("aria-label", "The shared space: the gallery as dots, the results outlined, the query as a ring");
  const key = (name) => { const node = make("span", { className: "key" }); node.style.background = colour(name); return node; };
  const names = Object.keys(plane.points).flatMap((m, i) => [key(["one", "two"][i % 2]), `${ofLetter(m).name} `]);
  figure.querySelector("figcaption").replaceChildren(...names, key("ink"),
    `query (ring). Outlined: the results. Principal axes 1 and 2 of the gallery, ${Math.round(100 * plane.share[0])} and ${Math.round(100 * plane.share[1])} % of its variance: what lies together here may be apart in the space.`);
}

function showGate(gate) {
  const figure = $("gate");
  figure.hidden = !gate;
  if (!gate) return;
  const flat = gate.values.flat(), low = flat.reduce((a, b) => Math.min(a, b)), high = flat.reduce((a, b) => Math.max(a, b));
  const map = Array.isArray(gate.values[0]);
  const [canvas, ink, width] = prepareCanvas(figure, map ? 180 : 90);
  ink.fillStyle = colour("one");
  if (map) {
    const side = 180 / gate.values.length;
    gate.values.forEach((row, i) => row.forEach((value, j) => {
      ink.globalAlpha = 0.1 + (0.9 * (value - low)) / (high - low || 1);
      ink.fillRect(j * side, i * side, side - 1, side - 1);
    }));
  } else {
    const step = width / flat.length, least = Math.min(0, low), most = Math.max(high, 1);
    flat.forEach((value, i) => {
      const top = 90 - (86 * (value - least)) / (most - least || 1);
      ink.fillRect(i * step, top, Math.max(1, step - 0.6), 90 - top);
    });
  }
  canvas.setAttribute("aria-label", gate.title);
  figure.querySelector("figcaption").textContent = `The gate: ${gate.title}, from ${low.toFixed(2)} to ${high.toFixed(2)}.`;
}

function showWrong(wrong) {
  const labels = wrong.hit?.labels.length ? ` (${wrong.hit.labels.join(", ")})` : "", nearest = `the nearest of all is at ${wrong.first.toFixed(3)}.`;
  const which = wrong.known ? "the nearest that is not marked as right" : "the nearest that shares no label with the first result";
  $("wrong").textContent = wrong.hit
    ? `The best wrong one, ${which}, has rank ${wrong.hit.rank}${labels}, at a distance of ${wrong.hit.distance.toFixed(3)}; ${nearest}`
    : !wrong.known && !state.run.labels.length ? `What is right is not known here; ${nearest}`
    : `All of the first ${wrong.looked} ${wrong.known ? "are right" : "share a label with the first result"}: the best wrong one is farther than ${wrong.last.toFixed(3)}; ${nearest}`;
}

/* ---- links ---- */

const shareable = () => Boolean(state.question?.item || state.question?.words);

function link() {
  const given = new URLSearchParams({ run: state.run.name, k: $("k").value });
  if ($("to").value) given.set("to", $("to").value);
  if (state.question?.item) given.set("item", state.question.item);
  if (state.question?.words) Object.entries(state.question.words).forEach(([name, text]) => text && given.set(name, text));
  return `#${given}`;
}

function follow() {
  const given = new URLSearchParams(location.hash.slice(1));
  const run = state.runs.find((r) => r.name === given.get("run")) ?? state.runs[0];
  choose(run, { to: given.get("to"), k: ["10", "20", "50"].includes(given.get("k")) ? given.get("k") : "10" });
  if (/^[a-z]\.\d+$/.test(given.get("item") ?? "")) {
    if (ofLetter(given.get("item")[0])) return ask({ item: given.get("item") }, { note: false });
  } else if ((given.has("sentence") || given.has("keywords")) && ofKind("text")) {
    $("sentence").value = given.get("sentence") ?? "";
    $("keywords").value = given.get("keywords") ?? "";
    chooseWay("write");
    return ask({ words: { sentence: $("sentence").value, keywords: $("keywords").value } }, { note: false });
  }
}

$("copy").onclick = async () => {
  const address = location.href.split("#")[0] + link();
  try {
    await navigator.clipboard.writeText(address);
    $("copied").textContent = "Copied.";
  } catch {
    $("copied").textContent = address;
  }
};
window.onpopstate = follow;

fetchJson("/api/runs").then((told) => {
  state.runs = told.runs;
  $("kept").textContent = told.kept
    ? "Whoever started this page keeps every question and what it found."
    : "Nothing of what you ask is stored, and nothing leaves this server.";
  showTabs();
  follow();
}).catch((error) => say(error.message, true));
