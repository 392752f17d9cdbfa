/**
 * Checks and runs the programs of the README and of the book in a folder with the installed package, against the server of the
 * tests.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { readRepositoryFile } from "./repository.js";

const ADDRESS = "localhost:50051";
const START = "\n```ts\n";

const [folder, tsc] = process.argv.slice(2);
assert.ok(folder !== undefined && tsc !== undefined, "usage: readme.js FOLDER TSC");

const names: string[] = [];
for (const page of ["sdks/typescript/README.md", "docs/src/event-store/sdks.md"]) {
  const parts = readRepositoryFile(page).split(START);
  for (const [index, part] of parts.slice(1).entries()) {
    const program = part.split("\n```\n")[0] ?? "";
    const isRun = !parts[index]?.endsWith("-->");
    assert.ok(!isRun || program.includes(ADDRESS), program);
    const name = `${isRun ? "run" : "check"}${names.length}`;
    writeFileSync(join(folder, `${name}.ts`), program.replaceAll(ADDRESS, process.env["EVENT_STORE_ADDRESS"] ?? ""));
    names.push(name);
  }
}
assert.ok(names.length >= 6, "the pages have too few programs");

// Strictly, and with the types of the package only.
const compilerOptions = { strict: true, target: "es2022", module: "nodenext", lib: ["es2022", "dom"], types: [] };
writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
execFileSync(tsc, ["--project", folder], { stdio: "inherit" });
for (const name of names.filter((name) => name.startsWith("run"))) {
  execFileSync(process.execPath, [`${name}.js`], { cwd: folder, stdio: "inherit", timeout: 60_000 });
}
