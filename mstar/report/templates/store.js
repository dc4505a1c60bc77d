"use strict";
// The data: an index of all groups, small enough to filter at once, and pages of whole groups, loaded when they are read.
// What comes from a run is only ever compared and counted here; browser.js shows it, as text.
const DECISIONS = ["kept", "dropped", "undecided"];
const PAGES_KEPT = 60;
const SHARED = -1; // instead of a run's number: prompts that both have

const report = {
  index: null,
  pages: new Map(), // number → groups, the oldest first
  waiting: new Map(), // number → functions that wait for it
  texts: null, // of each prompt, what a search looks at
  byPrompt: null, // of each prompt, its groups
  shared: null, // of each prompt, whether both runs have it
  found: { query: null, prompts: null },

  // --- called by data/*.js

  receiveIndex(index) {
    for (const [name, values] of Object.entries(index.groups)) index.groups[name] = Int32Array.from(values);
    index.values = index.values.map((values) => Float64Array.from(values, (value) => value ?? NaN));
    index.codes = Uint8Array.from(index.codes, (letter) => letter.charCodeAt(0) - 97);
    this.index = index;
    this.byPrompt = index.prompts.map(() => []);
    index.groups.prompt.forEach((prompt, group) => this.byPrompt[prompt].push(group));
    this.shared = this.byPrompt.map((groups) => new Set(groups.map((group) => index.groups.run[group])).size > 1);
    browser.start();
  },

  receivePage(number, groups) {
    this.pages.set(number, groups);
    if (this.pages.size > PAGES_KEPT) this.pages.delete(this.pages.keys().next().value);
    for (const resolve of this.waiting.get(number) ?? []) resolve(groups);
    this.waiting.delete(number);
  },

  // --- groups

  get size() { return this.index.groups.first.length; },

  // Where a group's responses begin and end in the index's columns.
  responses(group) {
    const first = this.index.groups.first;
    return [first[group], group + 1 < first.length ? first[group + 1] : this.index.codes.length];
  },

  outcome(response) { return Math.floor(this.index.codes[response] / 3); },
  decision(response) { return this.index.codes[response] % 3; },

  count(group) {
    const [begin, end] = this.responses(group);
    let correct = 0, kept = 0;
    for (let i = begin; i < end; i++) {
      correct += this.outcome(i) === 0;
      kept += this.decision(i) === 0;
    }
    return { responses: end - begin, correct, kept };
  },

  pageOf(group) {
    const pages = this.index.pages;
    let low = 0, high = pages.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (pages[middle] <= group) low = middle; else high = middle - 1;
    }
    return low;
  },

  page(number) {
    if (this.pages.has(number)) return Promise.resolve(this.pages.get(number));
    return new Promise((resolve, reject) => {
      if (this.waiting.has(number)) { this.waiting.get(number).push(resolve); return; }
      this.waiting.set(number, [resolve]);
      const script = document.createElement("script");
      script.src = `data/page-${String(number).padStart(5, "0")}.js`;
      script.onload = () => script.remove();
      script.onerror = () => { this.waiting.delete(number); script.remove(); reject(new Error(`${script.src} is missing`)); };
      document.head.append(script);
    });
  },

  async group(number) {
    const page = this.pageOf(number);
    return (await this.page(page))[number - this.index.pages[page]];
  },

  // --- filters

  // Whether one response passes what is asked of responses.
  passes(response, asked) {
    if (asked.outcome !== null && this.outcome(response) !== asked.outcome) return false;
    if (asked.decision !== null && this.decision(response) !== asked.decision) return false;
    if (asked.min === null && asked.max === null) return true;
    const value = this.index.values[asked.reward][response];
    return !Number.isNaN(value) && (asked.min === null || value >= asked.min) && (asked.max === null || value <= asked.max);
  },

  asksOfResponses(asked) {
    return asked.outcome !== null || asked.decision !== null || asked.min !== null || asked.max !== null;
  },

  // Groups that pass, in the order asked for, and how many of their responses do.
  filter(asked) {
    const { run, iteration, prompt } = this.index.groups;
    const prompts = this.search(asked.query);
    const responsesToo = this.asksOfResponses(asked);
    const groups = [];
    let responses = 0;
    for (let group = 0; group < this.size; group++) {
      if (asked.run !== null && (asked.run === SHARED ? !this.shared[prompt[group]] : run[group] !== asked.run)) continue;
      if (asked.iteration !== null && iteration[group] !== asked.iteration) continue;
      if (asked.kind !== null && this.index.prompts[prompt[group]][2] !== asked.kind) continue;
      if (asked.inside) { if (!asked.inside.has(group)) continue; } else if (prompts && !prompts[prompt[group]]) continue;
      const [begin, end] = this.responses(group);
      let passing = end - begin;
      if (responsesToo) {
        passing = 0;
        for (let i = begin; i < end; i++) passing += this.passes(i, asked);
        if (!passing) continue;
      }
      responses += passing;
      groups.push(group);
    }
    return { groups: this.sorted(groups, asked.sort), responses };
  },

  sorted(groups, sort) {
    if (!sort) return groups;
    const share = new Map(groups.map((group) => {
      const { responses, correct } = this.count(group);
      return [group, sort === "divided" ? Math.abs(correct / responses - 0.5) : correct / responses];
    }));
    const sign = sort === "easy" ? -1 : 1;
    return groups.sort((a, b) => sign * (share.get(a) - share.get(b)) || a - b);
  },

  // Prompts whose id, question or reference has every word; null if nothing is searched for.
  search(query) {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return null;
    if (this.found.query !== query) {
      this.texts ??= this.index.prompts.map(([id, question, , reference]) => `${id}\n${question}\n${reference}`.toLowerCase());
      const prompts = Uint8Array.from(this.texts, (text) => words.every((word) => text.includes(word)));
      this.found = { query, prompts };
    }
    return this.found.prompts;
  },

  // Groups with every word in the question or in one response: reads all pages, and says how far it is.
  async searchInside(query, progress) {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const has = (text) => words.every((word) => text.toLowerCase().includes(word));
    const groups = new Set();
    for (let number = 0; number < this.index.pages.length; number++) {
      if (!progress(number / this.index.pages.length)) return null;
      const page = await this.page(number);
      page.forEach((entry, i) => {
        if (has(entry.question) || entry.responses.some((response) => has(response.steps.join("")))) {
          groups.add(this.index.pages[number] + i);
        }
      });
    }
    return groups;
  },
};
