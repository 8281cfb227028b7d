/** Something that keeps the page from listening. `code` names its text in strings.js. */
export class Problem extends Error {
  /**
   * @param {string} code
   * @param {string} detail what the server said of it, if anything
   */
  constructor(code, detail = "") {
    super(detail || code);
    this.code = code;
    this.detail = detail;
  }
}
