// Opens reports in headless Chromium as readers do, and says what is wrong with them.
//
// node check.mjs [--pictures FOLDER] REPORT.html...
//
// Each page at desktop and phone width, light and dark: no error on the console, no request to the network, no violation
// that axe finds, nothing wider than the screen, every table sortable from the keyboard. Prints the size of the file and
// how long it took to open; exit code 1 if anything is wrong. With --pictures, each state is also kept as a PNG.
import { readFileSync, statSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const SCREENS = { desktop: { width: 1280, height: 900 }, phone: { width: 360, height: 740, isMobile: true, hasTouch: true } };
const MOST_SECONDS = 3;
const MOST_BYTES = 5_000_000;

const args = process.argv.slice(2);
const pictures = args[0] === "--pictures" ? args.splice(0, 2)[1] : null;
if (pictures) mkdirSync(pictures, { recursive: true });
// Chromium's sandbox refuses to run as root, which is what a container gives us; the page is our own file.
const root = process.getuid?.() === 0;
const browser = await puppeteer.launch({ executablePath: CHROMIUM, args: root ? ["--no-sandbox"] : [] });
let wrong = 0;

for (const file of args) {
  const bytes = statSync(file).size;
  const faults = bytes > MOST_BYTES ? [`${bytes} bytes are too many`] : [];
  let slowest = 0;
  for (const [screen, viewport] of Object.entries(SCREENS)) {
    for (const scheme of ["light", "dark"]) {
      const [seconds, found] = await look(file, viewport, scheme, `${path.basename(file, ".html")}-${screen}-${scheme}`);
      slowest = Math.max(slowest, seconds);
      faults.push(...found.map((fault) => `${screen}, ${scheme}: ${fault}`));
    }
  }
  if (slowest > MOST_SECONDS) faults.push(`took ${slowest.toFixed(2)} s to open`);
  console.log(`${file}: ${(bytes / 1000).toFixed(0)} KB, open in ${slowest.toFixed(2)} s, ${faults.length} faults`);
  for (const fault of faults) console.log(`  ${fault}`);
  wrong += faults.length;
}
await browser.close();
process.exit(wrong ? 1 : 0);

async function look(file, viewport, scheme, name) {
  const page = await browser.newPage();
  const faults = [];
  page.on("console", (message) => {
    if (["error", "warn"].includes(message.type())) faults.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`script: ${error.message}`));
  page.on("request", (request) => {
    if (!/^(file|data):/.test(request.url())) faults.push(`network: ${request.url()}`);
  });
  await page.setViewport(viewport);
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  const begun = performance.now();
  await page.goto(pathToFileURL(path.resolve(file)).href, { waitUntil: "load" });
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  const seconds = (performance.now() - begun) / 1000;
  if (pictures) await page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });
  await page.evaluate(() => document.querySelectorAll("details").forEach((each) => (each.open = true)));
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) faults.push(`the page is ${wide} pixels wider than the screen`);
  faults.push(...(await page.evaluate(sortAll)));
  await page.evaluate(AXE); // evaluated, not added: the page allows no script but its own
  const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
  for (const violation of violations) {
    faults.push(`axe ${violation.id}: ${violation.help} (${violation.nodes.map((node) => node.target).slice(0, 3).join("; ")})`);
  }
  await page.close();
  return [seconds, faults];
}

// Runs in the page: every heading of every table is reached and pressed as a keyboard does.
function sortAll() {
  const faults = [];
  for (const table of document.querySelectorAll("table")) {
    const before = table.tBodies[0].rows.length;
    for (const heading of table.tHead.rows[0].cells) {
      const button = heading.querySelector("button");
      button.focus();
      if (document.activeElement !== button) faults.push(`${table.caption.textContent}: a heading cannot be focused`);
      for (const expected of ["ascending", "descending"]) {
        button.click();
        const found = heading.getAttribute("aria-sort");
        if (found !== expected) faults.push(`${table.caption.textContent}: sorted ${found}, not ${expected}`);
      }
    }
    if (table.tBodies[0].rows.length !== before) faults.push(`${table.caption.textContent}: sorting lost rows`);
  }
  return faults;
}
