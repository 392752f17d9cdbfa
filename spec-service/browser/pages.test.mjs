// The life of a specification in a browser: by mouse, by keyboard alone, and without JavaScript; accessibility of each page.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startBrowser, startService } from "./service.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PHONE = { width: 390, height: 844 };
const DESKTOP = { width: 1280, height: 900 };

let service;
let browser;

before(async () => {
  service = await startService();
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await service?.stop();
});

/** Opens a page whose errors, foreign requests and violations of the security policy fail the test. */
async function open(options = {}) {
  const context = await browser.newContext({ viewport: DESKTOP, ...options });
  const page = await context.newPage();
  const problems = [];
  page.on("console", (message) => {
    // A refused form is a page with the status 422.
    if (message.type() === "error" && !message.text().includes("the server responded with a status of 4")) {
      problems.push(message.text());
    }
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith(service.origin) && !request.url().startsWith("data:")) problems.push(request.url());
  });
  page.setDefaultTimeout(20_000);
  await page.goto(service.origin);
  return {
    page,
    close: async () => {
      await context.close();
      assert.deepEqual(problems, []);
    },
  };
}

async function create(page, name) {
  await page.getByRole("link", { name: "New specification" }).click();
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel("Description").fill("How much a customer can transfer");
  await page.getByLabel("Content").fill("# Limits\nlimits:\n  daily: 2500\n");
  await page.getByLabel("Reason").fill("first draft");
  await page.getByRole("button", { name: "Create draft" }).click();
  await page.getByText("The draft was created.").waitFor();
}

async function liveWithMouse(page, name) {
  await create(page, name);
  await page.getByRole("button", { name: "Publish version 1" }).click();
  await page.getByText("The version is published.").waitFor();

  await page.getByRole("link", { name: "New version" }).click();
  await page.getByLabel("Content").fill("limits: [unclosed\n");
  await page.getByRole("button", { name: "Save as a new version" }).click();
  await page.getByRole("alert").waitFor();
  assert.equal(await page.getByLabel("Content").inputValue(), "limits: [unclosed\n");
  assert.equal(await page.getByLabel("Content").getAttribute("aria-invalid"), "true");
  await page.getByLabel("Content").fill("limits:\n  daily: 3000\n");
  await page.getByRole("button", { name: "Save as a new version" }).click();
  await page.getByText("The version was added.").waitFor();

  await page.getByText("Publish version 2").first().click();
  await page.getByRole("button", { name: "Publish version 2" }).click();
  await page.getByText("The version is published.").waitFor();
  // Rolls back to the first version.
  await page.getByRole("link", { name: "Versions" }).click();
  await page.getByRole("link", { name: "Version 1" }).click();
  await page.getByText("Publish version 1").first().click();
  await page.getByLabel("Reason", { exact: true }).first().fill("version 2 was too high");
  await page.getByRole("button", { name: "Publish version 1" }).click();
  await page.getByText("The version is published.").waitFor();

  await page.getByText("Deprecate", { exact: true }).first().click();
  await page.getByLabel("Reason and replacement").fill("replaced by transfer-rules");
  await page.getByRole("button", { name: "Deprecate" }).click();
  await page.getByText("The specification is deprecated.").waitFor();
  await page.locator("summary", { hasText: "Delete" }).click();
  await page.getByRole("button", { name: `Delete ${name}` }).click();
  await page.getByText("Its history remains.").first().waitFor();

  await page.getByRole("link", { name: "History" }).click();
  const history = await page.getByRole("listitem").filter({ has: page.locator("strong") }).allInnerTexts();
  const titles = history.map((text) => text.split("\n")[0]);
  assert.deepEqual(titles, [
    "Created as a draft, with version 1",
    "Version 1 published",
    "Version added",
    "Version 2 published",
    "Version 1 published",
    "Deprecated",
    "Deleted",
  ]);
  assert.match(history[4], /version 2 was too high/);
}

test("the life of a specification by mouse", async () => {
  const { page, close } = await open();
  await page.getByRole("link", { name: /^You are/ }).click();
  await page.getByLabel("Your name").fill("Ada Löw");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("link", { name: "You are Ada Löw" }).waitFor();
  await liveWithMouse(page, "by-mouse");
  assert.match(await page.locator("main").innerText(), /Ada Löw/);
  await close();
});

