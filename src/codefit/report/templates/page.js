(function () {
  "use strict";
  var root = document.documentElement;
  var buttons = document.querySelectorAll("[data-set-lang]");
  function set(lang) {
    root.lang = lang;
    root.dataset.lang = lang;
    buttons.forEach(function (b) { b.setAttribute("aria-pressed", String(b.dataset.setLang === lang)); });
    try { localStorage.setItem("codefit-lang", lang); } catch (e) { /* a page opened from a file may have no storage */ }
  }
  buttons.forEach(function (b) { b.addEventListener("click", function () { set(b.dataset.setLang); }); });
  var wanted = null;
  try { wanted = localStorage.getItem("codefit-lang"); } catch (e) { /* as above */ }
  if (location.hash === "#zh") { wanted = "zh-CN"; }
  if (wanted === "zh-CN") { set(wanted); }
  var opened = [];
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details:not([open])").forEach(function (d) { d.open = true; opened.push(d); });
  });
  window.addEventListener("afterprint", function () {
    opened.forEach(function (d) { d.open = false; });
    opened = [];
  });
})();
