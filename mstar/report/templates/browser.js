"use strict";
// Every prompt: a list that filters and searches, and the group that is chosen. Text from a run goes through textContent.
const $ = (id) => document.getElementById(id);
const ROW = 46; // pixels of a row; report.css has the same

function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const number = (value) => value.toLocaleString("en");
const short = (value) => value === null ? "–" : String(Math.round(value * 1000) / 1000);

const browser = {
  state: { run: null, iteration: null, kind: null, outcome: null, decision: null, reward: 0, min: null, max: null, query: "", sort: "" },
  inside: null, // groups found by reading all responses; null if the index was searched
  shown: [], // groups in the list
  chosen: null, // the group at the right
  beside: false, // all iterations of the prompt side by side
  drawn: 0, // counts what was asked to be drawn: an answer that comes late is thrown away

  start() {
    const index = report.index;
    const several = index.runs.length > 1;
    this.fill("run", [...index.runs.map((run, i) => [i, `${"AB"[i]} · ${run.name}`]), [SHARED, "prompts in both"]], "both runs");
    $("run").closest("label").hidden = !several;
    const iterations = [...new Set(index.runs.flatMap((run) => run.iterations))].sort((a, b) => a - b);
    this.fill("iteration", iterations.map((i) => [i, `iteration ${i}`]), "all iterations");
    this.fill("kind", index.kinds.map((kind, i) => [i, kind || "no type"]), "all types");
    this.fill("outcome", index.outcomes.map((outcome, i) => [i, outcome]), "any outcome");
    this.fill("decision", DECISIONS.map((decision, i) => [i, decision]), "kept or not");
    this.fill("reward", index.rewards.map((reward, i) => [i, reward]), null);
    const process = index.rewards.findIndex((name) => name !== "outcome");
    this.state.reward = Math.max(0, process);
    $("kind").closest("label").hidden = index.kinds.length < 2;
    $("rewards").hidden = !index.rewards.length;
    for (const name of ["run", "iteration", "kind", "outcome", "decision", "reward", "sort", "min", "max"]) {
      $(name).addEventListener("input", () => this.read());
    }
    $("query").addEventListener("input", () => { this.inside = null; this.read(); });
    $("inside").addEventListener("click", () => this.readInside());
    $("reset").addEventListener("click", () => this.reset());
    $("list").addEventListener("scroll", () => this.drawList(), { passive: true });
    $("back").addEventListener("click", () => document.body.classList.remove("reading"));
    new ResizeObserver(() => this.drawList()).observe($("list"));
    addEventListener("hashchange", () => this.follow());
    this.follow();
    document.body.dataset.ready = "";
    performance.mark("ready");
  },

  fill(id, options, all) {
    if (all !== null) $(id).append(el("option", { value: "", text: all }));
    for (const [value, text] of options) $(id).append(el("option", { value, text }));
  },

  // --- state, controls and address

  read() {
    const choice = (id) => ($(id).value === "" ? null : Number($(id).value));
    const bound = (id) => ($(id).value.trim() === "" || Number.isNaN(Number($(id).value)) ? null : Number($(id).value));
    Object.assign(this.state, {
      run: choice("run"), iteration: choice("iteration"), kind: choice("kind"), outcome: choice("outcome"),
      decision: choice("decision"), reward: choice("reward") ?? 0, min: bound("min"), max: bound("max"),
      query: $("query").value, sort: $("sort").value,
    });
    this.filter();
    this.write();
  },

  reset() {
    for (const id of ["run", "iteration", "kind", "outcome", "decision", "sort", "min", "max", "query"]) $(id).value = "";
    this.inside = null;
    this.read();
  },

  // The address says what is seen: filters by name, the prompt by id.
  write() {
    const { index } = report;
    const { state } = this;
    const words = new URLSearchParams();
    if (this.chosen !== null) {
      words.set("prompt", index.prompts[index.groups.prompt[this.chosen]][0]);
      words.set("at", index.groups.iteration[this.chosen]);
      if (index.runs.length > 1) words.set("in", index.groups.run[this.chosen]);
      if (this.beside) words.set("beside", 1);
    }
    if (state.run !== null) words.set("run", state.run);
    if (state.iteration !== null) words.set("iteration", state.iteration);
    if (state.kind !== null) words.set("type", index.kinds[state.kind]);
    if (state.outcome !== null) words.set("outcome", index.outcomes[state.outcome]);
    if (state.decision !== null) words.set("decision", DECISIONS[state.decision]);
    if (state.min !== null || state.max !== null) words.set("reward", index.rewards[state.reward]);
    if (state.min !== null) words.set("min", state.min);
    if (state.max !== null) words.set("max", state.max);
    if (state.query) words.set("q", state.query);
    if (state.sort) words.set("sort", state.sort);
    const hash = String(words);
    if (hash !== location.hash.slice(1)) history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  },

  // Go where the address says.
  follow() {
    const { index } = report;
    const words = new URLSearchParams(location.hash.slice(1));
    const place = (list, name) => { const at = list.indexOf(words.get(name)); return at < 0 ? "" : at; };
    $("run").value = words.get("run") ?? "";
    $("iteration").value = words.get("iteration") ?? "";
    $("kind").value = place(index.kinds, "type");
    $("outcome").value = place(index.outcomes, "outcome");
    $("decision").value = place(DECISIONS, "decision");
    $("reward").value = words.has("reward") ? place(index.rewards, "reward") : this.state.reward;
    for (const id of ["min", "max", "sort"]) $(id).value = words.get(id) ?? "";
    $("query").value = words.get("q") ?? "";
    this.chosen = this.find(words);
    this.beside = words.has("beside");
    this.read();
    if (this.chosen !== null) { this.enter(); this.reveal(); this.drawGroup(); }
    else if (this.shown.length) this.choose(this.shown[0], false);
  },

  find(words) {
    if (!words.has("prompt")) return null;
    const { prompt, iteration, run } = report.index.groups;
    const wanted = (group) => report.index.prompts[prompt[group]][0] === words.get("prompt")
      && (!words.has("at") || iteration[group] === Number(words.get("at")))
      && (!words.has("in") || run[group] === Number(words.get("in")));
    for (let group = 0; group < report.size; group++) if (wanted(group)) return group;
    return null;
  },

  // --- the list

  filter() {
    const { groups, responses } = report.filter({ ...this.state, inside: this.inside });
    this.shown = groups;
    $("count").textContent = `${number(groups.length)} of ${number(report.size)} groups · ${number(responses)} responses`;
    $("inside").hidden = !this.state.query.trim() || this.inside !== null;
    $("rows").style.setProperty("height", `${groups.length * ROW}px`);
    $("empty").hidden = groups.length > 0;
    $("list").scrollTop = 0;
    this.drawList();
    if (this.chosen !== null) this.drawGroup();
  },

  async readInside() {
    const query = this.state.query;
    const still = (share) => {
      $("inside").textContent = `reading responses … ${Math.round(100 * share)} %`;
      return this.state.query === query;
    };
    const found = await report.searchInside(query, still);
    $("inside").textContent = "search inside responses";
    if (found) { this.inside = found; this.filter(); }
  },

  drawList() {
    const list = $("list");
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
    const last = Math.min(this.shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 4);
    const rows = [];
    for (let place = first; place < last; place++) rows.push(this.row(place));
    $("rows").replaceChildren(...rows);
    $("list").setAttribute("aria-activedescendant", this.chosen === null ? "" : `group-${this.chosen}`);
  },

  row(place) {
    const group = this.shown[place];
    const { groups, prompts, kinds, runs } = report.index;
    const [id, question, kind] = prompts[groups.prompt[group]];
    const { responses, correct, kept } = report.count(group);
    const run = runs.length > 1 ? `${"AB"[groups.run[group]]} · ` : "";
    const row = el("div", {
      class: "row", id: `group-${group}`, role: "option", "aria-selected": String(group === this.chosen),
      onclick: () => this.choose(group),
    },
    el("span", { class: "at", text: `${run}${groups.iteration[group]}`, title: `iteration ${groups.iteration[group]}` }),
    el("span", { class: "what" }, el("span", { class: "question", text: question || id }), el("span", { class: "id", text: kinds[kind] ? `${id} · ${kinds[kind]}` : id })),
    this.marks(group, `${responses} responses: ${correct} right, ${kept} kept`));
    row.style.setProperty("top", `${place * ROW}px`);
    return row;
  },

  // One mark a response: its colour is the outcome, filled if it was kept.
  marks(group, title) {
    const [begin, end] = report.responses(group);
    const marks = el("span", { class: "marks", title, role: "img", "aria-label": title });
    for (let i = begin; i < Math.min(end, begin + 16); i++) {
      marks.append(el("i", { class: `o${report.outcome(i)} d${report.decision(i)}${report.passes(i, this.state) ? "" : " off"}` }));
    }
    return marks;
  },

  reveal() {
    const place = this.shown.indexOf(this.chosen);
    const list = $("list");
    if (place < 0) return;
    if (place * ROW < list.scrollTop) list.scrollTop = place * ROW;
    else if ((place + 1) * ROW > list.scrollTop + list.clientHeight) list.scrollTop = (place + 1) * ROW - list.clientHeight;
    this.drawList();
  },

  enter() {
    document.body.classList.add("reading");
    $("prompts").scrollIntoView({ block: "start" });
  },

  choose(group, byReader = true) {
    this.chosen = group;
    if (byReader) { this.enter(); this.write(); }
    this.reveal();
    this.drawList();
    this.drawGroup();
  },

  // Next or previous in the list.
  move(by) {
    const place = this.shown.indexOf(this.chosen);
    const next = place < 0 ? 0 : Math.min(this.shown.length - 1, Math.max(0, place + by));
    if (this.shown.length) this.choose(this.shown[next]);
  },

  // The same prompt, another iteration.
  turn(by) {
    if (this.chosen === null) return;
    const siblings = this.siblings();
    const next = siblings[siblings.indexOf(this.chosen) + by];
    if (next !== undefined) this.choose(next);
  },

  siblings() { return report.byPrompt[report.index.groups.prompt[this.chosen]]; },

  toggleBeside() {
    this.beside = !this.beside;
    this.write();
    this.drawGroup();
  },

  // --- the group

  async drawGroup() {
    const ticket = ++this.drawn;
    const siblings = this.siblings();
    const wanted = this.beside ? siblings : [this.chosen];
    let entries;
    try {
      entries = await Promise.all(wanted.map((group) => report.group(group)));
    } catch (error) {
      $("group").replaceChildren(el("p", { class: "empty", text: `${error.message}: copy the whole folder of the report.` }));
      return;
    }
    if (ticket !== this.drawn) return;
    const columns = entries.map((entry, i) => this.column(entry, wanted[i]));
    $("group").replaceChildren(
      this.head(entries[0], siblings),
      el("div", { class: this.beside ? "body beside" : "body" }, this.prompt(entries[0]), el("div", { class: "columns" }, ...columns)),
    );
    $("group").scrollTop = 0;
  },

  label(group) {
    const { groups, runs } = report.index;
    return `${runs.length > 1 ? `${"AB"[groups.run[group]]} · ` : ""}iteration ${groups.iteration[group]}`;
  },

  head(entry, siblings) {
    const tabs = siblings.map((group) => {
      return el("button", {
        class: "tab", type: "button", "aria-pressed": String(group === this.chosen && !this.beside),
        onclick: () => { this.beside = false; this.choose(group); },
      }, el("span", { text: this.label(group) }), this.share(group));
    });
    const { responses, correct, kept } = report.count(this.chosen);
    const summary = this.beside ? null : el("span", { class: "of", text: `${correct} of ${responses} right, ${kept} kept` });
    const beside = siblings.length < 2 ? null : el("button", {
      class: "tab", type: "button", "aria-pressed": String(this.beside), onclick: () => this.toggleBeside(), text: "side by side",
    });
    return el("header", {}, el("h3", { text: entry.id }), el("div", { class: "tabs" }, ...tabs, beside), summary);
  },

  share(group) {
    const { responses, correct } = report.count(group);
    return el("span", { class: "of", text: `${correct}/${responses}` });
  },

  prompt(entry) {
    const images = entry.images.map((name) => {
      const image = el("img", { src: `images/${name}`, alt: `picture of prompt ${entry.id}` });
      image.addEventListener("load", () => image.classList.toggle("tiny", image.naturalWidth <= 128));
      return el("a", { href: `images/${name}`, target: "_blank", rel: "noopener" }, image);
    });
    return el("aside", {},
      el("div", { class: "pictures" }, ...images),
      entry.missing ? el("p", { class: "missing", text: `Without picture and reference: ${entry.missing}.` }) : null,
      el("p", { class: "asked", text: entry.question }),
      el("dl", {},
        el("dt", { text: "reference" }), el("dd", { class: "mono", text: entry.reference ?? "none" }),
        ...(entry.kind ? [el("dt", { text: "type" }), el("dd", { text: entry.kind })] : [])));
  },

  column(entry, group) {
    const [begin] = report.responses(group);
    const { responses, correct, kept } = report.count(group);
    const cards = entry.responses.map((response, i) => this.card(response, report.passes(begin + i, this.state)));
    const title = el("h4", {}, el("span", { text: this.label(group) }), el("span", { class: "of", text: `${correct} of ${responses} right · ${kept} kept` }));
    return el("section", { class: "column" }, this.beside ? title : null, ...cards);
  },

  card(response, passes) {
    const decision = response.kept === null ? "undecided" : response.kept ? "kept" : "dropped";
    const why = [decision, response.outcome, `${response.outcome} answer`].includes(response.why) ? "" : response.why; // said already
    const rewards = response.rewards.map((value, i) => `${report.index.rewards[i]} ${short(value)}`).filter((_, i) => response.rewards[i] !== null);
    const facts = [...rewards, `T ${short(response.temperature)}`, `${response.tokens} tokens`, response.finish === "length" ? "cut off at the longest length" : "", response.origin === "policy" ? "" : `by ${response.origin}`];
    return el("article", { class: passes ? "card" : "card off" },
      el("div", { class: "top" },
        el("span", { class: "index", text: response.index }),
        el("span", { class: `badge o${report.index.outcomes.indexOf(response.outcome)}`, text: response.outcome }),
        el("span", { class: `badge ${decision}`, text: decision }),
        el("span", { class: "why", text: why }),
        response.answer === null ? null : el("span", { class: "answer" }, el("span", { class: "muted", text: "answer" }), el("bdi", { text: response.answer }))),
      el("div", { class: "steps" }, ...response.steps.map((text, i) => this.step(text, response.aligned ? response.scores[i] : null))),
      response.aligned || !response.scores.length ? null : el("p", { class: "facts", text: `step rewards: ${response.scores.map(short).join("  ")}` }),
      el("p", { class: "facts", text: facts.filter(Boolean).join(" · ") }));
  },

  step(text, score) {
    const step = el("div", { class: score === null ? "step" : "step scored" }, el("span", { class: "text", text: text.replace(/^\n+|\s+$/g, "") }));
    if (score !== null) {
      step.style.setProperty("--reward", Math.min(1, Math.max(0, score)));
      step.append(el("span", { class: "score", text: score.toFixed(2), title: "step reward" }));
    }
    return step;
  },

  // --- keys

  keys: {
    j: (b) => b.move(1), k: (b) => b.move(-1), ArrowDown: (b) => b.move(1), ArrowUp: (b) => b.move(-1),
    ArrowRight: (b) => b.turn(1), ArrowLeft: (b) => b.turn(-1), c: (b) => b.toggleBeside(),
    "/": () => { $("prompts").scrollIntoView({ block: "start" }); $("query").focus(); $("query").select(); },
    t: () => theme.toggle(), "?": () => $("help").showModal(),
  },

  press(event) {
    if (event.key === "Escape") { document.activeElement.blur(); document.body.classList.remove("reading"); return; }
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    const arrow = event.key.startsWith("Arrow");
    const away = $("prompts").getBoundingClientRect().top > innerHeight / 2; // arrows scroll the story
    if (!this.keys[event.key] || typing || event.ctrlKey || event.metaKey || event.altKey || $("help").open || (arrow && away)) return;
    if (!report.index && event.key !== "t" && event.key !== "?") return;
    event.preventDefault();
    this.keys[event.key](this);
  },
};

document.addEventListener("keydown", (event) => browser.press(event));
for (const button of document.querySelectorAll("[data-jump]")) {
  button.addEventListener("click", () => $(button.dataset.jump).scrollIntoView({ block: "start" }));
}
$("theme").addEventListener("click", () => theme.toggle());
$("help-button").addEventListener("click", () => $("help").showModal());
$("help").addEventListener("click", (event) => { if (event.target === $("help")) $("help").close(); });
