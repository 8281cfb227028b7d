/**
 * The audio thread's side of the microphone: mixes to one channel, collects 50 ms, and posts
 * `{pcm, peak}`: signed 16-bit little-endian samples (an ArrayBuffer, handed over) and the greatest
 * magnitude among them, of 1.
 */

const BLOCK_SECONDS = 0.05;
const FULL_SCALE = 32767;

class Capture extends AudioWorkletProcessor {
  #length = Math.round(sampleRate * BLOCK_SECONDS);
  #block = this.#newBlock();
  #filled = 0;
  #peak = 0;

  process([channels]) {
    const frames = channels[0]?.length ?? 0; // no channels: the microphone is not connected yet
    for (let i = 0; i < frames; i++) {
      let sample = 0;
      for (const channel of channels) sample += channel[i];
      this.#add(sample / channels.length);
    }
    return true;
  }

  #add(sample) {
    const limited = Math.max(-1, Math.min(1, sample));
    this.#peak = Math.max(this.#peak, Math.abs(limited));
    this.#block.setInt16(2 * this.#filled++, Math.round(limited * FULL_SCALE), true);
    if (this.#filled === this.#length) this.#post();
  }

  #post() {
    const pcm = this.#block.buffer;
    this.port.postMessage({ pcm, peak: this.#peak }, [pcm]);
    this.#block = this.#newBlock();
    this.#filled = this.#peak = 0;
  }

  #newBlock() {
    return new DataView(new ArrayBuffer(2 * this.#length));
  }
}

registerProcessor("capture", Capture);
