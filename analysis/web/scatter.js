"use strict";
// An interactive scatter of embeddings. Data: {x, y, paths, groupings: {name: {names, index, looks: [[colour, shape], …]}}}.
// Names and paths come from the user's lists: they reach the page through textContent only, never as HTML.

function scatter(root, data) {
  const make = (tag, parent, properties = {}) => parent.appendChild(Object.assign(document.createElement(tag), properties));
  const plot = make("div", root, { className: "plot" });
  const canvas = make("canvas", plot);
  const tip = make("div", plot, { className: "tip", hidden: true });
  const aside = make("aside", root);
  const controls = make("div", aside, { className: "controls" });
  const choice = make("select", controls, { title: "colour by" });
  const search = make("input", controls, { type: "search", placeholder: "find in path or name" });
  make("div", aside, { className: "soft hint", textContent: "Wheel zooms, dragging moves, a double click shows all. Click names to see only theirs." });
  const legend = make("ul", aside);
  const context = canvas.getContext("2d");
  const count = data.x.length;

  const extent = (values) => values.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, -Infinity]);
  const [left, right] = extent(data.x), [bottom, top] = extent(data.y);
  const kinds = Object.keys(data.groupings);
  let grouping = data.groupings[kinds[0]];
  let view = { scale: 1, x: 0, y: 0 }; // zoom, and the shift in pixels
  let chosen = new Set(), pointed = -1, hovered = -1, drag = null;

  const shapes = {
    circle: (c, x, y, r) => c.arc(x, y, r, 0, 2 * Math.PI),
    square: (c, x, y, r) => c.rect(x - 0.9 * r, y - 0.9 * r, 1.8 * r, 1.8 * r),
    triangle: (c, x, y, r) => { c.moveTo(x, y - 1.2 * r); c.lineTo(x + 1.1 * r, y + 0.8 * r); c.lineTo(x - 1.1 * r, y + 0.8 * r); c.closePath(); },
    diamond: (c, x, y, r) => { c.moveTo(x, y - 1.3 * r); c.lineTo(x + r, y); c.lineTo(x, y + 1.3 * r); c.lineTo(x - r, y); c.closePath(); },
  };

  function place(i) {
    const width = canvas.clientWidth, height = canvas.clientHeight, margin = 24;
    const fit = Math.min((width - 2 * margin) / (right - left || 1), (height - 2 * margin) / (top - bottom || 1));
    return [
      (width / 2 + (data.x[i] - (left + right) / 2) * fit) * view.scale + view.x,
      (height / 2 - (data.y[i] - (bottom + top) / 2) * fit) * view.scale + view.y,
    ];
  }

  const facts = (i) => kinds.map((kind) => data.groupings[kind].names[data.groupings[kind].index[i]]);
  const found = (i, words) => !words || data.paths[i].toLowerCase().includes(words) || facts(i).some((name) => name.toLowerCase().includes(words));
  let visible = new Array(count).fill(true);
  function choose() {
    const words = search.value.trim().toLowerCase();
    visible = grouping.index.map((group, i) => (!chosen.size || chosen.has(group)) && found(i, words));
    draw();
  }

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = canvas.clientHeight * ratio;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const radius = Math.min(5, Math.max(1.6, 90 / Math.sqrt(count)) * Math.min(2, Math.sqrt(view.scale)));
    for (let n = 0; n < count; n++) {
      const i = data.order[n], group = grouping.index[i], [x, y] = place(i);
      if (x < -9 || y < -9 || x > canvas.clientWidth + 9 || y > canvas.clientHeight + 9) continue;
      const [colour, shape] = grouping.looks[group];
      const faint = !visible[i] || (pointed >= 0 && group !== pointed);
      context.globalAlpha = faint ? 0.06 : 0.75;
      context.fillStyle = faint ? "#8a909c" : colour;
      context.beginPath();
      shapes[shape](context, x, y, radius);
      context.fill();
    }
    if (hovered >= 0) {
      context.globalAlpha = 1;
      context.strokeStyle = "#000";
      context.lineWidth = 1.5;
      context.beginPath();
      context.arc(...place(hovered), radius + 3, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  function nearest(x, y) {
    let best = -1, least = 10 * 10; // within 10 pixels
    for (let i = 0; i < count; i++) {
      if (!visible[i]) continue;
      const [px, py] = place(i), distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  }

  function hover(x, y) {
    hovered = nearest(x, y);
    tip.hidden = hovered < 0;
    if (hovered >= 0) {
      tip.replaceChildren();
      facts(hovered).forEach((name, k) => {
        if (name) make(k ? "div" : "b", tip, { textContent: k ? `${kinds[k]}: ${name}` : name });
      });
      make("div", tip, { textContent: data.paths[hovered], className: "soft" });
      tip.style.left = `${Math.max(0, Math.min(x + 14, plot.clientWidth - tip.offsetWidth - 4))}px`;
      tip.style.top = `${Math.max(0, Math.min(y + 14, plot.clientHeight - tip.offsetHeight - 4))}px`;
    }
    draw();
  }

  function key(colour, shape) { // a legend's little mark
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    for (const [name, value] of [["width", 12], ["height", 12], ["viewBox", "-7 -7 14 14"]]) svg.setAttribute(name, value);
    const path = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "path"));
    path.setAttribute("fill", colour);
    path.setAttribute("d", { circle: "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0", square: "M-5-5H5V5H-5Z", triangle: "M0-6L6 5H-6Z", diamond: "M0-6L5 0 0 6-5 0Z" }[shape]);
    return svg;
  }

  function list() {
    const sizes = grouping.names.map(() => 0);
    grouping.index.forEach((group) => sizes[group]++);
    legend.replaceChildren();
    grouping.names.forEach((name, group) => {
      const button = make("button", make("li", legend), { type: "button" });
      button.append(key(...grouping.looks[group]));
      make("span", button, { textContent: name || "(unknown)" });
      make("span", button, { textContent: sizes[group], className: "count" });
      const press = () => [...legend.querySelectorAll("button")].forEach((b, g) => b.setAttribute("aria-pressed", String(!chosen.size || chosen.has(g))));
      button.onclick = () => { chosen.delete(group) || chosen.add(group); press(); choose(); };
      button.onmouseenter = () => { pointed = group; draw(); };
      button.onmouseleave = () => { pointed = -1; draw(); };
    });
  }

  canvas.onpointermove = (event) => {
    if (drag) {
      view = { ...view, x: drag.view.x + event.offsetX - drag.x, y: drag.view.y + event.offsetY - drag.y };
      tip.hidden = true;
      draw();
    } else hover(event.offsetX, event.offsetY);
  };
  canvas.onpointerdown = (event) => { drag = { x: event.offsetX, y: event.offsetY, view }; canvas.setPointerCapture(event.pointerId); };
  canvas.onpointerup = () => { drag = null; };
  canvas.onpointerleave = () => { hovered = -1; tip.hidden = true; draw(); };
  canvas.ondblclick = () => { view = { scale: 1, x: 0, y: 0 }; draw(); };
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const factor = Math.exp(-event.deltaY / 400), scale = Math.min(200, Math.max(0.5, view.scale * factor)), by = scale / view.scale;
    view = { scale, x: event.offsetX - (event.offsetX - view.x) * by, y: event.offsetY - (event.offsetY - view.y) * by };
    draw();
  }, { passive: false });
  search.oninput = choose;
  kinds.forEach((kind) => make("option", choice, { value: kind, textContent: `colour by ${kind}` }));
  choice.onchange = () => { grouping = data.groupings[choice.value]; chosen = new Set(); list(); choose(); };
  new ResizeObserver(draw).observe(plot);
  list();
  choose();
  return { hover, place }; // for whoever wants to point at an utterance
}

document.querySelectorAll(".scatter").forEach((root) => {
  root.handle = scatter(root, JSON.parse(document.getElementById(root.dataset.from).textContent));
});
