/** Requests of a call that are sent one after the other. */

/** A queue of requests, with one that is sent while there are no others. */
export class Requests<T> implements AsyncIterable<T> {
  readonly #queue: T[];
  #wake: (() => void) | undefined;
  #isEnded = false;

  constructor(
    first: T,
    private readonly idle: T,
    private readonly intervalMs: number,
  ) {
    this.#queue = [first];
  }

  /** Sends a request, in order. Returns false if the requests have ended. */
  send(request: T): boolean {
    if (this.#isEnded) {
      return false;
    }
    this.#queue.push(request);
    this.#wake?.();
    return true;
  }

  /** Ends the requests after those in the queue. */
  end(): void {
    this.#isEnded = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const request = this.#queue.shift();
      if (request !== undefined) {
        yield request;
      } else if (this.#isEnded) {
        return;
      } else if (!(await this.#wait())) {
        yield this.idle;
      }
    }
  }

  /** Waits for a change. Returns false if there was none. */
  async #wait(): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const changed = await new Promise<boolean>((resolve) => {
      this.#wake = () => resolve(true);
      timer = setTimeout(() => resolve(false), this.intervalMs);
    });
    clearTimeout(timer);
    this.#wake = undefined;
    return changed;
  }
}
