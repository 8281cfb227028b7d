import { ayahMark, element, quran } from "./elements.js";
import { mistakeText } from "./stage.js";

/** The verses recited, the latest first, each to be opened for its words and times. */
export class History {
  #root;
  #mushaf;
  #items = new Map(); // of each entry: its element, and what that was drawn for

  /**
   * @param {HTMLElement} root
   * @param {import("./mushaf.js").Mushaf} mushaf
   */
  constructor(root, mushaf) {
    this.#root = root;
    this.#mushaf = mushaf;
  }

  /**
   * @param {import("./recitation.js").Recitation[]} recitations the latest last
   * @param {import("./strings.js").Strings} strings
   */
  render(recitations, strings) {
    const groups = recitations.filter(({ history }) => history.length > 0).reverse();
    while (this.#root.childElementCount > groups.length) this.#root.lastElementChild.remove();
    while (this.#root.childElementCount < groups.length) {
      this.#root.prepend(element("section", {}, element("h3"), element("ol", { reversed: "" })));
    }
    groups.forEach((recitation, index) => {
      const [title, list] = this.#root.children[index].children;
      title.textContent = strings.text.from(strings.hour(recitation.began));
      this.#fill(list, recitation.history, strings);
    });
  }

  /** Entries are drawn anew in place, so that what is open or has the focus stays as it is. */
  #fill(list, entries, strings) {
    for (const entry of entries) {
      const named = [entry, ...(entry.final?.ambiguous_with ?? [])];
      const known = named.map(({ surah }) => this.#mushaf.surah(surah) !== undefined);
      const drawnFor = [strings.language, entry.mistakes?.length, ...known].join(" ");
      let drawn = this.#items.get(entry);
      if (!drawn) {
        const item = element("li", { "data-verse": `${entry.surah}:${entry.ayah}` });
        item.append(element("details", {}, element("summary")));
        list.prepend(item);
        drawn = { item };
        this.#items.set(entry, drawn);
      }
      if (drawn.drawnFor === drawnFor) continue;
      drawn.drawnFor = drawnFor;
      this.#draw(drawn.item, entry, strings);
    }
  }

  #draw(item, entry, strings) {
    const words = this.#mushaf.words(entry) ?? [];
    const [details] = item.children;
    const [summary, ...rest] = details.children;
    for (const old of rest) old.remove();
    summary.replaceChildren(...this.#summary(entry, words, strings));
    const notes = this.#notes(entry, words, strings);
    details.append(...notes.map((note) => element("p", { class: "note" }, note)));
    if (entry.final) details.append(this.#times(entry, words, strings));
    item.classList.toggle("flawed", !entry.final || entry.mistakes.length > 0);
  }

  #summary(entry, words, strings) {
    const { final } = entry;
    const when = final && `${strings.clock(final.start)}–${strings.clock(final.end)}`;
    return [
      element("span", { class: "reference" }, this.#reference(entry, strings)),
      element("span", { class: "when" }, when ?? strings.text.skippedVerse),
      quran("span", { class: "text" }, `${words.join(" ")} `, ayahMark(entry.ayah)),
    ];
  }

  #reference({ surah, ayah }, strings) {
    return `${strings.surah(surah, this.#mushaf.surah(surah))} ${strings.number(ayah)}`;
  }

  #notes({ final, mistakes }, words, strings) {
    if (!final) return [];
    const { text } = strings;
    const notes = mistakes.map((mistake) => mistakeText(mistake, text));
    const { first_word: first, last_word: last, ambiguous_with: others } = final;
    if (first > 1 || last < words.length) {
      notes.push(text.part(...[first, last, words.length].map((n) => strings.number(n))));
    }
    if (others.length > 0) {
      const list = new Intl.ListFormat(strings.language, { type: "disjunction" });
      notes.push(text.alsoAt(list.format(others.map((verse) => this.#reference(verse, strings)))));
    }
    notes.push(text.sure(strings.percent(final.confidence)));
    return notes;
  }

  #times({ final }, words, strings) {
    const attributes = { class: "word-times", "aria-label": strings.text.wordTimes };
    const items = final.words.map(({ word, start }) =>
      element(
        "li",
        {},
        words[word - 1] ?? "",
        element("span", { class: "when", lang: strings.language }, strings.clock(start)),
      ),
    );
    return quran("ol", attributes, ...items);
  }
}
