"use strict";
// Light or dark: as the system says, until the reader chooses. Runs before the page is painted.
const theme = {
  system: matchMedia("(prefers-color-scheme: dark)"),

  chosen() {
    try { return localStorage.getItem("mstar-report-theme"); } catch { return null; }
  },

  apply() {
    document.documentElement.dataset.theme = this.chosen() ?? (this.system.matches ? "dark" : "light");
  },

  toggle() {
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("mstar-report-theme", next); } catch { /* no storage: only this page changes */ }
    document.documentElement.dataset.theme = next;
  },
};

theme.apply();
theme.system.addEventListener("change", () => theme.apply());
