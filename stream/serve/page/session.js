import { Connection } from "./connection.js";
import { Microphone } from "./microphone.js";
import { Problem } from "./problem.js";

/**
 * One recitation at a time, from the press of the button to its last event.
 *
 * `state` is one of
 *  - `idle`: nothing goes on; `problem` says why, if it should not be so
 *  - `asking`: the reader is asked for the microphone
 *  - `connecting`: the server is not ready yet, what is said is kept for it
 *  - `listening`
 *  - `finishing`: the audio has ended, the server decides what is left
 *
 * Dispatches `state` (it changed), `heard` (`detail` is the server's event), `level` (`detail` is the
 * peak of the last 50 ms, of 1) and `running` (`detail`: whether the browser lets audio run).
 */
export class Session extends EventTarget {
  /** @type {"idle" | "asking" | "connecting" | "listening" | "finishing"} */
  state = "idle";
  /** @type {Problem | null} */
  problem = null;

  #microphone = null;
  #connection = null;
  #wakeLock = null;
  #asked = 0; // counts the starts, so that a late answer to an earlier one is known

  /** Starts a recitation; does nothing if one goes on. */
  async start() {
    if (this.state !== "idle") return;
    const asked = ++this.#asked;
    this.#become("asking", null);
    try {
      const microphone = await Microphone.open({
        onBlock: ({ pcm, peak }) => this.#record(pcm, peak),
        onLost: () => this.#fail(new Problem("microphoneLost")),
        onRunning: (running) => this.#tell("running", running),
      });
      if (asked !== this.#asked || this.state !== "asking") {
        microphone.close(); // stopped meanwhile
        return;
      }
      this.#microphone = microphone;
    } catch (problem) {
      if (asked === this.#asked && this.state === "asking") this.#become("idle", problem);
      return;
    }
    this.#become("connecting", null);
    this.#connection = new Connection(this.#microphone.sampleRate, {
      onStarted: () => this.#become("listening", null),
      onEvent: (event) => this.#tell("heard", event),
      onClosed: (problem) => this.#close(problem),
    });
    this.#stayAwake();
  }

  /** Ends the recitation: what was heard is still decided. */
  stop() {
    if (this.state === "asking") {
      this.#become("idle", null);
    } else if (this.state === "connecting" || this.state === "listening") {
      this.#finish(null);
    }
  }

  #record(pcm, peak) {
    this.#tell("level", peak);
    this.#connection?.send(pcm);
  }

  /** The microphone is gone: what was heard until now is still decided. */
  #fail(problem) {
    if (this.state === "connecting" || this.state === "listening") this.#finish(problem);
  }

  #finish(problem) {
    this.#release();
    this.#become("finishing", problem);
    this.#connection.end();
  }

  #close(problem) {
    this.#release();
    this.#connection = null;
    this.#become("idle", problem ?? this.problem);
  }

  #release() {
    this.#microphone?.close();
    this.#microphone = null;
    this.#wakeLock?.release();
    this.#wakeLock = null;
  }

  /** A phone that sleeps takes the microphone away. Not every browser can keep it awake. */
  async #stayAwake() {
    const lock = await navigator.wakeLock?.request("screen").catch(() => null);
    if (this.#microphone) this.#wakeLock = lock ?? null;
    else lock?.release();
  }

  #become(state, problem) {
    this.state = state;
    this.problem = problem;
    this.dispatchEvent(new Event("state"));
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
