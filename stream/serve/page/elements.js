/**
 * A new element.
 *
 * @param {string} name
 * @param {Record<string, string>} attributes
 * @param {...(Node | string)} children
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

/** Words of the Quran: always Arabic, from right to left, in the mushaf's letters. */
export function quran(name, attributes, ...children) {
  const made = element(name, { lang: "ar", dir: "rtl", ...attributes }, ...children);
  made.classList.add("quran");
  return made;
}

const ARABIC_DIGITS = new Intl.NumberFormat("ar-u-nu-arab", { useGrouping: false });

/** The ornament that ends a verse, with its number; readers of screens hear it from the heading. */
export function ayahMark(ayah) {
  const mark = `\u06dd${ARABIC_DIGITS.format(ayah)}`; // END OF AYAH encloses the digits after it
  return element("span", { class: "ayah-mark", "aria-hidden": "true" }, mark);
}
