import { ayahMark, element, quran } from "./elements.js";

const OPENING = { surah: 1, ayah: 1 };
/** Words up to which a verse is set large, and medium. */
const SHORT_WORDS = 10;
const MEDIUM_WORDS = 45;

/** The open mushaf: the verse being recited, its words lighting up, and the next one dimly. */
export class Stage {
  #root;
  #mushaf;
  #shows = ""; // what the elements below were made for
  #words = [];
  #mistakes = null;
  #current = null;

  /**
   * @param {HTMLElement} root
   * @param {import("./mushaf.js").Mushaf} mushaf
   */
  constructor(root, mushaf) {
    this.#root = root;
    this.#mushaf = mushaf;
  }

  /**
   * @param {import("./recitation.js").Verse | null} verse null: none yet
   * @param {boolean} listening
   * @param {import("./strings.js").Strings} strings
   */
  render(verse, listening, strings) {
    if (!verse) {
      this.#welcome(listening, strings);
      return;
    }
    this.#open(verse, strings);
    this.#words.forEach((word, index) => {
      word.dataset.state = stateOf(verse, index + 1);
    });
    this.#markMistakes(verse, strings);
    this.#follow(this.#words[verse.current - 1] ?? null);
  }

  #welcome(listening, { language, text }) {
    const words = this.#mushaf.words(OPENING);
    if (!this.#isNew("welcome", listening, language, words !== undefined)) return;
    this.#root.replaceChildren(
      quran("p", { class: "opening" }, words?.join(" ") ?? ""),
      element("p", { class: "invitation" }, listening ? text.listeningFor : text.invitation),
    );
    delete this.#root.dataset.verse;
    this.#words = [];
  }

  /** Turns to a verse, unless it is open already. */
  #open(verse, strings) {
    const surah = this.#mushaf.surah(verse.surah);
    const next = this.#mushaf.after(verse);
    const nextWords = next && this.#mushaf.words(next);
    const known = [surah, nextWords].map(Boolean);
    if (!this.#isNew(verse.slot, verse.surah, verse.ayah, strings.language, ...known)) return;
    const words = surah?.verses[verse.ayah - 1] ?? [];
    this.#words = words.map((word) => element("span", { class: "word" }, word));
    this.#mistakes = element("ul", { class: "mistakes" });
    this.#root.dataset.verse = `${verse.surah}:${verse.ayah}`;
    this.#root.replaceChildren(
      this.#heading(verse, surah, strings),
      quran(
        "p",
        { class: "verse", "data-length": lengthOf(words) },
        ...this.#words.flatMap((word) => [word, " "]),
        ayahMark(verse.ayah),
      ),
      this.#mistakes,
    );
    if (nextWords) {
      this.#root.append(
        element("h3", { class: "visually-hidden" }, strings.text.next),
        quran("p", { class: "next" }, `${nextWords.join(" ")} `, ayahMark(next.ayah)),
      );
    }
    this.#current = null;
    this.#root.scrollTop = 0;
  }

  #heading(verse, surah, strings) {
    const spoken = strings.text.verse(
      strings.surah(verse.surah, surah),
      strings.number(verse.ayah),
    );
    const heading = element("h2", { class: "surah-title" });
    if (surah) heading.append(quran("span", { class: "surah-name" }, `سُورَةُ ${surah.name}`), " ");
    heading.append(element("span", { class: "reference" }, spoken));
    return heading;
  }

  #markMistakes({ mistakes }, { text }) {
    if (this.#mistakes.childElementCount === mistakes.length) return;
    this.#mistakes.replaceChildren(
      ...mistakes.map((mistake) => element("li", {}, mistakeText(mistake, text))),
    );
  }

  /** Keeps the current word in sight, where the verse is longer than the stage. */
  #follow(word) {
    if (word === this.#current) return;
    this.#current?.removeAttribute("aria-current");
    this.#current = word;
    if (!word) return;
    word.setAttribute("aria-current", "true");
    const stage = this.#root.getBoundingClientRect();
    const { top, bottom } = word.getBoundingClientRect();
    const margin = stage.height / 5;
    if (top < stage.top + margin || bottom > stage.bottom - margin) {
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      const by = (top + bottom - stage.top - stage.bottom) / 2;
      this.#root.scrollBy({ top: by, behavior: calm ? "instant" : "smooth" });
    }
  }

  #isNew(...what) {
    const shows = what.join(" ");
    if (shows === this.#shows) return false;
    this.#shows = shows;
    return true;
  }
}

/** What went wrong with a word, in the reader's language. */
export function mistakeText({ word, expected, heard }, text) {
  if (word === 0) return text.skippedVerse;
  return heard ? text.replacedWord(expected, heard) : text.skippedWord(expected);
}

function stateOf(verse, word) {
  if (verse.mistakes.some((mistake) => mistake.word === word)) return "mistaken";
  if (word === verse.current) return "current";
  return verse.words.has(word) ? "recited" : "ahead";
}

function lengthOf(words) {
  if (words.length <= SHORT_WORDS) return "short";
  return words.length <= MEDIUM_WORDS ? "medium" : "long";
}
