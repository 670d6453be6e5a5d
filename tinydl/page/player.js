"use strict";
/* The player of a tinydl page: synthesis by Web Audio, a cursor on the roll, keys.

Each piece carries its music as JSON:
  seconds    its length
  notes      [start, end, pitch, sounding length, gain, pan, patch], times in seconds; patch -1 is a drum;
             note k is the k-th rect of the roll
  bars       where bars begin, in seconds
  bends      [seconds, pixels]: between two of them the cursor moves evenly
  patches    instruments of tinydl's synthesizer: amplitudes of the harmonics of a dark and of a bright wave, times in
             seconds (attack, release, decay of middle C or 0 for a held sound, fade of the bright wave), level, cents
  nats, frames, frameNats   surprise of notes (null: not heard), starts of frames, surprise of frames, where known
*/
(() => {
  const Audio = window.AudioContext || window.webkitAudioContext;
  const AHEAD = 1.5; // seconds that are scheduled in advance: enough for the one timer a second of a hidden page
  const silent = document.getElementById("silent");
  let sound = null; // {context, input}, made at the first press of a button, as browsers ask
  let playing = null; // the one player that sounds

  // -- sound --------------------------------------------------------------------------------------------------------

  const hertz = pitch => 440 * 2 ** ((pitch - 69) / 12);

  /** Noise that is the same on every visit: a linear congruential generator, values in [-1, 1). */
  function noise(context, seconds, shape) {
    const buffer = context.createBuffer(1, Math.ceil(seconds * context.sampleRate), context.sampleRate);
    const samples = buffer.getChannelData(0);
    for (let i = 0, state = 1; i < samples.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      samples[i] = (state / 2147483648) * shape(i / context.sampleRate);
    }
    return buffer;
  }

  function openSound() {
    const context = new Audio();
    const input = context.createGain(), limit = context.createDynamicsCompressor();
    const room = context.createConvolver(), wet = context.createGain();
    input.gain.value = 0.8;
    limit.threshold.value = -6; limit.knee.value = 6; limit.ratio.value = 12; limit.attack.value = 0.002;
    room.buffer = noise(context, 0.9, t => t < 0.012 ? 0 : Math.exp(-t * 7.7));
    wet.gain.value = 0.3;
    input.connect(limit);
    input.connect(room).connect(wet).connect(limit);
    limit.connect(context.destination);
    return {context, input, waves: new Map(), hiss: noise(context, 1, () => 1)};
  }

  /** The dark and the bright wave of a patch, together at a root mean square of 1. */
  function waves(patch) {
    if (!sound.waves.has(patch)) {
      const size = Math.max(patch.dark.length, patch.bright.length);
      let energy = 0;
      for (let k = 0; k < size; k++) energy += ((patch.dark[k] || 0) + (patch.bright[k] || 0)) ** 2 / 2;
      const made = [patch.dark, patch.bright].map(amplitudes => {
        if (!amplitudes.some(a => a)) return null;
        const real = new Float32Array(size + 1), imag = new Float32Array(size + 1);
        amplitudes.forEach((a, i) => { // phases spread by k^2 keep the harmonics from piling up into one spike
          const k = i + 1, phase = Math.PI * k * k / 7;
          real[k] = a * Math.cos(phase) / Math.sqrt(energy);
          imag[k] = a * Math.sin(phase) / Math.sqrt(energy);
        });
        return sound.context.createPeriodicWave(real, imag, {disableNormalization: true});
      });
      sound.waves.set(patch, made);
    }
    return sound.waves.get(patch);
  }

  /** Schedule a tone for ``length`` seconds from ``when`` on, of which ``late`` seconds have gone by. */
  function tone(bus, patch, pitch, gain, pan, when, length, late) {
    const context = sound.context, [dark, bright] = waves(patch);
    const decay = patch.decay && patch.decay * 2 ** ((60 - pitch) / 18);
    const level = 0.2 * patch.level * gain * (decay ? Math.exp(-late / decay) : 1);
    const release = patch.release, attack = Math.min(patch.attack, length / 2), end = when + length;
    const envelope = context.createGain(), place = context.createStereoPanner();
    place.pan.value = pan;
    envelope.gain.setValueAtTime(0, when);
    envelope.gain.linearRampToValueAtTime(level, when + attack);
    if (decay) envelope.gain.setTargetAtTime(0, when + attack, decay);
    envelope.gain.setTargetAtTime(0, end, release / 3);
    envelope.connect(place).connect(bus);
    const wide = patch.cents >= 3 ? [-patch.cents / 2, patch.cents / 2] : [0];
    const begin = (wave, cents, into) => {
      const oscillator = context.createOscillator();
      oscillator.setPeriodicWave(wave);
      oscillator.frequency.value = hertz(pitch);
      oscillator.detune.value = cents;
      oscillator.connect(into);
      oscillator.start(when);
      oscillator.stop(end + 2.5 * release);
    };
    const part = context.createGain();
    part.gain.value = 1 / wide.length;
    part.connect(envelope);
    for (const cents of wide) begin(dark, cents, part);
    if (bright) {
      const edge = context.createGain();
      edge.gain.setValueAtTime(Math.exp(-late / patch.fade), when);
      edge.gain.setTargetAtTime(0, when, patch.fade);
      edge.connect(part);
      for (const cents of wide) begin(bright, cents, edge);
    }
  }

  /** A drum of General MIDI's map, from noise and a falling sine. */
  function drum(bus, pitch, gain, pan, when) {
    const context = sound.context;
    const kick = pitch === 35 || pitch === 36, snare = pitch >= 37 && pitch <= 40;
    const cymbal = [42, 44, 46].includes(pitch) || pitch >= 49;
    const seconds = kick ? 0.35 : snare ? 0.25 : cymbal ? ([49, 52, 55, 57].includes(pitch) ? 0.9 : 0.12) : 0.4;
    const place = context.createStereoPanner();
    place.pan.value = pan;
    place.connect(bus);
    const fading = (level, speed) => {
      const node = context.createGain();
      node.gain.setValueAtTime(0.3 * level * gain, when);
      node.gain.setTargetAtTime(0, when, seconds / speed);
      node.connect(place);
      return node;
    };
    const hiss = context.createBufferSource();
    hiss.buffer = sound.hiss;
    if (cymbal) {
      const high = context.createBiquadFilter();
      high.type = "highpass";
      high.frequency.value = 6000;
      hiss.connect(high).connect(fading(0.8, 5));
    } else {
      hiss.connect(fading(snare ? 0.5 : 0.05, 7));
      const skin = context.createOscillator(), low = kick ? 48 : snare ? 170 : Math.max(40, 70 + 9 * (pitch - 41));
      skin.frequency.setValueAtTime(2 * low, when);
      skin.frequency.setTargetAtTime(low, when, 0.03);
      skin.connect(fading(kick ? 1.4 : 0.8, 6));
      skin.start(when);
      skin.stop(when + seconds);
    }
    hiss.start(when, 0, seconds);
  }

  /** Say on the page, once, why nothing can be heard; all else goes on. */
  function mute(why) {
    silent.textContent = `Nothing can be played here, because ${why}; everything else on this page works, and each ` +
      "piece can be saved as a .mid file and opened in a music program.";
    silent.hidden = false;
    for (const controls of document.querySelectorAll(".controls")) controls.hidden = true;
    for (const ready of document.querySelectorAll(".ready")) ready.classList.remove("ready");
    playing?.pause();
    sound = null;
  }

  // -- one piece ----------------------------------------------------------------------------------------------------

  /** How many entries of a rising list are at most x. */
  function rank(list, x, key = v => v) {
    let low = 0, high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (key(list[middle]) <= x) low = middle + 1; else high = middle;
    }
    return low;
  }

  const clock = seconds => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  const NAMES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];
  const pitchName = pitch => NAMES[pitch % 12] + (Math.floor(pitch / 12) - 1);

  class Player {
    constructor(piece) {
      const find = selector => piece.querySelector(selector);
      this.piece = piece;
      this.music = JSON.parse(find("script").textContent);
      this.title = find("h3").textContent;
      this.controls = find(".controls");
      this.button = find(".play");
      this.seekBar = find(".seek");
      this.time = find(".time");
      this.scroller = find(".roll");
      this.lane = find(".lane");
      this.cursor = find(".cursor");
      this.now = find(".now");
      this.rects = find(".notes").children;
      this.longest = Math.max(...this.music.notes.map(note => Math.max(note[1] - note[0], note[3])));
      this.position = 0; // seconds, while nothing sounds
      this.lit = [];
      this.looking = -Infinity; // when the listener last scrolled the roll: it is then left where it is for a while
      this.session = null; // what is sounding: {bus, from, at, next}
      this.controls.hidden = this.now.hidden = this.cursor.hidden = false;
      piece.classList.add("ready");
      this.button.addEventListener("click", () => this.session ? this.pause() : this.play());
      this.seekBar.addEventListener("input", () => this.seek(Number(this.seekBar.value)));
      this.seekBar.addEventListener("keydown", event => this.key(event));
      this.scroller.addEventListener("keydown", event => {
        if (event.key === " ") this.key(event); // the arrows scroll it
      });
      for (const kind of ["wheel", "touchmove"]) {
        this.scroller.addEventListener(kind, () => { this.looking = performance.now(); }, {passive: true});
      }
      this.follow();
      this.show();
    }

    /** Seconds from the beginning that are heard now. */
    at() {
      if (!this.session) return this.position;
      const {from, at} = this.session, context = sound.context;
      return Math.min(Math.max(from, from + context.currentTime - (context.outputLatency || 0) - at), this.music.seconds);
    }

    async play() {
      playing?.pause();
      try {
        sound ??= openSound();
        const context = sound.context, wait = new Promise(done => setTimeout(done, 3000));
        await Promise.race([context.resume(), wait]);
        if (context.state !== "running") throw new Error("its audio did not start");
      } catch (error) {
        mute(`this browser's audio cannot be used (${error.message})`);
        return;
      }
      playing?.pause(); // another button may have been pressed while the audio started
      playing = this;
      if (this.position >= this.music.seconds - 0.01) this.position = 0;
      this.begin();
      this.piece.classList.add("playing");
      this.button.setAttribute("aria-label", `Pause ${this.title}`);
      this.timer = setInterval(() => this.schedule(), 250);
      const draw = () => {
        if (playing !== this) return;
        this.show();
        this.frame = requestAnimationFrame(draw);
      };
      draw();
    }

    begin() {
      const {context, input} = sound, bus = context.createGain();
      bus.connect(input);
      const notes = this.music.notes, from = this.position;
      this.session = {bus, from, at: context.currentTime + 0.06, next: rank(notes, from - this.longest, note => note[0])};
      this.schedule();
    }

    /** Hand the notes of the next moments to the audio clock. */
    schedule() {
      const {bus, from, at} = this.session, now = sound.context.currentTime, notes = this.music.notes;
      while (this.session.next < notes.length) {
        const [start, , pitch, length, gain, pan, patch] = notes[this.session.next];
        if (start - from + at > now + AHEAD) break;
        this.session.next++;
        const late = Math.max(0, from - start);
        if (length - late < 0.03) continue;
        const when = Math.max(start, from) - from + at;
        if (patch >= 0) tone(bus, this.music.patches[patch], pitch, gain, pan, when, length - late, late);
        else if (!late) drum(bus, pitch, gain, pan, when);
      }
      if (now - at + from > this.music.seconds + 0.4) {
        this.pause();
        this.position = this.music.seconds;
        this.show();
      }
    }

    /** Stop what sounds, without a click. */
    hush() {
      const {bus} = this.session, now = sound.context.currentTime;
      this.session = null;
      bus.gain.setTargetAtTime(0, now, 0.015);
      setTimeout(() => bus.disconnect(), 150);
    }

    pause() {
      if (!this.session) return;
      this.position = this.at();
      this.hush();
      clearInterval(this.timer);
      cancelAnimationFrame(this.frame);
      if (playing === this) playing = null;
      this.piece.classList.remove("playing");
      this.button.setAttribute("aria-label", `Play ${this.title}`);
      this.show();
    }

    seek(seconds) {
      const wanted = Math.min(Math.max(0, seconds), this.music.seconds);
      if (this.session) {
        this.hush();
        this.position = wanted;
        this.begin();
      } else {
        this.position = wanted;
      }
      this.show();
    }

    key(event) {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const here = this.at(), bars = this.music.bars, bar = rank(bars, here + 1e-3);
      const to = {
        ArrowLeft: here - 1, ArrowDown: here - 1, ArrowRight: here + 1, ArrowUp: here + 1,
        PageUp: bars[bar] ?? this.music.seconds, PageDown: bars[rank(bars, here - 0.3) - 1] ?? 0,
        Home: 0, End: this.music.seconds,
      }[event.key];
      if (event.key === " ") this.button.click();
      else if (to !== undefined) this.seek(to);
      else return;
      event.preventDefault();
    }

    /** A mouse or a pen drags the cursor; a finger scrolls, and taps to seek. */
    follow() {
      const to = event => this.seek(this.secondsAt(event.clientX - this.lane.getBoundingClientRect().left));
      let drag = false;
      this.lane.addEventListener("pointerdown", event => {
        if (event.pointerType === "touch" || event.button || !this.piece.classList.contains("ready")) return;
        drag = true;
        this.lane.setPointerCapture(event.pointerId);
        to(event);
      });
      this.lane.addEventListener("pointermove", event => { if (drag) to(event); });
      for (const end of ["pointerup", "pointercancel"]) this.lane.addEventListener(end, () => { drag = false; });
      this.lane.addEventListener("click", event => {
        if (event.pointerType === "touch" && this.piece.classList.contains("ready")) to(event);
      });
    }

    secondsAt(x) {
      const bends = this.music.bends, k = Math.min(Math.max(rank(bends, x, bend => bend[1]), 1), bends.length - 1);
      const [[s0, x0], [s1, x1]] = [bends[k - 1], bends[k]];
      return s0 + (x - x0) / (x1 - x0) * (s1 - s0);
    }

    pixelsAt(seconds) {
      const bends = this.music.bends, k = Math.min(Math.max(rank(bends, seconds, bend => bend[0]), 1), bends.length - 1);
      const [[s0, x0], [s1, x1]] = [bends[k - 1], bends[k]];
      return x0 + (seconds - s0) / (s1 - s0) * (x1 - x0);
    }

    /** The notes that sound at a time, by their numbers. */
    sounding(seconds) {
      const notes = this.music.notes, found = [];
      for (let k = rank(notes, seconds, note => note[0]) - 1; k >= 0 && notes[k][0] > seconds - this.longest; k--) {
        if (notes[k][1] > seconds) found.unshift(k);
      }
      return found;
    }

    /** Bring cursor, clock, lights and words to the present position. */
    show() {
      const {music} = this, seconds = this.at(), x = this.pixelsAt(seconds);
      this.cursor.style.transform = `translateX(${x.toFixed(1)}px)`;
      const room = this.scroller.clientWidth - this.lane.offsetLeft, left = this.scroller.scrollLeft;
      if (this.lane.offsetWidth > room && (x < left || x > left + room - 24) && performance.now() > this.looking + 4000) {
        this.scroller.scrollLeft = x - 0.15 * room;
      }
      const lit = this.session || seconds > 0 ? this.sounding(seconds) : []; // nothing is lit before the first touch
      if (lit.join() !== this.lit.join() || !this.time.textContent) {
        for (const k of this.lit) this.rects[k].classList.remove("on");
        for (const k of lit) this.rects[k].classList.add("on");
        this.lit = lit;
      }
      const bar = Math.max(1, rank(music.bars, seconds + 1e-3));
      const nats = k => music.nats?.[k] == null ? "" : ` ${music.nats[k].toFixed(2)}`;
      const chord = this.sounding(seconds).sort((a, b) => music.notes[a][2] - music.notes[b][2]);
      const named = chord.map(k => pitchName(music.notes[k][2]) + nats(k));
      let words = `Bar ${bar}: ${named.join(", ") || "silence"}`;
      if (music.nats && named.length) words += " nats";
      if (music.frames) {
        const frame = Math.max(0, rank(music.frames, seconds + 1e-3) - 1);
        words += `; frame ${frame + 1}: ${music.frameNats[frame].toFixed(2)} nats`;
      }
      const time = `${clock(seconds)} / ${clock(music.seconds)}`;
      if (this.now.textContent !== words) this.now.textContent = words;
      if (this.time.textContent !== time) this.time.textContent = time;
      this.seekBar.value = seconds;
      // While it plays, a screen reader would speak over the music: the words follow when it stops.
      const spoken = this.session ? `${clock(seconds)} of ${clock(music.seconds)}` :
        `${clock(seconds)} of ${clock(music.seconds)}. ${words}`;
      if (this.seekBar.getAttribute("aria-valuetext") !== spoken) this.seekBar.setAttribute("aria-valuetext", spoken);
      this.seekBar.setAttribute("aria-valuenow", seconds.toFixed(1));
    }
  }

  for (const piece of document.querySelectorAll(".piece")) {
    if (piece.querySelector("script")) new Player(piece);
  }
  if (!Audio) mute("this browser has no audio (Web Audio is missing)");
})();