test("the life of a specification without JavaScript, on a phone", async () => {
  const { page, close } = await open({ javaScriptEnabled: false, viewport: PHONE });
  await liveWithMouse(page, "without-javascript");
  await close();
});

/** Presses Tab until the element with this accessible name and role has the focus. */
async function tabTo(page, role, name) {
  for (let presses = 0; presses < 60; presses++) {
    await page.keyboard.press("Tab");
    const target = page.getByRole(role, { name, exact: true }).first();
    if ((await target.count()) && (await target.evaluate((element) => element === document.activeElement))) {
      const outline = await target.evaluate((element) => getComputedStyle(element).outlineStyle);
      assert.notEqual(outline, "none", `${role} ${name} shows no focus`);
      return;
    }
  }
  assert.fail(`the keyboard does not reach ${role} ${name}`);
}

test("the life of a specification by keyboard alone", async () => {
  const { page, close } = await open();
  await tabTo(page, "link", "Skip to the content");
  await tabTo(page, "link", "New specification");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/ui/specs/new");
  await tabTo(page, "textbox", "Name");
  await page.keyboard.type("by-keyboard");
  await tabTo(page, "textbox", "Content");
  await page.keyboard.type("a: 1");
  await tabTo(page, "button", "Create draft");
  await page.keyboard.press("Enter");
  await page.waitForURL("**done=created");
  await tabTo(page, "button", "Publish version 1");
  await page.keyboard.press("Enter");
  await page.waitForURL("**done=published");
  const details = page.locator("summary", { hasText: "Deprecate" });
  for (let presses = 0; presses < 60; presses++) {
    await page.keyboard.press("Tab");
    if (await details.evaluate((element) => element === document.activeElement)) break;
  }
  await page.keyboard.press("Enter");
  await tabTo(page, "textbox", "Reason and replacement");
  await page.keyboard.type("replaced");
  await page.keyboard.press("Enter");
  await page.waitForURL("**done=deprecated");
  await close();
});

test("the next page of a list is added to the page", async () => {
  const { page, close } = await open();
  for (let number = 0; number < 30; number++) {
    const body = { name: `many-${number}`, namespace: "many", content: "a: 1\n" };
    const created = await page.request.post(`${service.origin}/v1/specs`, { data: body });
    assert.equal(created.status(), 201);
  }
  await page.goto(`${service.origin}/?namespace=many`);
  assert.equal(await page.locator("#rows > tr").count(), 25);
  await page.getByRole("link", { name: "More" }).click();
  await page.getByRole("link", { name: "many-29" }).waitFor();
  assert.equal(await page.locator("#rows > tr").count(), 30);
  assert.equal(await page.getByRole("link", { name: "More" }).count(), 0);
  await close();
});

/** Returns what axe-core finds by the rules of WCAG 2.2, levels A and AA. */
async function barriers(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }),
  );
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
}

test("a page with barriers is found", async () => {
  const page = await browser.newPage();
  await page.setContent('<html lang="en"><title>x</title><img src="data:,"><p style="color: #bbb">pale</p></html>');
  const found = await barriers(page);
  assert.ok(found.some((text) => text.startsWith("image-alt")) && found.some((text) => text.startsWith("color-contrast")), String(found));
  await page.close();
});

test("no page has a barrier, in light and dark, on a desk and on a phone", async () => {
  const { page: first, close: closeFirst } = await open();
  await create(first, "accessible");
  const spec = new URL(first.url()).pathname;
  await closeFirst();
  const paths = ["/", "/?state=deleted&namespace=none", "/ui/specs/new", "/ui/you", "/ui/specs/none", spec];
  paths.push(...["edit", "versions", "versions/1", "history"].map((page) => `${spec}/${page}`));
  for (const colorScheme of ["light", "dark"]) {
    for (const viewport of [DESKTOP, PHONE]) {
      // The policy of the pages does not allow the script of the check.
      const context = await browser.newContext({ viewport, colorScheme, bypassCSP: true });
      const page = await context.newPage();
      for (const path of paths) {
        await page.goto(service.origin + path);
        const name = `${path} ${colorScheme} ${viewport.width}`;
        const scroll = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(scroll <= 0, `${name} is ${scroll} pixels too wide`);
        assert.deepEqual(await barriers(page), [], name);
        if (process.env.SCREENSHOTS) {
          const file = `${name.replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "id")}.png`;
          await page.screenshot({ path: join(process.env.SCREENSHOTS, file), fullPage: true });
        }
      }
      await context.close();
    }
  }
});
