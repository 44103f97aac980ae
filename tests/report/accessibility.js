// Faults of accessibility in a page as it is now, as texts; counted by rules of WCAG 2.2 AA that a program can judge.
() => {
  const faults = [];
  const visible = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const text = (e) => (e ? e.innerText || "" : "").trim();
  const names = (e) => (e.getAttribute("aria-labelledby") || "").split(/\s+/).filter(Boolean).map((id) => text(document.getElementById(id))).join(" ").trim();
  const name = (e) => names(e) || (e.getAttribute("aria-label") || "").trim() || (e.labels ? [...e.labels].map(text).join(" ").trim() : "") || text(e);
  const which = (e) => `<${e.tagName.toLowerCase()}${e.id ? "#" + e.id : ""}${e.className && e.className.baseVal === undefined ? "." + e.className : ""}> ${text(e).slice(0, 40)}`;

  // 4.1.2, 3.3.2: everything that is operated, and every region, has a name.
  for (const e of document.querySelectorAll("a[href], button, input, select, summary, [role=region], [role=group], [role=search], nav, section")) {
    if (visible(e) && !name(e)) { faults.push("no name: " + which(e)); }
  }
  // 1.3.1, 2.4.1: one main, one h1, headings without a gap, landmarks.
  if (document.querySelectorAll("main").length !== 1) { faults.push("not one main"); }
  if (document.querySelectorAll("h1").length !== 1) { faults.push("not one h1"); }
  for (const landmark of ["header", "nav", "main"]) {
    if (!document.querySelector("body > " + landmark)) { faults.push("no " + landmark); }
  }
  let last = 0;
  for (const h of document.querySelectorAll("h1, h2, h3, h4")) {
    if (!visible(h)) { continue; }
    const level = Number(h.tagName[1]);
    if (level > last + 1) { faults.push(`heading from ${last} to ${level}: ` + which(h)); }
    last = level;
  }
  // 1.1.1: a drawing is hidden from readers, for its table says the same, and never in the way of the keyboard.
  for (const svg of document.querySelectorAll("svg")) {
    if (svg.getAttribute("aria-hidden") !== "true") { faults.push("a drawing that is not hidden"); }
  }
  // 1.3.1: tables have a caption and headers with a scope.
  for (const table of document.querySelectorAll("table")) {
    if (!table.caption || !table.caption.textContent.trim()) { faults.push("no caption: " + which(table)); }
    for (const th of table.querySelectorAll("th")) { if (!th.scope) { faults.push("no scope: " + which(th)); } }
  }
  // 3.1.1, 3.1.2: the page and both languages in it are tagged; no id twice.
  if (!/^(en|zh-CN)$/.test(document.documentElement.lang)) { faults.push("page without language"); }
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  ids.filter((id, i) => ids.indexOf(id) !== i).forEach((id) => faults.push("id twice: " + id));
  // 2.1.1: whatever scrolls can be reached by the keyboard.
  for (const e of document.querySelectorAll("body *")) {
    const style = getComputedStyle(e);
    const scrolls = /auto|scroll/.test(style.overflowX + style.overflowY) && (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1);
    if (scrolls && visible(e) && e.tabIndex < 0) { faults.push("scrolls out of the keyboard's reach: " + which(e)); }
  }
  // 2.5.8: targets of 24 by 24 pixels, but for links in a line of text.
  for (const e of document.querySelectorAll("button, input, select, summary")) {
    const box = e.getBoundingClientRect();
    if (visible(e) && (box.width < 24 || box.height < 24)) { faults.push("small target: " + which(e)); }
  }
  // 1.4.3: contrast of every visible text against what lies behind it.
  const rgb = (c) => { const p = c.match(/[\d.]+/g).map(Number); return [p[0], p[1], p[2], p.length > 3 ? p[3] : 1]; };
  const behind = (e) => {
    for (let n = e; n; n = n.parentElement) { const c = rgb(getComputedStyle(n).backgroundColor); if (c[3] === 1) { return c; } }
    return [255, 255, 255, 1];
  };
  const light = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const seen = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !visible(e) || e.closest("script, noscript, style, option")) { continue; }
    const style = getComputedStyle(e);
    const ink = rgb(e.closest("svg") ? style.fill : style.color), paper = behind(e);
    const [a, b] = [light(ink), light(paper)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const key = [style.color, style.fill, paper, large].join();
    if (ratio < (large ? 3 : 4.5) && !seen.has(key)) { seen.add(key); faults.push(`contrast ${ratio.toFixed(2)}: ` + which(e)); }
  }
  return faults;
}
