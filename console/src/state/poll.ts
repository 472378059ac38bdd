// A read that is made again and again while somebody looks.

const REFRESH_MS = 5_000;

/** Reads when begun, then `REFRESH_MS` after each answer, until it is ended. A hidden tab rests. */
export class Poll {
  #stop = new AbortController();
  #timer = 0;
  readonly #read: (stop: AbortSignal) => Promise<unknown>;

  constructor(read: (stop: AbortSignal) => Promise<unknown>) {
    this.#read = read;
  }

  /** Begins anew: whatever was under way is let go, as its answer would be older. */
  begin(): void {
    this.end();
    this.#stop = new AbortController();
    void this.#turn(this.#stop.signal);
  }

  end(): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
  }

  async #turn(stop: AbortSignal): Promise<void> {
    if (!document.hidden) await this.#read(stop);
    if (!stop.aborted) this.#timer = window.setTimeout(() => void this.#turn(stop), REFRESH_MS);
  }
}
