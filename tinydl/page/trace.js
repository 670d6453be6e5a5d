"use strict";
// Steps through the events of a recorded launch: [instruction, warp, came, active, register, values, places, cost].
(() => {
  const data = JSON.parse(document.getElementById("trace").textContent);
  const find = (id) => document.getElementById(id);
  const slider = find("at"), warp = find("warp"), lanes = [...document.querySelectorAll(".lanes li")];
  const program = [...document.querySelectorAll("#program code")], source = [...document.querySelectorAll("#source code")];
  let at = 0;

  const fits = (k) => warp.value === "" || data.events[k][1] === Number(warp.value);
  const next = (from, step) => {
    for (let k = from + step; k >= 0 && k < data.events.length; k += step) if (fits(k)) return k;
    return -1;
  };

  // Shown in the middle of its own scrolling box; the page stays where it is.
  const mark = (all, index) => {
    for (const line of all) line.classList.toggle("here", line === all[index]);
    const line = all[index], box = line && line.parentElement;
    if (box) box.scrollTop = line.offsetTop - box.offsetTop - box.clientHeight / 2;
  };

  const show = (k) => {
    at = k;
    const [number, w, came, active, name, values, places, cost] = data.events[k];
    const [text, line, note] = data.program[number];
    slider.value = k;
    find("count").textContent = `step ${k + 1} of ${data.events.length}`;
    find("back").disabled = next(k, -1) < 0;
    find("on").disabled = next(k, 1) < 0;
    find("instruction").textContent = text;
    const taking = lanes.filter((_, lane) => (active >>> lane) & 1).length;
    find("about").textContent = [`warp ${w}`, `${taking} of 32 threads`, name && `below: ${name}`, cost, note].filter(Boolean).join("; ");
    let seen = 0;
    lanes.forEach((box, lane) => {
      const is = (active >>> lane) & 1;
      box.className = is ? "active" : (came >>> lane) & 1 ? "came" : "";
      box.children[1].textContent = is && values.length ? values[seen] : is ? "" : (came >>> lane) & 1 ? "guard false" : "elsewhere";
      box.children[2].textContent = is && places.length ? `@ ${places[seen]}` : "";
      if (is) seen += 1;
    });
    mark(program, number);
    mark(source, line - 1);
  };

  const move = (step) => { const k = next(at, step); if (k >= 0) show(k); };
  find("back").addEventListener("click", () => move(-1));
  find("on").addEventListener("click", () => move(1));
  slider.addEventListener("input", () => show(Number(slider.value)));
  warp.addEventListener("change", () => { const k = fits(at) ? at : next(at, 1) >= 0 ? next(at, 1) : next(at, -1); show(k < 0 ? at : k); });
  document.addEventListener("keydown", (event) => {
    if (event.target === slider || event.target === warp || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowRight") move(1);
    else if (event.key === "ArrowLeft") move(-1);
    else return;
    event.preventDefault();
  });
  slider.max = data.events.length - 1;
  show(0);
})();
