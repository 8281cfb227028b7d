import { Problem } from "./problem.js";

/** Unsent audio beyond which the network is too slow to follow anybody. */
const MOST_UNSENT_SECONDS = 10;
/** How long the server may take to decide what is left after the end of the audio. */
const FINISH_MS = 20_000;
/** What the server's close codes mean to the reader (docs/protocol.md); 1000 is all's well. */
const CLOSED = {
  1001: "stopped",
  1006: "lost",
  1012: "stopped",
  1013: "full",
  4401: "token",
  4408: "idle",
};

/** One recitation over the server's WebSocket protocol. Audio is signed 16-bit, one channel. */
export class Connection {
  #socket;
  #sampleRate;
  #listeners;
  #opened = false;
  #started = false;
  #waiting = []; // blocks recorded before the server was ready
  #finishing;

  /**
   * @param {number} sampleRate samples per second
   * @param {object} listeners
   * @param {() => void} listeners.onStarted the server listens
   * @param {(event: object) => void} listeners.onEvent an event of the recognition
   * @param {(problem: Problem | null) => void} listeners.onClosed once, last; null: it is complete
   */
  constructor(sampleRate, listeners) {
    this.#sampleRate = sampleRate;
    this.#listeners = listeners;
    this.#socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/v1/recite`);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => this.#open();
    this.#socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    this.#socket.onclose = ({ code, reason }) => this.#close(this.#problem(code, reason));
  }

  /** @param {ArrayBuffer} pcm */
  send(pcm) {
    if (!this.#started) {
      this.#waiting.push(pcm);
    } else if (this.#socket.readyState === WebSocket.OPEN) {
      this.#socket.send(pcm);
    }
    const unsent = this.#socket.bufferedAmount + this.#waiting.length * pcm.byteLength;
    if (unsent > MOST_UNSENT_SECONDS * this.#sampleRate * 2) this.#abandon(new Problem("slow"));
  }

  /** No more audio: the server decides what is left and closes. */
  end() {
    if (!this.#started) {
      this.#abandon(null);
      return;
    }
    this.#socket.send(JSON.stringify({ type: "end" }));
    this.#finishing = setTimeout(() => this.#abandon(new Problem("lost")), FINISH_MS);
  }

  #open() {
    this.#opened = true;
    const start = { type: "start", encoding: "s16le", sample_rate: this.#sampleRate, channels: 1 };
    // Where the server wants a token, the page is opened as /#token=...; fragments stay here.
    const token = new URLSearchParams(location.hash.slice(1)).get("token");
    this.#socket.send(JSON.stringify(token === null ? start : { ...start, token }));
  }

  #receive(event) {
    if (event.type === "started") {
      this.#started = true;
      this.#waiting.forEach((pcm) => this.#socket.send(pcm));
      this.#waiting = [];
      this.#listeners.onStarted();
      return;
    }
    this.#listeners.onEvent(event);
  }

  #problem(code, reason) {
    if (!this.#opened) return new Problem("unreachable");
    if (code === 1000) return null;
    return code in CLOSED ? new Problem(CLOSED[code]) : new Problem("refused", reason);
  }

  #abandon(problem) {
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#close(problem);
  }

  #close(problem) {
    clearTimeout(this.#finishing);
    this.#listeners.onClosed(problem);
  }
}
