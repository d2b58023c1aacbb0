// The dashboard: asks for the overview, then follows the events. Texts from outside enter as text, never as HTML.
const $ = (id) => document.getElementById(id);
const KINDS = { audio: "Audio", video: "Video" };
const STATES = { pending: "waiting", processing: "in work", completed: "done", failed: "failed", cancelled: "cancelled" };
const REFRESH_MS = 1000; // at most so often, however much happens
const REPEAT_MS = 30000; // heartbeats and times of day move without events
const number = new Intl.NumberFormat("en");
let stream = null;
let timer = null;
let due = Infinity; // when we ask again
let loadedAt = 0;
let offset_ms = 0; // the bot's clock less ours
let working = new Map(); // what we know of the jobs in work

// --- words

function duration(s) {
  if (s < 60) return `${Math.max(1, Math.round(s))} s`;
  if (s < 3600) return `${Math.round(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.round((s % 3600) / 60)} min`;
  return `${number.format(Math.round(s / 86400))} d`;
}

function ago(text) {
  const s = (Date.now() + offset_ms - Date.parse(text)) / 1000;
  return Number.isFinite(s) ? (s < 5 ? "just now" : `${duration(s)} ago`) : "";
}

const short = (id) => id.slice(0, 8);
const joined = (...parts) => parts.filter(Boolean).join(" · ");
const video = (job) => joined(job.channel, job.video_number && `video ${job.video_number}`, job.date);
const name = (job) => job.title || video(job) || `Job ${short(job.job_id)}`;
const details = (job, ...more) => joined(KINDS[job.kind], job.title && video({ ...job, date: "" }), short(job.job_id), ...more);
const times = (count, one) => `${number.format(count)} ${one}${count === 1 ? "" : "s"}`;

// --- building

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function top(title, aside, asideClass = "aside") {
  const line = make("div", "top");
  line.append(make("p", "name", title));
  if (aside) line.append(make("span", asideClass, aside));
  return line;
}

// Puts the rows into the list; what says the same as before is not touched, and the focus stays.
function fill(id, rows, key, build) {
  const old = new Map([...$(id).children].map((node) => [node.dataset.key, node]));
  const nodes = rows.map((row) => {
    const fresh = make("li");
    fresh.append(...build(row));
    fresh.dataset.key = key(row);
    const known = old.get(fresh.dataset.key) ?? fresh;
    if (known.innerHTML === fresh.innerHTML) return known;
    const hadFocus = known.contains(document.activeElement);
    known.replaceChildren(...fresh.childNodes);
    if (hadFocus) known.querySelector("button")?.focus();
    return known;
  });
  if (nodes.length !== $(id).children.length || nodes.some((node, i) => node !== $(id).children[i]))
    $(id).replaceChildren(...nodes);
}

const jobKey = (job) => `${job.kind} ${job.job_id}`;

function workingRow(job) {
  const bar = make("progress");
  bar.max = 100;
  bar.setAttribute("aria-label", `Progress of ${name(job)}`);
  const line = make("p", "soft progress-line");
  const parts = [top(name(job), "", "aside"), bar, line, make("p", "soft", details(job, job.worker_id && `by ${job.worker_id}`))];
  parts[0].append(make("span", "aside percent"));
  show(bar, parts[0].lastChild, line, job);
  return parts;
}

function show(bar, percent, line, job) {
  bar.setAttribute("value", job.percent ?? 0);
  percent.textContent = `${Math.floor(job.percent ?? 0)} %`;
  const chunk = job.chunks ? `${number.format(job.chunk ?? 0)} of ${number.format(job.chunks)}` : "";
  const left = job.eta_s === undefined ? "" : `about ${duration(job.eta_s)} left`;
  line.textContent = joined(job.message || (job.percent === undefined ? "starting" : ""), chunk, left);
}

function failedRow(job) {
  const button = make("button", "", "Retry");
  button.type = "button";
  button.setAttribute("aria-label", `Retry ${name(job)}`);
  button.dataset.retry = `/queue/${job.kind}/jobs/${encodeURIComponent(job.job_id)}/retry`;
  const foot = make("div", "foot");
  foot.append(make("p", "soft", details(job, job.retry_count && times(job.retry_count, "attempt"))), button);
  const time = top(name(job), job.failed_at && ago(job.failed_at));
  return [time, make("p", "reason", job.reason || "No reason was given."), foot];
}

const waitingRow = (job) => [
  top(name(job), job.position && `${number.format(job.position)}.`),
  make("p", "soft", details(job, job.eta_s !== undefined && `done in about ${duration(job.eta_s)}`)),
];

function workerRow(worker) {
  const done = joined(`${number.format(worker.jobs_completed)} done`, worker.jobs_failed && `${number.format(worker.jobs_failed)} failed`);
  return [
    top(worker.worker_id, worker.status, `badge ${worker.status}`),
    make("p", "soft", joined(KINDS[worker.kind], worker.gpu_model, done, `heard of ${ago(worker.last_heartbeat)}`)),
  ];
}

