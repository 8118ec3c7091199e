// The page: keeps the strokes, sends their picture to the server, and shows what it answers.

const PEN_WIDTH = 0.075; // of the side of the paper, which is 1 here
const STEP = 1 / 16; // of the pen that arrow keys move
const SMALL_STEP = 1 / 64;
const PAUSE = 800; // milliseconds without a change after which the answer is said

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const element = (id) => document.getElementById(id);
const sizes = document.body.dataset;
const pictureSide = Number(sizes.pictureSide);
const imageSide = Number(sizes.imageSide);
const nHidden = Number(sizes.hidden);
const paper = element("paper");

const strokes = []; // each is a list of points [x, y] from 0 to 1
const pen = { x: 0.5, y: 0.5, isDown: false, isShown: false }; // moved by keys
const heldArrows = new Set();
let reading = null; // the last answer of the server

// ---- Drawing ----

function drawStrokes(context, side, color) {
  context.lineWidth = PEN_WIDTH * side;
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = context.fillStyle = color;
  for (const stroke of strokes) {
    const [[startX, startY]] = stroke;
    context.beginPath(); // a stroke of one point has no line
    context.arc(startX * side, startY * side, context.lineWidth / 2, 0, 2 * Math.PI);
    context.fill();
    context.beginPath();
    for (const [x, y] of stroke) context.lineTo(x * side, y * side);
    context.stroke();
  }
}

function color(name) {
  return getComputedStyle(document.body).getPropertyValue(`--${name}`);
}

function drawPaper() {
  const side = paper.width;
  const context = paper.getContext("2d");
  context.clearRect(0, 0, side, side);
  drawStrokes(context, side, color("ink"));
  if (pen.isShown && document.activeElement === paper) {
    context.lineWidth = 0.01 * side;
    context.strokeStyle = context.fillStyle = color("accent");
    context.beginPath();
    context.arc(pen.x * side, pen.y * side, 0.03 * side, 0, 2 * Math.PI);
    if (pen.isDown) context.fill();
    else context.stroke();
  }
  element("hint").hidden = strokes.length > 0 || pen.isShown;
}

new ResizeObserver(() => {
  paper.width = paper.height = Math.round(paper.clientWidth * devicePixelRatio);
  drawPaper();
}).observe(paper);

// ---- Asking the server ----

const pictureCanvas = document.createElement("canvas");
pictureCanvas.width = pictureCanvas.height = pictureSide;
const picture = pictureCanvas.getContext("2d", { willReadFrequently: true });
let isAsking = false;
let hasChanged = false;

function pictureBytes() {
  picture.fillStyle = "black";
  picture.fillRect(0, 0, pictureSide, pictureSide);
  drawStrokes(picture, pictureSide, "white");
  const { data } = picture.getImageData(0, 0, pictureSide, pictureSide);
  return Uint8Array.from({ length: pictureSide ** 2 }, (_, i) => data[4 * i]);
}

function changed() {
  hasChanged = true;
  drawPaper();
  if (!isAsking) ask();
}

// One question at a time. Changes meanwhile are asked about together afterwards.
async function ask() {
  isAsking = true;
  while (hasChanged) {
    hasChanged = false;
    const answer = strokes.length > 0 ? await predict() : null;
    show(strokes.length > 0 ? answer : null);
  }
  isAsking = false;
}

async function predict() {
  const bytes = pictureBytes();
  if (!bytes.some(Boolean)) return null; // all strokes are outside of the paper
  try {
    const response = await fetch("/predict", {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: bytes,
    });
    if (!response.ok) throw new Error(await response.text());
    element("problem").textContent = "";
    return await response.json();
  } catch (error) {
    element("problem").textContent =
      "The program that reads the drawing does not answer. Is it still running?";
    return null;
  }
}

// ---- Showing the answer ----

const percent = (share, digits) => `${(100 * share).toFixed(digits)}%`;

const bars = Array.from({ length: 10 }, (_, digit) => {
  const item = document.createElement("li");
  const [label, track, fill, number] = ["span", "span", "span", "span"].map((name) =>
    document.createElement(name),
  );
  label.textContent = digit;
  track.className = "track";
  track.append(fill);
  number.className = "number";
  item.append(label, track, number);
  element("bars").append(item);
  return { item, fill, number };
});

function show(answer) {
  reading = answer;
  bars.forEach(({ item, fill, number }, digit) => {
    const share = reading ? reading.probabilities[digit] : 0;
    item.classList.toggle("best", digit === reading?.digit);
    fill.style.transform = `scaleX(${share})`;
    number.textContent = reading ? percent(share, 1) : "–";
  });
  element("digit").textContent = reading ? reading.digit : "?";
  element("certainty").textContent = reading
    ? `${percent(reading.probabilities[reading.digit], 1)} sure`
    : "Nothing is drawn yet";
  const nActive = reading ? reading.hidden.filter((value) => value > 0).length : 0;
  element("active").textContent = reading ? `Now ${nActive} are active.` : "";
  drawGrids();
  sayLater("answer-status", reading ? inWords(reading) : "", PAUSE);
}

function inWords({ digit, probabilities }) {
  const [, second] = probabilities
    .map((share, other) => ({ share, other }))
    .sort((a, b) => b.share - a.share);
  const sure = percent(probabilities[digit], 0);
  return (
    `The network reads ${digit === 8 ? "an" : "a"} ${digit}, ${sure} sure. ` +
    `Its second choice is ${second.other}, with ${percent(second.share, 0)}.`
  );
}

