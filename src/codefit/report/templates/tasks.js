// The list of tasks: inflates what the page carries, searches, filters, opens. Texts are only ever set as text.
(function () {
  "use strict";
  var PAGE = 50;
  var packed = document.getElementById("task-data");
  if (!packed) { return; }
  var list = document.getElementById("task-list");
  var body = document.querySelector("#task-table tbody");
  var words = document.getElementById("task-words");
  var more = document.getElementById("task-more");
  var status = document.getElementById("task-status");
  var selects = ["suite", "cell", "before", "after"].map(function (n) { return document.getElementById("task-" + n); });
  var labels = {}, rows = [], found = [], shown = 0;

  function inflate(text) {
    var raw = atob(text), bytes = new Uint8Array(raw.length);
    for (var i = 0; i < raw.length; i++) { bytes[i] = raw.charCodeAt(i); }
    var stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).json();
  }
  function make(tag, name, text) {
    var node = document.createElement(tag);
    if (name) { node.className = name; }
    if (text !== undefined && text !== null) { node.textContent = text; }
    return node;
  }
  function fill(text, values) {
    return text.replace(/\{(\w+)\}/g, function (whole, name) { return name in values ? values[name] : whole; });
  }
  function say(parent, key, values) {
    Object.keys(labels).forEach(function (lang) {
      var span = make("span", "", fill(labels[lang][key] || key.split(".").pop(), values || {}));
      span.lang = lang;
      parent.appendChild(span);
    });
    return parent;
  }
  function options(select, values, group) {
    select.replaceChildren();
    [""].concat(values).forEach(function (value) {
      var option = make("option");
      option.value = value;
      option.dataset.key = value === "" ? "tasks.all" : group ? group + "." + value : "";
      option.textContent = value;
      select.appendChild(option);
    });
  }
  function relabel() {
    var lang = document.documentElement.lang in labels ? document.documentElement.lang : "en";
    selects.forEach(function (select) {
      Array.prototype.forEach.call(select.options, function (o) {
        if (o.dataset.key) { o.textContent = labels[lang][o.dataset.key] || o.value; }
      });
    });
  }
  function unique(column) {
    return rows.map(function (r) { return r[column]; }).filter(function (v, i, all) { return all.indexOf(v) === i; });
  }
  function matches(row, wanted) {
    var kept = selects.every(function (select) {
      return !select.value || row[select.id.replace("task-", "")] === select.value;
    });
    return kept && wanted.every(function (word) { return row.haystack.indexOf(word) >= 0; });
  }
  function code(parent, key, values, text, diff) {
    if (!text) { return; }
    var box = make("div", "code"), caption = make("p", "caption"), pre = make("pre");
    say(caption, key, values);
    pre.tabIndex = 0;
    if (diff) {
      text.split("\n").forEach(function (line) {
        var kind = /^(\+\+\+|---|@)/.test(line) ? "place" : { "+": "added", "-": "removed" }[line[0]] || "same";
        pre.appendChild(make("span", kind, line));
        pre.appendChild(document.createTextNode("\n"));
      });
    } else { pre.textContent = text; }
    box.append(caption, pre);
    parent.appendChild(box);
  }
  function side(parent, arm, cls, answer) {
    var title = make("h3", "", arm + ": ");
    say(title, "class." + cls);
    parent.appendChild(title);
    if (answer.failed) {
      var values = answer.failed.map(function (v) { return v === null ? "?" : v; });
      parent.appendChild(say(make("p"), "tasks.failed", { input: values[0], expected: values[1], got: values[2] }));
    }
    if (answer.error) { parent.appendChild(say(make("p"), "tasks.error", { error: answer.error })); }
    if (!answer.program) { parent.appendChild(say(make("p"), "tasks.no_program")); }
    code(parent, answer.program ? "tasks.program" : "tasks.output", {}, answer.program || answer.text);
    var facts = { extraction: answer.extraction || "?", finish: answer.finish || "?", tokens: answer.tokens === null ? "?" : answer.tokens,
      logprob: typeof answer.logprob === "number" ? answer.logprob.toFixed(3) : "?" };
    parent.appendChild(say(make("p", "note"), "tasks.facts", facts));
  }
  function detail(row) {
    var box = make("div", "folded");
    code(box, "tasks.prompt", {}, row.prompt);
    var pair = make("div", "sides");
    row.arms.forEach(function (arm, i) {
      var column = make("div");
      side(column, arm, i ? row.after : row.before, row.answers[i]);
      pair.appendChild(column);
    });
    box.appendChild(pair);
    code(box, "tasks.diff", {}, row.diff, true);
    code(box, "tasks.reference", {}, row.reference);
    return box;
  }
  function place(row) { return "#task=" + encodeURIComponent(row.suite + " " + row.task); }
  function toggle(button, row, open) {
    var next = button.closest("tr").nextElementSibling;
    if (next && next.classList.contains("detail")) { next.remove(); }
    button.setAttribute("aria-expanded", String(open));
    if (!open) { return; }
    var line = make("tr", "detail"), cell = make("td");
    cell.colSpan = 6;
    cell.appendChild(detail(row));
    line.appendChild(cell);
    button.closest("tr").after(line);
    try { history.replaceState(null, "", place(row)); } catch (e) { /* a page opened from a file may forbid it */ }
  }
  function line(row) {
    var tr = make("tr"), head = make("th"), button = make("button", "task", row.task);
    head.scope = "row";
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", function () {
      toggle(button, row, button.getAttribute("aria-expanded") !== "true");
    });
    head.appendChild(button);
    tr.append(head, make("td", "wide", row.suite), say(make("td", "cell " + row.cell), "cell." + row.cell),
      say(make("td"), "class." + row.before), say(make("td"), "class." + row.after),
      make("td", "short wide", (row.prompt || "").trim().slice(0, 160)));
    return tr;
  }
  function show() {
    found.slice(shown, shown + PAGE).forEach(function (row) { body.appendChild(line(row)); });
    shown = Math.min(shown + PAGE, found.length);
    more.hidden = shown >= found.length;
    status.replaceChildren();
    say(status, "tasks.status", { shown: shown, found: found.length, n: rows.length });
  }
  function search() {
    var wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = rows.filter(function (row) { return matches(row, wanted); });
    body.replaceChildren();
    shown = 0;
    show();
  }
  function follow() {
    if (location.hash.indexOf("#task=") !== 0) { return; }
    var row = rows.filter(function (r) { return place(r) === location.hash; })[0];
    if (!row) { return; }
    words.value = row.task;
    selects.forEach(function (select) { select.value = ""; });
    selects[0].value = row.suite;
    search();
    var button = Array.prototype.filter.call(body.querySelectorAll("button.task"), function (b) { return b.textContent === row.task; })[0];
    if (button) { toggle(button, row, true); button.focus(); }
  }
  function start(data) {
    labels = data.labels;
    data.suites.forEach(function (suite) {
      suite.tasks.forEach(function (t) {
        var row = { suite: suite.suite, arms: suite.arms, task: t[0], cell: t[1], before: t[2], after: t[3],
          prompt: t[4], answers: t[5], diff: t[6], reference: t[7] };
        row.haystack = [row.task, row.prompt, row.answers.map(function (a) { return [a.program, a.error].join(" "); }).join(" ")]
          .join(" ").toLowerCase();
        rows.push(row);
      });
    });
    options(selects[0], unique("suite"));
    options(selects[1], ["broken", "fixed", "neither", "both", "not_measured"].filter(function (c) { return unique("cell").indexOf(c) >= 0; }), "cell");
    options(selects[2], unique("before"), "class");
    options(selects[3], unique("after"), "class");
    relabel();
    document.addEventListener("codefit-language", relabel);
    words.addEventListener("input", search);
    selects.forEach(function (select) { select.addEventListener("change", search); });
    more.addEventListener("click", show);
    window.addEventListener("hashchange", follow);
    list.hidden = false;
    search();
    follow();
    document.documentElement.dataset.tasks = "ready";
  }
  function fail() { document.getElementById("task-fault").hidden = false; }
  if (typeof DecompressionStream === "undefined") { fail(); return; }
  inflate(packed.textContent).then(start).catch(fail);
})();
