// The red night mode, before the page is painted.
(() => {
  let wanted = null;
  try {
    wanted = localStorage.getItem("night");
  } catch {
    // The browser has no local storage: start in the normal mode.
  }
  document.documentElement.toggleAttribute("data-night", wanted === "on");
})();
