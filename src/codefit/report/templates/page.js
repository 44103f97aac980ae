(function () {
  "use strict";
  var root = document.documentElement;
  var buttons = document.querySelectorAll("[data-set-lang]");
  function set(lang) {
    root.lang = lang;
    root.dataset.lang = lang;
    document.title = root.dataset[lang === "en" ? "titleEn" : "titleZh"];
    buttons.forEach(function (b) { b.setAttribute("aria-pressed", String(b.dataset.setLang === lang)); });
    document.dispatchEvent(new Event("codefit-language"));
    try { localStorage.setItem("codefit-lang", lang); } catch (e) { /* a page opened from a file may have no storage */ }
  }
  buttons.forEach(function (b) { b.addEventListener("click", function () { set(b.dataset.setLang); }); });
  var wanted = null;
  try { wanted = localStorage.getItem("codefit-lang"); } catch (e) { /* as above */ }
  if (location.hash === "#zh") { wanted = "zh-CN"; }
  if (wanted === "zh-CN") { set(wanted); }
  function unfold() {
    var node = location.hash.length > 1 && location.hash.indexOf("=") < 0 && document.getElementById(location.hash.slice(1));
    var fold = node && node.closest("details");
    if (fold && !fold.open) { fold.open = true; node.scrollIntoView(); }
  }
  window.addEventListener("hashchange", unfold);
  unfold();
  var opened = [];
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details:not([open]):not(.unprinted)").forEach(function (d) { d.open = true; opened.push(d); });
  });
  window.addEventListener("afterprint", function () {
    opened.forEach(function (d) { d.open = false; });
    opened = [];
  });
})();
