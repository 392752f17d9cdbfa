/** Files of the repository. */

import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = process.env["REPOSITORY"] ?? join(import.meta.dirname, "../../../..");

/** Reads a file by its path in the repository. */
export function readRepositoryFile(path: string): string {
  return readFileSync(join(root, path), "utf8");
}
