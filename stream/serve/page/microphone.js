import { Problem } from "./problem.js";

/** Errors of getUserMedia, by name. */
const CODES = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "noMicrophone",
  OverconstrainedError: "noMicrophone",
  NotReadableError: "busy",
};

/** Recitation is to be heard as it is: what cleans up telephone calls eats long vowels. */
const CONSTRAINTS = {
  audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
};

/**
 * The microphone, as blocks of signed 16-bit samples of one channel.
 *
 * Browsers suspend audio when they see fit (a call, a locked screen, another tab); it is resumed as
 * soon as they let us.
 */
export class Microphone {
  #context;
  #stream;
  #capture;
  #resume = () => {
    if (this.#context.state !== "running" && this.#context.state !== "closed") {
      this.#context.resume().catch(() => {}); // not allowed yet: the next touch or return asks again
    }
  };

  /**
   * Asks for the microphone; to be called from a click or key press, or there may be no sound.
   *
   * @param {object} listeners
   * @param {(block: {pcm: ArrayBuffer, peak: number}) => void} listeners.onBlock every 50 ms
   * @param {() => void} listeners.onLost the microphone was unplugged or withdrawn
   * @param {(running: boolean) => void} listeners.onRunning the browser suspended or resumed audio
   * @returns {Promise<Microphone>}
   * @throws {Problem} the browser, the reader or the machine does not give one
   */
  static async open(listeners) {
    if (!window.isSecureContext) throw new Problem("insecure");
    if (!navigator.mediaDevices || !window.AudioWorkletNode) throw new Problem("unsupported");
    const microphone = new Microphone();
    try {
      await microphone.#open(listeners);
    } catch (error) {
      microphone.close();
      throw new Problem(CODES[error.name] ?? "unsupported", error.message);
    }
    return microphone;
  }

  constructor() {
    this.#context = new AudioContext({ latencyHint: "interactive" });
  }

  async #open({ onBlock, onLost, onRunning }) {
    const context = this.#context;
    const [stream] = await Promise.all([
      navigator.mediaDevices.getUserMedia(CONSTRAINTS),
      context.audioWorklet.addModule("/page/capture.js"),
    ]);
    this.#stream = stream;
    stream.getAudioTracks()[0].addEventListener("ended", onLost);
    const capture = new AudioWorkletNode(context, "capture", { outputChannelCount: [1] });
    this.#capture = capture;
    capture.port.onmessage = ({ data }) => onBlock(data);
    // Only what reaches the destination is sure to be run; what capture puts out is silence.
    context.createMediaStreamSource(stream).connect(capture).connect(context.destination);
    context.onstatechange = () => {
      onRunning(context.state === "running");
      this.#resume();
    };
    for (const event of ["visibilitychange", "pointerdown", "keydown"]) {
      document.addEventListener(event, this.#resume);
    }
    this.#resume();
  }

  /** Samples per second. */
  get sampleRate() {
    return this.#context.sampleRate;
  }

  /** No block comes after this. */
  close() {
    for (const event of ["visibilitychange", "pointerdown", "keydown"]) {
      document.removeEventListener(event, this.#resume);
    }
    if (this.#capture) this.#capture.port.onmessage = null;
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#context.onstatechange = null;
    if (this.#context.state !== "closed") this.#context.close();
  }
}
