/**
 * The text of the Quran, surah by surah, fetched when first asked for.
 *
 * Dispatches `loaded` when a surah has come, and `failed` when one could not be had.
 *
 * @typedef {object} Surah
 * @property {number} surah
 * @property {string} name in Arabic
 * @property {string} name_latin
 * @property {string[][]} verses words of each verse
 */
export class Mushaf extends EventTarget {
  #surahs = new Map();
  #asked = new Map(); // promises

  /**
   * @param {number} number 1 to 114
   * @returns {Surah | undefined} undefined until it has come
   */
  surah(number) {
    this.load(number).catch(() => {}); // `failed` tells
    return this.#surahs.get(number);
  }

  /**
   * @param {number} number 1 to 114
   * @returns {Promise<Surah>} rejected if it cannot be had
   */
  load(number) {
    if (!this.#asked.has(number)) this.#asked.set(number, this.#fetch(number));
    return this.#asked.get(number);
  }

  /**
   * @param {{surah: number, ayah: number}} reference
   * @returns {string[] | undefined} the words; undefined until they have come
   */
  words({ surah, ayah }) {
    return this.surah(surah)?.verses[ayah - 1];
  }

  /**
   * The verse that follows in the mushaf.
   *
   * @param {{surah: number, ayah: number}} reference
   * @returns {{surah: number, ayah: number} | null} null: not known yet, or there is none
   */
  after({ surah, ayah }) {
    const verses = this.surah(surah)?.verses.length;
    if (verses === undefined) return null;
    if (ayah < verses) return { surah, ayah: ayah + 1 };
    return surah < 114 ? { surah: surah + 1, ayah: 1 } : null;
  }

  async #fetch(number) {
    try {
      const response = await fetch(`/v1/surah/${number}`);
      if (!response.ok) throw new Error(response.statusText);
      const surah = await response.json();
      this.#surahs.set(number, surah);
      this.dispatchEvent(new Event("loaded"));
      return surah;
    } catch (error) {
      this.#asked.delete(number); // the next look asks again
      this.dispatchEvent(new Event("failed"));
      throw error;
    }
  }
}
