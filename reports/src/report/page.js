"use strict";
(() => {
  const svgns = document.querySelector("svg") ? document.querySelector("svg").namespaceURI : "";
  const tip = document.getElementById("tip");
  const number = (v) => Number(v.toPrecision(4)).toString();
  const show = (event, text) => {
    tip.textContent = text;
    tip.hidden = false;
    const width = tip.offsetWidth, height = tip.offsetHeight;
    tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8)) + "px";
    tip.style.top = (event.clientY + 18 + height > innerHeight ? Math.max(4, event.clientY - height - 12) : event.clientY + 18) + "px";
  };
  const titleOf = (part) => part.firstElementChild && part.firstElementChild.tagName === "title" ? part.firstElementChild : null;
  const hide = () => { tip.hidden = true; };

  // Light and dark.
  const root = document.documentElement;
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.getElementById("theme").addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; });

  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", () => {
      const code = document.getElementById(button.dataset.copy);
      const range = document.createRange();
      range.selectNodeContents(code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      const said = (word) => { button.textContent = word; setTimeout(() => { button.textContent = "copy"; }, 1500); };
      const selected = () => said("selected");
      if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).then(() => said("copied"), selected);
      else selected();
    });
  }

  const filter = document.getElementById("filter");
  if (filter) filter.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase();
    for (const row of document.querySelectorAll("#events tbody tr")) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
  addEventListener("beforeprint", () => { for (const more of document.querySelectorAll("details:not(.long)")) more.open = true; });

  // Plots: values under the pointer, and zoom over time in all plots at once.
  const plots = [];
  const element = (svg, name, attributes) => {
    const made = document.createElementNS(svgns, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    svg.appendChild(made);
    return made;
  };
  const ticks = (low, high) => {
    const rough = (high - low) / 7, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough);
    const all = [];
    for (let i = Math.ceil(low / step); i * step <= high; i++) all.push(i * step);
    return all.map((t) => [t, t.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9)))]);
  };
  let count = 0;
  for (const figure of document.querySelectorAll("figure[data-plot]")) {
    const svg = figure.querySelector("svg"), data = JSON.parse(figure.querySelector("script").textContent);
    if (data.frame.length < 8) continue;
    const [left, top, width, height, low, high] = data.frame;
    const plot = { svg, data, left, top, width, height, low, high, from: low, to: high };
    if (data.time) {
      // What moves with time is cut off at the frame, and moves together.
      const id = "clip" + count++;
      const clip = element(svg, "clipPath", { id });
      clip.appendChild(element(svg, "rect", { x: left, y: top - 20, width, height: height + 20 }));
      plot.moving = element(svg, "g", { "clip-path": "url(#" + id + ")" });
      for (const part of [...svg.children])
        if (/^(series|band|fault|segment)$/.test(part.getAttribute("class") || "")) plot.moving.appendChild(part);
      plot.marks = [...svg.querySelectorAll(".point, .mark, .inside")];
      plot.marks.forEach((mark) => { const box = mark.getBBox(); mark.dataset.x = box.x + box.width / 2; });
      plot.marks.forEach((mark) => svg.appendChild(mark));
      plot.labels = [...svg.querySelectorAll(".fault-name, .grid-x")];
      for (const part of plot.moving.children) part.setAttribute("vector-effect", "non-scaling-stroke");
    }
    plots.push(plot);
    plot.cross = element(svg, "line", { class: "cross", y1: top, y2: top + height, visibility: "hidden" });
    plot.drag = element(svg, "rect", { class: "drag", y: top, height, visibility: "hidden" });
    const place = (event) => {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      return { x: point.x, y: point.y, inside: point.x >= left && point.x <= left + width && point.y >= top && point.y <= top + height };
    };
    const value = (x) => plot.from + (x - left) / width * (plot.to - plot.from);
    let start = null;
    svg.addEventListener("pointermove", (event) => {
      const at = place(event);
      if (start !== null) {
        const x = Math.max(left, Math.min(left + width, at.x));
        plot.drag.setAttribute("x", Math.min(start, x));
        plot.drag.setAttribute("width", Math.abs(x - start));
        plot.drag.setAttribute("visibility", "visible");
      }
      if (!at.inside) { plot.cross.setAttribute("visibility", "hidden"); hide(); return; }
      plot.cross.setAttribute("x1", at.x);
      plot.cross.setAttribute("x2", at.x);
      plot.cross.setAttribute("visibility", "visible");
      const t = value(at.x);
      const title = titleOf(event.target);
      const said = data.time ? ["at " + number(t) + " " + data.clock] : [];
      for (const [name, xs, ys] of data.lines) {
        if (!xs.length) continue;
        let a = 0, b = xs.length - 1;
        while (a < b) { const m = (a + b) >> 1; if (xs[m] < t) a = m + 1; else b = m; }
        if (a > 0 && t - xs[a - 1] < xs[a] - t) a--;
        said.push(name + ": " + number(ys[a]) + " " + data.unit);
      }
      if (!data.lines.length && title) said.push(title.textContent);
      if (event.target.getAttribute("class") === "fault" && title) said.push("fault: " + title.textContent);
      if (said.length) show(event, said.join("\n")); else hide();
    });
    svg.addEventListener("pointerleave", () => { plot.cross.setAttribute("visibility", "hidden"); hide(); });
    if (!data.time) continue;
    svg.addEventListener("pointerdown", (event) => {
      const at = place(event);
      if (!at.inside || event.pointerType === "touch") return;
      start = at.x;
      svg.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    svg.addEventListener("pointerup", (event) => {
      if (start === null) return;
      const x = Math.max(left, Math.min(left + width, place(event).x)), from = Math.min(start, x), to = Math.max(start, x);
      start = null;
      plot.drag.setAttribute("visibility", "hidden");
      if (to - from > 6) zoom(value(from), value(to));
    });
    svg.addEventListener("dblclick", () => zoom(null, null));
  }
  const zoom = (from, to) => {
    for (const plot of plots) {
      if (!plot.data.time) continue;
      const { svg, left, top, width, height, low, high } = plot;
      plot.from = from === null ? low : Math.max(low, from);
      plot.to = to === null ? high : Math.min(high, to);
      const whole = plot.from <= low && plot.to >= high;
      const scale = (high - low) / (plot.to - plot.from), first = left + (plot.from - low) / (high - low) * width;
      const x = (was) => left + (was - first) * scale;
      plot.moving.setAttribute("transform", "translate(" + (left - first * scale) + " 0) scale(" + scale + " 1)");
      // The clip lies in the same coordinates.
      const cut = svg.querySelector("clipPath rect");
      cut.setAttribute("x", first);
      cut.setAttribute("width", width / scale);
      for (const mark of plot.marks) {
        const was = +mark.dataset.x, now = x(was);
        mark.setAttribute("transform", "translate(" + (now - was) + " 0)");
        mark.style.display = now < left - 1 || now > left + width + 1 ? "none" : "";
      }
      for (const label of plot.labels) label.style.display = whole ? "" : "none";
      for (const part of svg.querySelectorAll(".tick-x")) part.style.display = whole ? "" : "none";
      for (const part of svg.querySelectorAll(".zoomed")) part.remove();
      if (!whole) for (const [tick, text] of ticks(plot.from, plot.to)) {
        const at = left + (tick - plot.from) / (plot.to - plot.from) * width;
        element(svg, "text", { class: "zoomed", x: at, y: top + height + 17, "text-anchor": "middle", "font-size": 11, fill: "#1b1b1b" }).textContent = text;
        svg.insertBefore(element(svg, "line", { class: "zoomed", x1: at, x2: at, y1: top, y2: top + height, stroke: "#dddddd" }), plot.moving);
        element(svg, "line", { class: "zoomed", x1: at, x2: at, y1: top + height, y2: top + height + 4, stroke: "#1b1b1b" });
      }
    }
  };

  // The map over time.
  const looks = document.getElementById("looks"), scrub = document.getElementById("scrub");
  if (looks && scrub) {
    const data = JSON.parse(looks.textContent), map = document.querySelector("#map svg"), when = document.getElementById("when");
    const links = [...map.querySelectorAll("path.link")].map((path) => ({ path, n: +path.dataset.n, was: { colour: path.getAttribute("stroke"),
      width: path.getAttribute("stroke-width"), dash: path.getAttribute("stroke-dasharray"), title: path.querySelector("title").textContent } }));
    const set = (path, name, value) => { if (value === null) path.removeAttribute(name); else path.setAttribute(name, value); };
    const look = (index) => {
      when.textContent = index < 0 ? "whole run" : "at " + number(data.times[index]) + " " + data.clock;
      for (const part of map.querySelectorAll(".share")) part.style.display = index < 0 ? "" : "none";
      const broken = index < 0 ? [] : data.down.filter(([, from, to]) => data.times[index] >= from && data.times[index] <= to).map(([what]) => what);
      for (const { path, n, was } of links) {
        const known = index >= 0 && data.links[n] && data.links[n].length > index * 2;
        const share = known ? parseInt(data.links[n].substr(index * 2, 2), 16) / 100 : 0, name = data.names[n];
        const [a, b] = name.split(" → ");
        const down = broken.includes(name + " down") || broken.includes(a + " ↔ " + b + " down") || broken.includes(b + " ↔ " + a + " down");
        const now = index < 0 ? was : { colour: down ? "#d55e00" : known ? data.colours[Math.round(share * 20)] : "#5c5c5c",
          width: down ? 3 : 1.4 + 4.6 * share, dash: down || !known ? "4 4" : null,
          title: name + ": " + (down ? "down" : known ? Math.round(share * 100) + " % full" : "not sampled") };
        set(path, "stroke", now.colour);
        set(path, "stroke-width", now.width);
        set(path, "stroke-dasharray", now.dash);
        path.querySelector("title").textContent = now.title;
      }
    };
    scrub.max = data.times.length - 1;
    scrub.addEventListener("input", () => look(+scrub.value));
    const play = document.getElementById("play");
    let timer = null;
    const stop = () => { clearInterval(timer); timer = null; play.textContent = "▶"; };
    play.addEventListener("click", () => {
      if (timer) { stop(); return; }
      play.textContent = "❚❚";
      if (+scrub.value >= +scrub.max) scrub.value = -1;
      timer = setInterval(() => {
        scrub.value = +scrub.value + 1;
        look(+scrub.value);
        if (+scrub.value >= +scrub.max) stop();
      }, 80);
    });
    map.addEventListener("pointermove", (event) => {
      const title = titleOf(event.target);
      if (title) show(event, title.textContent); else hide();
    });
    map.addEventListener("pointerleave", hide);
  }
})();