const hiddenColumns = Math.ceil(Math.sqrt(nHidden));
const grids = {
  image: [imageSide, imageSide],
  saliency: [imageSide, imageSide],
  hidden: [hiddenColumns, Math.ceil(nHidden / hiddenColumns)],
};

function drawGrids() {
  drawGrid("image", reading?.image, color("ink"));
  drawGrid("saliency", reading?.saliency, color("for"), color("against"));
  drawGrid("hidden", reading?.hidden, color("ink"));
}

// Each value is a cell. The largest one has the full colour, and the other colour is for negatives.
function drawGrid(id, values, positive, negative) {
  const canvas = element(id);
  const [columns, rows] = grids[id];
  const unit = (canvas.clientWidth * devicePixelRatio) / columns;
  const gap = columns > 16 ? 0 : Math.round(devicePixelRatio);
  canvas.width = Math.round(columns * unit);
  canvas.height = Math.round(rows * unit);
  const context = canvas.getContext("2d");
  context.fillStyle = color("line");
  context.fillRect(0, 0, canvas.width, canvas.height);
  const blank = color("card");
  const largest = values ? Math.max(...values.map(Math.abs)) : 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const [left, top] = [Math.round(column * unit), Math.round(row * unit)];
      const [right, bottom] = [Math.round((column + 1) * unit), Math.round((row + 1) * unit)];
      const cell = [left, top, right - left - gap, bottom - top - gap];
      context.globalAlpha = 1;
      context.fillStyle = blank;
      context.fillRect(...cell);
      const value = values?.[row * columns + column];
      if (!value) continue;
      context.globalAlpha = Math.abs(value) / largest;
      context.fillStyle = value > 0 ? positive : negative;
      context.fillRect(...cell);
    }
  }
}

const gridSizes = new ResizeObserver(drawGrids);
for (const [id, [columns, rows]] of Object.entries(grids)) {
  element(id).style.aspectRatio = `${columns} / ${rows}`;
  gridSizes.observe(element(id));
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  drawPaper();
  drawGrids();
});

// ---- Words for screen readers ----

const timers = {};

function sayLater(id, text, delay) {
  clearTimeout(timers[id]);
  timers[id] = setTimeout(() => {
    element(id).textContent = text;
  }, delay);
}

// ---- Mouse, pen and finger ----

let pointer = null; // the one that draws

function pointOf(event) {
  const box = paper.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

paper.addEventListener("pointerdown", (event) => {
  if (pointer !== null || event.button !== 0) return;
  pointer = event.pointerId;
  paper.setPointerCapture(pointer);
  pen.isShown = pen.isDown = false;
  strokes.push([pointOf(event)]);
  changed();
});

paper.addEventListener("pointermove", (event) => {
  if (event.pointerId !== pointer || strokes.length === 0) return;
  const events = event.getCoalescedEvents?.() ?? [];
  strokes.at(-1).push(...(events.length > 0 ? events : [event]).map(pointOf));
  changed();
});

for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
  paper.addEventListener(name, (event) => {
    if (event.pointerId === pointer) pointer = null;
  });
}

// ---- Keyboard ----

paper.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key in ARROWS) {
    heldArrows.add(event.key);
    movePen(event.shiftKey ? SMALL_STEP : STEP);
  } else if (event.key === " ") {
    pen.isShown = true;
    pen.isDown = !pen.isDown;
    if (pen.isDown) strokes.push([[pen.x, pen.y]]);
    changed();
    sayLater("pen-status", `Pen ${pen.isDown ? "down" : "lifted"}. ${placeOfPen()}`, 100);
  } else if (event.key === "Backspace") {
    undo();
  } else {
    return;
  }
  event.preventDefault();
});

paper.addEventListener("keyup", (event) => heldArrows.delete(event.key));
paper.addEventListener("focus", () => {
  pen.isShown = paper.matches(":focus-visible");
  drawPaper();
});
paper.addEventListener("blur", () => {
  heldArrows.clear();
  pen.isShown = pen.isDown = false;
  drawPaper();
});

function movePen(step) {
  pen.isShown = true;
  const within = (value) => Math.min(1, Math.max(0, value));
  for (const arrow of heldArrows) {
    pen.x = within(pen.x + step * ARROWS[arrow][0]);
    pen.y = within(pen.y + step * ARROWS[arrow][1]);
  }
  if (pen.isDown) {
    strokes.at(-1).push([pen.x, pen.y]);
    changed();
  } else {
    drawPaper();
  }
  sayLater("pen-status", placeOfPen(), 300);
}

function placeOfPen() {
  return `${percent(pen.x, 0)} from the left, ${percent(pen.y, 0)} from the top.`;
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") clear();
});

// ---- Undo and clear ----

function undo() {
  pen.isDown = false;
  pointer = null;
  strokes.pop();
  changed();
  sayLater("pen-status", strokes.length > 0 ? "The last stroke is gone." : "The paper is empty.", 100);
}

function clear() {
  pen.isDown = false;
  pointer = null;
  strokes.length = 0;
  changed();
  sayLater("pen-status", "The paper is empty.", 100);
}

element("undo").addEventListener("click", undo);
element("clear").addEventListener("click", clear);

show(null);
