import { fileURLToPath } from "node:url";

import { svelte } from "@sveltejs/vite-plugin-svelte";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const unused = fileURLToPath(new URL("./src/viewer/unused.ts", import.meta.url));

/** The library writes a style as an attribute, which the Content-Security-Policy forbids; the same by the element's own style is allowed. */
const withoutStyleAttributes = {
  name: "without-style-attributes",
  transform(code: string, id: string) {
    if (!/@cornerstonejs.*drawTextBox\.js/.test(id)) return null;
    const changed = code.replace(
      "textElement.setAttribute('style', combinedStyle)",
      "textElement.style.cssText = combinedStyle",
    );
    if (changed === code) throw new Error(`${id}: the attribute was not found; see vite.config.ts`);
    return { code: changed, map: null };
  },
};

/** Finds what the first view needs: all that the page imports, however far, without an `import()` on the way. */
const first = new Set<string>();
const findFirst: Plugin = {
  name: "find-first",
  buildEnd() {
    const found = [...this.getModuleIds()].filter((id) => this.getModuleInfo(id)?.isEntry);
    for (const id of found) {
      if (first.has(id)) continue;
      first.add(id);
      found.push(...(this.getModuleInfo(id)?.importedIds ?? []));
    }
  },
};

/** OpenJPEG tells its errors on the console alone, and leaves the image before where it gives up. They are thrown, with their words. */
const withErrorsOfJpeg2000 = {
  name: "with-errors-of-jpeg-2000",
  transform(code: string, id: string) {
    if (!/@cornerstonejs.*decodeJPEG2000\.js/.test(id)) return null;
    const told = "print: (line) => line.startsWith('[ERROR]') && (local.errors ??= []).push(line.slice(8)),";
    const changed = code
      .replace("openJpegFactory({", `openJpegFactory({ ${told}`)
      .replace(
        "decoder.decode();",
        "local.errors = []; decoder.decode(); if (local.errors.length > 0) throw new Error(local.errors[0]);",
      );
    if (!changed.includes(told) || !changed.includes("throw new Error(local"))
      throw new Error(`${id}: see vite.config.ts`);
    return { code: changed, map: null };
  },
};

// The page is served below /ui/ and must be the same bytes wherever it is built: no dates, no absolute paths, names by content.
export default defineConfig({
  base: "/ui/",
  plugins: [svelte(), withoutStyleAttributes, findFirst],
  worker: { format: "es", plugins: () => [withErrorsOfJpeg2000] },
  // `npm run dev` shows the page while it is written, beside a server on its own port.
  server: {
    proxy: Object.fromEntries(
      [
        "/system",
        "/studies",
        "/series",
        "/instances",
        "/patients",
        "/tools",
        "/jobs",
        "/events",
        "/statistics",
        "/dicom-web",
        "/modalities",
        "/peers",
        "/queries",
        "/lua",
        "/plugins",
        "/remotes",
        "/storage",
        "/worklists",
        "/ui/session",
      ].map((path) => [path, process.env.SINOGRAM ?? "http://localhost:8042"]),
    ),
  },
  resolve: {
    alias: [
      // Of vtk.js, for files that nobody writes here: 400 kB, and it does not run in a browser.
      { find: "xmlbuilder2", replacement: unused },
      // 1.1 MB for a syntax that is rare; the server decodes it for the viewer.
      { find: /^.*\/decodeJPEGXL(\.js)?$/, replacement: unused },
    ],
    ...(process.env.VITEST ? { conditions: ["browser"] } : {}),
  },
  build: {
    outDir: "../built",
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    modulePreload: { polyfill: false }, // an inline script, which the Content-Security-Policy forbids
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 4_000, // kB: the viewer, which is loaded when an image is opened
    rolldownOptions: {
      output: {
        // The viewer's libraries are a file that changes with nothing of ours, for browsers keep it. What the first view needs is one, too: in
        // pieces, each would be a request more before anything is seen.
        codeSplitting: {
          groups: [
            { name: "preload", test: /preload-helper/, priority: 2 }, // of both, so of neither
            { name: "first", test: (id) => first.has(id), priority: 1 },
            { name: "cornerstone", test: /node_modules[\\/](@cornerstonejs|@kitware)/, priority: 1 },
          ],
        },
      },
      // Codecs and vtk.js also run in Node.js, and name its modules for that.
      onwarn: (warning, warn) => {
        if (!warning.message?.includes("externalized for browser compatibility")) warn(warning);
      },
    },
  },
  test: { environment: "jsdom", isolate: false, maxWorkers: 1, include: ["tests/**/*.test.ts"] },
});