function tile(kind, stats) {
  const box = make("div", "tile");
  const head = make("h3", "", KINDS[kind]);
  const wait = stats.oldest_pending_s ? `oldest waits ${duration(stats.oldest_pending_s)}` : "";
  head.append(stats.paused ? make("span", "paused", "paused") : make("span", "", wait));
  const list = make("dl");
  for (const [state, word] of Object.entries(STATES)) {
    const text = number.format(stats[state]);
    const cell = make("div", `${state}${stats[state] ? "" : " zero"}`);
    cell.append(make("dt", "", word), make("dd", text.length > 4 ? "long" : "", text));
    list.append(cell);
  }
  box.append(head, list);
  return box;
}

function heading(id, shown, all) {
  const text = all > shown ? `${number.format(shown)} of ${number.format(all)}` : all ? number.format(all) : "";
  $(`h-${id}`).replaceChildren($(`h-${id}`).firstChild, make("small", "", text));
}

function render(overview) {
  const kinds = Object.keys(KINDS);
  const all = (list) => kinds.flatMap((kind) => overview[kind][list].map((row) => ({ kind, ...row })));
  const count = (state) => kinds.reduce((sum, kind) => sum + overview[kind].stats[state], 0);
  const tiles = kinds.map((kind) => tile(kind, overview[kind].stats));
  if (tiles.map((node) => node.outerHTML).join("") !== $("counts").innerHTML) $("counts").replaceChildren(...tiles);
  working = new Map(all("working").map((job) => [jobKey(job), job]));
  const failed = all("failed").sort((a, b) => String(b.failed_at).localeCompare(String(a.failed_at)));
  const lists = {
    working: [[...working.values()], jobKey, workingRow, count("processing")],
    failed: [failed, jobKey, failedRow, count("failed")],
    waiting: [all("waiting"), jobKey, waitingRow, count("pending")],
    workers: [all("workers"), (worker) => `${worker.kind} ${worker.worker_id}`, workerRow, all("workers").length],
  };
  for (const [id, [rows, key, build, total]] of Object.entries(lists)) {
    fill(id, rows, key, build);
    heading(id, rows.length, total);
  }
}

// --- talking to the bot

function live(text, isLost = false) {
  if ($("live").textContent !== text) $("live").textContent = text;
  $("live").classList.toggle("lost", isLost);
}

function enter(isIn) {
  for (const id of ["board", "logout", "live"]) $(id).hidden = !isIn;
  $("login").hidden = isIn;
  if (!isIn) stream?.close(), (stream = null), $("key").focus();
}

async function load() {
  due = Infinity;
  loadedAt = Date.now();
  try {
    const answer = await fetch("/overview");
    if (answer.status === 401) return enter(false);
    if (!answer.ok) throw new Error(answer.statusText);
    offset_ms = (Date.parse(answer.headers.get("Date")) || Date.now()) - Date.now();
    render(await answer.json());
    enter(true);
    if (!document.hidden && (!stream || stream.readyState === EventSource.CLOSED)) follow();
  } catch (error) {
    live("no connection", true);
    soon(5000);
  }
}

function soon(wait = 0) {
  const at = Math.max(Date.now() + wait, loadedAt + REFRESH_MS);
  if (at >= due) return;
  clearTimeout(timer);
  due = at;
  timer = setTimeout(load, at - Date.now());
}

function follow() {
  stream?.close();
  stream = new EventSource("/events");
  stream.onopen = () => (live("live"), soon());
  stream.onerror = () => (live("reconnecting", true), stream?.readyState === EventSource.CLOSED && soon(5000));
  stream.addEventListener("reset", () => soon());
  stream.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    const row = [...$("working").children].find((node) => node.dataset.key === jobKey(event));
    if (event.event === "progress" && row) {
      const job = { ...working.get(jobKey(event)), ...event };
      show(row.querySelector("progress"), row.querySelector(".percent"), row.querySelector(".progress-line"), job);
    }
    soon(event.event === "progress" ? 5000 : 0); // the time left is the bot's to tell
  };
}

async function retry(button) {
  button.disabled = true;
  try {
    const answer = await fetch(button.dataset.retry, { method: "POST", headers: { "X-Scriptreel-Dashboard": "1" } });
    $("said").textContent = answer.ok ? "It waits for its turn again." : (await answer.json()).detail;
  } catch (error) {
    $("said").textContent = "The bot cannot be reached: try again in a moment.";
  }
  button.disabled = false;
  soon();
}

async function login(form) {
  let refusal = "";
  try {
    const answer = await fetch("/login", { method: "POST", headers: { "X-API-Key": $("key").value.trim() } });
    if (answer.status === 401 || answer.status === 403) refusal = "This is not the key.";
    else if (!answer.ok) refusal = (await answer.json()).detail;
  } catch (error) {
    refusal = error instanceof TypeError && navigator.onLine ? "The bot cannot be reached, or this is not a key." : "You are offline.";
  }
  $("refusal").textContent = refusal;
  if (!refusal) form.reset(), load();
}

document.addEventListener("click", ({ target }) => target.dataset?.retry && retry(target));
// A tab that nobody sees costs neither battery nor one of the few streams a browser opens to a site.
document.addEventListener("visibilitychange", () => (document.hidden ? stream?.close() : $("board").hidden || soon()));
$("login").addEventListener("submit", (event) => (event.preventDefault(), login(event.target)));
$("logout").addEventListener("click", async () => (await fetch("/logout", { method: "POST" }), location.reload()));
setInterval(() => document.hidden || $("board").hidden || soon(), REPEAT_MS);
load();
