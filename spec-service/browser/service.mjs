// The service as a child process on a database of its own, and a browser.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

/** Starts the service, and returns its origin and a function that stops it. */
export async function startService() {
  const folder = mkdtempSync(join(tmpdir(), "spec-service-browser-"));
  const process_ = spawn(process.env.SERVER, [], {
    cwd: folder,
    env: {
      ...process.env,
      DATABASE_URL: "sqlite:specs.db",
      REST_ADDR: "127.0.0.1:0",
      GRPC_ADDR: "127.0.0.1:0",
      RUST_LOG: "warn",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => process_.once("exit", resolve));
  const origin = await new Promise((resolve, reject) => {
    createInterface({ input: process_.stdout }).on("line", (line) => {
      const found = line.match(/^REST API on (\S+)$/);
      if (found) resolve(found[1]);
    });
    process_.once("error", reject);
    process_.once("exit", (status) => reject(new Error(`the service ended with status ${status}`)));
  });
  const stop = async () => {
    process_.kill("SIGTERM");
    const status = await ended;
    rmSync(folder, { recursive: true });
    if (status !== 0) throw new Error(`the service ended with status ${status}`);
  };
  return { origin, stop };
}

/** Starts Debian's Chromium. */
export function startBrowser() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
}
