import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, chromium } from "playwright-core";

/** As the packages of distributions call it. */
const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** CHROMIUM, or the first on PATH; undefined where this machine has none. */
export const chromiumPath: string | undefined =
  process.env.CHROMIUM ??
  (process.env.PATH ?? "")
    .split(delimiter)
    .flatMap((folder) => NAMES.map((name) => join(folder, name)))
    .find((path) => existsSync(path));

if (chromiumPath === undefined && process.env.CI) {
  throw new Error("CI walks the console in a browser: install chromium, or name one in CHROMIUM.");
}

/** A real browser without a window. */
export function openChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath as string,
    // Chromium refuses its sandbox to root, which a container often is.
    chromiumSandbox: process.getuid?.() !== 0,
    args: ["--disable-dev-shm-usage", "--disable-gpu", "--enable-precise-memory-info"],
  });
}
