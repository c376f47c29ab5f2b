// The page of a run: unpacks its numbers, draws the chosen run, and keeps the choice in the address.
"use strict";
(async () => {
  const json = (id) => JSON.parse(document.getElementById(id).textContent);
  const about = json("about");
  const bytes = await unpacked(document.getElementById("arrays").textContent);
  const axes = about.axes;
  const strides = axes.map((_, i) => axes.slice(i + 1).reduce((n, axis) => n * axis.labels.length, 1));
  const status = about.status;
  const UNFINISHED = 0, SHOWN = 1;
  const NO_NUMBER = -1, ALL_ALIKE = -2;

  // Where each run is: its block, and its row there.
  const place = new Map();
  for (const block of about.blocks) {
    for (const name in block.arrays) block.arrays[name].data = arrayOf(block.arrays[name]);
    block.cells = arrayOf(block.cells);
    block.cells.forEach((cell, row) => place.set(cell, { block, row, cell }));
  }

  // ---- Numbers -----------------------------------------------------------------------------------------------------

  async function unpacked(text) {
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
  }

  function arrayOf({ type, shape, offset }) {
    const kinds = { float32: Float32Array, int16: Int16Array, uint8: Uint8Array, uint32: Uint32Array };
    return new kinds[type](bytes, offset, shape.reduce((n, size) => n * size, 1));
  }

  // The part of an array of a block at these first indices.
  function part(block, name, ...indices) {
    const array = block.arrays[name];
    if (!array) return null;
    const size = array.shape.slice(indices.length).reduce((n, length) => n * length, 1);
    const start = indices.reduce((at, index, i) => at * array.shape[i] + index, 0) * size;
    return array.data.subarray(start, start + size);
  }

  const range = (count, first = 0) => Array.from({ length: count }, (_, i) => first + i);
  const norm = (entries) => Math.sqrt(entries.reduce((sum, entry) => sum + entry * entry, 0));
  const scaled = (entries, by) => Array.from(entries, (entry) => entry / by);
  const extent = (lists) => lists.flatMap((list) => Array.from(list)).filter(Number.isFinite)
    .reduce(([low, high], number) => [Math.min(low, number), Math.max(high, number)], [Infinity, -Infinity]);
  const shown = (number, digits = 4) => Number.isFinite(number) ? String(Number(number.toPrecision(digits))) : "–";
  const transposed = (entries, K) => range(K * K).map((i) => entries[(i % K) * K + Math.floor(i / K)]);

  // ---- The choice --------------------------------------------------------------------------------------------------

  const choice = { index: axes.map(() => 0), step: Infinity, metric: 0 };
  const cellAt = (index) => index.reduce((number, i, axis) => number + i * strides[axis], 0);
  const chosen = () => place.get(cellAt(choice.index));
  const words = (index) => axes.map((axis, i) => axis.words[index[i]]).join(", ");
  const indexOf = (cell) => axes.map((axis, i) => Math.floor(cell / strides[i]) % axis.labels.length);

  // The last of some steps that is not after the chosen one.
  const stepIn = (steps) => Math.max(0, steps.findLastIndex((step) => step <= choice.step));

  // A run that failed and attends to one lag, if there is one: most people look for those.
  function firstToSee() {
    for (const block of about.blocks) {
      const last = block.recorded.length - 1;
      const row = block.cells.findIndex((_, row) => part(block, "failed", row, last)[0] && part(block, "lag", row, last)[0] >= 0);
      if (row >= 0) return block.cells[row];
    }
    return about.blocks[0].cells[0];
  }

  function readAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    choice.index = indexOf(firstToSee());
    axes.forEach((axis, i) => {
      const at = axis.labels.indexOf(given.get(axis.names[0]));
      if (at >= 0) choice.index[i] = at;
    });
    const step = given.has("step") ? Number(given.get("step")) : NaN;
    choice.step = Number.isFinite(step) ? step : Infinity;
    choice.metric = Math.max(0, about.others.findIndex((other) => other.name === given.get("metric")));
  }

  function writeAddress(step) {
    const fragment = new URLSearchParams(axes.map((axis, i) => [axis.names[0], axis.labels[choice.index[i]]]));
    if (step !== null) fragment.set("step", step);
    if (choice.metric > 0) fragment.set("metric", about.others[choice.metric].name);
    history.replaceState(null, "", `#${fragment}`);
  }

  // ---- Controls: a slider for the step and for each axis of the map, a list for any other axis ----------------------

  const controls = document.getElementById("controls");
  const sliders = new Map();

  function slider(name, labelOf, count, get, set) {
    const label = document.createElement("label"), text = document.createElement("span");
    const input = document.createElement("input"), value = document.createElement("output");
    Object.assign(input, { type: "range", min: 0, step: 1, id: `slider-${name}` });
    input.setAttribute("aria-label", name);
    input.oninput = () => { set(Number(input.value)); refresh(); };
    text.append(`${name}: `, value);
    label.append(text, input);
    controls.append(label);
    sliders.set(name, () => {
      input.max = count() - 1;
      input.value = get();
      input.disabled = count() < 2;
      value.value = labelOf(get());
      input.setAttribute("aria-valuetext", `${name} ${labelOf(get())}`);
    });
  }

  function list(axis, i) {
    const label = document.createElement("label"), input = document.createElement("select");
    input.id = `list-${axis.names[0]}`;
    axis.words.forEach((word, at) => input.append(new Option(word, at)));
    input.onchange = () => { choice.index[i] = Number(input.value); refresh(); };
    label.append(axis.symbol, input);
    controls.append(label);
    sliders.set(axis.symbol, () => { input.value = choice.index[i]; });
  }

  const metrics = document.getElementById("other-metric");
  about.others.forEach((other, at) => metrics.append(new Option(other.name.replaceAll("_", " "), at)));
  metrics.onchange = () => { choice.metric = Number(metrics.value); refresh(); };
  sliders.set("metric", () => { metrics.value = choice.metric; });

  const keptNow = () => chosen()?.block.kept ?? [0];
  slider("step", (at) => String(keptNow()[at]), () => keptNow().length,
    () => stepIn(keptNow()), (at) => { choice.step = keptNow()[at]; });
  axes.forEach((axis, i) => {
    if (axis.labels.length < 2) return;
    if (i !== about.across && i !== about.down) return list(axis, i);
    slider(axis.symbol, (at) => axis.labels[at], () => axis.labels.length,
      () => choice.index[i], (at) => { choice.index[i] = at; });
  });

  function move(axis, by) {
    if (axis === null) return;
    const last = axes[axis].labels.length - 1;
    choice.index[axis] = Math.min(last, Math.max(0, choice.index[axis] + by));
    refresh();
  }

  document.getElementById("map").addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [about.across, -1], ArrowRight: [about.across, 1], ArrowUp: [about.down, -1],
                    ArrowDown: [about.down, 1], Home: [about.across, -1e9], End: [about.across, 1e9] };
    if (!(event.key in moves)) return;
    event.preventDefault();
    move(...moves[event.key]);
  });

  // ---- Figures -----------------------------------------------------------------------------------------------------

  const views = new Map(), models = new Map();
  Bokeh.set_log_level("warn");
  const figures = json("figures"), roots = {}, names = new Map();
  for (const root of figures.roots) {
    const name = root.attributes.name.replace(" figure", "");
    roots[root.id] = document.querySelector(`[data-figure="${name}"]`);
    names.set(root.id, name);
  }
  const [embedded] = await Bokeh.embed.embed_items({ page: figures }, [{ docid: "page", roots, root_ids: Object.keys(roots) }]);
  for (const view of embedded.roots) {
    if (!names.has(view.model.id)) continue;
    views.set(names.get(view.model.id), view);
    models.set(names.get(view.model.id), view.model);
  }

  function fill(figure, source, columns) {
    const found = models.get(figure).document.get_model_by_name(source);
    found.data = columns;
  }

  function scale(figure, x, y) {
    if (x) models.get(figure).x_range.setv({ start: x[0], end: x[1] });
    if (y) models.get(figure).y_range.setv({ start: y[0], end: y[1] });
  }

  const padded = ([low, high], least = 0) => {
    if (!(low <= high)) return [0, 1];
    const by = Math.max(0.06 * (high - low), least, 1e-9);
    return [low - by, high + by];
  };

  // What a panel shows, as columns, for its CSV.
  const tables = new Map();

  // A panel's title says what is seen; one that this run does not have says why.
  function entitle(panel, title, missing = "") {
    const card = document.querySelector(`[data-panel="${panel}"]`);
    card.querySelector("h2").textContent = title;
    for (const each of card.querySelectorAll(":scope > p, .plots, .controls, .save")) each.hidden = Boolean(missing);
    let note = card.querySelector(".missing");
    if (!note) card.append(note = Object.assign(document.createElement("div"), { className: "small missing" }));
    note.textContent = missing;
    note.hidden = !missing;
  }

  // ---- The map of runs ---------------------------------------------------------------------------------------------

  const hex = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  const light = (colour) => { const [r, g, b] = hex(colour); return 0.3 * r + 0.6 * g + 0.1 * b > 150; };

  function colourOf(lag, block) {
    const { parent, empty, alike, near, far } = about.colours;
    if (lag === NO_NUMBER) return "#ffffff";
    if (lag === ALL_ALIKE) return alike;
    if (lag === block.parent) return parent;
    if (lag === 0) return empty;
    const share = Math.log(lag) / Math.log(Math.max(2, block.walk_length - 1));
    const mixed = hex(near).map((from, i) => Math.round(from + share * (hex(far)[i] - from)));
    return `#${mixed.map((each) => each.toString(16).padStart(2, "0")).join("")}`;
  }

  function lagWords(lag, block) {
    if (lag === NO_NUMBER) return block.missing.attention ? "nothing: no attention" : "nothing: no number";
    if (lag === ALL_ALIKE) return "all tokens alike";
    if (lag === 0) return "the empty slot";
    return lag === block.parent ? `lag ${lag}, the direct parent` : `lag ${lag}`;
  }

  function drawRuns() {
    const columns = { x: [], y: [], colour: [], line: [], mark: [], size: [], words: [], lag: [], accuracy: [] };
    const rows = [], counts = new Map();
    const plot = models.get("runs");
    const [width, height] = [about.across, about.down].map((axis) => axis === null ? 1 : axes[axis].labels.length);
    const box = Math.min((plot.inner_width || 300) / width, (plot.inner_height || 200) / height);
    let failures = 0;
    for (const i of range(width)) {
      for (const j of range(height)) {
        const index = [...choice.index];
        if (about.across !== null) index[about.across] = i;
        if (about.down !== null) index[about.down] = j;
        const cell = cellAt(index), at = place.get(cell);
        let [colour, line, size, lag, accuracy, lagText] = ["#f7f7f7", "#c9c9c9", 0, null, NaN, ""];
        if (at) {
          const step = stepIn(at.block.recorded);
          lag = part(at.block, "lag", at.row, step)[0];
          accuracy = part(at.block, "accuracy", at.row, step)[0];
          const failed = part(at.block, "failed", at.row, step)[0];
          [colour, line] = [colourOf(lag, at.block), "#ffffff"];
          lagText = lagWords(lag, at.block);
          if (failed) { size = Math.max(4, Math.min(9, 0.6 * box)); failures += 1; }
          const key = JSON.stringify([lagText, colour, lag]);
          counts.set(key, (counts.get(key) ?? 0) + 1);
          rows.push({ index, lag: lag >= 0 ? lag : "", words: lagText, failed, accuracy, step: at.block.recorded[step] });
        } else {
          lagText = status[cell] === UNFINISHED ? "not finished" : "left out of the page";
        }
        columns.x.push(i); columns.y.push(j); columns.colour.push(colour); columns.line.push(line);
        columns.size.push(size); columns.mark.push(light(colour) ? "#000000" : "#ffffff");
        columns.words.push(words(index)); columns.lag.push(lagText); columns.accuracy.push(shown(accuracy));
      }
    }
    fill("runs", "runs", columns);
    fill("runs", "chosen", { x: [about.across === null ? 0 : choice.index[about.across]],
                             y: [about.down === null ? 0 : choice.index[about.down]] });
    const total = rows.length;
    document.getElementById("runs-title").textContent = total
      ? `${failures} of ${total} runs fail at ${Number.isFinite(choice.step) ? `step ${choice.step}` : "the last step"}`
      : "No run of this setting is finished";
    const legend = document.getElementById("legend");
    const entries = [...counts].map(([key, count]) => [...JSON.parse(key), count]).sort((one, other) => other[3] - one[3]);
    legend.replaceChildren(...entries.slice(0, 8).map(([lagText, colour, , count]) => swatch(colour, `${lagText}: ${count}`)));
    const rest = entries.slice(8).reduce((sum, entry) => sum + entry[3], 0);
    if (rest) legend.append(swatch(null, `other lags, darker the farther: ${rest}`));
    legend.append(swatch(null, `× ${about.failure}: ${failures}`));
    tables.set("runs", table([...axes.map((axis) => axis.names[0]), "step", "lag", "attends_to", "failed", about.accuracy],
      rows.map((row) => [...row.index.map((at, i) => axes[i].labels[at]), row.step, row.lag, row.words, row.failed, row.accuracy])));
  }

  function swatch(colour, text) {
    const item = document.createElement("li");
    if (colour) {
      const square = document.createElement("i");
      square.style.background = colour;
      item.append(square);
    }
    item.append(text);
    return item;
  }

  // ---- The chosen run ----------------------------------------------------------------------------------------------

  function drawByLag(name, numbers, lags) {
    const at = (lag) => numbers[lags.indexOf(lag)];
    const points = (which) => ({ lag: which, number: which.map(at) });
    fill(name, name, points(lags.filter((lag) => lag > 0)));  // the line breaks where there is no number
    return points;
  }

  function drawAttention({ block, row }, step) {
    const { missing, walk_length: N, parent } = block;
    if (missing.attention) return entitle("attention", "No attention", missing.attention);
    const weights = part(block, "attention", row, step);
    const lags = range(N).map((slot) => N - 1 - slot);
    const points = drawByLag("attention", Array.from(weights, (weight) => weight > 0 ? weight : NaN), lags);
    const lost = Array.from(weights).filter((weight) => weight === 0).length;
    document.getElementById("attention-about").textContent = "Attention weights averaged over the test walks, on a log scale; lag 0 is the empty slot."
      + (lost ? ` Not drawn, as they are 0 in the precision of training: ${lost} of ${N}.` : "");
    const highest = part(block, "lag", row, block.recorded.indexOf(block.kept[step]))[0];
    const at = (lag) => weights[N - 1 - lag];
    fill("attention", "attention highest", points(highest > 0 && at(highest) > 0 ? [highest] : []));
    fill("attention", "attention parent", points(parent !== null && at(parent) > 0 ? [parent] : []));
    fill("attention", "attention empty", points(at(0) > 0 ? [0] : []));
    const positive = Array.from(weights).filter((weight) => weight > 0);
    const [low] = extent([positive]);
    scale("attention", [-0.02 * N - 0.5, N - 1 + 0.02 * N + 0.5], [Math.min(low / 2, 0.1), 1.6]);
    entitle("attention", highest === ALL_ALIKE ? "Attention is the same on every token"
      : highest === NO_NUMBER ? "Attention weights are no numbers"
      : `Attention is highest on ${lagWords(highest, block)}: weight ${shown(at(highest))}`);
    tables.set("attention", table(["lag", "mean_attention"], lags.map((lag, i) => [lag, weights[i]])));
  }

  // The lags of the largest c_k; none if all are alike.
  function named({ block, row }) {
    const of = part(block, "correlations", part(block, "setting", row)[0]);
    return range(block.walk_length - 1, 1).filter((lag) => of[lag - 1] >= 1 - 1e-6);
  }

  function drawCorrelations(run) {
    const { block, row } = run;
    if (block.missing.correlations) return entitle("correlations", "No prediction of the lag", block.missing.correlations);
    const of = part(block, "correlations", part(block, "setting", row)[0]), lags = range(block.walk_length - 1, 1);
    const points = drawByLag("correlations", Array.from(of), lags), found = named(run);
    fill("correlations", "correlations highest", points(found));
    fill("correlations", "correlations parent", points(block.parent === null ? [] : [block.parent]));
    const N = block.walk_length;
    scale("correlations", [-0.02 * N - 0.5, N - 1 + 0.02 * N + 0.5], [-0.05, 1.08]);
    entitle("correlations", found.length === 0 ? "c is the same at every lag: nothing favours a token"
      : found.length === 1 ? `c is largest at lag ${found[0]}` : `c is largest at ${found.length} lags alike, first at ${found[0]}`);
    tables.set("correlations", table(["lag", "c_from_0_to_1"], lags.map((lag) => [lag, of[lag - 1]])));
  }

  function distances({ block, row }, step) {
    const value = part(block, "value", row, step), law = part(block, "law", part(block, "setting", row)[0]);
    if (!value || !law) return null;
    const K = block.num_nodes, transposedLaw = transposed(law, K), root = transposedLaw.map(Math.sqrt);
    const directions = [value, transposedLaw, root].map((entries) => scaled(entries, norm(entries)));
    const [own, exact, square] = directions;
    const less = (other) => own.map((entry, i) => entry - other[i]);
    return { own, exact, square, toLaw: less(exact), toRoot: less(square) };
  }

  // What a state is called: by the vocabulary of its task, if it has one.
  const word = (block, k) => block.vocabulary ? block.vocabulary[k] : String(k);

  function drawValue(run, step) {
    const { block } = run, { missing } = block, K = block.num_nodes;
    if (missing.value || missing.law) return entitle("value", "No V beside Πᵀ", missing.value || missing.law);
    const { own, exact, square, toLaw, toRoot } = distances(run, step);
    const [low, high] = extent([own, exact, square]), [less, more] = extent([toLaw, toRoot, [0]]);
    const far = Math.max(Math.abs(less), Math.abs(more)) || 1;
    const s = range(K * K).map((i) => i % K), y = range(K * K).map((i) => Math.floor(i / K));
    for (const [name, entries, from, to] of [["value", own, low, high], ["transition", exact, low, high],
        ["root", square, low, high], ["difference", toLaw, -far, far], ["root_difference", toRoot, -far, far]]) {
      models.get(name).document.get_model_by_name(`${name} colours`).setv({ low: Math.min(from, to), high: Math.max(to, from + 1e-9) });
      const isSigned = name.endsWith("difference"), share = (entry) => (entry - from) / (to - from);
      const text = entries.map((entry) => K > 8 || !Number.isFinite(entry) ? "" : entry.toFixed(2).replace("0.", ".").replace("-.00", ".00"));
      const ink = entries.map((entry) => isSigned ? (Math.abs(entry) > 0.6 * far ? "white" : "black") : share(entry) > 0.6 ? "black" : "white");
      fill(name, name, { s, y, from: s.map((k) => word(block, k)), to: y.map((k) => word(block, k)), entry: entries, text, ink });
      scale(name, [-0.5, K - 0.5], [K - 0.5, -0.5]);
    }
    const a = norm(toLaw), b = norm(toRoot);
    entitle("value", Number.isFinite(a) ? `V is ${shown(a, 3)} from the direction of Πᵀ, and ${shown(b, 3)} from that of its square root`
      : "V is zero, or no number: it has no direction");
    tables.set("value", table(["to_y", "from_s", "value", "transition", "root", "value_minus_transition", "value_minus_root"],
      range(K * K).map((i) => [word(block, y[i]), word(block, s[i]), own[i], exact[i], square[i], toLaw[i], toRoot[i]])));
  }

  function drawSpectrum({ block, row }, step) {
    const reason = block.missing.value || block.missing.law;
    if (reason) return entitle("spectrum", "No spectrum of V", reason);
    const setting = part(block, "setting", row)[0];
    const value = Array.from(part(block, "value_spectrum", row, step));
    const [transition, root] = ["law_spectrum", "root_spectrum"].map((name) => Array.from(part(block, name, setting)));
    const mode = range(value.length);
    fill("spectrum", "spectrum", { mode, value, transition, root });
    scale("spectrum", [-0.25, value.length - 0.75], [0, 1.08 * extent([value, transition, root])[1]]);
    const top = mode.slice(1).reduce((best, each) => value[each] > value[best] ? each : best, 1);
    entitle("spectrum", Number.isFinite(value[0]) ? `Beside its mean, V is strongest in mode ${top}` : "V is zero, or no number: it has no spectrum");
    tables.set("spectrum", table(["mode", "value", "transition", "root"], mode.map((i) => [i, value[i], transition[i], root[i]])));
  }

  function drawScores({ block, row }, step) {
    if (block.missing.scores) return entitle("scores", "No scores of states", block.missing.scores);
    const score = Array.from(part(block, "scores", row, step)), state = range(score.length);
    fill("scores", "scores", { state, word: state.map((k) => word(block, k)), score });
    const [low, high] = extent([score, [0]]);
    scale("scores", [-0.6, score.length - 0.4], low < high ? padded([low, high]) : [-1, 1]);
    entitle("scores", `Scores u of states differ by ${shown(extent([score])[1] - extent([score])[0], 3)}`);
    tables.set("scores", table(["state", "u"], state.map((k) => [word(block, k), score[k]])));
  }

  const x = (steps) => steps.map((step) => Math.log10(1 + step));

  function markStep(name, step, [low, high]) {
    fill(name, `${name} now`, { x: x([step]), low: [low], high: [high] });
  }

  function drawSplit({ block, row }, step) {
    if (block.missing.split) return entitle("split", "Selection and transition", block.missing.split);
    const [withParent, withLaw] = ["with_parent", "with_law"].map((name) => Array.from(part(block, name, row)));
    const accuracy = part(block, "accuracy", row), learned = block.kept.map((at) => accuracy[block.recorded.indexOf(at)]);
    const optimum = part(block, "optimum", row)[0], steps = block.kept;
    fill("split", "split", { x: x(steps), step: steps, learned, with_parent: withParent, with_law: withLaw });
    fill("split", "split optimum", { x: x([0, steps.at(-1)]), number: [optimum, optimum] });
    const heights = padded([0, extent([learned, withParent, withLaw, [optimum]])[1]], 0.01);
    scale("split", null, heights);
    markStep("split", steps[step], heights);
    entitle("split", verdict(optimum, part(block, "tolerance", row)[0], learned[step], withParent[step], withLaw[step]));
    tables.set("split", table(["step", "learned", "learned_V_attention_on_parent", "learned_attention_true_law", "optimum"],
      steps.map((at, i) => [at, learned[i], withParent[i], withLaw[i], optimum])));
  }

  function verdict(optimum, tolerance, learned, withParent, withLaw) {
    if (![optimum, learned, withParent, withLaw].every(Number.isFinite)) return "Selection and transition: no numbers";
    const [selects, moves, predicts] = [withLaw, withParent, learned].map((each) => optimum - each <= tolerance);
    if (predicts) return "No error to split: selection and transition together are optimal";
    if (selects && !moves) return "The error is in V: its attention selects right";
    if (moves && !selects) return "The error is in attention: its V is right";
    if (learned > Math.max(withParent, withLaw) + tolerance) return "V and attention are both off, and fit each other";
    return selects ? "Each half alone is right" : "V and attention are both off";
  }

  const MOST_LINES = 300;

  // The runs whose curves are drawn behind those of the chosen one: seeds of its setting, and of all others some.
  function runsBehind({ block, row }) {
    const setting = part(block, "setting", row)[0];
    const seeds = range(block.cells.length).filter((other) => other !== row && part(block, "setting", other)[0] === setting);
    let others = about.blocks.flatMap((each) => range(each.cells.length).map((at) => ({ block: each, row: at })))
      .filter((each) => each.block !== block || part(block, "setting", each.row)[0] !== setting);
    const all = others.length;
    if (all > MOST_LINES) others = range(MOST_LINES).map((i) => others[Math.floor(i * all / MOST_LINES)]);
    return { seeds, others, all };
  }

  // The curves of one array of runs in one figure. The heights are those that are given, or fit what is drawn.
  function drawCurve(figure, name, { block, row }, { seeds, others }, step, heights = null) {
    const own = part(block, name, row), steps = block.recorded, drawn = others.filter((each) => part(each.block, name, each.row));
    const [near, far] = [seeds.map((at) => part(block, name, at)), drawn.map((each) => part(each.block, name, each.row))];
    fill(figure, `${figure} own`, { x: x(steps), step: steps, number: Array.from(own) });
    fill(figure, `${figure} seeds`, { steps: near.map(() => x(steps)), numbers: near.map((each) => Array.from(each)) });
    fill(figure, `${figure} others`, { steps: drawn.map((each) => x(each.block.recorded)), numbers: far.map((each) => Array.from(each)) });
    const shownHeights = heights ?? padded(extent([own, ...near, ...far]));
    scale(figure, null, shownHeights);
    markStep(figure, block.kept[step], shownHeights);
  }

  // A table of the chosen run and the other seeds of its setting: a row for each recorded step, a column for each array.
  function tableOfCurves({ block, row }, seeds, columns) {
    const rows = [row, ...seeds].flatMap((at) => block.recorded.map((when, t) =>
      [...indexOf(block.cells[at]).map((index, i) => axes[i].labels[index]), when, ...columns.map(([, name]) => part(block, name, at)[t])]));
    return table([...axes.map((axis) => axis.names[0]), "step", ...columns.map(([title]) => title)], rows);
  }

  function drawCurves(run, step) {
    const { block, row } = run, behind = runsBehind(run), { seeds, all } = behind;
    document.getElementById("curves-about").textContent = "The chosen run over training, before the other seeds of its setting, and runs of other settings"
      + (all > MOST_LINES ? `, ${MOST_LINES} of ${all} at equal distances.` : ".");
    const columns = [];
    const optimum = part(block, "optimum", row)[0], steps = block.recorded;
    for (const name of ["accuracy", "parent_attention", "train_loss"]) {
      const holder = document.querySelector(`[data-figure="${name}"]`);
      holder.hidden = !part(block, name, row);
      if (holder.hidden) continue;
      drawCurve(name, name, run, behind, step, name === "train_loss" ? null : [-0.03, 1.03]);
      columns.push([name === "accuracy" ? about.accuracy : name, name]);
    }
    fill("accuracy", "accuracy optimum", Number.isFinite(optimum) ? { x: x([0, steps.at(-1)]), number: [optimum, optimum] } : { x: [], number: [] });
    const accuracy = part(block, "accuracy", row), now = block.recorded.indexOf(block.kept[step]);
    entitle("curves", `${about.accuracy.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase())} ${shown(accuracy[now])}`
      + ` at step ${block.kept[step]}` + (now < steps.length - 1 ? `, ${shown(accuracy.at(-1))} at the last` : ""));
    tables.set("curves", tableOfCurves(run, seeds, columns));
  }

  function drawOther(run, step) {
    const { block, row } = run, other = about.others[choice.metric];
    if (!other) return entitle("other", "No other metric", "This run has recorded no other metric that is one number.");
    const name = `metric ${other.name}`, own = part(block, name, row), title = other.name.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());
    document.getElementById("other-about").textContent = own ? `${other.words || title}.`.replace(/^./, (first) => first.toUpperCase())
      : "This run has no such number.";
    document.querySelector('[data-figure="other"]').hidden = !own;
    const behind = runsBehind(run);
    if (own) {
      drawCurve("other", name, run, behind, step);
      models.get("other").left[0].axis_label = other.name.replaceAll("_", " ") + (["", "1"].includes(other.unit) ? "" : ` / ${other.unit}`);
    }
    entitle("other", own ? `${title} ${shown(own[block.recorded.indexOf(block.kept[step])])} at step ${block.kept[step]}` : `No ${title}`);
    tables.set("other", own ? tableOfCurves(run, behind.seeds, [[other.name, name]]) : table([other.name], []));
  }

  function drawWhy(run, step) {
    const { block, row } = run, at = block.recorded.indexOf(block.kept[step]);
    const numbers = (name) => { const found = part(block, name, row, at); return found ? found[0] : NaN; };
    const accuracy = numbers("accuracy"), optimum = part(block, "optimum", row)[0], lag = numbers("lag");
    const sentences = [];
    const subject = `At step ${block.kept[step]} this run${axes.length ? ` (${words(choice.index)})` : ""}`;
    if (lag === ALL_ALIKE) sentences.push(`${subject} attends to all tokens alike.`);
    else if (lag >= 0) {
      const weights = part(block, "attention", row, step);
      sentences.push(`${subject} attends most to ${lagWords(lag, block)}, with a mean weight of ${shown(weights[block.walk_length - 1 - lag], 3)}.`);
    } else sentences.push(block.missing.attention ? `${subject} has no attention.` : `${subject} has diverged: its numbers are no numbers.`);
    if (Number.isFinite(optimum) && Number.isFinite(accuracy)) {
      sentences.push(numbers("failed") ? `It does not predict optimally: its expected accuracy ${shown(accuracy)} is ${shown(optimum - accuracy, 3)} below the optimum ${shown(optimum)}.`
        : `It predicts optimally: its expected accuracy is ${shown(accuracy)} of ${shown(optimum)}.`);
    }
    if (!block.missing.correlations && !block.missing.attention) {
      const found = named(run), several = found.length > 1;
      const largestAt = several ? `${found.length} lags alike, ${found.slice(0, 3).join(", ")}${found.length > 3 ? ", …" : ""}` : `lag ${found[0]}`;
      if (!found.length) sentences.push("c is the same at every lag, so that the expected gradient favours no token: only the samples, or rounding, can.");
      else if (found.includes(lag)) sentences.push(`That is where c is largest${several ? `, at ${largestAt}` : ""}: the second step turns there in expectation.`);
      else if (lag > 0) sentences.push(`c is largest at ${largestAt}: in expectation the second step turns there, but these samples, or later steps, led elsewhere.`);
      else sentences.push(`c is largest at ${largestAt}: in expectation the second step turns there.`);
    }
    if (!block.missing.split && numbers("failed")) {
      const [withParent, withLaw] = ["with_parent", "with_law"].map((name) => part(block, name, row)[step]);
      sentences.push(`With all attention on the parent its V would reach ${shown(withParent, 3)}; with V = Πᵀ its attention would reach ${shown(withLaw, 3)}.`);
    }
    document.getElementById("why").textContent = sentences.join(" ");
    const apart = distances(run, step);
    const numberRows = [["lag", "lag attended to", lag >= 0 ? String(lag) : "–"],
      ["accuracy", about.accuracy.replaceAll("_", " "), shown(accuracy)], ["optimum", "optimum", shown(optimum)],
      ["parent_attention", "attention on the parent", shown(numbers("parent_attention"))],
      ["train_loss", about.loss, shown(numbers("train_loss"))],
      ["to_law", "distance of V to Πᵀ", apart ? shown(norm(apart.toLaw)) : "–"],
      ["to_root", "distance of V to √Πᵀ", apart ? shown(norm(apart.toRoot)) : "–"]];
    for (const [name, about] of [["with_parent", "with attention on parent"], ["with_law", "with V = Πᵀ"]]) {
      const found = part(block, name, row);
      numberRows.push([name, about, found ? shown(found[step]) : "–"]);
    }
    document.getElementById("numbers").replaceChildren(...numberRows.map(([name, title, value]) => {
      const line = document.createElement("div"), head = Object.assign(document.createElement("dt"), { textContent: title });
      const entry = Object.assign(document.createElement("dd"), { textContent: value });
      entry.dataset.number = name;
      line.append(head, entry);
      return line;
    }));
  }

  // ---- Saving ------------------------------------------------------------------------------------------------------

  function table(titles, rows) {
    const digits = (value) => String(typeof value === "number" ? Number(value.toPrecision(7)) : value);  // of float32
    const quoted = (word) => /[",\n]/.test(word) ? `"${word.replaceAll('"', '""')}"` : word;
    return () => [titles, ...rows].map((row) => row.map((value) => quoted(digits(value))).join(",")).join("\n") + "\n";
  }

  function download(content, type, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // The figures of a panel as one picture, beside each other, under the panel's title.
  async function picture(panel) {
    const card = document.querySelector(`[data-panel="${panel}"]`);
    const names = [...card.querySelectorAll("[data-figure]")].filter((each) => !each.hidden).map((each) => each.dataset.figure);
    const title = card.querySelector("h2").textContent, where = document.title + (chosen() ? `; ${caption()}` : "");
    const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
    const parts = [];
    let width = 0, height = 0;
    for (const name of names) {
      const text = await views.get(name).export("svg", false).to_blob().then((blob) => blob.text());
      const drawn = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
      const [w, h] = ["width", "height"].map((side) => parseFloat(drawn.getAttribute(side)));
      drawn.setAttribute("x", width);
      drawn.setAttribute("y", 44);
      parts.push(new XMLSerializer().serializeToString(drawn));
      width += w;
      height = Math.max(height, h);
    }
    const lines = panel === "runs" ? [...document.querySelectorAll("#legend li")] : [];  // drawn beside the figure, not in it
    lines.forEach((line, i) => {
      const at = height + 60 + 18 * i, colour = line.querySelector("i")?.style.background;
      if (colour) parts.push(`<rect x="8" y="${at - 10}" width="11" height="11" fill="${colour}" stroke="#999999"/>`);
      parts.push(`<text x="26" y="${at}" font-size="11">${escaped(line.textContent)}</text>`);
    });
    height += 18 * lines.length;
    width = lines.length ? Math.max(width, 560) : width;
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height + 44}" font-family="Helvetica, Arial, sans-serif">`
      + `<title>${escaped(title)}</title><rect width="100%" height="100%" fill="white"/><text x="8" y="18" font-size="14">${escaped(title)}</text>`
      + `<text x="8" y="35" font-size="11" fill="#555555">${escaped(where)}</text>${parts.join("")}</svg>`;
  }

  const caption = () => [...(axes.length ? [words(choice.index)] : []), `step ${keptNow()[stepIn(keptNow())]}`].join(", ");
  const fileName = (panel, ending) => `${[panel, caption()].join(" ").replace(/ = /g, "=").replace(/[^\w.=+-]+/g, "_")}.${ending}`;

  for (const card of document.querySelectorAll("[data-panel]")) {
    const panel = card.dataset.panel, row = Object.assign(document.createElement("div"), { className: "save" });
    for (const [kind, save] of [["SVG", async () => download(await picture(panel), "image/svg+xml", fileName(panel, "svg"))],
                                ["CSV", () => download(tables.get(panel)(), "text/csv", fileName(panel, "csv"))]]) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: kind, onclick: save });
      button.setAttribute("aria-label", `Save ${panel} as ${kind}`);
      row.append(button);
    }
    card.append(row);
  }

  // ---- All of it ---------------------------------------------------------------------------------------------------

  function refresh() {
    const run = chosen();
    for (const update of sliders.values()) update();
    drawRuns();
    for (const card of document.querySelectorAll(".panels [data-panel]")) card.hidden = !run;
    if (run) {
      const step = stepIn(run.block.kept);
      for (const draw of [drawAttention, drawCorrelations, drawValue, drawSplit, drawSpectrum, drawCurves, drawOther, drawScores, drawWhy]) draw(run, step);
      for (const name of ["attention", "correlations", "spectrum", "scores", "accuracy", "parent_attention", "train_loss", "other", "split"]) {
        models.get(name).title.text = caption();
      }
      writeAddress(run.block.kept[step]);
    } else {
      const why = status[cellAt(choice.index)] === UNFINISHED ? "This run is not finished." : "This run is left out of the page.";
      document.getElementById("why").textContent = `${words(choice.index)}: ${why}`;
      document.getElementById("numbers").replaceChildren();
      writeAddress(null);
    }
  }

  const cells = models.get("runs").document.get_model_by_name("runs");
  cells.selected.properties.indices.change.connect(() => {
    const [at] = cells.selected.indices;
    if (at === undefined) return;
    if (about.across !== null) choice.index[about.across] = cells.data.x[at];
    if (about.down !== null) choice.index[about.down] = cells.data.y[at];
    cells.selected.indices = [];
    refresh();
  });
  for (const [name, view] of views) {
    view.el.setAttribute("role", "img");
    view.el.setAttribute("aria-label", `${name.replaceAll("_", " ")}; its numbers are in the CSV`);
  }
  addEventListener("hashchange", () => { readAddress(); refresh(); });
  readAddress();
  refresh();
  document.body.dataset.ready = String(Math.round(performance.now()));
})();
