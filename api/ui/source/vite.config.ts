import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

// The page is served below /ui/ and must be the same bytes wherever it is built: no dates, no absolute paths, names by content.
export default defineConfig({
  base: "/ui/",
  plugins: [svelte()],
  build: {
    outDir: "../built",
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    modulePreload: { polyfill: false }, // an inline script, which the Content-Security-Policy forbids
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  worker: { format: "es" },
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
        "/ui/session",
      ].map((path) => [path, process.env.SINOGRAM ?? "http://localhost:8042"]),
    ),
  },
  resolve: process.env.VITEST ? { conditions: ["browser"] } : {},
  test: { environment: "jsdom", include: ["tests/**/*.test.ts"] },
});
