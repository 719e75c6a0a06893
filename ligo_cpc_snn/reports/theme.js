// Light or dark before anything is painted: the reader's choice, else the system's by the style.
(() => {
  const root = document.documentElement;
  try {
    const chosen = localStorage.getItem("ligo-theme");
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  } catch { /* a browser that keeps nothing for files: the system's theme */ }
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const told = () => document.dispatchEvent(new CustomEvent("ligo-theme", { detail: dark() }));
  system.addEventListener("change", told);
  window.ligoTheme = {
    dark,
    toggle() {
      root.dataset.theme = dark() ? "light" : "dark";
      try { localStorage.setItem("ligo-theme", root.dataset.theme); } catch { /* as above */ }
      told();
    },
  };
})();
