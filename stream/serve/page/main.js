/** Puts the page together: the session tells, the recitation understands, the views show. */

import { Candidates } from "./candidates.js";
import { element } from "./elements.js";
import { History } from "./history.js";
import { Mushaf } from "./mushaf.js";
import { Problem } from "./problem.js";
import { Recitation } from "./recitation.js";
import { Session } from "./session.js";
import { Stage } from "./stage.js";
import { Strings, preferredLanguage } from "./strings.js";

const QUIETEST_DB = -60;
/** Problems that the button solves by connecting again. */
const RECONNECTS = new Set(["unreachable", "lost", "slow", "stopped", "full", "idle", "refused"]);

const at = (id) => document.getElementById(id);
const session = new Session();
const mushaf = new Mushaf();
const stage = new Stage(at("stage"), mushaf);
const candidates = new Candidates(at("candidates"), mushaf);
const history = new History(at("history"), mushaf);

let strings = new Strings(preferredLanguage());
let recitations = [];
let suspended = false;
let textProblem = null;
let drawing = false;

/** Draws what has changed, once for all that happens before the next picture. */
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    const recitation = recitations.at(-1);
    const listening = session.state !== "idle";
    stage.render(recitation?.shown ?? null, listening, strings);
    candidates.render(recitation?.candidates ?? [], strings);
    history.render(recitations, strings);
    at("history-empty").hidden = recitations.some((each) => each.history.length > 0);
    drawControls(recitation);
    drawProblem(session.problem ?? textProblem);
    drawWarning(recitation?.warning);
  });
}

function drawControls(recitation) {
  const { text } = strings;
  const { state, problem } = session;
  at("toggle").dataset.state = state;
  at("toggle").setAttribute("aria-disabled", String(state === "finishing"));
  const starts = state === "idle" || state === "finishing";
  const start = RECONNECTS.has(problem?.code) ? text.again : text.start;
  setText(at("toggle-label"), starts ? start : text.stop);
  setText(at("status"), text.status[statusOf(state, recitation)]);
}

function statusOf(state, recitation) {
  if (state !== "listening") return state;
  if (suspended) return "suspended";
  return { silence: "listening", speech: "speech", notQuran: "notQuran" }[recitation.voice];
}

function drawProblem(problem) {
  const box = at("problem");
  box.hidden = problem === null;
  const shows = problem ? `${problem.code} ${problem.detail} ${strings.language}` : "";
  if (box.dataset.shows === shows) return;
  box.dataset.shows = shows;
  box.replaceChildren();
  if (!problem) return;
  const [what, remedy] = strings.text.problems[problem.code];
  box.append(element("strong", {}, what));
  if (problem.detail) box.append(element("p", { lang: "en", dir: "auto" }, problem.detail));
  box.append(element("p", {}, remedy));
  if (RECONNECTS.has(problem.code)) {
    const again = element("button", { type: "button", class: "again" }, strings.text.again);
    again.addEventListener("click", () => {
      begin();
      at("toggle").focus(); // this button goes away
    });
    box.append(again);
  }
  box.scrollIntoView({ block: "nearest" });
}

function drawWarning(warning) {
  at("warning").hidden = !warning || session.state === "idle";
  setText(at("warning"), warning?.message ?? "");
}

function drawLanguage() {
  const { text } = strings;
  document.documentElement.lang = strings.language;
  document.documentElement.dir = text.direction;
  at("language").textContent = text.otherLanguage;
  at("language").lang = strings.other;
  for (const node of document.querySelectorAll("[data-text]")) {
    node.textContent = text[node.dataset.text];
  }
  for (const node of document.querySelectorAll("[data-label]")) {
    node.setAttribute("aria-label", text[node.dataset.label]);
  }
}

/** Writes only what differs, so that nothing is read out twice. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function announce(text) {
  at("announcer").append(element("p", {}, text));
  while (at("announcer").childElementCount > 3) at("announcer").firstElementChild.remove();
}

async function announceFinal({ surah, ayah }) {
  const known = await mushaf.load(surah).catch(() => undefined);
  announce(strings.text.verse(strings.surah(surah, known), strings.number(ayah)));
}

function begin() {
  recitations.push(new Recitation());
  suspended = false;
  textProblem = null;
  session.start();
}

at("toggle").addEventListener("click", () => {
  if (session.state === "idle") begin();
  else session.stop();
});

at("language").addEventListener("click", () => {
  strings = new Strings(strings.other);
  strings.remember();
  drawLanguage();
  draw();
});

session.addEventListener("state", () => {
  if (session.state === "idle") {
    recitations.at(-1).close();
    drawLevel(0);
  }
  const said = strings.text.announced[session.state];
  if (said) announce(said);
  draw();
});

session.addEventListener("heard", ({ detail: event }) => {
  recitations.at(-1).hear(event);
  if (event.type === "final") announceFinal(event);
  draw();
});

session.addEventListener("running", ({ detail: running }) => {
  suspended = !running;
  draw();
});

session.addEventListener("level", ({ detail: peak }) => drawLevel(peak));

function drawLevel(peak) {
  const db = Math.max(QUIETEST_DB, 20 * Math.log10(peak));
  at("meter").setAttribute("aria-valuenow", String(Math.round(db)));
  document.body.style.setProperty("--level", String(1 - db / QUIETEST_DB));
}

mushaf.addEventListener("loaded", () => {
  textProblem = null;
  draw();
});
mushaf.addEventListener("failed", () => {
  textProblem = new Problem("text");
  drawProblem(session.problem ?? textProblem);
});

drawLanguage();
drawLevel(0);
draw();
