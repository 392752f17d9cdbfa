/** Calls whose server must not be silent. */

import { lost } from "./errors.js";

/** Waits for the next answer. If none arrives in time, `call` is aborted, and the call fails as lost. */
export async function heard<T>(
  answers: AsyncGenerator<T, void, undefined>,
  call: AbortController,
  silenceMs: number,
): Promise<IteratorResult<T, void>> {
  const timer = setTimeout(() => call.abort(lost(`the server was silent for ${silenceMs} ms`)), silenceMs);
  try {
    return await answers.next();
  } finally {
    clearTimeout(timer);
  }
}
