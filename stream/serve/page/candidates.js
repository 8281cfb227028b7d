import { element, quran } from "./elements.js";

const FIRST_WORDS = 8; // as many as ever fit

/** The verses that may be the one being recited, and how likely each is. */
export class Candidates {
  #list = element("ol");
  #mushaf;
  #rows = new Map(); // by verse

  /**
   * @param {HTMLElement} root
   * @param {import("./mushaf.js").Mushaf} mushaf
   */
  constructor(root, mushaf) {
    root.append(this.#list);
    this.#mushaf = mushaf;
  }

  /**
   * @param {{surah: number, ayah: number, probability: number}[]} candidates the likeliest first
   * @param {import("./strings.js").Strings} strings
   */
  render(candidates, strings) {
    const before = new Map(this.#rows);
    this.#rows.clear();
    for (const candidate of candidates) {
      const verse = `${candidate.surah}:${candidate.ayah}`;
      const row = before.get(verse) ?? newRow(verse);
      this.#fill(row, candidate, strings);
      this.#rows.set(verse, row);
    }
    this.#list.replaceChildren(...this.#rows.values());
  }

  #fill(row, { surah: number, ayah, probability }, strings) {
    const surah = this.#mushaf.surah(number);
    const words = surah?.verses[ayah - 1] ?? [];
    const [reference, beginning, percent] = row.children;
    reference.textContent = `${strings.surah(number, surah)} ${strings.number(ayah)}`;
    beginning.textContent = words.slice(0, FIRST_WORDS).join(" ");
    percent.textContent = strings.percent(probability);
    row.style.setProperty("--probability", probability);
  }
}

/** Rows are kept while their verse is a candidate, so that its bar grows and shrinks smoothly. */
function newRow(verse) {
  return element(
    "li",
    { "data-verse": verse },
    element("span", { class: "reference" }),
    quran("span", { class: "beginning" }),
    element("span", { class: "probability" }),
  );
}
