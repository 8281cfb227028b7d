/**
 * What has been heard of one recitation, made of the server's events. Knows nothing of the page.
 *
 * @typedef {object} Verse a recited verse, being recited or final
 * @property {number} slot
 * @property {number} surah
 * @property {number} ayah
 * @property {number} current the word being recited, from 1; 0: none
 * @property {Map<number, {start: number, end: number}>} words those complete, by number; seconds
 * @property {Mistake[]} mistakes
 * @property {object | null} final the `final` event, once there is one
 *
 * @typedef {object} Mistake
 * @property {number} surah
 * @property {number} ayah
 * @property {number} word from 1; 0: the whole verse was skipped
 * @property {string} expected
 * @property {string} heard empty: skipped
 */

export class Recitation {
  /** When it began. */
  began = new Date();
  /** @type {Verse | null} the verse to look at: being recited, or the last that was */
  shown = null;
  /** @type {{surah: number, ayah: number, probability: number}[]} the likeliest first */
  candidates = [];
  /** @type {(Verse | Mistake)[]} final verses and skipped ones, the latest last */
  history = [];
  /** @type {"silence" | "speech" | "notQuran"} */
  voice = "silence";
  /** @type {{code: string, message: string} | null} the latest, until a verse is final */
  warning = null;

  /** @type {Map<number, Verse>} not final yet, by slot */
  #open = new Map();

  /** @param {object} event any event of the protocol; those that change nothing here are ignored */
  hear(event) {
    switch (event.type) {
      case "speech_started":
        this.voice = "speech";
        break;
      case "speech_ended":
        this.voice = "silence";
        break;
      case "not_quran":
        this.voice = "notQuran";
        break;
      case "candidates":
        this.candidates = event.candidates;
        if (this.voice === "notQuran") this.voice = "speech";
        break;
      case "provisional":
        this.#follow(event);
        break;
      case "word":
        this.#verse(event).words.set(event.word, event);
        break;
      case "mistake":
        this.#mark(event);
        break;
      case "final":
        this.#finish(event);
        break;
      case "retracted":
        this.#open.delete(event.slot);
        if (this.shown?.slot === event.slot) this.shown = this.#last();
        break;
      case "warning":
        this.warning = event;
        break;
      case "ended":
        this.close();
        break;
    }
  }

  /** Nothing more will come: what is not final is not recited. */
  close() {
    this.#open.clear();
    this.candidates = [];
    this.voice = "silence";
    if (this.shown?.final === null) this.shown = this.#last();
  }

  /** The open verse of an event's slot. A slot whose verse is replaced starts anew. */
  #verse({ slot, surah, ayah }) {
    let verse = this.#open.get(slot);
    if (verse?.surah !== surah || verse?.ayah !== ayah) {
      verse = { slot, surah, ayah, current: 0, words: new Map(), mistakes: [], final: null };
      this.#open.set(slot, verse);
    }
    return verse;
  }

  #follow(event) {
    this.shown = this.#verse(event);
    this.shown.current = event.current_word;
    const { surah, ayah, confidence: probability, alternatives } = event;
    this.candidates = [{ surah, ayah, probability }, ...alternatives];
  }

  #mark(event) {
    if (event.word === 0) {
      this.history.push(event);
      return;
    }
    const known = this.history.find((entry) => entry.final && entry.slot === event.slot);
    (known ?? this.#verse(event)).mistakes.push(event);
  }

  #finish(event) {
    const verse = this.#verse(event);
    this.#open.delete(event.slot);
    this.warning = null; // recognition went on: it has been seen, or did no harm
    verse.final = event;
    verse.current = 0;
    verse.words = new Map(event.words.map((word) => [word.word, word]));
    this.history.push(verse);
    if (this.#open.size === 0) {
      this.shown = verse;
      this.candidates = [];
    }
  }

  #last() {
    return this.history.findLast((entry) => entry.final) ?? null;
  }
}
