// The red night mode, before the page is painted.
(() => {
  let wanted = null;
  try {
    wanted = localStorage.getItem("night");
  } catch {
    // A browser that keeps nothing: it begins without.
  }
  document.documentElement.toggleAttribute("data-night", wanted === "on");
})();
